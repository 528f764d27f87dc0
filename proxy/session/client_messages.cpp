// Client -> server: what the client asked, message by message.
#include <spdlog/spdlog.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <algorithm>
#include <cctype>
#include <cstring>

#include "proxy/console/console.hpp"
#include "proxy/session/session.hpp"

namespace pgsteer::proxy {

using protocol::Request;

namespace {

constexpr std::size_t kMaxKeptParameters = 8192;

/// The plan of a statement that was not looked at: as it came, may write anything.
std::shared_ptr<const Plan> opaque_plan(const sql::SessionFacts& facts,
                                        sql::WhyNot why_not = sql::WhyNot::too_long) {
  auto plan = std::make_shared<Plan>();
  auto analysis = std::make_shared<sql::Analysis>();
  analysis->why_not = why_not;
  plan->analysis = std::move(analysis);
  plan->database = facts.database;
  plan->user = facts.user;
  plan->candidates.resize(1);
  plan->estimates.resize(1);
  plan->decision.reason = policies::ReasonCode::not_analysed;
  return plan;
}

/// Whether one of the words that begin DDL is in a text without literals and comments; a column of that name is a false
/// alarm and costs a look at the catalog.
bool names_ddl(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    std::size_t end = i;
    std::string word;
    while (end < text.size() && std::isalpha(static_cast<unsigned char>(text[end]))) {
      word += static_cast<char>(text[end++] | 0x20);
    }
    for (const std::string_view ddl : {"create", "alter", "drop", "grant", "revoke", "do", "comment", "security",
                                       "reassign", "import", "refresh"}) {
      if (word == ddl) return true;
    }
    i = std::max(end, i + 1);
  }
  return text.empty();
}

bool may_change_catalog(const sql::Analysis& analysis) {
  using sql::StatementKind;
  switch (analysis.kind) {
    case StatementKind::ddl:
      return !analysis.flags.creates_temporary;
    case StatementKind::select:
      return analysis.flags.into && !analysis.flags.creates_temporary;
    case StatementKind::multiple:  // a migration, or only BEGIN, UPDATE, COMMIT
      return analysis.flags.into || names_ddl(analysis.normalized);
    case StatementKind::unparsed:
    case StatementKind::do_block:
      return true;
    default:
      return false;
  }
}

std::string_view query_text(std::string_view message) {
  auto body = message.substr(protocol::kHeaderBytes);
  const auto end = body.find('\0');
  return body.substr(0, end);
}

}  // namespace

Awaitable<void> Session::on_client_bytes() {
  std::size_t at = 0;
  while (at < client_size_ && !closing_) {
    const std::string_view rest(client_buffer_.get() + at, client_size_ - at);
    if (client_passing_ > 0) {
      const std::size_t n = std::min<std::uint64_t>(client_passing_, rest.size());
      forward(rest.substr(0, n));
      client_passing_ -= n;
      at += n;
      co_await drain_to_server();
      continue;
    }
    if (!tracking_) {
      unmarked_work();
      forward(rest);
      at = client_size_;
      break;
    }
    const auto header = protocol::peek_header(rest);
    if (!header) break;
    if (!ready_) {
      co_await login_gate();
      if (closing_) co_return;
    }
    if (protocol::violates_protocol(*header)) {
      // The server ends the connection at the sight of it, in its own words; nothing behind it will be read.
      worker_.counters.protocol_errors.fetch_add(1, std::memory_order_relaxed);
      lose_tracking("a message no server accepts");
      continue;
    }
    const bool whole = header->total() <= kBufferBytes;
    if (whole && rest.size() < header->total()) break;
    if (whole) {
      const std::string_view message = rest.substr(0, header->total());
      at += header->total();
      if (!ready_) {
        forward(message);
      } else {
        co_await on_client_message(header->type, message);
      }
    } else {
      if (ready_) on_large_client_message(header->type, rest);
      forward(rest);
      client_passing_ = header->total() - rest.size();
      at = client_size_;
    }
  }
  if (closing_) co_return;
  std::memmove(client_buffer_.get(), client_buffer_.get() + at, client_size_ - at);
  client_size_ -= at;
  co_await drain_to_server();
}

