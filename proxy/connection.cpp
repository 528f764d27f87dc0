// One accepted connection up to the point where it is a session, a console, or over.
#include <fmt/format.h>
#include <sys/socket.h>
#include <spdlog/spdlog.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <optional>

#include "protocol/startup.hpp"
#include "protocol/wire.hpp"
#include "proxy/auth/client_login.hpp"
#include "proxy/hosts/hosts.hpp"
#include "proxy/listener.hpp"
#include "proxy/session/session.hpp"
#include "proxy/tls/tls.hpp"
#include "proxy/upstream.hpp"
#include "proxy/within.hpp"

namespace pgsteer::proxy {

namespace asio = boost::asio;
constexpr auto as_result = asio::as_tuple(asio::use_awaitable);

namespace {

/// Address of a client on the unix socket: nobody can listen there.
constexpr std::string_view kLocalAddress = "unix";

/// As the server of a TLS connection. Nothing was read beyond what asked for it: what was sent ahead of the handshake is taken for a
/// part of it and ends the connection (the injection of CVE-2021-3935 and CVE-2021-23222).
asio::awaitable<bool> handshake(Worker& worker, Stream& client, bool direct, const std::string& address) {
  const auto contexts = worker.snapshot().config->tls_contexts;
  ssl_st* const ssl = contexts ? contexts->for_client() : nullptr;
  if (!ssl) co_return false;
  const auto ec = co_await client.handshake(ssl, true);
  const bool done = !ec && (!direct || negotiated_postgresql(ssl));
  ++(done ? tls_handshakes().with_clients : tls_handshakes().with_clients_failed);
  if (done) co_return true;
  spdlog::info("event=tls_refused address={} reason=\"{}\"", address, ec ? tls_failure(ssl) : "direct TLS without ALPN postgresql");
  co_return false;
}

/// Whether the client begins with a TLS handshake at once (libpq's sslnegotiation=direct).
asio::awaitable<bool> begins_with_tls(Stream& client) {
  constexpr char kHandshakeRecord = 0x16;
  char first = 0;
  // The caller holds the deadline.
  if (const auto ec = co_await client.wait_readable(); ec) co_return false;
  co_return ::recv(client.native_handle(), &first, 1, MSG_PEEK | MSG_DONTWAIT) == 1 && first == kHandshakeRecord;
}

/// Reads the first packet that is a startup or cancel request; encryption requests before it are answered. Inlined, g++ 12 sees a
/// mismatch of the frame's new and delete that is not there.
[[gnu::noinline]] asio::awaitable<std::optional<std::pair<protocol::Startup, std::string>>> read_first_packet(Worker& worker, Stream& client,
                                                                                             const std::string& address) {
  const bool tls = worker.snapshot().config->tls.mode != "disable" && address != kLocalAddress;
  if (tls) {
    const bool direct = co_await begins_with_tls(client);
    if (direct) {
      if (const bool good = co_await handshake(worker, client, true, address); !good) co_return std::nullopt;
    }
  }
  for (int requests = 0; requests < 3; ++requests) {
    std::string packet(4, '\0');
    if (co_await client.read_exactly(packet.data(), 4)) co_return std::nullopt;
    const auto size = protocol::first_packet_bytes(packet);
    if (!size) co_return std::nullopt;  // nobody who speaks this protocol: a server says nothing either
    packet.resize(*size);
    if (co_await client.read_exactly(packet.data() + 4, *size - 4)) co_return std::nullopt;
    auto startup = protocol::read_startup(packet);
    switch (startup.kind) {
      case protocol::FirstPacket::ssl_request:
      case protocol::FirstPacket::gssenc_request: {
        if (client.encrypted()) {
          co_await send_fatal(client, "0A000", "unsupported frontend protocol: encryption was requested on an encrypted connection");
          co_return std::nullopt;
        }
        const bool accepted = tls && startup.kind == protocol::FirstPacket::ssl_request;
        if (co_await client.write_all(accepted ? "S" : "N")) co_return std::nullopt;
        if (accepted) {
          if (const bool good = co_await handshake(worker, client, false, address); !good) co_return std::nullopt;
        }
        continue;
      }
      case protocol::FirstPacket::startup:
      case protocol::FirstPacket::cancel_request:
        co_return std::pair(std::move(startup), std::move(packet));
      default:
        co_await send_fatal(client, startup.why.starts_with("unsupported") ? "0A000" : startup.why.starts_with("no ") ? "28000" : "08P01", startup.why);
        co_return std::nullopt;
    }
  }
  co_await send_fatal(client, "08P01", "too many encryption requests");
  co_return std::nullopt;
}

asio::awaitable<void> forward_cancel(Worker& worker, int host, std::string packet) {
  std::string error;
  auto server = co_await connect_with_deadline(worker, host, &error);
  if (!server) co_return;
  if (co_await server->write_all(std::move(packet))) co_return;
  // The server answers by closing; until then the client must not take the request for done.
  char byte;
  co_await within(worker.loop, worker.snapshot().config->upstream.connect_timeout, server->read_exactly(&byte, 1));
}

/// The request's key is one of ours. The connection stays open until the cancellation has reached the server, as a server's would.
asio::awaitable<void> cancel_here(Worker& worker, std::string packet) {
  auto over = std::make_shared<asio::steady_timer>(worker.loop, worker.snapshot().config->upstream.connect_timeout * 2);
  worker.hub.on_cancel_here(packet.substr(8), [&worker, over] { asio::post(worker.loop, [over] { over->cancel(); }); });
  co_await over->async_wait(as_result);
}

/// NegotiateProtocolVersion, when the client asked for more than 3.2 gives.
std::string negotiation(const protocol::Startup& startup) {
  std::vector<std::string> unknown;
  for (const auto& [name, value] : startup.parameters) {
    if (name.starts_with("_pq_.")) unknown.push_back(name);
  }
  std::string out;
  if (startup.version <= protocol::kProtocol32 && unknown.empty()) return out;
  protocol::Message message(out, 'v');
  message.int32(std::min(startup.version, protocol::kProtocol32)).int32(static_cast<std::uint32_t>(unknown.size()));
  for (const auto& name : unknown) message.cstring(name);
  return out;
}

/// auth.mode = terminate: the client proves itself here. nullopt: it did not.
asio::awaitable<std::optional<Lending>> admit(Worker& worker, Stream& client, const protocol::Startup& startup, std::string client_address) {
  const std::string version = negotiation(startup);
  if (!version.empty()) {
    if (co_await client.write_all(version)) co_return std::nullopt;
  }
  Proof proof;
  if (const bool good = co_await authenticate_client(worker, client, startup, std::move(client_address), &proof); !good) co_return std::nullopt;
  const bool replicates = startup.replicates();
  if (!startup.options_understood && !replicates) {
    co_await send_fatal(client, "0A000", "startup options other than -c name=value need auth.mode = relay");
    co_return std::nullopt;
  }
  Lending lending{worker.hub.pools->pool(startup.database, startup.user, replicates ? Pool::kReplication : Pool::kMain),
                  replicates ? PoolMode::session : pool_mode(*worker.snapshot().config, startup.database, startup.user)};
  if (proof.keys || !proof.secret.empty()) worker.hub.pools->set_proof(*lending.pool, std::move(proof));
  co_return lending;
}

asio::awaitable<bool> console_login(Worker& worker, Stream& client, const protocol::Startup& startup, std::string client_address) {
  Proof unused;
  co_return co_await authenticate_client(worker, client, startup, std::move(client_address), &unused);
}

/// PAUSE holds logins back as well: the server may be away. False: the client is gone.
asio::awaitable<bool> wait_for_resume(Worker& worker, Stream& client) {
  asio::steady_timer look(worker.loop);
  while (worker.hub.paused.load()) {
    char byte;
    if (::recv(client.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0) co_return false;
    look.expires_after(std::chrono::milliseconds(100));
    co_await look.async_wait(as_result);
  }
  co_return true;
}

/// To the first host that is what upstream.url asks for, as far as is known. Where there is none one may appear: the client waits as long
/// as for a connection of a pool. nullptr: none came, or the client is gone.
asio::awaitable<std::unique_ptr<ServerConnection>> connect_wanted(Worker& worker, Stream& client, std::string* error) {
  Hosts& hosts = *worker.hub.hosts;
  const auto patience = worker.snapshot().config->pool.query_wait_timeout;
  const auto deadline = patience.count() > 0 ? Clock::now() + patience : Clock::time_point::max();
  asio::steady_timer look(worker.loop);
  for (;;) {
    const auto candidates = hosts.candidates(false);
    for (const int host : candidates) {
      auto upstream = co_await connect_with_deadline(worker, host, error);
      if (!upstream) continue;
      auto server = std::make_unique<ServerConnection>(worker, std::move(*upstream));
      server->host = host;
      co_return server;
    }
    if (candidates.empty()) *error = hosts.why_none();
    char byte;
    if (!hosts.particular() || Clock::now() > deadline || ::recv(client.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0) co_return nullptr;
    hosts.look_soon();
    look.expires_after(std::chrono::milliseconds(100));
    co_await look.async_wait(as_result);
  }
}

/// What [tls] demands of a client that wants a session; "" when it is met.
std::string tls_missing(const Config& config, Stream& client, const std::string& user, const std::string& address) {
  const std::string& mode = config.tls.mode;
  if (address == kLocalAddress || mode == "disable" || mode == "allow") return {};
  if (!client.encrypted()) return "TLS is required";
  if (mode == "verify-full" && peer_common_name(client.ssl()) != user)
    return fmt::format("certificate authentication failed for user \"{}\"", user);
  return {};
}

}  // namespace

asio::awaitable<void> serve_connection(Worker& worker, Socket socket, std::string client_address, Arriving arriving) {
  const auto config = worker.snapshot().config;
  boost::system::error_code ignored;
  socket.non_blocking(true, ignored);
  Stream client(std::move(socket));
  const auto deadline = Clock::now() + config->limits.login_timeout;
  auto first = co_await within(worker.loop, deadline, read_first_packet(worker, client, client_address));
  if (!first || !*first) co_return;
  auto [startup, packet] = std::move(**first);
  const bool terminate = config->auth.mode == "terminate";
  if (startup.kind == protocol::FirstPacket::cancel_request) {
    if (terminate) {
      co_await cancel_here(worker, std::move(packet));
      co_return;
    }
    protocol::Reader request(std::string_view(packet).substr(8));  // behind length and code
    const auto pid = request.int32(), key = request.int32();
    if (request.ok() && worker.hub.on_cancel) worker.hub.on_cancel(static_cast<int>(pid), key);
    // The key is the server's own, and only one host knows it: the others do not listen.
    for (const int host : worker.hub.hosts->candidates(true)) co_await forward_cancel(worker, host, packet);
    co_return;
  }
  if (const auto missing = tls_missing(*config, client, startup.user, client_address); !missing.empty()) {
    spdlog::info("event=login_refused user={} address={} reason=\"{}\"", startup.user, client_address, missing);
    co_await send_fatal(client, "28000", missing, fmt::format("tls.mode is {}.", config->tls.mode));
    co_return;
  }
  if (startup.database == config->console.database || startup.database == "pgbouncer") {
    if (terminate && config->hba) {  // the rules speak of the console, too
      const auto let_in = co_await within(worker.loop, deadline, console_login(worker, client, startup, client_address));
      if (!let_in.value_or(false)) co_return;
    }
    arriving.over();
    co_await serve_console(worker, std::move(client), startup.user, client_address);
    co_return;
  }
  const auto totals = worker.hub.totals();
  const auto open = totals.client_connections - totals.client_disconnects;
  if (open >= static_cast<std::uint64_t>(config->limits.max_client_conn)) {
    co_await send_fatal(client, "53300", "sorry, too many clients already",
                        fmt::format("limits.max_client_conn is {}.", config->limits.max_client_conn));
    co_return;
  }
  Lending lending;
  std::unique_ptr<ServerConnection> server;
  if (terminate) {
    auto admitted = co_await within(worker.loop, deadline, admit(worker, client, startup, client_address));
    if (!admitted) co_await send_fatal(client, "57014", "canceling authentication due to timeout");
    if (!admitted || !*admitted) co_return;
    lending = std::move(**admitted);
  } else {
    if (const bool good = co_await wait_for_resume(worker, client); !good) co_return;
    std::string error;
    server = co_await connect_wanted(worker, client, &error);
    if (!server) {
      spdlog::warn("event=upstream_unreachable error=\"{}\"", error);
      co_await send_fatal(client, "08006", error);
      co_return;
    }
  }
  auto session = std::make_shared<Session>(worker, std::move(client), std::move(server), std::move(lending), std::move(startup),
                                           std::move(packet), std::move(client_address));
  arriving.over();
  session->start();  // on its own from here: this coroutine's frame would cost every idle client 3 kB
}

}  // namespace pgsteer::proxy
