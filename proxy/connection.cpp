// One accepted connection up to the point where it is a session, a console, or over.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <optional>

#include "protocol/startup.hpp"
#include "protocol/wire.hpp"
#include "proxy/listener.hpp"
#include "proxy/session/session.hpp"

namespace pgsteer::proxy {

namespace asio = boost::asio;
using namespace asio::experimental::awaitable_operators;
constexpr auto as_result = asio::as_tuple(asio::use_awaitable);

namespace {

asio::awaitable<void> send_fatal(Socket& client, std::string sqlstate, std::string message, std::string hint = {}) {
  std::string bytes;
  protocol::append_error(bytes, {.severity = "FATAL", .sqlstate = std::move(sqlstate), .message = std::move(message),
                                 .detail = {}, .hint = std::move(hint)});
  co_await asio::async_write(client, asio::buffer(bytes), as_result);
}

/// Reads the first packet that is a startup or cancel request. Encryption requests are answered with N: what follows is
/// read only after that, so bytes sent ahead of the answer are never taken for encrypted ones.
asio::awaitable<std::optional<std::pair<protocol::Startup, std::string>>> read_first_packet(Socket& client) {
  for (int requests = 0; requests < 3; ++requests) {
    std::string packet(4, '\0');
    const auto [ec, n] = co_await asio::async_read(client, asio::buffer(packet), as_result);
    if (ec) co_return std::nullopt;
    const auto size = protocol::first_packet_bytes(packet);
    if (!size) {
      co_await send_fatal(client, "08P01", "invalid length of startup packet");
      co_return std::nullopt;
    }
    packet.resize(*size);
    const auto [rest_ec, rest_n] =
        co_await asio::async_read(client, asio::buffer(packet.data() + 4, *size - 4), as_result);
    if (rest_ec) co_return std::nullopt;
    auto startup = protocol::read_startup(packet);
    switch (startup.kind) {
      case protocol::FirstPacket::ssl_request:
      case protocol::FirstPacket::gssenc_request: {
        const auto [write_ec, written] = co_await asio::async_write(client, asio::buffer("N", 1), as_result);
        if (write_ec) co_return std::nullopt;
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

asio::awaitable<std::optional<Socket>> connect_upstream(Worker& worker, Endpoint endpoint, std::string* error) {
  Socket server(worker.loop);
  boost::system::error_code ec;
  if (endpoint.unix_socket()) {
    const std::string path = fmt::format("{}/.s.PGSQL.{}", endpoint.host, endpoint.port);
    asio::local::stream_protocol::socket local(worker.loop);
    const auto [connect_ec] =
        co_await local.async_connect(asio::local::stream_protocol::endpoint(path), as_result);
    if (connect_ec) {
      *error = fmt::format("connection to server on socket \"{}\" failed: {}", path, connect_ec.message());
      co_return std::nullopt;
    }
    server = Socket(std::move(local));
  } else {
    asio::ip::tcp::resolver resolver(worker.loop);
    auto [resolve_ec, found] =
        co_await resolver.async_resolve(endpoint.host, std::to_string(endpoint.port), as_result);
    boost::system::error_code last = resolve_ec;
    asio::ip::tcp::socket tcp(worker.loop);
    bool connected = false;
    for (const auto& entry : found) {
      boost::system::error_code ignored;
      tcp.close(ignored);
      const auto [connect_ec] = co_await tcp.async_connect(entry.endpoint(), as_result);
      last = connect_ec;
      if (!connect_ec) {
        connected = true;
        break;
      }
    }
    if (!connected) {
      *error = fmt::format("connection to server at \"{}\", port {} failed: {}", endpoint.host, endpoint.port,
                           last.message());
      co_return std::nullopt;
    }
    tcp.set_option(asio::ip::tcp::no_delay(true), ec);
    tcp.set_option(asio::socket_base::keep_alive(true), ec);
    server = Socket(std::move(tcp));
  }
  server.non_blocking(true, ec);
  co_return std::move(server);
}

asio::awaitable<std::optional<Socket>> connect_with_deadline(Worker& worker, std::string* error) {
  const auto config = worker.snapshot().config;
  const auto endpoint = parse_endpoint(config->upstream.url, error);
  if (!endpoint) co_return std::nullopt;
  asio::steady_timer deadline(worker.loop, config->upstream.connect_timeout);
  auto outcome = co_await (connect_upstream(worker, *endpoint, error) || deadline.async_wait(as_result));
  if (outcome.index() == 1) {
    *error = fmt::format("connection to server at \"{}\", port {} failed: no answer within {} ms", endpoint->host,
                         endpoint->port, config->upstream.connect_timeout.count());
    co_return std::nullopt;
  }
  co_return std::move(std::get<0>(outcome));
}

asio::awaitable<void> forward_cancel(Worker& worker, std::string packet) {
  std::string error;
  auto server = co_await connect_with_deadline(worker, &error);
  if (!server) co_return;
  co_await asio::async_write(*server, asio::buffer(packet), as_result);
  // The server answers by closing; until then the client must not take the request for done.
  char byte;
  asio::steady_timer deadline(worker.loop, worker.snapshot().config->upstream.connect_timeout);
  co_await (server->async_read_some(asio::buffer(&byte, 1), as_result) || deadline.async_wait(as_result));
}

}  // namespace

asio::awaitable<void> serve_connection(Worker& worker, Socket client, std::string client_address) {
  const auto config = worker.snapshot().config;
  boost::system::error_code ignored;
  client.non_blocking(true, ignored);
  asio::steady_timer deadline(worker.loop, config->limits.login_timeout);
  auto outcome = co_await (read_first_packet(client) || deadline.async_wait(as_result));
  if (outcome.index() == 1 || !std::get<0>(outcome)) co_return;
  auto [startup, packet] = std::move(*std::get<0>(outcome));
  if (startup.kind == protocol::FirstPacket::cancel_request) {
    protocol::Reader request(std::string_view(packet).substr(8));  // behind length and code
    const auto pid = request.int32(), key = request.int32();
    if (request.ok() && worker.hub.on_cancel) worker.hub.on_cancel(static_cast<int>(pid), key);
    co_await forward_cancel(worker, std::move(packet));
    co_return;
  }
  if (startup.database == config->console.database || startup.database == "pgbouncer") {
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
  std::string error;
  auto server = co_await connect_with_deadline(worker, &error);
  if (!server) {
    spdlog::warn("event=upstream_unreachable error=\"{}\"", error);
    co_await send_fatal(client, "08006", error);
    co_return;
  }
  auto session = std::make_shared<Session>(worker, std::move(client), std::move(*server), std::move(startup),
                                           std::move(packet), std::move(client_address));
  co_await session->run();
}

}  // namespace pgsteer::proxy