bool Session::expect(Request kind, Context context, bool hidden) {
  return tracker_.expect(kind, hidden, std::move(context));
}

Awaitable<void> Session::on_client_message(char type, std::string_view message) {
  if (!unit_) unit_ = std::make_shared<Unit>();
  if (bytes_only()) unmarked_work();
  publish("active");
  if (try_hold(type, message)) co_return;
  if (type == 'S' && held_.active()) {
    co_await resolve_held(message);
    co_return;
  }
  release_held();
  switch (type) {
    case 'Q':
      co_await on_query(message);
      co_return;
    case 'P':
      on_parse(message);
      break;
    case 'B':
      co_await on_bind(message);
      co_return;
    case 'D':
      co_await on_describe(message);
      co_return;
    case 'E': {
      const auto execute = protocol::read_execute(message.substr(protocol::kHeaderBytes));
      Portal portal;
      if (execute) {
        if (const auto found = portals_.find(execute->portal); found != portals_.end()) portal = found->second;
      }
      if (portal.statement && portal.statement->local) {
        co_await answer_locally(portal.statement->text, false);
        co_return;
      }
      on_execute(message, portal);
      break;
    }
    case 'C':
      co_await on_close(message);
      co_return;
    case 'S':
      if (expect(Request::sync, {nullptr, unit_, nullptr})) unit_ = nullptr;
      group_open_ = false;
      forward(message);
      co_return;
    case 'F':
      writes_.before_opaque(*unit_);
      facts_.settings_uncertain = true;
      if (expect(Request::function_call, {nullptr, unit_, nullptr})) unit_ = nullptr;
      forward(message);
      co_return;
    case 'c': case 'f':
      tracker_.copy_done();
      forward(message);
      co_return;
    case 'X':
      leaving_ = true;
      forward(message);
      co_return;
    case 'd': case 'H':
      forward(message);
      co_return;
    default:
      // The server will end the connection with its own words.
      forward(message);
      co_return;
  }
  group_open_ = true;
}

Awaitable<void> Session::on_describe(std::string_view message) {
  const auto target = protocol::read_target(message.substr(protocol::kHeaderBytes));
  const bool of_statement = target && target->kind == 'S';
  std::shared_ptr<Prepared> statement;
  if (of_statement) {
    statement = find_prepared(target->name);
  } else if (target) {
    if (const auto portal = portals_.find(target->name); portal != portals_.end()) statement = portal->second.statement;
  }
  if (statement && statement->local) {
    if (!co_await our_turn()) co_return;
    if (of_statement) protocol::Message(to_client_, 't').int16(0);
    protocol::append_row_description(to_client_, {{"QUERY PLAN", 25}});
    co_await drain_to_client();
    co_return;
  }
  if (of_statement) {
    if (statement) send_unsent(statement);
    else drop_stale_unnamed(target->name);
  }
  expect(of_statement ? Request::describe_statement : Request::describe_portal, {});
  forward(message);
  group_open_ = true;
}

void Session::on_execute(std::string_view message, const Portal& portal) {
  const auto& statement = portal.statement;
  auto plan = statement ? statement->plan : nullptr;
  track_writes(plan.get());
  auto exec = make_exec(plan ? plan : opaque_plan(facts_), statement ? statement->text : std::string_view());
  if (statement && !portal.parameters.empty()) {
    exec->execution.parameter_types = statement->parameter_types;
    exec->execution.bind = portal.parameters;
  }
  expect(Request::execute, {exec, unit_, nullptr});
  forward(message);
}

Awaitable<void> Session::on_close(std::string_view message) {
  const auto target = protocol::read_target(message.substr(protocol::kHeaderBytes));
  bool here = false;  // what the server knows nothing of is closed here
  std::shared_ptr<Prepared> statement;
  if (target && target->kind == 'S') {
    statement = find_prepared(target->name);
    here = statement && (statement->local || !statement->unsent.empty());
  } else if (target) {
    const auto portal = portals_.find(target->name);
    here = portal != portals_.end() && portal->second.statement && portal->second.statement->local;
  }
  if (here && !co_await our_turn()) co_return;
  if (statement) {
    statement->dropped = true;
    std::erase_if(prepared_, [&](const auto& entry) { return entry.second == statement; });
    std::erase_if(parsing_, [&](const auto& entry) { return entry.second == statement; });
  } else if (target && target->kind == 'P') {
    if (const auto portal = portals_.find(target->name); portal != portals_.end()) portals_.erase(portal);
  }
  if (here) {
    protocol::append_empty(to_client_, '3');
    co_await drain_to_client();
    co_return;
  }
  expect(Request::close, {});
  forward(message);
  group_open_ = true;
}

