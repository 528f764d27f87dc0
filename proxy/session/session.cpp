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
/// What a server may go on to say when its client is gone and it was told to stop: no PostgreSQL says as much.
constexpr std::size_t kMostToNobody = 64 << 20;
/// What an idle session may keep of its output buffers.
constexpr std::size_t kIdleCapacity = 4096;
/// Bytes of a cancel key: of protocol 3.0, and as PostgreSQL 18 makes them for 3.2.
constexpr std::size_t kShortKey = 4, kLongKey = 32;
/// Above every process id there is: what a client asks pg_terminate_backend() to end must not be somebody else's backend.
constexpr std::uint32_t kOurProcess = 1u << 30;
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
  facts_.client_address = client_address.substr(0, client_address.rfind(':'));  // plans are shared by whom policies cannot tell apart
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

void Session::start() {
  take_step([this] { begin(); });
}

void Session::begin() {
  worker_.sessions[info_.id] = shared_from_this();
  if (worker_.hub.group) {
    writes_.on_grant([weak = weak_from_this(), &loop = worker_.loop] {
      asio::post(loop, [weak] {
        if (const auto session = weak.lock()) session->mark_granted();
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
  client_.watch(worker_.loop, *this);
  if (lending_.pool) return serve_slowly(greet());
  server_->stream.watch(worker_.loop, *this);
  if (client_.pending()) call_back(false);  // said together with the startup packet
  push_to_server();
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
  client_.shutdown(Socket::shutdown_both);
  server_->stream.shutdown(Socket::shutdown_send);
  let_speak();
}

void Session::finish() {
  if (closing_) return;
  closing_ = true;
  login_deadline_.cancel();
  if (line_timer_) line_timer_->cancel();
  client_.shutdown(Socket::shutdown_both);
  client_.close();
  if (waiter_) worker_.hub.pools->withdraw(waiter_);
  if (returnable()) {
    hand_back();
  } else if (server_ && lending_.pool && tracker_.empty() && to_server_.empty() && client_passing_ == 0 && !client_gone_) {
    server_->say_goodbye();
  }
  server_.reset();
  notify();
  if (unmarked_) marked_again();
  worker_.cancel_keys.erase(cancel_key_);
  worker_.sessions.erase(info_.id);  // whoever called us holds on to us
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

/// What an empty output buffer may keep.
std::size_t Session::spare_capacity() const { return tracker_.empty() ? kIdleCapacity : kMaxPending; }

/// Writes as much as the client takes now. False when something is left.
bool Session::write_to_client() {
  if (client_gone_) to_client_.clear();
  if (closing_) return true;
  boost::system::error_code ec;
  const auto write_some = [this](std::string_view bytes, boost::system::error_code& error) { return client_.write_some(asio::buffer(bytes), error); };
  counters_->bytes_out.add(to_client_.write(write_some, ec));
  if (ec && ec != asio::error::would_block && ec != asio::error::try_again) {
    to_client_.clear();
    client_lost();
  }
  if (!to_client_.empty()) return false;
  to_client_.shrink(spare_capacity());
  let_speak();
  return true;
}

/// The same; what is left goes when the client takes it, and until then nobody says more.
void Session::push_to_client() {
  if (!write_to_client()) client_.want_writing(true);
}

Awaitable<void> Session::drain_to_client() {
  while (!write_to_client()) {
    // No deadline: a client that does not read holds back only itself; TCP keepalive ends dead ones.
    client_.want_writing(true);
    co_await event_.async_wait(as_result);
  }
}

/// Writes as much as the server takes now. False when something is left.
bool Session::write_to_server() {
  if (closing_) return true;
  if (!server_ || !writes_.may_send()) return to_server_.empty();
  boost::system::error_code ec;
  const auto write_some = [this](std::string_view bytes, boost::system::error_code& error) { return server_->stream.write_some(asio::buffer(bytes), error); };
  counters_->bytes_in.add(to_server_.write(write_some, ec));
  // The server is gone. What it still had to say (a FATAL error) is read first; its end is ours.
  if (ec && ec != asio::error::would_block && ec != asio::error::try_again) to_server_.clear();
  if (!to_server_.empty()) return false;
  to_server_.shrink(spare_capacity());
  let_speak();
  return true;
}

void Session::push_to_server() {
  if (!write_to_server() && server_ && writes_.may_send()) server_->stream.want_writing(true);
}

/// The group has a write's mark: what was held back may go.
void Session::mark_granted() {
  take_step([this] {
    if (over() || !writes_.may_send()) return;
    push_to_server();
    notify();
    if (!over() && lending_.pool) settle();
  });
}

Awaitable<void> Session::drain_to_server() {
  if (to_server_.empty()) {
    to_server_.shrink(spare_capacity());
    co_return;
  }
  if (!server_) {
    if (const bool good = co_await attach(); !good) co_return;
  }
  while (server_ && !write_to_server()) {
    if (writes_.may_send()) server_->stream.want_writing(true);  // else the group's grant wakes us: it comes, with Redis or without
    co_await event_.async_wait(as_result);
  }
}

// --- what the loop tells: nothing here waits -------------------------------------------------------------------------------------

void Session::on_ready(Stream& stream, bool writable) {
  const auto self = shared_from_this();
  if (over()) return;
  told_at_ = Clock::now();
  take_step([&] {
    if (&stream == &client_) writable ? client_writable() : client_readable();
    else writable ? server_writable() : server_readable();
  });
  told_at_ = {};
}

/// Nothing more is read of the client for now: what it said before is not yet with the server, or it does not take its answers.
bool Session::client_waits() const {
  return client_slow_ || client_silent_ || client_gone_ || server_gone_ || !to_server_.empty() || (lending_.pool && !to_client_.empty());
}

/// Reads on where that was given up for the time being.
void Session::let_speak() {
  if (over()) return;
  if (client_gone_) {
    client_.want_writing(false);
    client_.want_reading(false);
  } else if (!client_.wants_reading() && !client_waits()) {
    client_.want_reading(true);
    if (client_.pending()) call_back(false);
  }
  if (over() || !server_ || server_gone_ || server_->stream.wants_reading() || !to_client_.empty()) return;
  server_->stream.want_reading(true);
  if (server_->stream.pending()) call_back(true);
}

/// What TLS has read ahead makes no descriptor readable.
void Session::call_back(bool for_server) {
  asio::post(worker_.loop, [self = shared_from_this(), for_server] {
    if (!for_server) self->on_ready(self->client_, false);
    else if (self->server_) self->on_ready(self->server_->stream, false);
  });
}

void Session::client_writable() {
  if (!write_to_client()) return;
  if (over()) return;
  client_.want_writing(false);
  if (server_gone_) return finish();
  notify();
  if (lending_.pool) settle();
}

void Session::server_writable() {
  if (!write_to_server() && writes_.may_send()) return;
  server_->stream.want_writing(false);
  if (!writes_.may_send()) return;
  notify();
  if (lending_.pool) settle();
}

void Session::client_readable() {
  do {
    if (!client_slow_ && !to_server_.empty()) push_to_server();
    if (client_waits()) {
      client_.want_reading(false);
      break;
    }
    if (!client_buffer_) client_buffer_ = worker_.take_buffer();
    boost::system::error_code ec;
    const std::size_t n =
        client_.read_some(asio::buffer(client_buffer_.get() + client_size_, kBufferBytes - client_size_), ec);
    if (ec == asio::error::would_block || ec == asio::error::try_again) break;
    if (ec) return client_ended(ec == asio::error::eof);
    client_size_ += n;
    if (held_by_pause()) return serve_slowly(finish_client_bytes());
    if (!on_client_bytes()) return wait_with_client_bytes();
    if (over()) return;
    after_client_bytes();
  } while (!over() && client_.pending());
  if (client_size_ == 0) worker_.give_buffer(std::move(client_buffer_));
}

void Session::after_client_bytes() {
  push_to_client();
  if (over() || !lending_.pool) return;
  last_activity_ = now();
  settle();
  client_silent_ = client_silent_ || leaving_;  // what it asked for is still awaited
}

void Session::client_ended(bool orderly) {
  client_silent_ = true;
  client_.want_reading(false);
  if (!orderly) return client_lost();
  leaving_ = true;
  if (lending_.pool) {
    // Without its Sync the server would keep answers to itself; nobody is there to send one.
    if (group_open_ || tracker_.in_copy() || client_size_ > 0 || client_passing_ > 0) client_lost();
    else settle();
  } else {
    // The client has said all it will, and may still be reading: the server finishes what it was asked, meets the end of
    // its input as it would directly, and its end is ours.
    server_->stream.shutdown(Socket::shutdown_send);
  }
}

void Session::server_readable() {
  do {
    if (!to_client_.empty()) push_to_client();
    if (over()) return;
    if (!to_client_.empty()) {
      server_->stream.want_reading(false);
      break;
    }
    if (!server_buffer_) server_buffer_ = worker_.take_buffer();
    boost::system::error_code ec;
    const std::size_t n =
        server_->stream.read_some(asio::buffer(server_buffer_.get() + server_size_, kBufferBytes - server_size_), ec);
    if (ec == asio::error::would_block || ec == asio::error::try_again) break;
    if (ec) return lost_standby() ? void() : server_ended();
    if (client_gone_ && (said_to_nobody_ += n) > kMostToNobody && !marked()) return finish();
    server_size_ += n;
    on_server_bytes();
    if (over()) return;
    if (!to_server_.empty()) push_to_server();
    if (lending_.pool) settle();
    if (outdated_) host_changed();
  } while (!over() && server_ && server_->stream.pending());
  if (server_size_ == 0) worker_.give_buffer(std::move(server_buffer_));
}

void Session::server_ended() {
  server_gone_ = true;
  server_->stream.want_reading(false);
  server_->stream.want_writing(false);
  to_server_.clear();
  if (!tracker_.empty()) spdlog::info("session={} event=server_gone in_flight={}", info_.id, tracker_.size());
  // An end that nobody asked for may be a crash: unlogged tables are empty then, asynchronous commits lost.
  if (ready_ && !leaving_ && !client_gone_) worker_.hub.words.flush();
  // Outcomes of what was in flight stay unknown: every mark is finished as "changed" when its unit dies with us.
  if (write_to_client()) finish();
  else client_.want_writing(true);
}

// --- what takes waiting: a coroutine at a time, and the client is not read meanwhile ----------------------------------------------

void Session::serve_slowly(Awaitable<void> step) {
  client_slow_ = client_busy_ = true;
  asio::co_spawn(worker_.loop, guarded(shared_from_this(), served(shared_from_this(), std::move(step))), asio::detached);
}

Awaitable<void> Session::served([[maybe_unused]] std::shared_ptr<Session> self, Awaitable<void> step) {
  co_await std::move(step);
  client_busy_ = false;
  if (over()) co_return;
  if (lending_.pool && !write_to_client()) co_await drain_to_client();
  client_slow_ = false;
  if (!over()) read_on();
}

/// What the client said has been waited with, and is dealt with.
void Session::read_on() {
  after_client_bytes();
  if (client_size_ == 0) worker_.give_buffer(std::move(client_buffer_));
  if (over()) return;
  if (client_.pending()) call_back(false);
  let_speak();
}

/// on_client_bytes() has stopped.
void Session::wait_with_client_bytes() {
  if (server_missing_) return stand_by();
  serve_slowly(finish_client_bytes());
}

/// PAUSE: nothing new begins.
bool Session::held_by_pause() const {
  return worker_.hub.paused.load(std::memory_order_relaxed) && ready_ && undisturbed() && !startup_.replicates();
}

Awaitable<void> Session::finish_client_bytes() {
  client_busy_ = false;  // PAUSE does not wait for who waits for RESUME
  // Who was lent a server, or has a place in the line for one, when PAUSE came is under way: PAUSE waits for that server.
  const bool under_way = pooled() && pin_.empty() && (server_ || waiter_);
  // No deadline: RESUME wakes us.
  while (held_by_pause() && !under_way && !over()) co_await event_.async_wait(as_result);
  client_busy_ = true;
  if (!over()) co_await go_on_with_client_bytes();
}

Awaitable<void> Session::login_gate() {
  // What a client sends ahead of ReadyForQuery waits in its place, so that it is looked at like everything after it.
  while (!ready_ && tracking_ && !login_answer_due_ && !closing_) co_await event_.async_wait(as_result);
  login_answer_due_ = false;
}

}  // namespace pgsteer::proxy
