// Sessions whose server is lent for a transaction: taking one, setting it up, finding out what was left on it, handing it back.
#include <spdlog/spdlog.h>

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "proxy/auth/server_login.hpp"
#include "proxy/hosts/hosts.hpp"
#include "proxy/session/session.hpp"

namespace pgsteer::proxy {

namespace asio = boost::asio;
using protocol::Request;
constexpr auto as_result = asio::as_tuple(asio::use_awaitable);

namespace {

/// A connection that was idle for less was seen alive a moment ago: looking again would cost a system call in every transaction.
constexpr auto kTrusted = std::chrono::milliseconds(10);

/// The settings a client came with, as a key.
std::string startup_key(const SessionState& state) {
  std::string key;
  for (const auto& [name, value] : state.settings) key.append(name).append(1, '\0').append(value).append(1, '\0');
  return key;
}

/// An ErrorResponse that ends the session: the same one as FATAL.
std::string as_fatal(std::string_view message) {
  const auto body = message.substr(protocol::kHeaderBytes);
  if (protocol::error_field(body, 'V') == "FATAL") return std::string(message);  // the server's own words, whole
  std::string out;
  protocol::append_error(out, {.severity = "FATAL", .sqlstate = std::string(protocol::error_field(body, 'C')),
                               .message = std::string(protocol::error_field(body, 'M')),
                               .detail = std::string(protocol::error_field(body, 'D')),
                               .hint = std::string(protocol::error_field(body, 'H'))});
  return out;
}

/// Built-in functions that may be called without a catalog at hand: they leave nothing behind.
bool surely_harmless(std::string_view name) {
  constexpr std::array<std::string_view, 24> kNames{
      "abs",   "array_agg", "avg",   "coalesce",   "concat",     "count",      "date_trunc",      "generate_series", "length", "lower",
      "max",   "md5",       "min",   "now",        "nullif",     "pg_sleep",   "random",          "repeat",          "round",  "string_agg",
      "substr", "sum",      "to_char", "upper"};
  return std::find(kNames.begin(), kNames.end(), name) != kNames.end();
}

/// Built-in functions that change the session itself.
bool touches_session(std::string_view name) {
  return name == "set_config" || (name.starts_with("pg_") && name.find("advisory") != name.npos && name.find("xact") == name.npos) ||
         name.starts_with("dblink") || name.starts_with("query_to_xml") || name == "cursor_to_xml" || name == "ts_stat" || name == "ts_rewrite";
}

}  // namespace

Awaitable<void> Session::greet() {
  Pools& pools = *worker_.hub.pools;
  const std::string key = startup_key(*state_);
  auto known = pooled() ? pools.welcome(*lending_.pool, key) : std::nullopt;
  if (!known) {
    // What the client asked for is set on a server, so that a wrong value is refused now and the values reported are the real ones.
    if (const bool good = co_await attach(); !good) co_return finish();
    if (!state_->settings.empty()) {
      ask_residue();
      co_await quiet();
      if (over()) co_return;
    }
    known = Welcome{server_->reported, state_};
    if (pooled() && pin_.empty()) pools.set_welcome(*lending_.pool, key, *known);
    info_.server_pid = static_cast<int>(server_->pid);
    info_.server_host = server_->host;
  }
  state_ = known->state;
  view_ = known->reported;
  protocol::Message(to_client_, 'R').int32(0);
  for (const auto& [name, value] : view_.values()) {
    protocol::append_parameter_status(to_client_, name, value);
    parameter_changed(name, value);
  }
  if (!pooled() && server_) {  // the one it will have to its end: its process id is the client's, and pg_terminate_backend() finds it
    std::string pid;
    protocol::append_int32(pid, server_->pid);
    cancel_key_.replace(0, pid.size(), pid);
  }
  protocol::Message(to_client_, 'K').bytes(cancel_key_);
  worker_.cancel_keys[cancel_key_] = weak_from_this();
  protocol::append_ready(to_client_, 'I');
  greeted_ = true;
  publish("idle");
}

/// A walsender is told at its start what it is to be.
std::vector<std::pair<std::string, std::string>> Session::own_startup() const {
  if (!startup_.replicates()) return {};
  auto parameters = startup_.parameters;
  std::erase_if(parameters, [](const auto& p) { return p.first == "user" || p.first == "database" || p.first.starts_with("_pq_."); });
  return parameters;
}

bool Session::take(std::unique_ptr<ServerConnection> server) {
  if (now() - server->idle_since > kTrusted && !server->alive()) {
    if (!server->pool->for_reading()) worker_.hub.words.flush();  // its end may be a crash
    return false;
  }
  server_ = std::move(server);
  adopted_ = false;
  status_ = 'I';
  unnamed_stale_ = server_->unnamed != nullptr;
  server_->stream.watch(worker_.loop, *this);
  if (server_->stream.pending()) call_back(true);
  return true;
}

bool Session::attach_at_once() {
  if (!greeted_ || closing_) return false;
  auto server = worker_.hub.pools->take_near(worker_, *lending_.pool);
  return server && take(std::move(server)) && fits_as_it_is();
}

/// False: adopt() must bring the server to this session's state.
bool Session::fits_as_it_is() {
  if (unclean() || (server_->state != state_ && !(*server_->state == *state_))) return false;
  server_->state = state_;
  adopted_ = true;
  report_parameters();
  return true;
}

void Session::stand_by() {
  client_slow_ = client_busy_ = standing_by_ = true;
  stand_in_pool(lending_.pool);
  if (waiter_->served()) return look_at_line();
  publish("waiting");
}

void Session::stand_in_pool(std::shared_ptr<Pool> pool) {
  waiter_ = std::make_shared<Waiter>(worker_, std::move(pool), [weak = weak_from_this()] {
    const auto session = weak.lock();
    if (!session) return;
    session->take_step([&] {
      if (session->standing_by_) session->look_at_line();
      else session->notify();
    });
  });
  worker_.hub.pools->acquire(waiter_);
}

/// Of a session that stands by: served, cancelled, too late, or only told to see whether its client is still there.
void Session::look_at_line() {
  if (over()) return;
  if (!waiter_->served() && !waiting_cancelled_) {
    if (client_.hung_up()) client_lost();
    return;
  }
  standing_by_ = false;
  if (!waiter_->server || waiting_cancelled_) return serve_slowly(finish_client_bytes());  // goes on with this waiter
  if (const auto served = std::exchange(waiter_, nullptr); !take(std::move(served->server)) || !fits_as_it_is()) return serve_slowly(finish_client_bytes());
  client_slow_ = client_busy_ = false;
  if (!on_client_bytes()) return wait_with_client_bytes();
  if (!over()) read_on();
}

Awaitable<bool> Session::attach() {
  if (server_ && adopted_) co_return true;
  if (server_) co_return co_await adopt();
  if (!lending_.pool || closing_) co_return false;
  const auto begin = Clock::now();
  const auto patience = worker_.snapshot().config->pool.query_wait_timeout;
  ServerRefusal refusal;
  Obtained obtained = Obtained::refused;
  for (bool again = true; again;) {
    obtained = co_await obtain(lending_.pool.get(), &refusal);
    again = obtained == Obtained::refused && refusal.again && (patience.count() == 0 || Clock::now() - begin < patience);
    if (again) co_await wait_for_host();
    if (closing_ || obtained == Obtained::over) co_return false;
    if (again && std::exchange(waiting_cancelled_, false)) {
      give_up_waiting();
      co_return false;
    }
  }
  if (obtained == Obtained::server) {
    const bool there = co_await adopt();
    co_return there;
  }
  to_client_ += as_fatal(refusal.message);
  co_await drain_to_client();
  finish();
  co_return false;
}

/// A server of the pool, or why there is none. `over`: the client is gone, or has cancelled what it waited for and been told.
Awaitable<Session::Obtained> Session::obtain(Pool* from, ServerRefusal* refusal) {
  Pools& pools = *worker_.hub.pools;
  const auto pool = from->shared_from_this();
  while (!server_) {
    if (waiter_ && waiter_->pool != pool) pools.withdraw(std::exchange(waiter_, nullptr));
    if (!waiter_) stand_in_pool(pool);  // else it has stood by
    if (!waiter_->served()) {
      publish("waiting");
      // No deadline here: query_wait_timeout is the pool's, and wakes us; so does the pool once a second.
      while (!waiter_->served() && !closing_ && !waiting_cancelled_) {
        co_await event_.async_wait(as_result);
        if (!closing_ && !waiter_->served() && client_.hung_up()) client_lost();
      }
    }
    if (closing_) co_return Obtained::over;  // finish() has withdrawn the waiter
    if (std::exchange(waiting_cancelled_, false) && !waiter_->served()) {
      give_up_waiting();
      co_return Obtained::over;
    }
    const auto waiter = std::exchange(waiter_, nullptr);
    if (waiter->timed_out) {
      *refusal = {};
      protocol::append_error(refusal->message, {.severity = "FATAL", .sqlstate = "53300",
                                                .message = "no server connection became free within pool.query_wait_timeout",
                                                .detail = {}, .hint = {}});
      co_return Obtained::refused;
    }
    if (waiter->server) {
      take(std::move(waiter->server));
      continue;
    }
    auto made = co_await open_server(worker_, pool, std::move(waiter->slot), pooled(), refusal, own_startup());
    if (closing_ && made) pools.give_back(std::move(made));
    if (closing_) co_return Obtained::over;
    if (!made) co_return Obtained::refused;
    take(std::move(made));
  }
  co_return Obtained::server;
}

Awaitable<void> Session::wait_for_host() {
  constexpr auto kLook = std::chrono::milliseconds(100);
  publish("waiting");
  worker_.hub.hosts->look_soon();
  awaiting_host_ = true;
  asio::steady_timer look(worker_.loop, kLook);
  co_await look.async_wait(as_result);
  awaiting_host_ = false;
  if (!closing_ && client_.hung_up()) client_lost();
}

void Session::give_up_waiting() {
  if (waiter_) worker_.hub.pools->withdraw(std::exchange(waiter_, nullptr));
  const bool fatal_error = attaching_for_ == 0 || !greeted_;
  protocol::append_error(to_client_, {.severity = fatal_error ? "FATAL" : "ERROR", .sqlstate = "57014",
                                      .message = "canceling statement due to user request", .detail = {}, .hint = {}});
  if (fatal_error) {
    write_to_client();
    return finish();
  }
  held_ = {};
  unit_ = nullptr;
  begun_query_ = {};
  if (attaching_for_ == 'Q' || attaching_for_ == 'S') protocol::append_ready(to_client_, 'I');
  else skip_to_sync_ = true;
  publish("idle");
}

Awaitable<bool> Session::adopt() {
  const bool unclean_server = unclean();
  if (unclean_server || (server_->state != state_ && !(*server_->state == *state_))) {
    std::vector<std::string> texts;
    SessionState before = *server_->state;
    if (unclean_server) {  // takes away custom settings as well
      texts.push_back("RESET ALL");
      before.settings.clear();
      server_->ran_unseen_code = false;
    }
    for (auto& text : difference(before, *state_)) texts.push_back(std::move(text));
    for (const auto& text : texts) {
      Context context{nullptr, make_ref<Unit>(), nullptr};
      context.purpose = Purpose::replay;
      expect(Request::query, std::move(context), true);
      protocol::append_query(to_server_, text);
    }
    replay_error_.clear();
    server_->unnamed = nullptr;
    server_->own_names.clear();
    co_await drain_to_server();
    co_await quiet();
    if (closing_ || !server_) co_return false;
    if (!replay_error_.empty() && on_standby_) co_return false;
    if (!replay_error_.empty()) {
      spdlog::warn("session={} event=state_not_restored sqlstate={}", info_.id,
                   protocol::error_field(std::string_view(replay_error_).substr(protocol::kHeaderBytes), 'C'));
      residue_unknown_ = true;  // half of it may be set: nobody else gets this server
      to_client_ += as_fatal(replay_error_);
      co_await drain_to_client();
      finish();
      co_return false;
    }
  }
  server_->state = state_;
  adopted_ = true;
  if (on_standby_) co_return server_->reported == view_;  // with other settings it would not answer alike
  report_parameters();
  co_return true;
}

/// A reload of the server's configuration may have changed what this client was told by another connection.
void Session::report_parameters() {
  if (!greeted_ || server_->reported == view_) return;
  const auto reported = server_->reported.values();
  for (const auto& [name, value] : reported) {
    if (parameter_changed(name, value)) protocol::append_parameter_status(to_client_, name, value);
  }
}

bool Session::parameter_changed(std::string_view name, std::string_view value) {
  std::string folded(name);
  std::transform(folded.begin(), folded.end(), folded.begin(), [](unsigned char c) { return std::tolower(c); });
  auto& known = facts_.settings[folded];
  if (known != value) {
    known = value;
    ++facts_.version;
  }
  if (folded == "application_name") facts_.application = value;
  if (!lending_.pool) return true;
  if (server_) server_->reported.set(name, value);
  if (!greeted_) return false;
  if (const auto* seen = view_.find(name); seen && *seen == value) return false;
  view_.set(name, value);
  return true;
}

bool Session::rested() const {
  return server_ && status_ == 'I' && tracker_.empty() && !tracker_.skipping() && !tracker_.in_copy() && !tracker_.uncertain() &&
         tracking_ && to_server_.empty() && client_passing_ == 0 && !group_open_ && !held_.active() && cancels_ == 0 && !fallback_ && !client_gone_;
}

void Session::settle() {
  if (closing_ || client_busy_) return;
  // COPY FROM STDIN began only after its client had gone: the server would wait for the data for ever.
  if (leaving_ && !client_gone_ && tracker_.in_copy()) return client_lost();
  if (leaving_ && !client_gone_ && tracker_.empty() && to_server_.empty()) return finish();
  if (!pooled() || !lendable()) return;
  if (residue_unknown_) return ask_residue();
  constexpr const char* kUnkept = "a prepared statement above 64 kB";
  bool unkept = false;
  if (unkept_) prepared_.for_each([&](std::string_view, const auto& prepared) { unkept = unkept || prepared->unkept; });
  if (pin_.empty() && unkept) pin(kUnkept);
  else if (pin_ == kUnkept && !unkept) pin("");
  if (!pin_.empty()) return;
  hand_back();
  publish("idle");
}

void Session::hand_back() {
  leave_server();
  server_->stream.tell(nullptr);
  if (std::exchange(server_dying_, false)) {
    if (!server_->pool->for_reading()) worker_.hub.words.flush();  // its end may be a crash
    return server_.reset();
  }
  worker_.hub.pools->give_back(std::move(server_), now());
}

void Session::pin(const std::string& reason) {
  if (reason == info_.pinned) return;
  pin_ = info_.pinned = reason;
  info_.server_pid = reason.empty() || !server_ ? 0 : static_cast<int>(server_->pid);
  if (server_) info_.server_host = server_->host;
  worker_.hub.set_client(info_);
  if (!reason.empty()) spdlog::info("session={} event=pinned reason=\"{}\"", info_.id, reason);
}

void Session::ask_residue() {
  residue_unknown_ = false;
  residue_ = {};
  Context context{nullptr, make_ref<Unit>(), nullptr};
  context.purpose = Purpose::residue;
  if (!expect(Request::query, std::move(context), true)) return;
  protocol::append_query(to_server_, residue_query(lending_.pool->user));
  server_->unnamed = nullptr;
  push_to_server();
}

/// The server has answered; nothing after the question is in the answer.
void Session::on_residue() {
  Residue residue = residue_.take();
  auto now = std::make_shared<const SessionState>(std::move(residue.state));
  auto on_server = now;
  if (!residue.leftovers.empty()) {
    // Names of the client's own, prepared for one EXECUTE or DEALLOCATE: the next difference takes them away.
    auto more = *now;
    for (const auto& name : residue.leftovers) more.prepared[name] = "";
    on_server = std::make_shared<const SessionState>(std::move(more));
  }
  if (std::exchange(names_probed_, false)) {
    prepared_.erase_if([&](std::string_view name, const auto&) {
      return !name.empty() && std::find(residue.leftovers.begin(), residue.leftovers.end(), name) == residue.leftovers.end();
    });
  }
  if (custom_settings_) residue.pinned += (residue.pinned.empty() ? "" : ", ") + std::string("custom setting");
  state_ = now;
  if (server_) {
    server_->state = on_server;
    server_->own_names = {residue.leftovers.begin(), residue.leftovers.end()};
  }
  if (residue.pinned != pin_) pin(residue.pinned);
}

bool Session::unclean() const { return server_->ran_unseen_code && server_->last_client != info_.id; }

void Session::leave_server() {
  server_->ran_unseen_code = server_->ran_unseen_code || std::exchange(unseen_code_, false);
  server_->last_client = info_.id;
}

void Session::note_residue(const Plan* plan) {
  if (!pooled()) return;
  const bool unknown_before = residue_unknown_, unseen_before = unseen_code_;
  residue_unknown_ = unseen_code_ = true;
  judge_residue(plan);
  residue_unknown_ = residue_unknown_ || unknown_before;
  unseen_code_ = unseen_code_ || unseen_before;
}

/// Takes back what is not so of "leaves something behind" and "runs code that nobody has looked at".
void Session::judge_residue(const Plan* plan) {
  if (!plan || plan->analysis->why_not != sql::WhyNot::none || worker_.snapshot().panic) return;
  const sql::Analysis& analysis = *plan->analysis;
  using sql::StatementKind;
  switch (analysis.kind) {
    case StatementKind::set:
      unseen_code_ = false;
      for (const auto& change : analysis.settings) {
        if (change.local) continue;
        if (change.name.find('.') != change.name.npos && !change.name.starts_with("pgsteer.")) custom_settings_ = true;
        return;
      }
      if (analysis.settings.empty()) return;
      break;
    case StatementKind::prepare: case StatementKind::deallocate: case StatementKind::discard: case StatementKind::listen:
    case StatementKind::ddl: case StatementKind::close_cursor:  // with pg_temp in search_path any CREATE makes a temporary object
      unseen_code_ = false;
      return;
    case StatementKind::unparsed: case StatementKind::multiple: case StatementKind::execute: case StatementKind::declare_cursor:
    case StatementKind::call: case StatementKind::do_block:
      return;
    case StatementKind::begin: case StatementKind::commit: case StatementKind::rollback: case StatementKind::savepoint:
    case StatementKind::show: case StatementKind::fetch: case StatementKind::lock: case StatementKind::empty:
      residue_unknown_ = unseen_code_ = false;
      return;
    default:
      break;
  }
  if (analysis.flags.creates_temporary || analysis.flags.into || analysis.flags.explain_analyze) return;
  const sql::Catalog* catalog = this->catalog();
  for (const auto& use : analysis.functions) {
    if (touches_session(use.name)) return;
    const auto* group = catalog ? catalog->function(use.schema, use.name) : nullptr;
    if (group ? group->any_user_defined : !surely_harmless(use.name)) return;
  }
  const bool writes = analysis.kind == StatementKind::insert || analysis.kind == StatementKind::update ||
                      analysis.kind == StatementKind::delete_ || analysis.kind == StatementKind::merge ||
                      analysis.kind == StatementKind::copy_from || analysis.flags.data_modifying_cte;
  if (writes && (!catalog || (unit_ && unit_->opaque))) return;  // a trigger may do anything
  residue_unknown_ = unseen_code_ = false;
}

Awaitable<void> Session::cancel() {
  cancelled_at_ = Clock::now();
  if (line_timer_) {
    line_cancelled_ = true;
    line_timer_->cancel();
  }
  if (awaiting_host_ || (waiter_ && !waiter_->served())) {
    waiting_cancelled_ = true;
    if (standing_by_) look_at_line();
    notify();
  }
  if (!server_ || (tracking_ && tracker_.empty())) co_return;
  // Until the server has closed the cancel connection it may still be about to send the signal.
  ++cancels_;
  const auto self = shared_from_this();
  co_await cancel_server(worker_, server_->host, server_->pid, server_->key);
  --cancels_;
  settle();
}

void Session::check_timeouts(Clock::time_point now) {
  if (!lending_.pool || closing_ || !server_ || !greeted_) return;
  const auto& limits = worker_.snapshot().config->pool;
  const auto over = [&](std::chrono::milliseconds limit, Clock::time_point since) {
    return limit.count() > 0 && since != Clock::time_point() && now - since > limit;
  };
  const bool busy = !tracker_.empty();
  if (status_ == 'I' && !busy) transaction_start_ = {};
  else if (transaction_start_ == Clock::time_point()) transaction_start_ = now;
  if (!busy) query_start_ = {};
  else if (query_start_ == Clock::time_point()) query_start_ = now;
  const char* why = nullptr;
  if (over(limits.query_timeout, query_start_)) why = "query timeout";
  else if (over(limits.transaction_timeout, transaction_start_)) why = "transaction timeout";
  else if (!busy && status_ != 'I' && over(limits.idle_transaction_timeout, last_activity_)) why = "idle transaction timeout";
  if (!why) return;
  spdlog::info("session={} event=timed_out reason=\"{}\"", info_.id, why);
  // What is under way at the server is stopped, so that it does not outlive its client there.
  if (busy) asio::co_spawn(worker_.loop, cancel_server(worker_, server_->host, server_->pid, server_->key), asio::detached);
  fatal(busy ? "57014" : "25P03", why);
  client_lost();
}

}  // namespace pgsteer::proxy
