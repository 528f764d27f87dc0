#include "proxy/learner/judge.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>

#include "cache/builtins.hpp"
#include "proxy/learner/judge_queries.hpp"

namespace pgsteer::proxy::learning {

namespace {

using cache::Judgement;
using cache::Reason;

// The functions behind operators between dates and timestamps, which nobody calls by name: they depend on TimeZone, which
// is in the cache key. What is called by name is cache::cacheable_stable_function's to say.
bool stable_operator_function(std::string_view name) {
  constexpr std::string_view kTypes[] = {"date", "timestamp", "timestamptz"};
  constexpr std::string_view kVerbs[] = {"_eq_", "_ne_", "_lt_", "_le_", "_gt_", "_ge_", "_cmp_"};
  for (const auto verb : kVerbs) {
    const auto at = name.find(verb);
    if (at == std::string_view::npos) continue;
    const auto known = [&](std::string_view type) { return std::find(std::begin(kTypes), std::end(kTypes), type) != std::end(kTypes); };
    return known(name.substr(0, at)) && known(name.substr(at + verb.size()));
  }
  return false;
}

void refuse(GateB& gate, Reason reason, std::string_view detail) {
  if (gate.judgement.state == Judgement::State::refused) return;  // the first reason is the one shown
  gate.judgement.state = Judgement::State::refused;
  gate.judgement.reason = reason;
  gate.judgement.detail = detail;
}

sql::Oid oid(std::string_view text) {
  sql::Oid value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

bool judge_relations(Connection& connection, GateB& gate) {
  const Rows rows = connection.run(queries::kReached);
  if (!rows.ok()) return false;
  for (int r = 0; r < rows.rows(); ++r) {
    const sql::Oid relation = oid(rows.text(r, 0));
    const char kind = rows.text(r, 1)[0], persistence = rows.text(r, 2)[0];
    const std::string_view name = rows.text(r, 4);
    gate.judgement.relations.push_back(relation);
    if (relation < 16384) refuse(gate, Reason::catalog_relation, name);
    if (kind == 'f') refuse(gate, Reason::foreign_table, name);
    if (kind == 'S') refuse(gate, Reason::sequence, name);
    if (persistence == 't') refuse(gate, Reason::temporary_table, name);
    if (persistence == 'u') refuse(gate, Reason::unlogged_table, name);  // empty after a crash that nobody tells us of
    if (rows.text(r, 3) == "t") refuse(gate, Reason::row_security, name);
    // A policy's or a foreign server's work depends on who asks: the probe's user is not the client's.
    if (kind == 'f' || kind == 'S' || persistence == 't' || rows.text(r, 3) == "t") gate.explorable = false;
  }
  return true;
}

bool judge_functions(Connection& connection, GateB& gate) {
  const Rows rows = connection.run(queries::kCalled);
  if (!rows.ok()) return false;
  for (int r = 0; r < rows.rows(); ++r) {
    const std::string_view name = rows.text(r, 1);
    const char volatility = rows.text(r, 2)[0];
    if (name.starts_with("pg_stat_get_")) gate.explorable = false;  // the look itself would show: in pg_stat_activity, say
    if (volatility == 'v') {
      refuse(gate, Reason::volatile_function, name);
      gate.explorable = false;
    } else if (rows.text(r, 3) == "t") {
      refuse(gate, Reason::user_function, name);  // what it says of itself may be false
      gate.explorable = false;
    } else if (volatility == 's' && !stable_operator_function(name) &&
               !cache::cacheable_stable_function(name, static_cast<int>(oid(rows.text(r, 4))))) {
      refuse(gate, Reason::stable_function, name);
    }
  }
  const Rows text = connection.run(queries::kThroughText);
  if (!text.ok()) return false;
  if (text.rows() > 0) refuse(gate, Reason::stable_function, text.text(0, 0));
  return true;
}

bool judge_nodes(Connection& connection, GateB& gate) {
  const Rows rows = connection.run(queries::kNodes);
  if (!rows.ok()) return false;
  for (int r = 0; r < rows.rows(); ++r) {
    const std::string_view node = rows.text(r, 0);
    if (node == "SQLVALUEFUNCTION") refuse(gate, Reason::sql_value_function, node);
    if (node == "TABLESAMPLECLAUSE") refuse(gate, Reason::tablesample, node);
    if (node == "ROWMARKCLAUSE" || node == "CURRENTOFEXPR") refuse(gate, Reason::locking_clause, node);
    if (node == "NEXTVALUEEXPR") refuse(gate, Reason::sequence, node);
    if (node == "COERCETODOMAIN") refuse(gate, Reason::user_function, "domain constraint");
    if (node == "TABLEFUNC") refuse(gate, Reason::function_in_from, node);
    if (node != "SQLVALUEFUNCTION" && node != "COERCETODOMAIN" && node != "TABLEFUNC") gate.explorable = false;
  }
  return true;
}

std::string type_names_query(const std::vector<std::uint32_t>& types) {
  std::string list;
  for (const auto type : types) list += fmt::format("{}{}", list.empty() ? "" : ",", type);
  return fmt::format("SELECT pg_catalog.format_type(t, NULL) FROM pg_catalog.unnest(ARRAY[{}]::pg_catalog.oid[]) "
                     "WITH ORDINALITY u(t, n) ORDER BY n", list);
}

void ask(Connection& connection, const std::string& text, const std::vector<std::uint32_t>& parameter_types,
         const std::string& search_path, GateB& gate) {
  std::vector<std::string> types;
  if (!parameter_types.empty()) {
    const Rows names = connection.run(type_names_query(parameter_types));
    if (!names.ok()) return;
    for (int r = 0; r < names.rows(); ++r) types.emplace_back(names.text(r, 0));
  }
  const auto body = replace_parameters(text, types);
  if (!body) return refuse(gate, Reason::syntax_unknown, "parameter without a type");
  if (!search_path.empty() && !connection.run("SET LOCAL search_path = " + search_path).ok()) return;
  // The line end closes a trailing -- comment.
  const Rows made = connection.run(fmt::format("CREATE TEMP VIEW pgsteer_gate AS SELECT 1 AS one FROM ({}\n) q", *body));
  if (!made.ok()) {
    if (connection.broken() || made.sqlstate().starts_with("57")) return;
    return refuse(gate, made.sqlstate() == "0A000" ? Reason::data_modifying_cte : Reason::syntax_unknown,
                  made.message());
  }
  if (!connection.run(queries::kTrees).ok()) return;
  gate.explorable = true;
  if (!judge_relations(connection, gate) || !judge_functions(connection, gate) || !judge_nodes(connection, gate)) {
    gate = GateB{};
    return;
  }
  if (gate.judgement.state == Judgement::State::refused) return;
  gate.judgement.state = Judgement::State::cacheable;
  gate.judgement.reason = Reason::none;
}

}  // namespace

GateB judge(Connection& connection, const std::string& text, const std::vector<std::uint32_t>& parameter_types,
            const std::string& search_path) {
  GateB gate;
  if (!connection.run("BEGIN; SET LOCAL lock_timeout = '500ms'; SET LOCAL statement_timeout = '5s'; "
                      "SET LOCAL client_min_messages = error").ok()) {
    connection.run("ROLLBACK");
    return gate;
  }
  ask(connection, text, parameter_types, search_path, gate);
  connection.run("ROLLBACK");
  return gate;
}

std::optional<std::string> replace_parameters(std::string_view text, const std::vector<std::string>& types) {
  while (!text.empty() && (text.back() == ';' || std::isspace(static_cast<unsigned char>(text.back())))) text.remove_suffix(1);
  if (types.empty()) return std::string(text);
  std::string out;
  const auto identifier = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '$' || (c & 0x80);
  };
  for (std::size_t i = 0; i < text.size();) {
    const auto copy_to = [&](std::size_t end) {
      end = std::min(end, text.size());
      out += text.substr(i, end - i);
      i = end;
    };
    const char c = text[i];
    if (c == '\'' || c == '"') {
      const bool escapes = c == '\'' && i > 0 && (text[i - 1] == 'E' || text[i - 1] == 'e') &&
                           (i == 1 || !identifier(text[i - 2]));
      std::size_t end = i + 1;
      while (end < text.size() && text[end] != c) end += escapes && text[end] == '\\' ? 2 : 1;
      copy_to(end + 1);
    } else if (text.substr(i, 2) == "--") {
      copy_to(text.find('\n', i));
    } else if (text.substr(i, 2) == "/*") {
      int depth = 1;
      std::size_t end = i + 2;
      while (end < text.size() && depth > 0) {
        const auto two = text.substr(end, 2);
        depth += two == "/*" ? 1 : two == "*/" ? -1 : 0;
        end += two == "/*" || two == "*/" ? 2 : 1;
      }
      copy_to(end);
    } else if (c == '$' && i + 1 < text.size() && std::isdigit(static_cast<unsigned char>(text[i + 1]))) {
      std::size_t number = 0;
      const auto [end, error] = std::from_chars(text.data() + i + 1, text.data() + text.size(), number);
      if (error != std::errc{} || number == 0 || number > types.size()) return std::nullopt;
      out.append("(NULL::").append(types[number - 1]).append(")");
      i = static_cast<std::size_t>(end - text.data());
    } else if (c == '$') {
      const auto close = text.find('$', i + 1);
      if (close == std::string_view::npos) return std::nullopt;
      const auto tag = text.substr(i, close - i + 1);
      const auto end = text.find(tag, close + 1);
      if (end == std::string_view::npos) return std::nullopt;
      copy_to(end + tag.size());
    } else if (identifier(c)) {
      std::size_t end = i + 1;
      while (end < text.size() && identifier(text[end])) ++end;
      copy_to(end);
    } else {
      copy_to(i + 1);
    }
  }
  return out;
}

}  // namespace pgsteer::proxy::learning