void Session::on_large_client_message(char type, std::string_view beginning) {
  if (!unit_) unit_ = std::make_shared<Unit>();
  release_held();
  const auto body = beginning.substr(protocol::kHeaderBytes);
  switch (type) {
    case 'Q':
      writes_.before_opaque(*unit_);
      facts_.settings_uncertain = true;
      worker_.counters.not_analysed.fetch_add(1, std::memory_order_relaxed);
      forget_unnamed();
      unnamed_stale_ = false;
      if (expect(Request::query, {make_exec(opaque_plan(facts_), {}), unit_, nullptr})) unit_ = nullptr;
      break;
    case 'P': {
      protocol::Reader r(body);
      auto prepared = std::make_shared<Prepared>();
      prepared->name = r.cstring();
      prepared->plan = opaque_plan(facts_);
      worker_.counters.not_analysed.fetch_add(1, std::memory_order_relaxed);
      if (expect(Request::parse, {nullptr, nullptr, prepared})) parsing_[prepared->name] = prepared;
      if (prepared->name.empty()) unnamed_stale_ = false;
      group_open_ = true;
      break;
    }
    case 'B': {
      protocol::Reader r(body);
      const auto portal = r.cstring();
      const auto name = r.cstring();
      const auto statement = find_prepared(name);
      if (!r.ok()) return lose_tracking("Bind: names do not fit the first 64 KiB");
      if (statement && statement->local) return lose_tracking("Bind: oversized for EXPLAIN (PGSTEER)");
      if (statement) send_unsent(statement);
      else drop_stale_unnamed(name);
      portals_[std::string(portal)] = {statement, {}};
      expect(Request::bind, {});
      group_open_ = true;
      break;
    }
    case 'F':
      writes_.before_opaque(*unit_);
      if (expect(Request::function_call, {nullptr, unit_, nullptr})) unit_ = nullptr;
      break;
    case 'd':
      break;
    default:
      lose_tracking("oversized message of a type that is always small");
  }
}

std::shared_ptr<const Plan> Session::make_plan(std::string_view text, std::span<const std::uint32_t> types,
                                               bool extended) {
  if (worker_.snapshot().panic) return opaque_plan(facts_);
  if (const auto strings = facts_.settings.find("standard_conforming_strings");
      strings != facts_.settings.end() && strings->second != "on") {
    // The parser reads standard strings only: with the old ones a text may mean something else.
    worker_.counters.not_analysed.fetch_add(1, std::memory_order_relaxed);
    return opaque_plan(facts_, sql::WhyNot::nonstandard_strings);
  }
  const bool stale = worker_.hub.catalog_epoch.load(std::memory_order_acquire) != worker_.snapshot().catalog_epoch;
  const bool uncertain = std::exchange(facts_.catalog_uncertain, facts_.catalog_uncertain || stale);
  sql::Query query;
  query.text = text;
  query.parameter_types = types;
  query.extended = extended;
  query.transaction = static_cast<sql::TransactionStatus>(status_);
  query.session = &facts_;
  auto plan = worker_.pipeline.plan(query, worker_.snapshot(), worker_.circumstances(session_mode_));
  facts_.catalog_uncertain = uncertain;
  if (plan->analysis->why_not != sql::WhyNot::none) {
    worker_.counters.not_analysed.fetch_add(1, std::memory_order_relaxed);
  }
  return plan;
}

std::shared_ptr<const Plan> Session::refreshed_plan(Prepared& prepared) {
  if (prepared.text.empty()) return prepared.plan;
  prepared.plan = make_plan(prepared.text, prepared.parameter_types, true);
  return prepared.plan;
}

