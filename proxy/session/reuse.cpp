// Statements that come again and again without being prepared (an unnamed Parse for every execution, the same text in the simple
// protocol) are run by a prepared statement of ours, so that the server stops analysing and planning them. Only outside of transaction
// blocks, where a refusal can be taken back by sending what the client sent; only for as long as names and settings mean what they
// meant when it was prepared; and only while the comparison with executions left as they came shows that it pays.
#include "proxy/session/session.hpp"

namespace pgsteer::proxy {

using protocol::Request;

namespace {

std::string_view body_of(std::string_view message) { return message.substr(protocol::kHeaderBytes); }

/// Of the refusals of a prepared statement those that a fresh one would not have met: its columns have changed, it was deallocated.
bool concerns_the_preparation(std::string_view sqlstate) { return sqlstate == "0A000" || sqlstate == "26000"; }

}  // namespace

bool reusable(const Plan& plan) {
  using sql::StatementKind;
  const sql::Analysis& a = *plan.analysis;
  const bool plain = a.kind == StatementKind::select || a.kind == StatementKind::insert || a.kind == StatementKind::update || a.kind == StatementKind::delete_;
  // 'now'::timestamptz is read when it is analysed.
  return plain && a.why_not == sql::WhyNot::none && !a.flags.into && !a.flags.time_literal && !a.flags.current_of &&
         plan.decision.candidate == 0 && plan.decision.cache != policies::CacheDirective::look_up;
}

/// What is known of a text that may be reused now; null: nothing, or it may not.
std::shared_ptr<Repeated> Session::repeated(const Plan& plan, std::string_view text, std::span<const std::uint32_t> types) {
  if (!plan.policy.reuse || plan.decision.mode < policies::Mode::canary || !reusable(plan) || may_read_elsewhere(plan)) return nullptr;
  if (facts_.settings_uncertain || facts_.objects_uncertain || facts_.has_temporary_objects || facts_.catalog_uncertain ||
      catalog_moving() || !undisturbed() || lists_statements(plan, text)) {
    return nullptr;
  }
  if (reuse_scope_version_ != facts_.version) {
    reuse_scope_ = worker_.repeating.scope(session_key());
    reuse_scope_version_ = facts_.version;
  }
  return worker_.repeating.see(text, types, reuse_scope_);
}

bool Session::reuse_turn(const std::shared_ptr<Repeated>& repeated, const Plan& plan) {
  const double share = plan.decision.mode == policies::Mode::canary ? plan.policy.canary.share : 1;
  if (!repeated->take_turn(Clock::now(), share, worker_.random())) return false;
  return attached() || attach_at_once();
}

Ref<Exec> Session::reused_exec(const std::shared_ptr<Repeated>& repeated, std::shared_ptr<const Plan> plan, const cache::Call& call) {
  const std::string_view text = call.text;
  if (!repeated->statement) repeated->statement = intern_statement(text, repeated->types, {}, session_key());
  if (!unit_) unit_ = make_ref<Unit>();
  track_writes(plan.get(), true, call);
  auto exec = make_exec(std::move(plan), text);
  exec->repeated = repeated;
  exec->reused = exec->fallback_armed = true;
  reusing_ = exec;
  counters_->reused.add();
  return exec;
}

/// Whether the group that is held back may be run by a prepared statement of ours, once there is a server.
bool Session::may_be_reused() const {
  return held_.repeated && held_.execute && held_.statement->stamp == stamp() && undisturbed() && !restrained(*held_.statement->plan);
}

/// Parse Bind [Describe] Execute and this Sync, of a group that may be reused. False: it is left as it was.
bool Session::run_held_reused(std::string_view sync) {
  if (!may_be_reused() || !reuse_turn(held_.repeated, *held_.statement->plan)) return false;
  const Held held = std::exchange(held_, {});
  const auto& statement = held.statement;
  const auto bind = protocol::read_bind(body_of(held.bind));
  auto exec = reused_exec(held.repeated, statement->plan, {statement->text, statement->parameter_types, bind->parameters, true});
  exec->prepared = statement;
  exec->called_with(statement->parameter_types, bind->parameters);
  exec->original = held.raw;
  exec->original.append(sync);
  exec->original_requests = held.requests;
  exec->original_requests.push_back(Request::sync);
  protocol::append_empty(exec->held_back, '1');
  const std::string_view raw = held.raw;
  const auto parse_bytes = protocol::peek_header(raw)->total();
  if (!pooled()) statement->unsent = raw.substr(0, parse_bytes);
  prepared_.erase("");
  parsing_[""] = statement;
  unnamed_stale_ = true;
  portals_[""] = {statement, std::string(bind->parameters)};
  const std::string name = prepared_here(held.repeated->statement, exec);
  expect(Request::bind, {exec, nullptr, nullptr});
  protocol::Message(to_server_, 'B').cstring("").cstring(name).bytes(bind->parameters).bytes(bind->result_formats);
  if (held.describe) expect(Request::describe_portal, {exec, nullptr, nullptr});
  expect(Request::execute, {exec, unit_, nullptr});
  forward(raw.substr(parse_bytes + held.bind.size()));
  expect(Request::sync, {exec, std::exchange(unit_, nullptr), nullptr});
  forward(sync);
  return true;
}

/// A simple query as Bind Describe Execute Sync. False: it must go as it came.
bool Session::run_query_reused(const std::shared_ptr<Repeated>& repeated, std::shared_ptr<const Plan> plan, std::string_view text, Clock::time_point arrival) {
  const auto& features = plan->analysis->features;
  if (features.parameters > 0 || !reuse_turn(repeated, *plan)) return false;
  const bool rows = plan->analysis->kind == sql::StatementKind::select || features.returning > 0;
  auto exec = reused_exec(repeated, std::move(plan), {text, {}, {}, false});
  exec->execution.arrival = arrival;
  protocol::append_query(exec->original, text);
  exec->original_requests = {Request::query};
  unnamed_stale_ = true;  // the server does not get to see this query
  const std::string name = prepared_here(repeated->statement, exec);
  expect(Request::bind, {exec, nullptr, nullptr}, true);
  protocol::append_bind_text(to_server_, name, {});
  if (rows) {
    expect(Request::describe_portal, {exec, nullptr, nullptr});
    protocol::append_describe_portal(to_server_, "");
  }
  expect(Request::execute, {exec, unit_, nullptr});
  protocol::append_execute(to_server_, "");
  expect(Request::sync, {exec, std::exchange(unit_, nullptr), nullptr});
  protocol::append_empty(to_server_, 'S');
  return true;
}

/// The server has taken the Bind of a prepared statement of ours: from here on it is the client's statement as any other.
void Session::on_bound(Exec& exec) {
  exec.fallback_armed = false;
  to_client_ += std::exchange(exec.held_back, {});
  if (reusing_.get() == &exec) reusing_ = nullptr;
  if (const auto* parsing = parsing_.find(""); parsing && *parsing == exec.prepared) {
    prepared_[""] = exec.prepared;
    parsing_.erase("");
  }
}

/// The server has refused it before its Bind was done, so that nothing has happened yet: what the client sent is sent instead.
void Session::take_back_reuse(Exec& exec, std::string_view sqlstate) {
  if (exec.prepared) exec.prepared->unsent.clear();
  if (!concerns_the_preparation(sqlstate)) return;  // the client's own mistake
  if (server_) server_->statements.failed(*exec.repeated->statement);
  counters_->fallbacks.add();
}

}  // namespace pgsteer::proxy
