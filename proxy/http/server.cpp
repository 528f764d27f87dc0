// The only file that speaks HTTP on sockets (Boost.Beast).
// g++ 12 takes Asio's operator new and delete of a coroutine frame for a mismatched pair once both are inlined.
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
#include "proxy/http/server.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <array>
#include <atomic>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <fstream>
#include <thread>

#include "proxy/hosts/hosts.hpp"
#include "proxy/http/api.hpp"
#include "proxy/survive.hpp"

namespace pgsteer::proxy {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace bh = boost::beast::http;

namespace {

constexpr auto as_result = asio::as_tuple(asio::use_awaitable);
constexpr std::uint32_t kMaxHeader = 8 * 1024;
constexpr std::uint64_t kMaxBody = 64 * 1024;
constexpr auto kRequestTime = std::chrono::seconds(10);  ///< to send a request, and to take its answer
constexpr auto kReachTime = std::chrono::seconds(1), kReachAge = std::chrono::seconds(1), kLoopTime = std::chrono::seconds(1);
constexpr int kMaxConnections = 64, kMaxRequests = 1000, kMaxListeners = 16;
constexpr auto kEventInterval = std::chrono::seconds(1);

std::string decoded(std::string_view text, bool plus) {
  const auto digit = [](char c) { return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1; };
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && digit(text[i + 1]) >= 0 && digit(text[i + 2]) >= 0) {
      out += static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2]));
      i += 2;
    } else {
      out += plus && text[i] == '+' ? ' ' : text[i];
    }
  }
  return out;
}

http::Request read_request(const bh::request<bh::string_body>& message) {
  http::Request request;
  const auto header = [&](auto name) { return std::string(message[name]); };
  request.method = std::string(message.method_string());
  const std::string target(message.target());
  const auto question = target.find('?');
  request.path = decoded(std::string_view(target).substr(0, question), false);
  std::string_view rest = question == std::string::npos ? std::string_view() : std::string_view(target).substr(question + 1);
  while (!rest.empty()) {
    const auto pair = rest.substr(0, rest.find('&'));
    const auto equals = pair.find('=');
    request.query[decoded(pair.substr(0, equals), true)] = equals == std::string_view::npos ? "" : decoded(pair.substr(equals + 1), true);
    rest = pair.size() == rest.size() ? std::string_view() : rest.substr(pair.size() + 1);
  }
  request.host = header(bh::field::host);
  request.authorization = header(bh::field::authorization);
  request.pgsteer = header("X-Pgsteer");
  request.content_type = header(bh::field::content_type);
  request.if_none_match = header(bh::field::if_none_match);
  request.accept = header(bh::field::accept);
  request.accept_encoding = header(bh::field::accept_encoding);
  request.body = message.body();
  return request;
}

bh::response<bh::string_body> write_response(const http::Response& from, unsigned version, bool keep_alive, bool head) {
  bh::response<bh::string_body> message(static_cast<bh::status>(from.status), version);
  message.set(bh::field::server, "pgsteer");
  message.set(bh::field::content_type, from.content_type);
  message.set(bh::field::cache_control, "no-store");
  message.set("X-Content-Type-Options", "nosniff");
  message.set("Referrer-Policy", "no-referrer");
  message.set("Content-Security-Policy", "default-src 'none'");
  for (const auto& [name, value] : from.headers) message.set(name, value);
  message.keep_alive(keep_alive);
  message.content_length(from.body.size());
  if (!head) message.body() = from.body;
  return message;
}

}  // namespace

struct HttpServer::Impl {
  Impl(Hub& the_hub, std::string the_token) : hub(the_hub), token(std::move(the_token)), acceptor(loop) {}

  Hub& hub;
  const std::string token;
  asio::io_context loop{1};
  asio::ip::tcp::acceptor acceptor;
  std::unique_ptr<http::Api> api;
  std::thread thread;
  std::atomic<int> busy{0};  ///< requests between their first byte read and their last byte answered
  int connections = 0, listeners = 0;
  http::Trend trend;
  std::string upstream;      ///< what the last look found
  Clock::time_point upstream_seen{};

  /// Begins what is not under way: at the start, and after an exception.
  void keep_going() {
    if (!accepting && acceptor.is_open()) asio::co_spawn(loop, accept_all(), rethrow);
    if (!watching) asio::co_spawn(loop, watch(), rethrow);
  }

  struct UnderWay {
    bool& flag;
    explicit UnderWay(bool& the_flag) : flag(the_flag) { flag = true; }
    ~UnderWay() { flag = false; }
  };
  bool accepting = false, watching = false;

  asio::awaitable<void> accept_all() {
    const UnderWay now(accepting);
    for (;;) {
      auto [ec, socket] = co_await acceptor.async_accept(as_result);
      if (ec == asio::error::operation_aborted || ec == asio::error::bad_descriptor) co_return;
      if (ec) {  // out of descriptors: wait instead of spinning
        asio::steady_timer timer(loop, std::chrono::milliseconds(100));
        co_await timer.async_wait(as_result);
        continue;
      }
      if (connections >= kMaxConnections) continue;  // closed by its destructor
      asio::co_spawn(loop, serve(beast::tcp_stream(std::move(socket))), asio::detached);
    }
  }