std::shared_ptr<Exec> Session::make_exec(std::shared_ptr<const Plan> plan, std::string_view text) {
  auto exec = std::make_shared<Exec>();
  exec->execution.arrival = Clock::now();
  if (plan && plan->analysis->kind == sql::StatementKind::select) exec->execution.text = text;
  exec->plan = std::move(plan);
  publish("active");
  exec->in_flight = InFlight(worker_.in_flight);
  worker_.counters.queries.fetch_add(1, std::memory_order_relaxed);
  return exec;
}

void Session::track_writes(const Plan* plan) {
  if (worker_.snapshot().panic) return unmarked_work();
  if (!plan || plan->analysis->why_not == sql::WhyNot::too_long ||
      plan->analysis->why_not == sql::WhyNot::nonstandard_strings) {
    return writes_.before_opaque(*unit_);
  }
  if (may_change_catalog(*plan->analysis)) writes_.before_ddl(*unit_);
  const bool in_block = status_ == 'T' && tracker_.empty() && !group_open_;
  // An uncommitted trigger, partition or foreign key of another session is in no picture, and a write may be waiting for it.
  const Hub& hub = worker_.hub;
  const bool certain = hub.pending_ddl.load() == 0 && hub.catalog_epoch.load() == worker_.snapshot().catalog_epoch;
  writes_.before_forward(*unit_, *plan->analysis, certain ? worker_.snapshot().catalog(facts_.database) : nullptr, facts_,
                         plan->knowledge ? &plan->knowledge->cache : nullptr, in_block);
}

Awaitable<void> Session::on_query(std::string_view message) {
  const auto arrival = Clock::now();
  const std::string_view text = query_text(message);
  if (!tracker_.skipping()) forget_unnamed();
  auto plan = make_plan(text, {}, false);
  if (plan->analysis->flags.explain_pgsteer && !worker_.snapshot().panic) {
    co_await answer_locally(text, true);
    co_return;
  }
  if (could_act(*plan) && facts_.settings_uncertain && undisturbed()) {
    co_await refresh_settings();
    if (closing_) co_return;
    plan = make_plan(text, {}, false);
  }
  std::unique_ptr<Fill> fill;
  if (plan->decision.cache == policies::CacheDirective::look_up && undisturbed()) {
    const std::string copy(text);  // the look-up may suspend
    auto found = co_await look_up(plan, copy, {}, {}, {}, true);
    if (closing_) co_return;
    if (found.entry) {
      unnamed_stale_ = true;  // the server does not get to see this query
      to_client_ += found.entry->row_description;
      to_client_ += found.entry->rows;
      to_client_ += found.entry->complete;
      protocol::append_ready(to_client_, 'I');
      report_hit(plan, copy, *found.entry, found.source, arrival);
      publish("idle");
      co_await drain_to_client();
      co_return;
    }
    fill = std::move(found.fill);
  }
  forget_dropped_by(*plan, text);
  unnamed_stale_ = false;
  auto exec = make_exec(plan, text);
  exec->execution.arrival = arrival;
  exec->fill = std::move(fill);
  track_writes(plan.get());
  send_query(exec, message);
  if (exec->fallback_armed) {
    co_await drain_to_server();
    co_await quiet();
  }
}

void Session::send_query(std::shared_ptr<Exec> exec, std::string_view message) {
  const rewriter::Candidate& chosen = exec->plan->chosen();
  const bool change = chosen.kind != rewriter::CandidateKind::as_is && undisturbed();
  exec->execution.sent_ns = since(exec->execution.arrival);
  exec->execution.proxy_ns = exec->execution.sent_ns;
  if (expect(Request::query, {exec, unit_, nullptr})) unit_ = nullptr;
  if (!change) {
    if (chosen.kind != rewriter::CandidateKind::as_is) {
      auto plain = std::make_shared<Plan>(*exec->plan);
      plain->decision.candidate = 0;
      plain->decision.reason = policies::ReasonCode::pipeline;
      exec->plan = std::move(plain);
    }
    forward(message);
    return;
  }
  const std::string_view text = query_text(message);
  std::string changed;
  for (const auto& setting : chosen.settings) {
    if (chosen.kind == rewriter::CandidateKind::hinted) break;  // the settings are in the hint
    changed += "SET LOCAL " + setting.name + " = '" + setting.value + "'; ";
    ++exec->hidden_completes;
  }
  const std::string_view body = chosen.text.empty() ? text : std::string_view(chosen.text);
  if (body.ends_with(text)) {
    exec->position_shift = static_cast<int>(changed.size() + body.size() - text.size());  // what we add is ASCII
  } else {
    exec->position_shift = -1;
  }
  changed += body;
  exec->fallback_armed = true;
  exec->original = message;
  exec->original_requests = {Request::query};
  (chosen.kind == rewriter::CandidateKind::rewritten ? worker_.counters.rewritten : worker_.counters.steered)
      .fetch_add(1, std::memory_order_relaxed);
  protocol::append_query(to_server_, changed);
}

