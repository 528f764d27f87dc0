// Connecting to the server behind.
#include "proxy/upstream.hpp"

#include <fmt/format.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "protocol/startup.hpp"
#include "protocol/wire.hpp"
#include "proxy/hosts/hosts.hpp"
#include "proxy/tls/tls.hpp"
#include "proxy/within.hpp"

namespace pgsteer::proxy {

namespace asio = boost::asio;
constexpr auto as_result = asio::as_tuple(asio::use_awaitable);

namespace {

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

enum class Encryption { done, refused, failed };

/// SSLRequest and handshake. One byte is read before it, so that what a man in the middle sends ahead is taken for TLS.
Awaitable<Encryption> encrypt(Worker& worker, Endpoint endpoint, Stream& stream, std::string* error) {
  const auto contexts = worker.snapshot().config->tls_contexts;
  ssl_st* const ssl = contexts ? contexts->for_server(endpoint) : nullptr;
  if (!ssl) {
    *error = "TLS was not set up";
    co_return Encryption::failed;
  }
  std::string request;
  protocol::append_int32(request, 8);
  protocol::append_int32(request, protocol::kSslRequest);
  char answer = 0;
  boost::system::error_code lost = co_await stream.write_all(std::move(request));
  if (!lost) lost = co_await stream.read_exactly(&answer, 1);
  if (lost || answer != 'S') {
    Stream::discard(ssl);
    *error = lost ? "server closed the connection unexpectedly" : answer == 'N' ? "server does not support SSL, but SSL was required"
                                                                                : "received invalid response to SSL negotiation";
    co_return !lost && answer == 'N' ? Encryption::refused : Encryption::failed;
  }
  const bool done = !co_await stream.handshake(ssl, false);
  ++(done ? tls_handshakes().with_servers : tls_handshakes().with_servers_failed);
  if (done) co_return Encryption::done;
  *error = "SSL error: " + tls_failure(ssl);
  co_return Encryption::failed;
}

Awaitable<std::optional<Stream>> connect_and_encrypt(Worker& worker, Endpoint endpoint, std::string* error) {
  auto socket = co_await connect_upstream(worker, endpoint, error);
  if (!socket) co_return std::nullopt;
  Stream stream(std::move(*socket));
  if (!endpoint.wants_tls()) co_return std::move(stream);
  const auto outcome = co_await encrypt(worker, endpoint, stream, error);
  if (outcome == Encryption::done) co_return std::move(stream);
  if (endpoint.sslmode == "prefer") {
    if (outcome == Encryption::refused) co_return std::move(stream);
    endpoint.sslmode = "disable";  // as libpq: once more without
    co_return co_await connect_and_encrypt(worker, std::move(endpoint), error);
  }
  *error = fmt::format("connection to server at \"{}\", port {} failed: {}", endpoint.host, endpoint.port, *error);
  co_return std::nullopt;
}

}  // namespace

Awaitable<std::optional<Stream>> connect_with_deadline(Worker& worker, int host, std::string* error) {
  const auto config = worker.snapshot().config;
  const Endpoint& endpoint = worker.hub.hosts->endpoint(host);
  auto connected = co_await within(worker.loop, config->upstream.connect_timeout, connect_and_encrypt(worker, endpoint, error));
  if (!connected) {
    *error = fmt::format("connection to server at \"{}\", port {} failed: no answer within {} ms", endpoint.host, endpoint.port,
                         config->upstream.connect_timeout.count());
  }
  if (connected && *connected) co_return std::move(*connected);
  worker.hub.hosts->look_soon();
  co_return std::nullopt;
}

}  // namespace pgsteer::proxy