  asio::awaitable<void> watch() {
    const UnderWay now(watching);
    asio::steady_timer timer(loop);
    for (auto next = Clock::now();;) {
      trend.sample(hub, unix_us());
      next = std::max(next + kEventInterval, Clock::now());
      timer.expires_at(next);
      const auto done = co_await timer.async_wait(as_result);
      if (std::get<0>(done)) co_return;
    }
  }

  asio::awaitable<bool> send_text(beast::tcp_stream& stream, std::string text) {
    stream.expires_after(kRequestTime);
    const auto done = co_await asio::async_write(stream, asio::buffer(text), as_result);
    co_return !std::get<0>(done);
  }

  /// /api/v1/events, until the listener goes.
  asio::awaitable<void> stream_events(beast::tcp_stream& stream, std::uint64_t last_log) {
    ++listeners;
    http::Listening state = http::start_listening(hub, last_log);
    bool there = co_await send_text(stream,
        "HTTP/1.1 200 OK\r\nServer: pgsteer\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
        "Connection: close\r\n\r\nretry: 2000\n\n");
    while (there) {
      there = co_await send_text(stream, http::live_events(hub, trend, state));
      if (!there) break;
      asio::steady_timer timer(loop, kEventInterval);
      const auto done = co_await timer.async_wait(as_result);
      if (std::get<0>(done)) break;
    }
    --listeners;
  }

  asio::awaitable<void> serve(beast::tcp_stream stream) {
    ++connections;
    beast::flat_buffer buffer(kMaxHeader + kMaxBody);
    for (int i = 0; i < kMaxRequests; ++i) {
      bh::request_parser<bh::string_body> parser;
      parser.header_limit(kMaxHeader);
      parser.body_limit(kMaxBody);
      stream.expires_after(kRequestTime);
      auto [ec, read] = co_await bh::async_read(stream, buffer, parser, as_result);
      const bool malformed = ec.category() == bh::make_error_code(bh::error::bad_method).category();
      if (ec == bh::error::end_of_stream || ec == bh::error::partial_message || (ec && !malformed)) break;
      ++busy;
      const bool good = co_await reply(stream, parser, ec, i + 1 < kMaxRequests);
      --busy;
      if (!good) break;
    }
    beast::error_code ignored;
    stream.socket().shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
    // Closed with bytes unread, the socket would be reset and the client might never see the answer: what it still sends
    // is read and dropped, for a second and a megabyte at most.
    stream.expires_after(std::chrono::seconds(1));
    std::array<char, 16384> dropped;
    for (std::size_t bytes = 0; bytes < (1u << 20);) {
      auto [ec, read] = co_await stream.async_read_some(asio::buffer(dropped), as_result);
      if (ec) break;
      bytes += read;
    }
    --connections;
  }

  /// True: the connection goes on.
  asio::awaitable<bool> reply(beast::tcp_stream& stream, bh::request_parser<bh::string_body>& parser, beast::error_code fault, bool may_go_on) {
    http::Response response;
    const auto& message = parser.get();
    const bool keep_alive = !fault && may_go_on && message.keep_alive();
    if (fault == bh::error::header_limit) {
      response = http::error(431, fmt::format("headers of more than {} bytes", kMaxHeader));
    } else if (fault == bh::error::body_limit) {
      response = http::error(413, fmt::format("a body of more than {} bytes", kMaxBody));
    } else if (fault) {
      response = http::error(400, "not HTTP: " + fault.message());
    } else if (!message.target().starts_with('/')) {
      response = http::error(400, "expected a path that starts with /");
    } else {
      const http::Request request = read_request(message);
      if (request.path == "/api/v1/events") {
        response = api->may_listen(request);
        if (response.status == 200 && listeners >= kMaxListeners) response = http::error(503, fmt::format("{} listen already", listeners));
        if (response.status == 200 && message.method() == bh::verb::get) {
          --busy;  // it goes on for as long as the listener likes: stopping does not wait for it
          co_await stream_events(stream, std::strtoull(std::string(message["Last-Event-ID"]).c_str(), nullptr, 10));
          ++busy;
          co_return false;
        }
        if (response.status == 200) response.content_type = "text/event-stream";
      } else {
        http::Observed observed;
        if (request.path == "/healthz") co_await look_at_loops(observed);
        if (request.path == "/readyz") co_await look_at_upstream(observed);
        response = api->answer(request, observed, trend);
      }
    }
    auto out = write_response(response, fault ? 11 : message.version(), keep_alive, message.method() == bh::verb::head);
    bh::response_serializer<bh::string_body> serializer(out);
    stream.expires_after(kRequestTime);
    beast::error_code written;
    if (message.method() == bh::verb::head) {
      const auto done = co_await bh::async_write_header(stream, serializer, as_result);
      written = std::get<0>(done);
    } else {
      const auto done = co_await bh::async_write(stream, serializer, as_result);
      written = std::get<0>(done);
    }
    co_return !written && keep_alive;
  }