void Session::note_names(Prepared& prepared) const {
  const sql::Catalog* catalog = worker_.snapshot().catalog(facts_.database);
  prepared.parsed_catalog_version = catalog ? catalog->version : 0;
  prepared.parsed_search_path = facts_.search_path;
}

std::shared_ptr<Prepared> Session::find_prepared(std::string_view name) {
  if (const auto it = parsing_.find(name); it != parsing_.end()) return it->second;
  if (const auto it = prepared_.find(name); it != prepared_.end()) return it->second;
  return nullptr;
}

void Session::send_unsent(const std::shared_ptr<Prepared>& prepared) {
  if (prepared->unsent.empty()) return;
  if (!expect(Request::parse, {nullptr, nullptr, prepared}, true)) return;
  forward(prepared->unsent);
  prepared->unsent.clear();
  if (prepared->name.empty()) unnamed_stale_ = false;
  group_open_ = true;
}

void Session::forget_unnamed() {
  prepared_.erase("");
  if (const auto it = parsing_.find(""); it != parsing_.end()) {
    it->second->dropped = true;
    parsing_.erase(it);
  }
}

void Session::drop_stale_unnamed(std::string_view name) {
  if (!name.empty() || !unnamed_stale_ || !expect(Request::close, {}, true)) return;
  protocol::append_close_statement(to_server_, "");
  unnamed_stale_ = false;
}

/// DEALLOCATE and its like inside of something larger: what the session knows of its statements is void.
void Session::forget_dropped_by(const Plan& plan, std::string_view text) {
  using sql::StatementKind;
  const auto kind = plan.analysis->kind;
  if (kind != StatementKind::multiple && kind != StatementKind::unparsed && kind != StatementKind::do_block) return;
  const auto contains = [&](std::string_view word) {
    const auto same = [](char a, char b) { return std::tolower(static_cast<unsigned char>(a)) == b; };
    return std::search(text.begin(), text.end(), word.begin(), word.end(), same) != text.end();
  };
  if (!contains("deallocate") && !contains("discard")) return;
  prepared_.clear();
  variants_.clear();
  for (auto& [name, prepared] : parsing_) prepared->dropped = true;
  parsing_.clear();
}

void Session::on_parse(std::string_view message) {
  const auto parse = protocol::read_parse(message.substr(protocol::kHeaderBytes));
  auto prepared = std::make_shared<Prepared>();
  if (parse) {
    prepared->name = parse->name;
    prepared->text = parse->text;
    prepared->parameter_types = parse->parameter_types;
    prepared->plan = make_plan(prepared->text, prepared->parameter_types, true);
    note_names(*prepared);
    if (prepared->plan->analysis->flags.explain_pgsteer && !worker_.snapshot().panic && tracker_.empty() &&
        !tracker_.skipping()) {
      prepared->local = true;
      prepared_[prepared->name] = prepared;
      if (prepared->name.empty()) unnamed_stale_ = true;
      protocol::append_empty(to_client_, '1');
      return;
    }
  } else {
    prepared->plan = opaque_plan(facts_);
  }
  // Where a statement of this name exists unsent, it must exist on the server too before this one is judged there.
  if (!prepared->name.empty()) {
    if (const auto old = prepared_.find(prepared->name); old != prepared_.end()) send_unsent(old->second);
  }
  // While the server skips to Sync it does not see this one.
  if (expect(Request::parse, {nullptr, nullptr, prepared})) {
    parsing_[prepared->name] = prepared;
    if (prepared->name.empty()) unnamed_stale_ = false;
  }
  forward(message);
}

