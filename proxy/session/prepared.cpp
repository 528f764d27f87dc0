// The extended query protocol, message by message: statements and portals as the client knows them.
#include <algorithm>
#include <cctype>

#include "proxy/session/session.hpp"

namespace pgsteer::proxy {

using protocol::Request;

namespace {

constexpr std::size_t kMaxKeptParameters = 8192;

}  // namespace

/// The statement of a Parse, with its plan; null when it is malformed.
std::shared_ptr<Prepared> Session::read_statement(std::string_view message) {
  auto parse = protocol::read_parse(message.substr(protocol::kHeaderBytes));
  if (!parse) return nullptr;
  auto prepared = std::allocate_shared<Prepared>(Recycling<Prepared>());
  prepared->name = parse->name;
  prepared->text = parse->text;
  prepared->parameter_types = std::move(parse->parameter_types);
  refreshed_plan(*prepared);
  return prepared;
}

void Session::on_parse(std::string_view message) {
  auto prepared = parse_at_hand_ ? std::exchange(parse_at_hand_, nullptr) : read_statement(message);
  if (prepared) {
    prepared->parsed_epoch = worker_.hub.catalog_epoch.load();
    // The Parse ties its columns to the catalog as it is: like a first run of it.
    if (prepared->plan->knowledge) prepared->catalog_version = prepared->plan->knowledge->cache.catalog_version;
    if (prepared->plan->analysis->flags.explain_pgsteer && !worker_.snapshot().panic && tracker_.empty() &&
        !tracker_.skipping()) {
      prepared->local = true;
      prepared_[prepared->name] = prepared;
      if (prepared->name.empty()) unnamed_stale_ = true;
      protocol::append_empty(to_client_, '1');
      group_open_ = true;
      return;
    }
  } else {
    prepared = std::make_shared<Prepared>();
    prepared->plan = opaque_plan();
  }
  // Where a statement of this name exists unsent, it must exist on the server too before this one is judged there.
  if (!prepared->name.empty()) {
    if (const auto* old = prepared_.find(prepared->name)) send_unsent(*old);
  }
  if (prepared->name.empty() && !tracker_.skipping()) unnamed_stale_ = false;
  on_statement_names(*prepared->plan, prepared->text, false);
  forward_parse(prepared, message);
  group_open_ = true;
}

bool Session::on_bind(std::string_view message) {
  const auto bind = protocol::read_bind(message.substr(protocol::kHeaderBytes));
  std::shared_ptr<Prepared> statement = bind ? find_prepared(bind->statement) : nullptr;
  if (statement && statement->local) return false;
  if (statement) {
    send_unsent(statement);
    on_statement_names(*refreshed_plan(*statement), statement->text, false);
  } else if (bind) {
    drop_stale_unnamed(bind->statement);
  }
  expect(Request::bind);
  forward_bind(statement, message);
  if (bind) {
    auto& portal = portals_[bind->portal];
    const auto* analysis = statement && statement->plan ? statement->plan->analysis.get() : nullptr;
    const bool wanted = analysis && (analysis->kind == sql::StatementKind::select || !analysis->key_conditions.empty());
    portal.parameters.clear();
    if (wanted && bind->parameters.size() <= kMaxKeptParameters) portal.parameters = bind->parameters;
    portal.statement = std::move(statement);
    portal.bound_in = unit_ ? unit_->serial : 0;
  }
  group_open_ = true;
  return true;
}

/// The statement that a Describe or a Close names, itself or by a portal; null when there is none of that name.
std::shared_ptr<Prepared> Session::target_statement(const protocol::TargetMessage& target) {
  if (target.kind == 'S') return find_prepared(target.name);
  const Portal* portal = portals_.find(target.name);
  return portal ? portal->statement : nullptr;
}

bool Session::on_describe(std::string_view message) {
  const auto target = protocol::read_target(message.substr(protocol::kHeaderBytes));
  const auto statement = target ? target_statement(*target) : nullptr;
  if (statement && statement->local) return false;
  const bool of_statement = target && target->kind == 'S';
  if (of_statement) {
    if (statement) send_unsent(statement);
    else drop_stale_unnamed(target->name);
  }
  expect(of_statement ? Request::describe_statement : Request::describe_portal);
  forward_target(of_statement ? statement : nullptr, 'D', message);
  group_open_ = true;
  return true;
}

bool Session::on_execute(std::string_view message) {
  const auto execute = protocol::read_execute(message.substr(protocol::kHeaderBytes));
  Portal* portal = execute ? portals_.find(execute->portal) : nullptr;
  const Prepared* statement = portal ? portal->statement.get() : nullptr;
  if (statement && (statement->local || (statement->plan && restrained(*statement->plan)))) return false;
  execute_now(message, portal);
  return true;
}

void Session::execute_now(std::string_view message, Portal* portal) {
  const Prepared* statement = portal ? portal->statement.get() : nullptr;
  auto plan = statement ? statement->plan : nullptr;
  if (plan) hide_own_statements(*plan, statement->text, false);
  const bool certain = statement && unit_ && portal->bound_in == unit_->serial;
  track_writes(plan.get(), statement && statement->stamp == stamp(),
               certain ? cache::Call{statement->text, statement->parameter_types, portal->parameters, true} : cache::Call{});
  auto exec = make_exec(plan ? as_it_came(std::move(plan)) : opaque_plan(), statement ? statement->text : std::string_view());
  if (statement && !portal->parameters.empty()) exec->called_with(statement->parameter_types, portal->parameters);
  expect(Request::execute, {std::move(exec), unit_, nullptr});
  forward(message);
  group_open_ = true;
}

bool Session::on_close(std::string_view message) {
  const auto target = protocol::read_target(message.substr(protocol::kHeaderBytes));
  const auto statement = target ? target_statement(*target) : nullptr;
  if (statement && (statement->local || (target->kind == 'S' && !statement->unsent.empty()))) return false;
  // A server that is skipping to Sync closes nothing. What an error on its way drops is put back by on_error().
  const bool shared = pooled() && statement && target->kind == 'S';
  const bool sent = expect(Request::close, {nullptr, nullptr, shared ? statement : nullptr});
  if (target && (sent || !pooled())) forget(*target, statement);
  forward_target(target && target->kind == 'S' ? statement : nullptr, 'C', message);
  group_open_ = true;
  return true;
}

void Session::forget(const protocol::TargetMessage& target, const std::shared_ptr<Prepared>& statement) {
  if (target.kind != 'S') {
    return portals_.erase(target.name);
  }
  if (!statement) return;
  statement->dropped = true;
  prepared_.erase_value(statement);
  parsing_.erase_value(statement);
}

/// What concerns a statement that the server has not seen: EXPLAIN (PGSTEER), or one that only the cache has answered.
Awaitable<void> Session::answer_here(char type, std::string_view message) {
  if (!attached()) {
    if (const bool good = co_await attach(); !good) co_return;
    if (!on_message(type, message)) co_await finish_client_message(type, message);
    co_return;
  }
  const auto body = message.substr(protocol::kHeaderBytes);
  if (type == 'E') {
    const auto statement = portals_.find(protocol::read_execute(body)->portal)->statement;
    if (statement->local) co_await answer_locally(statement->text, false);
    else co_await on_restrained_execute(message);
    co_return;
  }
  if (const bool good = co_await our_turn(); !good) co_return;
  if (type == 'B') {
    const auto bind = protocol::read_bind(body);
    portals_[bind->portal] = {find_prepared(bind->statement), {}};
    protocol::append_empty(to_client_, '2');
    co_return;
  }
  const auto target = protocol::read_target(body);
  if (type == 'D') {
    if (target->kind == 'S') protocol::Message(to_client_, 't').int16(0);
    protocol::append_row_description(to_client_, {{"QUERY PLAN", 25}});
  } else {
    forget(*target, target_statement(*target));
    protocol::append_empty(to_client_, '3');
  }
  co_await drain_to_client();
}

/// Whether the server would run this statement on the relations that its names mean today, so that the cache, which goes by
/// the text, speaks of the same. The server keeps the relations of its last analysis. It analyses again when search_path
/// has changed, when one of them was altered, renamed, moved or dropped, and when any schema was; but it does not notice a
/// new relation of the same name in front of them. That can only be where DDL has passed since the Parse and another
/// relation has the name. Functions need no look: with the user's own overloads a name is not cached at all.
bool Session::bound_as_today(const Prepared& prepared) const {
  if (!prepared.unsent.empty() || worker_.hub.catalog_epoch.load() == prepared.parsed_epoch) return true;
  const sql::Catalog* catalog = worker_.snapshot().catalog(facts_.database);
  return catalog && std::ranges::all_of(prepared.plan->analysis->tables, [&](const sql::TableUse& use) {
    return !use.schema.empty() || catalog->named(use.name).size() == 1;
  });
}

std::shared_ptr<Prepared> Session::find_prepared(std::string_view name) {
  if (const auto* parsing = parsing_.find(name)) return *parsing;
  const auto* known = prepared_.find(name);
  return known ? *known : nullptr;
}

void Session::send_unsent(const std::shared_ptr<Prepared>& prepared) {
  ensure_prepared(prepared);
  if (prepared->unsent.empty()) return;
  if (!expect(Request::parse, {nullptr, nullptr, prepared}, true)) return;
  forward(prepared->unsent);
  prepared->unsent.clear();
  if (prepared->name.empty()) unnamed_stale_ = false;
  group_open_ = true;
}

void Session::forget_unnamed() {
  prepared_.erase("");
  if (const auto* parsing = parsing_.find("")) {
    (*parsing)->dropped = true;
    parsing_.erase("");
  }
}

void Session::drop_stale_unnamed(std::string_view name) {
  if (!name.empty() || !unnamed_stale_ || !expect(Request::close, {}, true)) return;
  protocol::append_close_statement(to_server_, "");
  unnamed_stale_ = false;
}

bool Session::lists_statements(const Plan& plan, std::string_view text) {
  const sql::Analysis& analysis = *plan.analysis;
  const auto lists = [](const auto& use) { return use.name.starts_with("pg_prepared_statement"); };
  const bool opaque = analysis.kind == sql::StatementKind::multiple || analysis.kind == sql::StatementKind::unparsed;
  return std::ranges::any_of(analysis.tables, lists) || std::ranges::any_of(analysis.functions, lists) ||
         (opaque && text.find("pg_prepared_statement") != text.npos);
}

/// A look at the list of prepared statements shows the client's own and no others, under the client's names: ours are closed in front of it, and
/// come again when needed.
void Session::hide_own_statements(const Plan& plan, std::string_view text, bool simple) {
  if (!server_ || !lists_statements(plan, text)) return;
  if (pooled()) prepare_own_names(simple);
  if (server_->statements.size() == 0) return;
  while (const auto own = server_->statements.evict(0)) {
    if (!expect(Request::close, {}, true)) return;
    protocol::append_close_statement(to_server_, own->server_name());
  }
  if (simple && expect(Request::sync, {nullptr, make_ref<Unit>(), nullptr}, true)) protocol::append_empty(to_server_, 'S');
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
  if (server_) server_->statements.doubt();
  if (pooled()) return;  // the residue will tell which are gone
  prepared_.clear();
  parsing_.for_each([](std::string_view, const auto& prepared) { prepared->dropped = true; });
  parsing_.clear();
}

}  // namespace pgsteer::proxy
