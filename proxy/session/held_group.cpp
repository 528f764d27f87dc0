// One execution of the extended protocol, [Parse] Bind [Describe] Execute Sync, kept together until its Sync shows that
// it is nothing more: only then can it be answered from the cache or be run in another way. Everything else is
// forwarded as it comes.
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "proxy/session/session.hpp"

namespace pgsteer::proxy {

using protocol::Request;

namespace {
constexpr std::string_view kSetConfigText = "SELECT pg_catalog.set_config($1, $2, true)";
constexpr std::string_view kPatienceText =  // a limit of the client's own stays
    "SELECT pg_catalog.set_config('statement_timeout', $1, true) WHERE pg_catalog.current_setting('statement_timeout') OPERATOR(pg_catalog.=) '0'";

std::string_view body_of(std::string_view message) { return message.substr(protocol::kHeaderBytes); }

/// The same Bind for another prepared statement.
std::string rebound(std::string_view message, std::string_view statement) {
  const auto bind = protocol::read_bind(body_of(message));
  std::string out;
  protocol::Message(out, 'B').cstring(bind->portal).cstring(statement).bytes(bind->parameters).bytes(
      bind->result_formats);
  return out;
}
}  // namespace

bool Session::worth_holding(const Plan& plan) const {
  if (plan.analysis->why_not != sql::WhyNot::none || plan.analysis->kind != sql::StatementKind::select || lists_statements(plan, {})) return false;
  // Chance is drawn once for an execution, so what it can decide is held whatever the draw.
  return plan.redraw || plan.decision.wants_plan || may_read_elsewhere(plan) || plan.decision.cache == policies::CacheDirective::look_up || plan.decision.candidate != 0 ||
         (facts_.settings_uncertain && could_act(plan));
}

bool Session::try_hold(char type, std::string_view message) {
  if (worker_.snapshot().panic) return false;
  if (!held_.active()) {
    if (group_open_ || !at_rest() || (type != 'P' && type != 'B')) return false;
  }
  const bool bound = !held_.bind.empty();
  switch (type) {
    case 'P': {
      if (held_.active()) return false;
      parse_at_hand_ = read_statement(message);
      if (!parse_at_hand_ || (!parse_at_hand_->name.empty() && find_prepared(parse_at_hand_->name))) return false;
      const Prepared& parse = *parse_at_hand_;
      if (parse.plan->analysis->flags.explain_pgsteer) return false;
      auto repeating = parse.name.empty() ? repeated(*parse.plan, parse.text, parse.parameter_types) : nullptr;
      if (!repeating && !worth_holding(*parse.plan)) return false;
      parse_at_hand_->parsed_epoch = worker_.hub.catalog_epoch.load();
      held_.parse = held_.statement = std::exchange(parse_at_hand_, nullptr);
      held_.repeated = std::move(repeating);
      held_.requests.push_back(Request::parse);
      break;
    }
    case 'B': {
      if (bound) return false;
      const auto bind = protocol::read_bind(body_of(message));
      if (!bind || !bind->portal.empty()) return false;
      if (held_.parse) {
        if (bind->statement != held_.parse->name) return false;
      } else {
        auto statement = find_prepared(bind->statement);
        if (!statement || statement->local || statement->text.empty()) return false;
        if (!worth_holding(*refreshed_plan(*statement))) return false;
        held_.statement = std::move(statement);
      }
      held_.bind = message;
      held_.requests.push_back(Request::bind);
      break;
    }
    case 'D': {
      const auto target = protocol::read_target(body_of(message));
      if (!bound || held_.describe || held_.execute || !target || target->kind != 'P' || !target->name.empty()) {
        return false;
      }
      held_.describe = true;
      held_.requests.push_back(Request::describe_portal);
      break;
    }
    case 'E': {
      const auto execute = protocol::read_execute(body_of(message));
      if (!bound || held_.execute || !execute || !execute->portal.empty() || execute->max_rows != 0) return false;
      held_.execute = true;
      held_.requests.push_back(Request::execute);
      break;
    }
    default:
      return false;
  }
  held_.raw += message;
  return true;
}

void Session::release_held() {
  if (!held_.active()) return;
  Held held = std::exchange(held_, {});
  if (!unit_) unit_ = make_ref<Unit>();
  if (held.statement && !held.parse) send_unsent(held.statement);
  if (held.parse && held.parse->name.empty()) unnamed_stale_ = false;
  Ref<Exec> exec;
  if (held.execute) {
    const auto bind = protocol::read_bind(body_of(held.bind));
    track_writes(held.statement->plan.get(), held.statement->stamp == stamp(), {held.statement->text, held.statement->parameter_types, bind->parameters, true});
    exec = make_exec(as_it_came(held.statement->plan), held.statement->text);
    exec->prepared = held.statement;
    exec->repeated = held.repeated;
    exec->called_with(held.statement->parameter_types, bind->parameters);
  }
  if (held.statement) on_statement_names(*held.statement->plan, held.statement->text, false);
  if (held.parse) forward_parse(held.parse, std::string_view(held.raw).substr(0, protocol::peek_header(held.raw)->total()));
  for (const auto request : held.requests) {
    Context context;
    if (request == Request::parse) continue;
    if (request == Request::execute) context = {exec, unit_, nullptr};
    expect(request, context);
  }
  if (!held.bind.empty()) {
    portals_[""] = {held.statement, std::string(protocol::read_bind(body_of(held.bind))->parameters)};
  }
  forward_held(held);
  group_open_ = true;
}

void Session::forward_sync(std::string_view sync) {
  if (expect(Request::sync, {nullptr, unit_, nullptr})) unit_ = nullptr;
  group_open_ = false;
  forward(sync);
}

/// After a wait: the session has ended, or lost track and sent the group as it was.
bool Session::held_gone(std::string_view sync) {
  if (!closing_ && !held_.active()) forward(sync);
  return closing_ || !held_.active();
}

/// With the draw that the group was held by, unless something has changed since.
std::shared_ptr<const Plan> Session::held_plan() {
  return held_.statement->stamp == stamp() ? held_.statement->plan : refreshed_plan(*held_.statement);
}

/// An execution that only the cache in memory may answer, or fill. False: it takes resolve_held(), which begins anew.
bool Session::resolve_held_at_once(std::string_view sync) {
  if (!held_.execute || !undisturbed()) return false;
  const auto arrival = Clock::now();
  const auto plan = held_plan();
  if (plan->decision.cache != policies::CacheDirective::look_up || takes_waiting(*plan)) return false;
  const auto bind = protocol::read_bind(body_of(held_.bind));
  auto found = look_up_at_once(*plan, held_.statement->text, held_.statement->parameter_types, bind->parameters, bind->result_formats, held_.describe);
  if (!found) return false;
  if (answer_held(plan, *found, arrival)) return true;
  if (!attached() && (server_ || !attach_at_once())) return false;
  missed(*plan, *found);
  if (found->fill) {
    send_held(plan, std::move(found->fill), arrival, sync);
  } else {
    release_held();
    forward_sync(sync);
  }
  return true;
}

Awaitable<void> Session::resolve_held(std::string_view sync) {
  const auto arrival = Clock::now();
  if (held_.execute && facts_.settings_uncertain && could_act(*held_.statement->plan) && at_rest()) {
    if (!attached()) {
      if (const bool good = co_await attach(); !good) co_return;
    }
    co_await refresh_settings();
    if (held_gone(sync)) co_return;
  }
  std::unique_ptr<Fill> fill;
  auto plan = held_plan();
  if (held_.execute && undisturbed() && plan->decision.cache == policies::CacheDirective::look_up) {
    const auto bind = protocol::read_bind(body_of(held_.bind));
    auto found = co_await look_up(plan, held_.statement->text, held_.statement->parameter_types, bind->parameters,
                                  bind->result_formats, held_.describe);
    if (held_gone(sync)) co_return;
    if (found.cancelled) {
      co_await refuse_held(sync);
      co_return;
    }
    if (answer_held(plan, found, arrival)) {
      co_await drain_to_client();
      co_return;
    }
    fill = std::move(found.fill);
  }
  if (held_.execute && restrained(*plan)) {
    bool waited = false;
    const bool admitted = co_await admit(plan, &waited);
    if (held_gone(sync)) co_return;
    if (!admitted) {
      if (refusal_) co_await refuse_held(sync);
      co_return;
    }
    if (waited) plan = refreshed_plan(*held_.statement);
  }
  if (held_.execute && !fill && may_read_elsewhere(*plan)) {
    const bool answered = co_await held_on_standby(plan, sync, arrival);
    if (answered || closing_) co_return;
  }
  if (!attached()) {
    if (const bool good = co_await attach(); !good) co_return;
    if (held_gone(sync)) co_return;
  }
  if (held_.execute && plan->decision.wants_plan && at_rest()) {
    const std::string text = held_.statement->text, values(protocol::read_bind(body_of(held_.bind))->parameters);
    const auto types = held_.statement->parameter_types;
    const Called called{text, types, values, true};
    plan = with_known_plan(std::move(plan), called);
    plan = co_await with_asked_plan(std::move(plan), called);
    if (held_gone(sync)) co_return;
    if (!attached()) {
      if (const bool good = co_await attach(); !good) co_return;
      if (held_gone(sync)) co_return;
    }
  }
  // Inside a block a setting could only be taken back together with the client's portal.
  const bool change = held_.execute && plan->decision.candidate != 0 &&
                      (undisturbed() || (at_rest() && plan->chosen().kind != rewriter::CandidateKind::settings));
  if (!change && !fill) {
    release_held();
    forward_sync(sync);
    co_return;
  }
  const auto exec = send_held(plan, std::move(fill), arrival, sync);
  if (exec->fallback_armed) {
    co_await drain_to_server();
    co_await quiet();
  }
}

Ref<Exec> Session::send_held(std::shared_ptr<const Plan> plan, std::unique_ptr<Fill> fill, Clock::time_point arrival, std::string_view sync) {
  auto exec = make_exec(std::move(plan), held_.statement->text);
  exec->execution.arrival = arrival;
  exec->called_with(held_.statement->parameter_types, protocol::read_bind(body_of(held_.bind))->parameters);
  exec->fill = std::move(fill);
  exec->prepared = held_.statement;
  send_held_changed(exec, sync);
  return exec;
}

/// False: the server is to answer, and what `found` still has to fill is filled by it.
bool Session::answer_held(const std::shared_ptr<const Plan>& plan, Lookup& found, Clock::time_point arrival) {
  // The server refuses a statement whose columns are no longer those it was prepared with (0A000), and the client may
  // still read by the old ones: after DDL the server has the first word.
  const auto version = plan->knowledge ? plan->knowledge->cache.catalog_version : 0;
  if (held_.parse || !held_.statement->unsent.empty()) held_.statement->catalog_version = version;
  const bool same_names = held_.parse || bound_as_today(*held_.statement);
  if (!same_names) found.fill = nullptr;
  if (!found.entry || !same_names || held_.statement->catalog_version != version) return false;
  answer_held_from(*found.entry);
  if (held_.parse && !held_.parse->name.empty() && !pooled()) prepare_behind(held_.parse);
  report_hit(plan, found, arrival);
  held_ = {};
  unit_ = nullptr;
  publish("idle");
  return true;
}

void Session::answer_held_from(const cache::Entry& entry) {
  if (held_.parse) {
    protocol::append_empty(to_client_, '1');
    if (pooled()) {  // whichever server it is executed on will be taught it
      const auto* encoding = view_.find("client_encoding");
      held_.parse->number = ++statements_;
      held_.parse->statement = intern_statement(held_.parse->text, held_.parse->parameter_types, encoding ? *encoding : std::string());
    } else {
      held_.parse->unsent = held_.raw.substr(0, protocol::peek_header(held_.raw)->total());
    }
    prepared_[held_.parse->name] = held_.parse;
    if (held_.parse->name.empty()) unnamed_stale_ = true;
  }
  protocol::append_empty(to_client_, '2');
  if (held_.describe) to_client_ += entry.row_description;
  to_client_ += entry.rows;
  to_client_ += entry.complete;
  protocol::append_ready(to_client_, 'I');
}

/// A named statement of an answer from the cache is prepared at once behind it, so that the server ties its result to
/// today's tables as it would have done: its client may rely on the columns it was told.
void Session::prepare_behind(const std::shared_ptr<Prepared>& prepared) {
  send_unsent(prepared);
  expect(Request::sync, {nullptr, make_ref<Unit>(), nullptr}, true);
  protocol::append_empty(to_server_, 'S');
  group_open_ = false;
}

std::string Session::variant(const std::string& text, const std::vector<std::uint32_t>& types,
                             Ref<Exec> exec) {
  const auto encoding = facts_.settings.find("client_encoding");
  return prepared_here(intern_statement(text, types, encoding == facts_.settings.end() ? std::string() : encoding->second), exec);
}

/// DDL since it was prepared may have put another relation of the same name in front, which the server does not notice.
std::string Session::prepared_here(const StatementPtr& statement, const Ref<Exec>& exec) {
  if (!server_->statements.has(*statement, worker_.hub.catalog_epoch.load())) {
    expect(Request::close, {exec, nullptr, nullptr}, true);  // whatever SQL has left of it
    protocol::append_close_statement(to_server_, statement->server_name());
    expect(Request::parse, {exec, nullptr, nullptr, statement}, true);
    protocol::append_parse(to_server_, statement->server_name(), statement->text, statement->types);
    statement_sent(statement);
  }
  return statement->server_name();
}

/// SAVEPOINT and its kin as a statement of ours, by a portal of ours: the client's unnamed one stays as it is.
void Session::send_hidden(const Ref<Exec>& exec, std::string_view what) {
  const std::string name = variant(std::string(what) + " " + std::string(kSavepoint), {}, exec);
  expect(Request::bind, {exec, nullptr, nullptr}, true);
  protocol::append_bind_text(to_server_, name, {}, kSavepoint);
  expect(Request::execute, {exec, nullptr, nullptr}, true);
  protocol::append_execute(to_server_, kSavepoint);
  expect(Request::close, {exec, nullptr, nullptr}, true);
  protocol::append_close_portal(to_server_, kSavepoint);
}

void Session::send_held_changed(Ref<Exec> exec, std::string_view sync) {
  Held held = std::exchange(held_, {});
  if (!unit_) unit_ = make_ref<Unit>();
  track_writes(exec->plan.get(), false);
  exec->execution.sent_ns = since(exec->execution.arrival);
  exec->execution.proxy_ns = exec->execution.sent_ns - std::min(exec->execution.sent_ns, exec->execution.queued_ns);
  const rewriter::Candidate& chosen = exec->plan->chosen();
  const bool change = chosen.kind != rewriter::CandidateKind::as_is;
  std::string_view rest = held.raw;
  if (held.parse) {
    const auto parse_bytes = protocol::peek_header(rest)->total();
    if (held.parse->name.empty()) unnamed_stale_ = false;
    forward_parse(held.parse, rest.substr(0, parse_bytes));
    rest.remove_prefix(parse_bytes);
  } else {
    send_unsent(held.statement);
  }
  portals_[""] = {held.statement, {}};
  if (change) {
    exec->fallback_armed = true;
    exec->catalog_epoch = worker_.snapshot().catalog_epoch;
    exec->position_shift = -1;
    exec->savepoint = in_block();
    if (exec->savepoint) send_hidden(exec, "SAVEPOINT");
    // Without the Parse: it is the client's own, and has succeeded whenever a fallback is due.
    const auto bind_length = protocol::peek_header(rest)->total();
    const bool renamed = pooled() && !held.statement->name.empty() && held.statement->statement;
    exec->original = renamed ? rebound(rest.substr(0, bind_length), held.statement->statement->server_name()) : std::string(rest.substr(0, bind_length));
    exec->original.append(rest.substr(bind_length)).append(sync);
    for (const auto request : held.requests) {
      if (request != Request::parse) exec->original_requests.push_back(request);
    }
    exec->original_requests.push_back(Request::sync);
    (chosen.kind == rewriter::CandidateKind::rewritten ? counters_->rewritten : counters_->steered).add();
    if (chosen.kind == rewriter::CandidateKind::settings) {
      // Planner settings for this Sync group only: set_config(…, true) in front of Bind, where planning happens. A custom
      // plan keeps the statement's cached generic plan as it was.
      const std::string setter = variant(std::string(kSetConfigText), {25, 25}, exec);
      auto settings = chosen.settings;
      settings.push_back({"plan_cache_mode", "force_custom_plan"});
      const auto set = [&](const std::string& statement, const std::vector<std::string_view>& values) {
        expect(Request::bind, {exec, nullptr, nullptr}, true);
        protocol::append_bind_text(to_server_, statement, values);
        expect(Request::execute, {exec, nullptr, nullptr}, true);
        protocol::append_execute(to_server_, "");
      };
      for (const auto& setting : settings) set(setter, {setting.name, setting.value});
      if (exec->plan->decision.patience_ms > 0) {
        exec->patience_ns = static_cast<std::uint64_t>(exec->plan->decision.patience_ms * 1e6);
        const std::string limit = std::to_string(patience_of(*exec->plan));
        set(variant(std::string(kPatienceText), {25}, exec), {limit});
      }
    }
  }
  if (change && !chosen.text.empty()) {
    const std::string name = variant(chosen.text, held.statement->parameter_types, exec);
    expect(Request::bind, {exec, nullptr, nullptr});
    const auto bind_bytes = protocol::peek_header(rest)->total();
    forward(rebound(rest.substr(0, bind_bytes), name));
    rest.remove_prefix(bind_bytes);
    if (held.describe) expect(Request::describe_portal, {exec, nullptr, nullptr});
    expect(Request::execute, {exec, unit_, nullptr});
  } else {
    for (const auto request : held.requests) {
      if (request != Request::parse) expect(request, {exec, request == Request::execute ? unit_ : nullptr, nullptr});
    }
    const auto bind_bytes = protocol::peek_header(rest)->total();
    forward_bind(held.statement, rest.substr(0, bind_bytes));
    rest.remove_prefix(bind_bytes);
  }
  forward(rest);
  if (exec->savepoint) send_hidden(exec, "RELEASE SAVEPOINT");
  if (expect(Request::sync, {exec, unit_, nullptr})) unit_ = nullptr;
  group_open_ = false;
  forward(sync);
}

}  // namespace pgsteer::proxy
