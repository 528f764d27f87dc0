#include "proxy/pool/residue.hpp"

#include <algorithm>
#include <cctype>

#include "proxy/quote.hpp"

namespace pgsteer::proxy {
namespace {

/// A PREPARE statement alone: pg_prepared_statements shows the whole string it came in.
bool replayable(std::string_view text) {
  const auto begin = text.find_first_not_of(" \t\r\n");
  if (begin == text.npos) return false;
  std::string word(text.substr(begin, 7));
  std::transform(word.begin(), word.end(), word.begin(), [](unsigned char c) { return std::tolower(c); });
  auto end = text.find_last_not_of(" \t\r\n;");
  return word == "prepare" && text.substr(0, end + 1).find(';') == text.npos;
}

}  // namespace

std::string residue_query(std::string_view user) {
  return "SELECT 's'::pg_catalog.text, name, setting FROM pg_catalog.pg_settings WHERE source OPERATOR(pg_catalog.=) 'session'"
         " UNION ALL SELECT 'q', name, CASE WHEN from_sql THEN statement END FROM pg_catalog.pg_prepared_statements"
         " WHERE from_sql OR name OPERATOR(pg_catalog.!~) '^pgsteer_s[0-9]+$'"
         " UNION ALL SELECT 'p', 'temporary objects', NULL WHERE EXISTS (SELECT FROM pg_catalog.pg_class WHERE relnamespace"
         " OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema() UNION ALL SELECT FROM pg_catalog.pg_proc WHERE pronamespace"
         " OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema())"
         " UNION ALL SELECT 'p', 'LISTEN', NULL WHERE EXISTS (SELECT FROM pg_catalog.pg_listening_channels())"
         " UNION ALL SELECT 'p', 'advisory lock', NULL WHERE EXISTS (SELECT FROM pg_catalog.pg_locks WHERE locktype"
         " OPERATOR(pg_catalog.=) 'advisory' AND pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid())"
         " UNION ALL SELECT 'p', 'cursor WITH HOLD', NULL WHERE EXISTS (SELECT FROM pg_catalog.pg_cursors WHERE is_holdable)"
         " UNION ALL SELECT 'p', 'SET ROLE', NULL WHERE pg_catalog.current_setting('role') OPERATOR(pg_catalog.<>) 'none'"
         " UNION ALL SELECT 'p', 'SET SESSION AUTHORIZATION', NULL WHERE SESSION_USER OPERATOR(pg_catalog.<>) " +
         quote_literal(user);
}

void ResidueReader::row(const std::vector<std::optional<std::string_view>>& values) {
  if (values.size() != 3 || !values[0] || !values[1]) {
    residue_.pinned = "unreadable state";
    return;
  }
  const std::string name(*values[1]);
  const auto pin = [&](std::string_view why) { residue_.pinned += (residue_.pinned.empty() ? "" : ", ") + std::string(why); };
  if (*values[0] == "s") {
    residue_.state.settings[name] = values[2].value_or("");
  } else if (*values[0] == "p") {
    pin(name);
  } else if (!values[2]) {
    residue_.leftovers.push_back(name);
  } else if (replayable(*values[2])) {
    residue_.state.prepared[name] = *values[2];
  } else {
    pin("PREPARE among other statements");
  }
}

std::vector<std::string> difference(const SessionState& from, const SessionState& to) {
  std::string before, calls, statements;
  const auto set = [&](const std::string& name, const std::string& value) {
    const std::string call = "pg_catalog.set_config(" + quote_literal(name) + ", " + value + ", false)";
    // The texts that follow are read in it.
    if (name == "client_encoding") before = "SELECT " + call;
    else calls += (calls.empty() ? "SELECT " : ", ") + call;
  };
  for (const auto& [name, value] : from.settings) {
    if (!to.settings.contains(name)) set(name, "NULL");  // what RESET does
  }
  for (const auto& [name, value] : to.settings) {
    const auto found = from.settings.find(name);
    if (found == from.settings.end() || found->second != value) set(name, quote_literal(value));
  }
  for (const auto& [name, text] : from.prepared) {
    const auto found = to.prepared.find(name);
    if (found == to.prepared.end() || found->second != text) statements += "; DEALLOCATE " + quote_identifier(name);
  }
  for (const auto& [name, text] : to.prepared) {
    const auto found = from.prepared.find(name);
    if (found == from.prepared.end() || found->second != text) {
      statements += "; " + text.substr(0, text.find_last_not_of(" \t\r\n;") + 1);
    }
  }
  std::vector<std::string> texts;
  if (!before.empty()) texts.push_back(before);
  std::string rest = calls + statements;
  if (rest.starts_with("; ")) rest.erase(0, 2);
  if (!rest.empty()) texts.push_back(std::move(rest));
  return texts;
}

}  // namespace pgsteer::proxy
