// Reading from standbys: a statement, or a group up to its Sync, that a policy sends there and that could not tell the difference. It is
// run there whole, and whole again on the primary if anything goes wrong before a row was passed on.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "proxy/auth/server_login.hpp"
#include "proxy/session/session.hpp"

namespace pgsteer::proxy {

using protocol::Request;

bool Session::may_read_elsewhere(const Plan& plan) const {
  return several_hosts_ && pooled() && (plan.decision.route == "replica" || plan.decision.route == "any") && !bytes_only();
}

/// Where the plan, the session and the hosts let a statement go that a policy sends to a standby.
Hosts::Reading Session::choose_host(const Plan& plan) const {
  const auto primary = [](std::string why) { return Hosts::Reading{-1, "primary: " + std::move(why)}; };
  if (!plan.primary_because.empty()) return primary(plan.primary_because);
  if (!pin_.empty()) return primary("the session keeps its server: " + pin_);
  if (!undisturbed() || group_open_) return primary("in a transaction or a pipeline");
  if (residue_unknown_ || custom_settings_) return primary("the session's settings are not certain");
  if (catalog_moving()) return primary("the catalog is changing");
  const auto isolation = state_->settings.find("default_transaction_isolation");
  if (isolation != state_->settings.end() && isolation->second == "serializable") return primary("default_transaction_isolation is serializable");
  const auto& limits = worker_.snapshot().config->routing;
  return worker_.hub.hosts->choose_for_reading(limits.read_your_writes ? wrote_at_ : std::nullopt, limits.max_lag, plan.decision.route == "any");
}

const std::shared_ptr<Pool>& Session::pool_for_reading(int host) {
  standby_pools_.resize(static_cast<std::size_t>(worker_.hub.hosts->count()));
  auto& pool = standby_pools_[static_cast<std::size_t>(host)];
  if (!pool) pool = worker_.hub.pools->pool(lending_.pool->database, lending_.pool->user, host);
  return pool;
}

/// A connection to the standby of reading_, in this session's state. `refused`: the statement goes to the primary; nothing is left behind.
Awaitable<Session::Obtained> Session::attach_standby() {
  Held kept = std::exchange(held_, {});  // nothing of it was sent
  const bool free = !server_ || returnable();
  if (server_ && free) hand_back();
  held_ = std::move(kept);
  if (!free) {
    reading_.why = "primary: the session's server could not be handed back";
    co_return Obtained::refused;
  }
  on_standby_ = true;
  ServerRefusal refusal;
  const Obtained obtained = co_await obtain(pool_for_reading(reading_.host).get(), &refusal);
  if (closing_ || obtained == Obtained::over) {
    on_standby_ = false;
    co_return Obtained::over;
  }
  bool there = obtained == Obtained::server;
  if (there) there = co_await adopt();
  if (closing_) co_return Obtained::over;
  if (there) co_return Obtained::server;
  leave_standby();
  reading_.why = fmt::format("primary: {} could not be used", worker_.hub.hosts->endpoint(reading_.host).address());
  co_return Obtained::refused;
}

/// Back to its pool, or closed where its state is not certain.
void Session::leave_standby() {
  reader_ = nullptr;
  if (server_ && returnable() && replay_error_.empty()) {
    hand_back();
  } else if (server_) {
    server_.reset();
    tracker_ = Tracker();
    to_server_.clear();
    server_size_ = 0;
    server_passing_ = 0;
  }
  replay_error_.clear();
  adopted_ = on_standby_ = false;
  residue_unknown_ = unseen_code_ = false;
  status_ = 'I';
}

bool Session::lost_standby() {
  if (!on_standby_ || client_gone_ || (reader_ && !reader_->fallback_armed && !reader_->fallback_due)) return false;
  worker_.hub.hosts->look_soon();
  server_.reset();
  tracker_ = Tracker();
  to_server_.clear();
  server_size_ = 0;
  server_passing_ = 0;
  status_ = 'I';
  if (reader_) {
    reader_->fallback_armed = false;
    reader_->fallback_due = true;
    reader_->held_back.clear();
    if (reader_->execution.sqlstate.empty()) reader_->execution.sqlstate = "08006";
  }
  notify();
  return true;
}

void Session::begin_reading(const Ref<Exec>& exec) {
  exec->on_standby = exec->fallback_armed = true;
  exec->execution.source = Source::standby;
  exec->execution.route = reading_.why;
  reader_ = exec;
}

/// True: answered (or the client is gone). False: nothing of it was; the primary is to be asked.
Awaitable<bool> Session::read_to_the_end(Ref<Exec> exec) {
  co_await quiet();
  if (!tracking_) finish();  // it has said what no server says
  if (closing_) co_return true;
  const bool failed = exec->fallback_due;
  if (failed) {
    spdlog::info("session={} event=standby_failed host={} sqlstate={} fingerprint={}", info_.id, worker_.hub.hosts->endpoint(reading_.host).address(),
                 exec->execution.sqlstate, exec->plan->analysis->fingerprint_hex);
    counters_->reads_repeated.add();
    exec->reported = true;
    exec->in_flight.end();
    place_ = std::move(exec->place);
    reading_.why = fmt::format("primary: {} failed with {}", worker_.hub.hosts->endpoint(reading_.host).address(), exec->execution.sqlstate);
    fallback_ = nullptr;
    if (!unit_) unit_ = make_ref<Unit>();
  } else {
    counters_->reads_on_standbys.add();
  }
  leave_standby();
  if (!failed) publish("idle");
  co_return !failed;
}

Awaitable<bool> Session::query_on_standby(std::shared_ptr<const Plan> plan, std::string_view message, Clock::time_point arrival) {
  reading_ = choose_host(*plan);
  if (reading_.host < 0) co_return false;
  const Obtained attached = co_await attach_standby();
  if (attached != Obtained::server) co_return attached == Obtained::over;
  const auto exec = run_query(std::move(plan), message, arrival, nullptr);
  begin_reading(exec);
  co_return co_await read_to_the_end(exec);
}

Awaitable<bool> Session::held_on_standby(std::shared_ptr<const Plan> plan, std::string_view sync, Clock::time_point arrival) {
  reading_ = choose_host(*plan);
  if (reading_.host < 0) co_return false;
  const Obtained attached = co_await attach_standby();
  if (attached != Obtained::server) co_return attached == Obtained::over;
  const Held whole = held_;
  auto exec = make_exec(plan, held_.statement->text);
  exec->execution.arrival = arrival;
  exec->execution.parameter_types = held_.statement->parameter_types;
  exec->prepared = held_.statement;
  begin_reading(exec);
  send_held_changed(exec, sync);
  exec->fallback_armed = true;
  const bool answered = co_await read_to_the_end(exec);
  if (answered) co_return true;
  if (whole.parse) {  // for the client it has not been parsed
    prepared_.erase_value(whole.parse);
    parsing_.erase_value(whole.parse);
  }
  held_ = whole;
  co_return false;
}

/// What a statement may have written is not known to standbys before they have replayed it.
void Session::note_write(const Plan* plan) {
  if (!several_hosts_ || on_standby_) return;
  using sql::StatementKind;
  if (!plan) {
    unit_->wrote = true;
    return;
  }
  switch (plan->analysis->kind) {
    case StatementKind::begin: case StatementKind::commit: case StatementKind::rollback: case StatementKind::savepoint:
    case StatementKind::show: case StatementKind::set: case StatementKind::empty:
      return;
    default:
      unit_->wrote = unit_->wrote || !plan->primary_because.empty();
  }
}

void Session::note_written(const Unit& unit, char status) {
  block_wrote_ = block_wrote_ || unit.wrote || unit.opaque;
  if (block_wrote_) wrote_at_ = Clock::now();
  if (status == 'I') block_wrote_ = false;
}

}  // namespace pgsteer::proxy