  asio::awaitable<void> look_at_loops(http::Observed& observed) {
    if (!hub.ping_loops) co_return;
    const auto flags = hub.ping_loops();
    const auto deadline = Clock::now() + kLoopTime;
    observed.loops = flags.size();
    for (;;) {
      observed.loops_alive = 0;
      for (const auto& flag : flags) observed.loops_alive += flag->load() ? 1u : 0u;
      if (observed.loops_alive == observed.loops || Clock::now() >= deadline) co_return;
      asio::steady_timer timer(loop, std::chrono::milliseconds(2));
      co_await timer.async_wait(as_result);
    }
  }

  /// At most once in kReachAge: a connection that is closed at once, which PostgreSQL takes without a word.
  asio::awaitable<void> look_at_upstream(http::Observed& observed) {
    if (upstream.empty() || Clock::now() - upstream_seen > kReachAge) {
      std::string error;
      for (int host = 0; host < hub.hosts->count() && error != "ok"; ++host) error = co_await reach(hub.hosts->endpoint(host));
      upstream = error;
      upstream_seen = Clock::now();
    }
    observed.upstream = upstream;
  }

  asio::awaitable<std::string> reach(Endpoint endpoint) {
    beast::error_code failure;
    if (endpoint.unix_socket()) {
      beast::basic_stream<asio::local::stream_protocol> stream(loop);
      stream.expires_after(kReachTime);
      const asio::local::stream_protocol::endpoint where(fmt::format("{}/.s.PGSQL.{}", endpoint.host, endpoint.port));
      const auto done = co_await stream.async_connect(where, as_result);
      failure = std::get<0>(done);
    } else {
      asio::ip::tcp::resolver resolver(loop);
      const auto found = co_await resolver.async_resolve(endpoint.host, std::to_string(endpoint.port), as_result);
      failure = std::get<0>(found);
      if (!failure) {
        beast::tcp_stream stream(loop);
        stream.expires_after(kReachTime);
        const auto done = co_await stream.async_connect(std::get<1>(found), as_result);
        failure = std::get<0>(done);
      }
    }
    co_return failure ? fmt::format("{}:{}: {}", endpoint.host, endpoint.port, failure.message()) : "ok";
  }
};

std::string http_problem(const Config& config, std::string* token) {
  if (config.http.port == 0) return {};
  beast::error_code wrong;
  const auto address = asio::ip::make_address(config.http.address, wrong);
  if (wrong) return fmt::format("http.address: expected an IP address, got '{}'", config.http.address);
  if (config.http.token_file.empty()) {
    if (address.is_loopback()) return {};
    return fmt::format("http.address: {} can be reached from other machines: expected a http.token_file, or 127.0.0.1, or http.port = 0",
                       config.http.address);
  }
  std::ifstream in(config.http.token_file);
  std::string read;
  if (!std::getline(in, read) || read.find_first_not_of(" \t\r") == std::string::npos)
    return fmt::format("http.token_file: expected a file whose first line is the token, got {}", config.http.token_file);
  while (!read.empty() && (read.back() == '\r' || read.back() == ' ')) read.pop_back();
  if (token) *token = read;
  return {};
}

HttpServer::HttpServer(Hub& hub, std::string token) : impl_(std::make_unique<Impl>(hub, std::move(token))) {}

HttpServer::~HttpServer() {
  if (!impl_->thread.joinable()) return;
  asio::post(impl_->loop, [impl = impl_.get()] {
    beast::error_code ignored;
    impl->acceptor.close(ignored);
  });
  const auto deadline = Clock::now() + std::chrono::seconds(1);
  while (impl_->busy.load() > 0 && Clock::now() < deadline) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  impl_->loop.stop();
  impl_->thread.join();
}

std::string HttpServer::start(const std::string& address, std::uint16_t port) {
  const asio::ip::tcp::endpoint where(asio::ip::make_address(address), port);
  beast::error_code ec;
  auto& acceptor = impl_->acceptor;
  acceptor.open(where.protocol(), ec);
  if (!ec) acceptor.set_option(asio::socket_base::reuse_address(true), ec);
  if (!ec) acceptor.bind(where, ec);
  if (!ec) acceptor.listen(asio::socket_base::max_listen_connections, ec);
  if (ec) return fmt::format("{}:{}: {}", address, port, ec.message());
  impl_->api = std::make_unique<http::Api>(impl_->hub, impl_->token, where.address().is_loopback());
  impl_->keep_going();
  impl_->thread = std::thread([impl = impl_.get()] { run_loop(impl->loop, "http", [impl] { impl->keep_going(); }); });
  return fmt::format("listens on {}:{}", address, acceptor.local_endpoint().port());
}

std::uint16_t HttpServer::port() const {
  beast::error_code ignored;
  return impl_->acceptor.local_endpoint(ignored).port();
}

}  // namespace pgsteer::proxy
