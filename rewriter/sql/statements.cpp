#include "rewriter/sql/statements.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "rewriter/sql/identifiers.hpp"
#include "rewriter/sql/lexer.hpp"
#include "rewriter/sql/tree.hpp"

namespace pgsteer::sql {

using json::array;
using json::list;
using json::node_of;
using json::object;
using json::text;
using json::value;

namespace {

StatementKind transaction_kind(std::string_view kind) {
  if (kind == "TRANS_STMT_BEGIN" || kind == "TRANS_STMT_START") return StatementKind::begin;
  if (kind == "TRANS_STMT_COMMIT") return StatementKind::commit;
  if (kind == "TRANS_STMT_ROLLBACK") return StatementKind::rollback;
  if (kind == "TRANS_STMT_PREPARE") return StatementKind::prepare_transaction;
  if (kind == "TRANS_STMT_COMMIT_PREPARED") return StatementKind::commit_prepared;
  if (kind == "TRANS_STMT_ROLLBACK_PREPARED") return StatementKind::rollback_prepared;
  return StatementKind::savepoint;
}

std::string lower(std::string_view name) {
  std::string out(name);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  return out;
}

/// Settings whose elements the server quotes as identifiers (GUC_LIST_QUOTE).
bool is_quoted_list(std::string_view name) {
  return name == "search_path" || name == "temp_tablespaces" || name == "session_preload_libraries" ||
         name == "local_preload_libraries" || name == "shared_preload_libraries";
}

std::string constant_text(const object& constant) {
  if (const object* v = json::fields(constant, "sval")) return std::string(text(*v, "sval"));
  if (const object* v = json::fields(constant, "fval")) return std::string(text(*v, "fval"));
  if (const object* v = json::fields(constant, "ival")) return std::to_string(json::number(*v, "ival"));
  if (const object* v = json::fields(constant, "boolval")) return json::flag(*v, "boolval") ? "true" : "false";
  return {};
}

/// As the server flattens the list of values of a SET (guc.c, flatten_set_variable_args).
std::string setting_value(std::string_view name, const array& values) {
  std::string out;
  for (const value& v : values) {
    if (!out.empty()) out += ", ";
    const json::Node node = node_of(v);
    if (node.type == "A_Const") {
      const std::string item = constant_text(*node.fields);
      out += is_quoted_list(name) && node.fields->contains("sval") ? quoted_identifier(item) : item;
    } else {
      out += print_expression(v);  // SET TIME ZONE INTERVAL ...
    }
  }
  return out;
}

void add_transaction_modes(const array& options, bool session, Analysis& analysis) {
  for (const value& option : options) {
    const json::Node node = node_of(option);
    if (node.type != "DefElem") continue;
    const value* argument = json::get(*node.fields, "arg");
    const json::Node constant = argument != nullptr ? node_of(*argument) : json::Node{};
    std::string name(text(*node.fields, "defname")), mode;
    if (constant.type == "A_Const") mode = constant_text(*constant.fields);
    if (name == "transaction_isolation" && (mode == "repeatable read" || mode == "serializable"))
      analysis.flags.transaction_read_only_or_isolation = true;
    if (name != "transaction_isolation") mode = mode == "1" || mode == "true" ? "on" : "off";
    analysis.settings.push_back({session ? "default_" + name : std::move(name), std::move(mode), !session});
  }
}

void read_set(const object& s, Analysis& analysis) {
  const std::string_view kind = text(s, "kind");
  const std::string name = lower(text(s, "name"));
  const array& values = list(s, "args");
  const bool local = json::flag(s, "is_local");
  if (kind == "VAR_SET_MULTI" && name == "transaction snapshot") {
    const json::Node node = values.empty() ? json::Node{} : node_of(values[0]);
    analysis.settings.push_back({"transaction_snapshot", node ? constant_text(*node.fields) : std::string(), true});
  } else if (kind == "VAR_SET_MULTI") {
    add_transaction_modes(values, name == "session characteristics", analysis);
  } else if (kind == "VAR_RESET_ALL") {
    analysis.settings.push_back({"all", std::nullopt, false});
  } else if (kind == "VAR_SET_VALUE") {
    analysis.settings.push_back({name, setting_value(name, values), local});
    if ((name == "transaction_isolation" || name == "default_transaction_isolation") &&
        analysis.settings.back().value != "read committed" && analysis.settings.back().value != "read uncommitted")
      analysis.flags.transaction_read_only_or_isolation = true;
  } else {
    analysis.settings.push_back({name, std::nullopt, local});
  }
}

bool is_false_option(const object& option) {
  const value* argument = json::get(option, "arg");
  if (argument == nullptr) return false;
  const json::Node node = node_of(*argument);
  std::string setting;
  if (node.type == "A_Const") setting = lower(constant_text(*node.fields));
  if (node.type == "String") setting = lower(text(*node.fields, "sval"));
  if (node.type == "Integer") setting = std::to_string(json::number(*node.fields, "ival"));
  return setting == "false" || setting == "off" || setting == "0";
}

/// EXPLAIN's own words end where the explained statement begins: after the bracket of options, or after ANALYZE and
/// VERBOSE. `EXPLAIN (SELECT 1)` has no options: then the bracket is the statement's.
std::string explained_text(std::string_view text, bool has_options) {
  Lexer lexer(text);
  const auto next = [&] {
    Token token = lexer.next();
    while (token.kind == TokenKind::comment) token = lexer.next();
    return token;
  };
  Token token = next();
  while (token.kind == TokenKind::punctuation && lexer.text(token) == ";") token = next();
  std::size_t begin = token.end;  // of the word EXPLAIN
  token = next();
  if (has_options && lexer.text(token) == "(") {
    int depth = 1;
    while (depth > 0 && token.kind != TokenKind::end) {
      token = next();
      if (lexer.text(token) == "(") ++depth;
      if (lexer.text(token) == ")") --depth;
    }
    begin = token.end;
  } else {
    for (; token.kind == TokenKind::word; token = next()) {
      const std::string_view word = lexer.text(token);
      if (!equals_folded(word, "analyze") && !equals_folded(word, "analyse") && !equals_folded(word, "verbose")) break;
      begin = token.end;
    }
  }
  std::string_view rest = text.substr(std::min(begin, text.size()));
  constexpr std::string_view blanks = " \t\n\r\f";
  rest.remove_prefix(std::min(rest.find_first_not_of(blanks), rest.size()));
  while (!rest.empty() && (rest.back() == ';' || blanks.find(rest.back()) != std::string_view::npos))
    rest.remove_suffix(1);
  return std::string(rest);
}

void read_explain(const object& s, std::string_view whole, Analysis& analysis) {
  const array& options = list(s, "options");
  for (const value& option : options) {
    const json::Node node = node_of(option);
    if (!node) continue;
    const std::string name = lower(text(*node.fields, "defname"));
    if (name == "pgsteer") analysis.flags.explain_pgsteer = !is_false_option(*node.fields);
    if (name == "analyze" || name == "analyse") analysis.flags.explain_analyze = !is_false_option(*node.fields);
  }
  analysis.explained = explained_text(whole, !options.empty());
}

std::string option_text(const object& s, std::string_view name) {
  for (const value& option : list(s, "options")) {
    const json::Node node = node_of(option);
    if (!node || text(*node.fields, "defname") != name) continue;
    const value* argument = json::get(*node.fields, "arg");
    const json::Node string = argument != nullptr ? node_of(*argument) : json::Node{};
    return string.type == "String" ? std::string(text(*string.fields, "sval")) : std::string();
  }
  return {};
}

void read_database(const json::Node& statement, Analysis& analysis) {
  const object& s = *statement.fields;
  std::string name;
  if (statement.type == "DropdbStmt") name = text(s, "dbname");
  if (statement.type == "RenameStmt" && text(s, "renameType") == "OBJECT_DATABASE") name = text(s, "subname");
  if (statement.type == "AlterDatabaseStmt" && !option_text(s, "tablespace").empty()) name = text(s, "dbname");
  if (statement.type == "CreatedbStmt") name = option_text(s, "template");
  if (!name.empty()) analysis.databases_alone.push_back(std::move(name));
}

void read_roles(const json::Node& statement, Analysis& analysis) {
  const object& s = *statement.fields;
  if (statement.type == "DropRoleStmt") {
    for (const value& role : list(s, "roles"))
      if (const json::Node spec = node_of(role)) analysis.roles_replaced.emplace_back(text(*spec.fields, "rolename"));
  }
  if (statement.type != "RenameStmt" || text(s, "renameType") != "OBJECT_ROLE") return;
  for (const char* which : {"subname", "newname"}) analysis.roles_replaced.emplace_back(text(s, which));
}

}  // namespace

StatementKind kind_of(const json::Node& statement) {
  using enum StatementKind;
  static constexpr std::array<std::pair<std::string_view, StatementKind>, 28> kinds = {{
      {"SelectStmt", select},          {"InsertStmt", insert},        {"UpdateStmt", update},
      {"DeleteStmt", delete_},         {"MergeStmt", merge},          {"VariableSetStmt", set},
      {"ConstraintsSetStmt", set},     {"VariableShowStmt", show},    {"ExplainStmt", explain},
      {"PrepareStmt", prepare},        {"ExecuteStmt", execute},      {"DeallocateStmt", deallocate},
      {"DiscardStmt", discard},        {"DeclareCursorStmt", declare_cursor}, {"FetchStmt", fetch},
      {"ClosePortalStmt", close_cursor}, {"ListenStmt", listen},      {"UnlistenStmt", listen},
      {"NotifyStmt", listen},          {"LockStmt", lock},            {"CallStmt", call},
      {"DoStmt", do_block},            {"TruncateStmt", truncate},    {"VacuumStmt", vacuum},
      {"CheckPointStmt", vacuum},      {"ClusterStmt", vacuum},       {"ReindexStmt", vacuum},
      {"RefreshMatViewStmt", refresh_view},
  }};
  if (statement.type == "TransactionStmt") return transaction_kind(text(*statement.fields, "kind"));
  if (statement.type == "CopyStmt") return json::flag(*statement.fields, "is_from") ? copy_from : copy_to;
  const auto found = std::ranges::find(kinds, statement.type, &std::pair<std::string_view, StatementKind>::first);
  return found == kinds.end() ? ddl : found->second;
}

void read_utility(const json::Node& statement, std::string_view whole, Analysis& analysis) {
  const object& s = *statement.fields;
  const std::string_view type = statement.type;
  if (type == "VariableSetStmt") return read_set(s, analysis);
  if (type == "ExplainStmt") return read_explain(s, whole, analysis);
  if (kind_of(statement) == StatementKind::ddl) {
    read_roles(statement, analysis);
    return read_database(statement, analysis);
  }
  if (type == "VariableShowStmt" || type == "PrepareStmt" || type == "ExecuteStmt" || type == "DeallocateStmt")
    analysis.name = text(s, "name");
  if (type == "DeclareCursorStmt" || type == "FetchStmt" || type == "ClosePortalStmt")
    analysis.name = text(s, "portalname");
  if (type == "ListenStmt" || type == "UnlistenStmt" || type == "NotifyStmt") analysis.name = text(s, "conditionname");
  if (type == "TransactionStmt") {
    add_transaction_modes(list(s, "options"), false, analysis);
    analysis.name = text(s, s.contains("gid") ? "gid" : "savepoint_name");
  }
  if (type == "DiscardStmt" && text(s, "target") == "DISCARD_ALL")
    analysis.settings.push_back({"all", std::nullopt, false});
}

}  // namespace pgsteer::sql