Awaitable<void> Session::on_bind(std::string_view message) {
  const auto bind = protocol::read_bind(message.substr(protocol::kHeaderBytes));
  std::shared_ptr<Prepared> statement = bind ? find_prepared(bind->statement) : nullptr;
  if (statement && statement->local) {
    if (!co_await our_turn()) co_return;
    portals_[std::string(bind->portal)] = {statement, {}};
    protocol::append_empty(to_client_, '2');
    co_return;
  }
  if (statement) {
    send_unsent(statement);
    refreshed_plan(*statement);
  } else if (bind) {
    drop_stale_unnamed(bind->statement);
  }
  if (bind) {
    auto& portal = portals_[std::string(bind->portal)] = {statement, {}};
    if (statement && statement->plan && statement->plan->analysis->kind == sql::StatementKind::select &&
        bind->parameters.size() <= kMaxKeptParameters) {
      portal.parameters = bind->parameters;
    }
  }
  expect(Request::bind, {});
  forward(message);
  group_open_ = true;
}

bool Session::could_act(const Plan& plan) const {
  if (!plan.analysis->read_only_select() || plan.analysis->why_not != sql::WhyNot::none) return false;
  const auto mode = plan.decision.mode;
  return plan.policy.cache.mode != cache::Consistency::off || mode == policies::Mode::canary ||
         mode == policies::Mode::auto_ || mode == policies::Mode::suggest;
}

Awaitable<void> Session::refresh_settings() {
  std::string sql = "SELECT current_user, session_user, current_setting('search_path'), "
      "pg_catalog.pg_my_temp_schema(), extract(epoch from pg_catalog.pg_postmaster_start_time())";
  for (const auto name : cache::key_settings()) {
    sql += ", current_setting('" + std::string(name) + "', true)";
  }
  settings_reply_.clear();
  expect(Request::query, {nullptr, std::make_shared<Unit>(), nullptr}, true);
  protocol::append_query(to_server_, sql);
  co_await drain_to_server();
  co_await quiet();
  const auto names = cache::key_settings();
  if (settings_reply_.size() != names.size() + 5) co_return;  // refused: stays uncertain, nothing acts
  facts_.settings["current_user"] = settings_reply_[0];
  facts_.settings["session_user"] = settings_reply_[1];
  facts_.search_path = settings_reply_[2];
  // Whatever made them: DO, a trigger, a string of several statements.
  if (settings_reply_[3] != "0") facts_.has_temporary_objects = true;
  worker_.hub.server_started(settings_reply_[4]);
  const sql::Catalog* catalog = worker_.snapshot().catalog(facts_.database);
  if (catalog && catalog->default_search_path == facts_.search_path) facts_.search_path.clear();
  for (std::size_t i = 0; i < names.size(); ++i) facts_.settings[std::string(names[i])] = settings_reply_[i + 5];
  facts_.settings_uncertain = false;
  settings_known_ = true;
  ++facts_.version;
}

Awaitable<void> Session::answer_locally(std::string_view text, bool simple) {
  const std::string copy(text);
  if (!co_await our_turn()) co_return;
  const auto outer = worker_.pipeline.analyse(copy);
  const std::string inner = outer->explained;
  auto plan = make_plan(inner, {}, !simple);
  if (could_act(*plan) && facts_.settings_uncertain && undisturbed()) {
    co_await refresh_settings();
    if (closing_) co_return;
    plan = make_plan(inner, {}, !simple);
  }
  const auto lines = explain_plan(*plan, worker_.snapshot(), inner);
  if (simple) protocol::append_row_description(to_client_, {{"QUERY PLAN", 25}});
  for (const auto& line : lines) protocol::append_data_row(to_client_, {line});
  protocol::append_command_complete(to_client_, "EXPLAIN");
  if (simple) protocol::append_ready(to_client_, status_);
  co_await drain_to_client();
}

}  // namespace pgsteer::proxy
