// Prepared statements of pooled sessions: the client's names are its own, servers know statements by exact text and types, and are
// taught what they do not know on the way. Every answer comes from a server, in its place: nothing is made up here.
#include <algorithm>
#include <cctype>
#include <map>

#include "proxy/session/session.hpp"

namespace pgsteer::proxy {

using protocol::Request;

namespace {

/// No statement has this name: closing it is how the server says CloseComplete in the right place and nothing else.
constexpr std::string_view kNobody = "pgsteer_none";

std::string_view body_of(std::string_view message) { return message.substr(protocol::kHeaderBytes); }

/// Whether a text may have to do with prepared statements by their names.
bool names_statements(std::string_view text) {
  const auto same = [](char a, char b) { return std::tolower(static_cast<unsigned char>(a)) == b; };
  for (const std::string_view word : {"deallocate", "discard", "execute", "pg_prepared_statements"}) {
    if (std::search(text.begin(), text.end(), word.begin(), word.end(), same) != text.end()) return true;
  }
  return false;
}

/// Whether a text sets a name with a dot, or by set_config one that it does not show.
bool sets_custom(std::string_view text) {
  std::string folded(text);
  std::transform(folded.begin(), folded.end(), folded.begin(), [](unsigned char c) { return std::tolower(c); });
  for (auto at = folded.find("set_config"); at != folded.npos; at = folded.find("set_config", at)) {
    at = std::min(folded.find_first_not_of(" \t\r\n(", at + 10), folded.size());
    const auto end = folded.find('\'', at + 1);
    if (at >= folded.size() || folded[at] != '\'' || end == folded.npos) return true;  // whatever a parameter says
    if (folded.substr(at, end - at).find('.') != folded.npos) return true;
  }
  const auto in_word = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '"'; };
  const auto next_word = [&](std::size_t& at) {
    while (at < folded.size() && std::isspace(static_cast<unsigned char>(folded[at]))) ++at;
    const auto begin = at;
    while (at < folded.size() && in_word(folded[at])) ++at;
    return std::string_view(folded).substr(begin, at - begin);
  };
  for (auto at = folded.find("set"); at != folded.npos; at = folded.find("set", at)) {
    const bool begins = at == 0 || !in_word(folded[at - 1]);
    at += 3;
    if (!begins || (at < folded.size() && in_word(folded[at]))) continue;
    auto look = at;
    if (next_word(look) == "session") next_word(look);
    if (look < folded.size() && folded[look] == '.') return true;
  }
  return false;
}

}  // namespace

void Session::ensure_prepared(const std::shared_ptr<Prepared>& prepared) {
  if (!pooled() || prepared->local || !server_) return;
  if (prepared->name.empty()) {
    if (server_->unnamed == prepared || prepared->unkept) return;
    if (!expect(Request::parse, {}, true)) return;
    protocol::append_parse(to_server_, "", prepared->text, prepared->parameter_types);
    server_->unnamed = prepared;
    unnamed_stale_ = false;
    group_open_ = true;
    return;
  }
  // One parsed before the DDL that this client has seen would answer with the columns of old.
  if (prepared->unkept || server_->statements.has(*prepared->statement, prepared->parsed_epoch)) return;
  if (!expect(Request::close, {}, true)) return;
  protocol::append_close_statement(to_server_, prepared->statement->server_name());  // whatever SQL has left of it
  expect(Request::parse, {nullptr, nullptr, nullptr, prepared->statement}, true);
  protocol::append_parse(to_server_, prepared->statement->server_name(), prepared->text, prepared->parameter_types);
  statement_sent(prepared->statement);
  group_open_ = true;
}

/// The server has one more, and drops those not used for longest.
void Session::statement_sent(const StatementPtr& statement) {
  server_->statements.sent(statement, worker_.hub.catalog_epoch.load());
  const auto most = static_cast<std::size_t>(worker_.snapshot().config->pool.max_prepared_statements);
  while (const auto old = server_->statements.evict(most)) {
    if (!expect(Request::close, {}, true)) return;
    protocol::append_close_statement(to_server_, old->server_name());
  }
}

/// A Parse of the client's, whose expectation follows. It is really parsed, even where the server has the text already: the tables may
/// have changed, and the client relies on what it is told now.
void Session::forward_parse(const std::shared_ptr<Prepared>& prepared, std::string_view message) {
  if (!pooled() || prepared->name.empty()) {
    if (expect(Request::parse, {nullptr, nullptr, prepared})) {
      parsing_[prepared->name] = prepared;
      if (prepared->name.empty()) prepared_.erase("");  // gone whether or not this one is parsed
      if (pooled()) server_->unnamed = prepared;
    }
    return forward(message);
  }
  if (prepared->unkept) {
    if (expect(Request::parse, {nullptr, nullptr, prepared})) parsing_[prepared->name] = prepared;
    return forward(message);
  }
  if (const auto old = find_prepared(prepared->name)) {
    // The name is taken: the server says so itself, once it has such a name.
    prepare_own_name(prepared->name, false);
    auto taken = std::make_shared<Prepared>(*prepared);
    taken->unkept = unkept_ = true;  // should it be taken after all, it is there under its own name
    expect(Request::parse, {nullptr, nullptr, std::move(taken)});
    return forward(message);
  }
  const auto* encoding = view_.find("client_encoding");
  prepared->number = ++statements_;
  prepared->statement = intern_statement(prepared->text, prepared->parameter_types, encoding ? *encoding : std::string());
  if (expect(Request::close, {}, true)) {
    protocol::append_close_statement(to_server_, prepared->statement->server_name());
    server_->statements.closed(*prepared->statement);
  }
  if (expect(Request::parse, {nullptr, nullptr, prepared, prepared->statement})) {
    parsing_[prepared->name] = prepared;
    protocol::append_parse(to_server_, prepared->statement->server_name(), prepared->text, prepared->parameter_types);
    statement_sent(prepared->statement);
    return;
  }
  protocol::append_parse(to_server_, prepared->statement->server_name(), prepared->text, prepared->parameter_types);
}

