#include "proxy/auth/server_login.hpp"
#include "proxy/hosts/hosts.hpp"
#include "proxy/session/session.hpp"
#include "proxy/tls/tls.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

namespace pgsteer::proxy {

namespace asio = boost::asio;
constexpr auto as_result = asio::as_tuple(asio::use_awaitable);

namespace {
/// Above this much unsent output the producer waits: back-pressure from one side reaches the other.
constexpr std::size_t kMaxPending = 256 * 1024;
/// What an idle session may keep of its output buffers.
constexpr std::size_t kIdleCapacity = 4096;
/// Bytes of a cancel key: of protocol 3.0, and as PostgreSQL 18 makes them for 3.2.
constexpr std::size_t kShortKey = 4, kLongKey = 32;
/// Above every process id there is: what a client asks pg_terminate_backend() to end must not be somebody else's backend.
constexpr std::uint32_t kOurProcess = 1u << 30;

void give_back(std::string& buffer, bool idle) {
  if (buffer.capacity() > (idle ? kIdleCapacity : kMaxPending)) buffer = std::string();
}
}  // namespace

Session::Session(Worker& worker, Stream client, std::unique_ptr<ServerConnection> server, Lending lending,
                 protocol::Startup startup, std::string startup_packet, std::string client_address)
    : worker_(worker),
      client_(std::move(client)),
      server_(std::move(server)),
      lending_(std::move(lending)),
      startup_(std::move(startup)),
      startup_packet_(std::move(startup_packet)),
      writes_(worker.hub, startup_.database),
      several_hosts_(worker.hub.hosts->several()),
      counters_(&worker.hub.counters(worker.index, "")),
      event_(worker.loop),
      login_deadline_(worker.loop) {
  event_.expires_at(Clock::time_point::max());
  facts_.database = startup_.database;
  facts_.user = startup_.user;
  facts_.application = startup_.application;
  facts_.client_address = client_address;
  facts_.settings_uncertain = true;  // until the server was asked, or for ever where nobody needs to know
  for (const auto& [name, value] : startup_.settings) {
    facts_.settings[name] = value;
    if (name == "search_path") facts_.search_path = value;
    if (name == "pgsteer.mode") session_mode_ = policies::parse_mode(value);
  }
  if (startup_.replicates()) {
    tracking_ = false;  // the replication protocol is relayed as bytes
  }
  info_.id = worker_.hub.next_client_id();
  info_.user = startup_.user;
  info_.database = startup_.database;
  info_.application = startup_.application;
  info_.address = std::move(client_address);
  info_.connected_unix_us = unix_us();
  info_.tls = tls_description(client_.ssl());
  if (server_) info_.server_host = server_->host;
  info_.pinned = pooled() ? "" : "one server connection per client";
  if (lending_.pool) {
    ready_ = true;
    counters_ = &worker_.hub.counters(worker_.index, info_.database);
    protocol::append_int32(cancel_key_, kOurProcess | static_cast<std::uint32_t>(info_.id & (kOurProcess - 1)));
    cancel_key_ += protocol::random_bytes(startup_.version >= protocol::kProtocol32 ? kLongKey : kShortKey);
    auto state = std::make_shared<SessionState>();
    for (const auto& [name, value] : startup_.settings) {
      if (name == "pgsteer.mode" || startup_.replicates()) continue;  // a walsender gets them in its startup packet
      state->settings[name] = value;
      custom_settings_ = custom_settings_ || name.find('.') != name.npos;
    }
    state_ = std::move(state);
  }
}

Session::~Session() {
  worker_.give_buffer(std::move(client_buffer_));
  worker_.give_buffer(std::move(server_buffer_));
}

void Session::publish(const char* state) {
  info_.live_state->store(state, std::memory_order_relaxed);
}

void Session::start() { asio::co_spawn(worker_.loop, guarded(shared_from_this(), begin()), asio::detached); }

Awaitable<void> Session::begin() {
  auto self = shared_from_this();
  worker_.sessions[info_.id] = self;
  if (worker_.hub.group) {
    writes_.on_grant([weak = weak_from_this(), &loop = worker_.loop] {
      asio::post(loop, [weak] {
        if (const auto session = weak.lock()) session->notify();
      });
    });
  }
  counters_->client_connections.add();
  info_.live_state = std::make_shared<std::atomic<const char*>>("login");
  worker_.hub.set_client(info_);
  if (!startup_.replicates() || startup_.replicates_database()) worker_.hub.catalog_wanted(facts_.database);
  if (lending_.pool) startup_packet_.clear();
  to_server_ = std::move(startup_packet_);
  if (!ready_) start_login_deadline();
  asio::co_spawn(worker_.loop, guarded(self, server_loop(self)), asio::detached);
  asio::co_spawn(worker_.loop, guarded(self, client_loop(self)), asio::detached);
  co_return;
}

void Session::start_login_deadline() {
  login_deadline_.expires_after(worker_.snapshot().config->limits.login_timeout);
  login_deadline_.async_wait([weak = weak_from_this()](boost::system::error_code ec) {
    const auto session = weak.lock();
    if (ec || !session || session->ready_ || session->closing_) return;
    session->fatal("57014", "canceling authentication due to timeout");
    session->finish();
  });
}

bool Session::marked() const {
  if (unmarked_) return true;  // nothing is known of it: it may be a write
  if (unit_ && unit_->mark) return true;
  for (const auto& expected : tracker_.queue()) {
    if (expected.context.unit && expected.context.unit->mark) return true;
  }
  return false;
}

/// Nobody reads any more. While a marked write may still commit, the server's connection is read to its end (end of
/// file proves that the backend is gone, so that the outcome is visible) before the mark is released. The slot of a pool is
/// kept as long: a backend that works on for nobody is still one.
void Session::client_lost() {
  if (closing_ || client_gone_) return;
  if (!server_ || !(marked() || (lending_.pool && !returnable()))) return finish();
  if (lending_.pool && !marked() && !tracker_.empty()) {
    asio::co_spawn(worker_.loop, cancel_server(worker_, server_->host, server_->pid, server_->key), asio::detached);
  }
  client_gone_ = true;
  to_client_.clear();
  boost::system::error_code ignored;
  client_.shutdown(Socket::shutdown_both, ignored);
  server_->stream.shutdown(Socket::shutdown_send, ignored);
}

void Session::finish() {
  if (closing_) return;
  closing_ = true;
  login_deadline_.cancel();
  if (line_timer_) line_timer_->cancel();
  boost::system::error_code ignored;
  client_.shutdown(Socket::shutdown_both, ignored);
  client_.close(ignored);
  if (waiter_) worker_.hub.pools->withdraw(waiter_);
  if (returnable()) {
    leave_server();
    server_->stream.cancel();
    worker_.hub.pools->give_back(std::move(server_));
  } else if (server_ && lending_.pool && tracker_.empty() && to_server_.empty() && client_passing_ == 0 && !client_gone_) {
    server_->say_goodbye();
  }
  server_.reset();
  notify();
  if (unmarked_) marked_again();
  worker_.sessions.erase(info_.id);
  worker_.cancel_keys.erase(cancel_key_);
  worker_.hub.drop_client(info_.id);
  counters_->client_disconnects.add();
}

void Session::close(bool with_fatal_error) {
  if (closing_) return;
  if (with_fatal_error) fatal("57P01", "terminating connection due to administrator command");
  client_lost();
}

void Session::host_changed() {
  if (closing_ || !server_ || worker_.hub.hosts->fits(server_->host) || (pooled() && pin_.empty())) return;
  outdated_ = true;
  if (!idle() || client_busy_) return;
  spdlog::info("session={} event=host_left host={}", info_.id, worker_.hub.hosts->endpoint(server_->host).address());
  fatal("57P01", fmt::format("terminating connection: its server is not {} any more", to_string(worker_.hub.hosts->wanted())));
  client_lost();
}

void Session::fatal(const char* sqlstate, const std::string& message) {
  std::string bytes;
  protocol::append_error(bytes, {.severity = "FATAL", .sqlstate = sqlstate, .message = message, .detail = {}, .hint = {}});
  boost::system::error_code ignored;
  if (to_client_.empty()) client_.write_some(asio::buffer(bytes), ignored);
}

void Session::lose_tracking(const char* why) {
  if (!tracking_) return;
  spdlog::warn("session={} event=tracking_lost reason=\"{}\"", info_.id, why);
  counters_->tracking_lost.add();
  release_held();
  tracking_ = false;
  for (const auto& expected : tracker_.queue()) {
    if (!expected.context.exec) continue;
    to_client_ += std::exchange(expected.context.exec->held_back, {});
    expected.context.exec->place.give_back();  // its end will not be seen
  }
  unmarked_work();
  notify();
}

void Session::unmarked_work() {
  if (unmarked_ || (startup_.replicates() && !startup_.replicates_database())) return;  // a physical walsender runs no SQL
  // counted without a cache too: a reload may bring one while this work is under way
  unmarked_ = true;
  worker_.hub.unmarked_sessions.fetch_add(1);
  if (!worker_.hub.group) return;
  try {
    unmarked_mark_ = writes_.mark_everything();
  } catch (const std::bad_alloc&) {  // in a session that has failed: nothing more is sent, and what was has its marks
  }
}

void Session::marked_again() {
  unmarked_ = false;
  worker_.hub.words.flush();
  worker_.hub.unmarked_sessions.fetch_sub(1);
  unmarked_mark_.done(false);
}

std::uint64_t Session::since(Clock::time_point start) const {
  return static_cast<std::uint64_t>(std::chrono::nanoseconds(Clock::now() - start).count());
}

Awaitable<bool> Session::our_turn() {
  co_await quiet();
  co_return !closing_ && tracking_ && !tracker_.skipping();
}

Awaitable<void> Session::quiet() {
  // Without a Sync on its way the server keeps its replies to itself until it is told to flush them.
  if (group_open_ && !tracker_.empty()) protocol::append_empty(to_server_, 'H');
  co_await drain_to_server();
  // No deadline: the server answers or its connection ends, and both wake us.
  while (!closing_ && tracking_ && !(tracker_.empty() && to_client_.empty())) {
    if (tracker_.empty()) {
      co_await drain_to_client();
      continue;
    }
    co_await event_.async_wait(as_result);
  }
}

/// Writes as much as the client takes now. False when something is left: wait for it in drain_to_client().
bool Session::write_to_client() {
  if (client_gone_) to_client_.clear();
  if (closing_) return true;
  std::size_t sent = 0;
  boost::system::error_code ec;
  while (sent < to_client_.size() && !ec) {
    sent += client_.write_some(asio::buffer(to_client_.data() + sent, to_client_.size() - sent), ec);
  }
  counters_->bytes_out.add(sent);
  to_client_.erase(0, sent);
  if (ec && ec != asio::error::would_block && ec != asio::error::try_again) {
    to_client_.clear();
    client_lost();
  }
  if (!to_client_.empty()) return false;
  give_back(to_client_, tracker_.empty());
  return true;
}

Awaitable<void> Session::drain_to_client() {
  while (!write_to_client()) {
    // No deadline: a client that does not read holds back only itself; TCP keepalive ends dead ones.
    const auto [wait_error] = co_await client_.async_wait(Socket::wait_write, as_result);
    if (wait_error) co_return;
  }
}

Awaitable<void> Session::flush_to_server([[maybe_unused]] std::shared_ptr<Session> self) { co_await drain_to_server(); }

/// Writes as much as the server takes now. False when something is left: wait for it in drain_to_server().
bool Session::write_to_server() {
  if (closing_) return true;
  if (!server_ || !writes_.may_send()) return to_server_.empty();
  std::size_t sent = 0;
  boost::system::error_code ec;
  while (sent < to_server_.size() && !ec) {
    sent += server_->stream.write_some(asio::buffer(to_server_.data() + sent, to_server_.size() - sent), ec);
  }
  counters_->bytes_in.add(sent);
  to_server_.erase(0, sent);
  // The server is gone. What it still had to say (a FATAL error) is read by the server loop, which then ends us.
  if (ec && ec != asio::error::would_block && ec != asio::error::try_again) to_server_.clear();
  if (!to_server_.empty()) return false;
  give_back(to_server_, tracker_.empty());
  return true;
}

Awaitable<void> Session::drain_to_server() {
  if (to_server_.empty()) {
    give_back(to_server_, tracker_.empty());
    co_return;
  }
  if (!server_) {
    if (const bool good = co_await attach(); !good) co_return;
  }
  ++writing_to_server_;
  while (server_ && !write_to_server()) {
    if (!writes_.may_send()) {  // no deadline: the group grants every mark, with Redis or without
      co_await event_.async_wait(as_result);
      continue;
    }
    const auto [wait_error] = co_await server_->stream.async_wait(Socket::wait_write, as_result);
    if (wait_error) break;
  }
  --writing_to_server_;
}

Awaitable<void> Session::client_loop([[maybe_unused]] std::shared_ptr<Session> self) {
  if (lending_.pool) {
    if (const bool good = co_await greet(); !good) co_return;
  }
  co_await drain_to_server();
  boost::system::error_code ec;
  while (!over() && !client_gone_) {
    if (client_size_ == 0) worker_.give_buffer(std::move(client_buffer_));
    if (!client_.pending()) {
      const auto [wait_error] = co_await client_.async_wait(Socket::wait_read, as_result);
      if (wait_error || over()) break;
    }
    if (!client_buffer_) client_buffer_ = worker_.take_buffer();
    const std::size_t n =
        client_.read_some(asio::buffer(client_buffer_.get() + client_size_, kBufferBytes - client_size_), ec);
    if (ec == asio::error::would_block || ec == asio::error::try_again) continue;
    if (ec) break;
    client_size_ += n;
    // No deadline: RESUME wakes us.
    while (worker_.hub.paused.load(std::memory_order_relaxed) && ready_ && !over() && undisturbed() && !startup_.replicates()) co_await event_.async_wait(as_result);
    if (over()) break;
    client_busy_ = true;
    co_await on_client_bytes();
    client_busy_ = false;
    if (lending_.pool) {
      last_activity_ = Clock::now();
      if (!write_to_client()) co_await drain_to_client();
      settle();
      if (leaving_) co_return;  // what it asked for is still awaited
    }
  }
  if (over()) co_return;
  if (lending_.pool && ec == asio::error::eof) {
    leaving_ = true;
    // Without its Sync the server would keep answers to itself; nobody is there to send one.
    if (group_open_ || tracker_.in_copy() || client_size_ > 0 || client_passing_ > 0) client_lost();
    else settle();
  } else if (ec == asio::error::eof) {
    // The client has said all it will, and may still be reading: the server finishes what it was asked, meets the end of
    // its input as it would directly, and its end is ours.
    boost::system::error_code ignored;
    leaving_ = true;
    server_->stream.shutdown(Socket::shutdown_send, ignored);
  } else {
    client_lost();
  }
}

Awaitable<void> Session::login_gate() {
  // What a client sends ahead of ReadyForQuery waits in its place, so that it is looked at like everything after it.
  while (!ready_ && tracking_ && !login_answer_due_ && !closing_) co_await event_.async_wait(as_result);
  login_answer_due_ = false;
}

Awaitable<void> Session::server_loop(std::shared_ptr<Session> self) {
  while (!over()) {
    if (server_size_ == 0) worker_.give_buffer(std::move(server_buffer_));
    if (!server_) {
      // No deadline: the session attaches a server, or ends; both wake us.
      co_await event_.async_wait(as_result);
      continue;
    }
    const ServerConnection* const mine = server_.get();
    if (!server_->stream.pending()) {
      const auto [wait_error] = co_await server_->stream.async_wait(Socket::wait_read, as_result);
      if (over()) break;
      if (server_.get() != mine || (lending_.pool && wait_error == asio::error::operation_aborted)) continue;
      if (wait_error && lost_standby()) continue;
      if (wait_error) break;
    }
    if (!server_buffer_) server_buffer_ = worker_.take_buffer();
    boost::system::error_code ec;
    const std::size_t n =
        server_->stream.read_some(asio::buffer(server_buffer_.get() + server_size_, kBufferBytes - server_size_), ec);
    if (ec == asio::error::would_block || ec == asio::error::try_again) continue;
    if (ec && lost_standby()) continue;
    if (ec) break;
    server_size_ += n;
    on_server_bytes();
    if (!write_to_client()) co_await drain_to_client();
    // Never waits here: a server that is itself waiting for us to read would wait for ever.
    if (writing_to_server_ == 0 && !write_to_server()) {
      asio::co_spawn(worker_.loop, guarded(self, flush_to_server(self)), asio::detached);
    }
    if (lending_.pool) settle();
    if (outdated_) host_changed();
  }
  if (over()) co_return;
  if (!tracker_.empty()) spdlog::info("session={} event=server_gone in_flight={}", info_.id, tracker_.size());
  // An end that nobody asked for may be a crash: unlogged tables are empty then, asynchronous commits lost.
  if (ready_ && !leaving_ && !client_gone_) worker_.hub.words.flush();
  co_await drain_to_client();
  // Outcomes of what was in flight stay unknown: every mark is finished as "changed" when its unit dies with us.
  finish();
}

}  // namespace pgsteer::proxy
