// The simple query protocol; EXPLAIN (PGSTEER); asking the server for the session's settings.
#include <fmt/format.h>

#include <cmath>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "proxy/auth/server_login.hpp"
#include "proxy/console/console.hpp"
#include "proxy/session/session.hpp"

namespace pgsteer::proxy {

using protocol::Request;
using sql::StatementKind;

namespace {

std::string_view query_text(std::string_view message) {
  auto body = message.substr(protocol::kHeaderBytes);
  const auto end = body.find('\0');
  return body.substr(0, end);
}

}  // namespace

/// False when the answer may be here, or when the session's settings must be asked for first: on_query() goes on with the plan.
bool Session::query_at_once(std::string_view message) {
  const auto arrival = Clock::now();
  begun_query_ = {};
  auto plan = with_known_plan(make_plan(query_text(message), {}, false), {query_text(message)});
  if (!tracker_.skipping()) forget_unnamed();
  if (plan->analysis->flags.explain_pgsteer || takes_waiting(*plan)) {
    begun_query_ = {std::move(plan), arrival};
    return false;
  }
  std::optional<Lookup> found;
  if (plan->decision.cache == policies::CacheDirective::look_up && undisturbed()) {
    found = look_up_at_once(*plan, query_text(message), {}, {}, {}, true);
    if (found && found->entry) {
      answer_query_from(plan, *found, arrival);
      return true;
    }
    if (!found) {
      begun_query_ = {std::move(plan), arrival};
      return false;
    }
  }
  const auto kind = plan->analysis->kind;
  const bool opaque = kind == StatementKind::multiple || kind == StatementKind::unparsed || kind == StatementKind::do_block;
  if ((pooled() && opaque) || (!server_ && !attach_at_once())) {
    server_missing_ = !server_ && !opaque && greeted_;
    begun_query_ = {std::move(plan), arrival};
    return false;
  }
  if (found) {
    missed(*plan, *found);
    if (found->fill) {
      run_query(std::move(plan), message, arrival, std::move(found->fill));
      return true;
    }
  }
  const auto repeating = repeated(*plan, query_text(message), {});
  if (repeating && run_query_reused(repeating, plan, query_text(message), arrival)) return true;
  run_query(std::move(plan), message, arrival, nullptr)->repeated = repeating;
  return true;
}

void Session::answer_query_from(const std::shared_ptr<const Plan>& plan, const Lookup& found, Clock::time_point arrival) {
  unnamed_stale_ = true;  // the server does not get to see this query
  to_client_ += found.entry->row_description;
  to_client_ += found.entry->rows;
  to_client_ += found.entry->complete;
  protocol::append_ready(to_client_, 'I');
  report_hit(plan, found, arrival);
  unit_ = nullptr;
  publish("idle");
}

Awaitable<void> Session::on_query(std::string_view message) {
  auto [plan, arrival] = std::exchange(begun_query_, {});
  const std::string_view text = query_text(message);
  if (plan->analysis->flags.explain_pgsteer && !worker_.snapshot().panic) {
    co_await answer_locally(text, true);
    co_return;
  }
  if (could_act(*plan) && facts_.settings_uncertain && at_rest()) {
    if (!attached()) {
      if (const bool good = co_await attach(); !good) co_return;
    }
    co_await refresh_settings();
    if (closing_) co_return;
    plan = make_plan(text, {}, false);
  }
  std::unique_ptr<Fill> fill;
  if (plan->decision.cache == policies::CacheDirective::look_up && undisturbed()) {
    const std::string copy(text);  // the look-up may suspend
    auto found = co_await look_up(plan, copy, {}, {}, {}, true);
    if (closing_) co_return;
    if (found.cancelled) {
      refuse_query();
      co_await drain_to_client();
      co_return;
    }
    if (found.entry) {
      answer_query_from(plan, found, arrival);
      co_await drain_to_client();
      co_return;
    }
    fill = std::move(found.fill);
  }
  if (restrained(*plan)) {
    bool waited = false;
    const bool admitted = co_await admit(plan, &waited);
    if (closing_) co_return;
    if (!admitted) {
      if (refusal_) refuse_query();
      co_await drain_to_client();
      co_return;
    }
    if (waited) plan = make_plan(text, {}, false);  // DDL, a ban or a new policy may have come meanwhile
  }
  const bool routed = may_read_elsewhere(*plan);
  if (routed && !fill) {  // an answer that the cache wants comes from the primary
    const bool answered = co_await query_on_standby(plan, message, arrival);
    if (answered || closing_) co_return;
  } else if (routed) {
    reading_ = {-1, "primary: its answer is for the cache"};
  }
  if (!attached()) {
    if (const bool good = co_await attach(); !good) co_return;
  }
  if (plan->decision.wants_plan) {
    plan = co_await with_asked_plan(std::move(plan), {text});
    if (closing_) co_return;
    if (!attached()) {
      if (const bool good = co_await attach(); !good) co_return;
    }
  }
  const auto exec = run_query(std::move(plan), message, arrival, std::move(fill));
  if (routed) exec->execution.route = reading_.why;
  if (exec->fallback_armed || names_probed_) {
    co_await drain_to_server();
    co_await quiet();
  }
  if (names_probed_ && status_ == 'I' && server_ && !closing_) {
    ask_residue();
    co_await quiet();
  }
}

Ref<Exec> Session::run_query(std::shared_ptr<const Plan> plan, std::string_view message,
                                         Clock::time_point arrival, std::unique_ptr<Fill> fill) {
  const std::string_view text = query_text(message);
  on_statement_names(*plan, text, true);
  hide_own_statements(*plan, text, true);
  forget_dropped_by(*plan, text);
  unnamed_stale_ = false;
  server_->unnamed = nullptr;
  auto exec = make_exec(plan, text);
  exec->execution.arrival = arrival;
  exec->fill = std::move(fill);
  track_writes(plan.get(), true, {text, {}, {}, false});
  send_query(exec, message);
  return exec;
}

void Session::send_query(Ref<Exec> exec, std::string_view message) {
  const rewriter::Candidate& chosen = exec->plan->chosen();
  const bool change = chosen.kind != rewriter::CandidateKind::as_is && at_rest();
  exec->execution.sent_ns = since(exec->execution.arrival);
  exec->execution.proxy_ns = exec->execution.sent_ns - std::min(exec->execution.sent_ns, exec->execution.queued_ns);
  if (expect(Request::query, {exec, unit_, nullptr})) unit_ = nullptr;
  if (!change) {
    exec->plan = as_it_came(std::move(exec->plan));
    forward(message);
    return;
  }
  const std::string_view text = query_text(message);
  std::string_view body = chosen.text.empty() ? text : std::string_view(chosen.text);
  std::string changed;
  exec->savepoint = in_block();
  if (exec->savepoint) {
    if (chosen.kind == rewriter::CandidateKind::hinted) {  // pg_hint_plan reads the first comment of the whole string
      const auto hint = body.find("*/") + 2;
      changed = body.substr(0, hint);
      body.remove_prefix(hint);
    }
    changed += "SAVEPOINT " + std::string(kSavepoint) + "; ";
    ++exec->hidden_completes;
  }
  if (exec->plan->decision.patience_ms > 0 && chosen.kind == rewriter::CandidateKind::settings && !exec->savepoint) {
    // Where the client has a limit of its own its clock is running already, and goes on.
    exec->patience_ns = static_cast<std::uint64_t>(exec->plan->decision.patience_ms * 1e6);
    changed += fmt::format("SET LOCAL statement_timeout = {}; ", patience_of(*exec->plan));
    ++exec->hidden_completes;
  }
  for (const auto& setting : chosen.settings) {
    if (chosen.kind == rewriter::CandidateKind::hinted) break;  // the settings are in the hint
    changed += "SET LOCAL " + setting.name + " = '" + setting.value + "'; ";
    ++exec->hidden_completes;
  }
  if (body.ends_with(text)) {
    exec->position_shift = static_cast<int>(changed.size() + body.size() - text.size());  // what we add is ASCII
  } else {
    exec->position_shift = -1;
  }
  changed += body;
  if (exec->savepoint) {  // on a line of its own: the text may end with a comment. Rolling back takes the settings back.
    changed += "\n; ROLLBACK TO SAVEPOINT " + std::string(kSavepoint) + "; RELEASE SAVEPOINT " + std::string(kSavepoint);
  }
  exec->fallback_armed = true;
  exec->catalog_epoch = worker_.snapshot().catalog_epoch;
  exec->original = message;
  exec->original_requests = {Request::query};
  (chosen.kind == rewriter::CandidateKind::rewritten ? counters_->rewritten : counters_->steered).add();
  protocol::append_query(to_server_, changed);
}

/// In whole milliseconds, as statement_timeout takes it.
long patience_of(const Plan& plan) { return std::max(1L, std::lround(std::min(plan.decision.patience_ms, 2e9))); }

Awaitable<void> Session::refresh_settings() {
  // Only the cache needs to know who the server is, and it does not answer inside a block, where asking would take the statistics
  // snapshot of the client's transaction. Servers of pools are asked when they are connected to.
  server_known_ |= pooled();
  const bool ask_identity = !in_block() && !pooled();
  // The schema stays when its objects are gone, and with pooling for whoever has the connection next.
  std::string sql = fmt::format("SELECT current_user, session_user, current_setting('search_path'), CASE WHEN pg_catalog.pg_my_temp_schema() OPERATOR(pg_catalog.=) 0"
                                " THEN false ELSE EXISTS (SELECT FROM pg_catalog.pg_class WHERE relnamespace OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema()"
                                " UNION ALL SELECT FROM pg_catalog.pg_proc WHERE pronamespace OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema()"
                                " UNION ALL SELECT FROM pg_catalog.pg_type WHERE typnamespace OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema()) END, {}",
                                ask_identity ? kServerIdentity : "NULL");
  for (const auto name : cache::key_settings()) {
    sql += ", current_setting('" + std::string(name) + "', true)";
  }
  settings_reply_.clear();
  // By a statement and a portal of our own: a simple query would destroy the client's unnamed ones.
  const std::string name = prepared_here(intern_statement(sql, {}, {}), nullptr);
  expect(Request::bind, {}, true);
  protocol::append_bind_text(to_server_, name, {}, kSavepoint);
  Context context;
  context.purpose = Purpose::settings;
  expect(Request::execute, std::move(context), true);
  protocol::append_execute(to_server_, kSavepoint);
  expect(Request::close, {}, true);
  protocol::append_close_portal(to_server_, kSavepoint);
  expect(Request::sync, {nullptr, make_ref<Unit>(), nullptr}, true);
  protocol::append_empty(to_server_, 'S');
  co_await drain_to_server();
  co_await quiet();
  const auto names = cache::key_settings();
  if (settings_reply_.size() != names.size() + 5) co_return;  // refused: stays uncertain, nothing acts
  facts_.settings["current_user"] = settings_reply_[0];
  facts_.settings["session_user"] = settings_reply_[1];
  facts_.search_path = settings_reply_[2];
  // Whatever made them: DO, a trigger, a string of several statements.
  facts_.has_temporary_objects = settings_reply_[3] == "t";
  if (ask_identity) worker_.hub.server_started(settings_reply_[4]);
  server_known_ |= ask_identity;
  if (!server_known_) settings_changed_in_block_ = true;  // ask again behind the block
  const sql::Catalog* catalog = worker_.snapshot().catalog(facts_.database);
  if (catalog && catalog->default_search_path == facts_.search_path) facts_.search_path.clear();
  for (std::size_t i = 0; i < names.size(); ++i) facts_.settings[std::string(names[i])] = settings_reply_[i + 5];
  facts_.settings_uncertain = facts_.objects_uncertain = false;
  ++facts_.version;
}

Awaitable<void> Session::answer_locally(std::string_view text, bool simple) {
  const std::string copy(text);
  if (const bool good = co_await our_turn(); !good) co_return;
  const auto outer = worker_.pipeline.analyse(copy);
  const std::string inner = outer->explained;
  auto plan = make_plan(inner, {}, !simple);
  if (could_act(*plan) && facts_.settings_uncertain && at_rest()) {
    if (!attached()) {
      if (const bool good = co_await attach(); !good) co_return;
    }
    co_await refresh_settings();
    if (closing_) co_return;
    plan = make_plan(inner, {}, !simple);
  }
  if (simple && plan->decision.wants_plan && undisturbed()) {
    if (!attached()) {
      if (const bool good = co_await attach(); !good) co_return;
    }
    plan = co_await with_asked_plan(std::move(plan), {inner});
    if (closing_) co_return;
  }
  auto shown = *plan;
  if (may_read_elsewhere(*plan)) shown.decision.route = choose_host(*plan).why;
  const auto lines = explain_plan(shown, worker_.snapshot(), inner);
  if (simple) protocol::append_row_description(to_client_, {{"QUERY PLAN", 25}});
  for (const auto& line : lines) protocol::append_data_row(to_client_, {line});
  protocol::append_command_complete(to_client_, "EXPLAIN");
  if (simple) protocol::append_ready(to_client_, status_);
  co_await drain_to_client();
}

}  // namespace pgsteer::proxy