void Session::forward_bind(const std::shared_ptr<Prepared>& prepared, std::string_view message) {
  if (!pooled() || !prepared || prepared->name.empty() || prepared->unkept || !prepared->statement) return forward(message);
  const auto bind = protocol::read_bind(body_of(message));
  protocol::Message(to_server_, 'B')
      .cstring(bind->portal)
      .cstring(prepared->statement->server_name())
      .bytes(bind->parameters)
      .bytes(bind->result_formats);
}

/// Describe and Close of a statement under the server's name for it.
void Session::forward_target(const std::shared_ptr<Prepared>& prepared, char type, std::string_view message) {
  if (!pooled() || !prepared || prepared->name.empty() || prepared->unkept || !prepared->statement) return forward(message);
  std::string_view name = kNobody;
  if (type == 'C' && !tracker_.skipping() && server_->own_names.erase(prepared->name) > 0) name = prepared->name;
  protocol::Message(to_server_, type).int8('S').cstring(type == 'C' ? std::string(name) : prepared->statement->server_name());
}

/// A group that was kept back, but for its Parse, message by message as if it came now.
void Session::forward_held(const Held& held) {
  for (std::string_view rest = held.raw; !rest.empty();) {
    const auto header = protocol::peek_header(rest);
    const auto message = rest.substr(0, header->total());
    if (header->type == 'B') forward_bind(held.statement, message);
    else if (header->type != 'P') forward(message);
    rest.remove_prefix(message.size());
  }
}

/// SQL that names a statement which the protocol prepared: it gets that name on this server for the moment.
void Session::on_statement_names(const Plan& plan, std::string_view text, bool simple) {
  if (!pooled() || !server_) return;
  using sql::StatementKind;
  const auto kind = plan.analysis->kind;
  if (kind == StatementKind::select && plan.analysis->functions.empty()) return;
  const bool opaque = kind == StatementKind::multiple || kind == StatementKind::unparsed || kind == StatementKind::do_block;
  const bool sets = std::any_of(plan.analysis->functions.begin(), plan.analysis->functions.end(),
                                [](const auto& use) { return use.name == "set_config"; });
  if ((opaque || sets) && sets_custom(text)) custom_settings_ = true;
  if (kind == StatementKind::execute || kind == StatementKind::deallocate || kind == StatementKind::prepare) {
    return prepare_own_name(plan.analysis->name, simple);
  }
  if ((!opaque && kind != StatementKind::explain) || !names_statements(text)) return;
  std::vector<std::string> names;
  prepared_.for_each([&](std::string_view name, const auto&) { names.emplace_back(name); });
  for (const auto& name : names) prepare_own_name(name, simple);
  names_probed_ = opaque && !names.empty();
}

/// For a list of them, in the order in which the client has. What has lost a table is left out: it would fail, and the client's transaction with it.
void Session::prepare_own_names(bool simple) {
  using sql::StatementKind;
  const sql::Catalog* catalog = worker_.snapshot().catalog(facts_.database);
  const auto there = [&](const Prepared& prepared) {
    const auto& analysis = *prepared.plan->analysis;
    const bool reads_catalog = analysis.kind == StatementKind::select || analysis.kind == StatementKind::insert || analysis.kind == StatementKind::update ||
                               analysis.kind == StatementKind::delete_ || analysis.kind == StatementKind::merge;
    return !reads_catalog || prepared.parsed_epoch == worker_.hub.catalog_epoch.load() || std::ranges::all_of(analysis.tables, [&](const sql::TableUse& use) {
      return use.name.starts_with("pg_") || (catalog && !catalog_moving() && !catalog->named(use.name).empty());
    });
  };
  std::map<std::uint64_t, std::string> names;
  const auto see = [&](std::string_view name, const std::shared_ptr<Prepared>& prepared) {
    if (prepared->plan && there(*prepared)) names[prepared->number] = name;
  };
  prepared_.for_each(see);
  parsing_.for_each(see);
  for (const auto& [number, name] : names) prepare_own_name(name, simple);
}

void Session::prepare_own_name(std::string_view name, bool simple) {
  const auto prepared = name.empty() ? nullptr : find_prepared(name);
  if (!prepared || prepared->unkept || prepared->local || server_->own_names.contains(std::string(name))) return;
  residue_unknown_ = true;
  if (!expect(Request::close, {}, true)) return;
  protocol::append_close_statement(to_server_, name);  // one that an error has kept from being closed
  expect(Request::parse, {}, true);
  server_->own_names.insert(std::string(name));
  protocol::append_parse(to_server_, name, prepared->text, prepared->parameter_types);
  if (simple && expect(Request::sync, {nullptr, make_ref<Unit>(), nullptr}, true)) protocol::append_empty(to_server_, 'S');
}

}  // namespace pgsteer::proxy
