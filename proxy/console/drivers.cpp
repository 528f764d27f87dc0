// What drivers, pools and tools send before the first real command: answered so that any client can log in to the console and
// any pool can check its connection. Nothing here changes anything.
#include <fmt/format.h>

#include <map>

#include "proxy/console/command.hpp"
#include "proxy/console/result.hpp"

namespace pgsteer::proxy::console {
namespace {

std::string version_text() { return "PostgreSQL 15.0 (pgsteer " PGSTEER_VERSION " console)"; }

const std::map<std::string, std::string>& settings() {
  static const std::map<std::string, std::string> values = {
      {"TRANSACTION_ISOLATION", "read committed"}, {"DEFAULT_TRANSACTION_ISOLATION", "read committed"},
      {"TRANSACTION_READ_ONLY", "off"}, {"DEFAULT_TRANSACTION_READ_ONLY", "off"}, {"STANDARD_CONFORMING_STRINGS", "on"},
      {"CLIENT_ENCODING", "UTF8"}, {"SERVER_ENCODING", "UTF8"}, {"SERVER_VERSION", "15.0"}, {"SERVER_VERSION_NUM", "150000"},
      {"DATESTYLE", "ISO, MDY"}, {"INTERVALSTYLE", "postgres"}, {"TIMEZONE", "UTC"}, {"INTEGER_DATETIMES", "on"},
      {"SEARCH_PATH", "\"$user\", public"}, {"EXTRA_FLOAT_DIGITS", "1"}, {"BYTEA_OUTPUT", "hex"}, {"IS_SUPERUSER", "off"},
      {"STATEMENT_TIMEOUT", "0"}, {"LOCK_TIMEOUT", "0"}, {"MAX_IDENTIFIER_LENGTH", "63"}, {"APPLICATION_NAME", ""},
      {"LC_COLLATE", "C"}, {"LC_CTYPE", "C"}};
  return values;
}

bool is_number(const std::string& text) { return !text.empty() && text.find_first_not_of("0123456789") == std::string::npos; }

bool strip_alias(std::vector<Word>& words, std::string& name) {
  if (words.size() >= 3 && words[words.size() - 2].is("AS")) {
    name = words.back().text;
    words.resize(words.size() - 2);
    return true;
  }
  return false;
}

}  // namespace

ConsoleResult set_ignored(const Request& request) { return done(std::string(request.name)); }

ConsoleResult transaction_word(const Request& request) {
  if (!request.arguments.empty() && request.arguments[0].is("MODEL")) return usage("ROLLBACK MODEL [name]");
  if (request.name == "END") return done("COMMIT");
  return done(request.name == "ABORT" ? "ROLLBACK" : std::string(request.name));
}

/// SHOW of a server setting a driver asks for; everything else is a mistyped command.
ConsoleResult show_setting(const Request& request) {
  std::string name;
  for (const Word& word : request.arguments) {
    if (!name.empty()) name += '_';
    name += upper(word.text);
  }
  if (name == "TRANSACTION_ISOLATION_LEVEL") name = "TRANSACTION_ISOLATION";
  if (name == "TIME_ZONE") name = "TIMEZONE";
  if (const auto found = settings().find(name); found != settings().end()) {
    ConsoleResult result;
    result.columns.push_back({lower(found->first), 25});
    result.rows.push_back({found->second});
    return result;
  }
  auto words = request.arguments;
  words.insert(words.begin(), Word{"SHOW", Word::Kind::bare});
  return unknown_command(words);
}

/// SELECT 1, SELECT version(), SELECT current_database() ... : one constant, one row.
ConsoleResult select_constant(const Request& request) {
  if (auto answer = answer_tool(request)) return *std::move(answer);
  auto words = request.arguments;
  std::string alias;
  const bool renamed = strip_alias(words, alias);
  if (words.size() >= 3 && words[words.size() - 2].text == "(" && words.back().text == ")") words.resize(words.size() - 2);
  ConsoleResult result;
  result.tag = "SELECT 1";
  const auto answer = [&](const char* name, Type type, std::string value) {
    result.columns.push_back({renamed ? alias : name, static_cast<std::uint32_t>(type)});
    result.rows.push_back({std::move(value)});
    return result;
  };
  if (words.size() == 1) {
    const Word& word = words[0];
    const auto config = request.hub.snapshot()->config;
    if (is_number(word.text) && word.kind == Word::Kind::bare && word.text.size() < 10) return answer("?column?", Type::int4, word.text);
    if (word.kind == Word::Kind::quoted) return answer("?column?", Type::text, word.text);
    if (word.is("VERSION") || word.is("PG_CATALOG.VERSION")) return answer("version", Type::text, version_text());
    if (word.is("CURRENT_DATABASE")) return answer("current_database", Type::text, config ? config->console.database : "pgsteer");
    if (word.is("CURRENT_USER") || word.is("SESSION_USER")) return answer(lower(word.text).c_str(), Type::text, request.user.name);
    if (word.is("CURRENT_SCHEMA")) return answer("current_schema", Type::text, "public");
  }
  return failure("0A000", fmt::format("the console has no SQL: SELECT {}", join_words(request.arguments)),
                 "SHOW HELP lists all commands.");
}

}  // namespace pgsteer::proxy::console
