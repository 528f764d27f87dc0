// What psql and pgAdmin ask the system catalogs of whatever they are connected to: psql to complete a name after SHOW or SET,
// pgAdmin before it opens a query window. Each question is known by words only it has, and answered as this console's own.
// psql 15's are in its tab-complete.c, pgAdmin's in web/pgadmin/utils/driver/psycopg3/connection.py and in its SQL templates.
#include <algorithm>
#include <array>

#include "proxy/console/command.hpp"
#include "proxy/console/result.hpp"

namespace pgsteer::proxy::console {
namespace {

constexpr auto kNoOid = "1";  // of the only database; the console has no role or table space to number

/// psql's pattern is the beginning of a name and a percent sign.
std::string wanted_prefix(const Request& request) {
  for (std::size_t i = request.arguments.size(); i-- > 0;)
    if (const Word& word = request.arguments[i]; word.kind == Word::Kind::quoted && word.text.ends_with('%'))
      return lower(word.text.substr(0, word.text.size() - 1));
  return {};
}

ConsoleResult names_after(const Request& request, std::string_view verb) {
  Table table({{"lower", Type::text}});
  for (const Command& command : all_commands()) {
    if (!command.listed || !command.name.starts_with(verb)) continue;
    const std::string name = lower(command.name.substr(verb.size()));
    if (name.starts_with(wanted_prefix(request))) table.row(name);
  }
  return table;
}
ConsoleResult names_after_show(const Request& request) { return names_after(request, "SHOW "); }
ConsoleResult names_after_set(const Request& request) { return names_after(request, "SET "); }

std::string database_name(const Request& request) {
  const auto config = request.hub.snapshot()->config;
  return config ? config->console.database : "pgsteer";
}

ConsoleResult this_database(const Request& request) {
  Table table({{"did", Type::oid}, {"datname", Type::text}, {"datallowconn", Type::boolean}, {"serverencoding", Type::text},
               {"cancreate", Type::boolean}, {"datistemplate", Type::boolean}});
  table.row(kNoOid, database_name(request), true, "UTF8", false, false);
  return table;
}
ConsoleResult databases(const Request& request) {
  Table table({{"did", Type::oid}, {"name", Type::text}, {"spcname", Type::text}, {"datallowconn", Type::boolean},
               {"is_template", Type::boolean}, {"cancreate", Type::boolean}, {"owner", Type::oid}, {"description", Type::text}});
  table.row(kNoOid, database_name(request), "", true, false, false, kNoOid, "the console of pgsteer: SHOW HELP");
  return table;
}
ConsoleResult gssapi(const Request&) {
  Table table({{"gss_authenticated", Type::boolean}, {"encrypted", Type::boolean}});
  table.row(false, false);
  return table;
}
ConsoleResult this_role(const Request& request) {
  Table table({{"id", Type::oid}, {"name", Type::text}, {"is_superuser", Type::boolean}, {"can_create_role", Type::boolean},
               {"can_create_db", Type::boolean}, {"can_signal_backend", Type::boolean}});
  table.row(kNoOid, request.user.name, false, false, false, false);
  return table;
}
ConsoleResult recovery(const Request&) {
  Table table({{"inrecovery", Type::boolean}, {"isreplaypaused", Type::boolean}});
  table.row(false, false);
  return table;
}
ConsoleResult replication(const Request&) {
  Table table({{"type", Type::text}});
  table.row("");
  return table;
}
ConsoleResult type_names(const Request&) {
  Table table({{"oid", Type::oid}, {"typname", Type::text}});
  for (const auto& [type, name] : std::initializer_list<std::pair<Type, const char*>>{
           {Type::boolean, "boolean"}, {Type::int8, "bigint"}, {Type::int4, "integer"}, {Type::text, "text"}, {Type::oid, "oid"},
           {Type::float8, "double precision"}, {Type::timestamptz, "timestamp with time zone"}, {Type::numeric, "numeric"}})
    table.row(static_cast<std::int64_t>(type), name);
  return table;
}

struct Question {
  std::array<std::string_view, 2> words;  ///< all of them stand in it, as bare words
  Handler answer;
};
constexpr Question questions[] = {
    {{"PG_CATALOG.PG_SETTINGS", "CONTEXT"}, names_after_set},
    {{"PG_CATALOG.PG_SETTINGS", "LIKE"}, names_after_show},
    {{"PG_CATALOG.PG_DATABASE", "SERVERENCODING"}, this_database},
    {{"PG_CATALOG.PG_DATABASE", "IS_TEMPLATE"}, databases},
    {{"PG_CATALOG.PG_STAT_GSSAPI", "GSS_AUTHENTICATED"}, gssapi},
    {{"PG_CATALOG.PG_ROLES", "CAN_SIGNAL_BACKEND"}, this_role},
    {{"INRECOVERY", "ISREPLAYPAUSED"}, recovery},
    {{"PG_CATALOG.PG_EXTENSION", "PG_CATALOG.PG_REPLICATION_SLOTS"}, replication},
    {{"PG_CATALOG.PG_TYPE", "PG_CATALOG.FORMAT_TYPE"}, type_names},
};

}  // namespace

std::optional<ConsoleResult> answer_tool(const Request& request) {
  const auto has = [&](std::string_view wanted) {
    return std::any_of(request.arguments.begin(), request.arguments.end(), [&](const Word& word) { return word.is(wanted); });
  };
  for (const Question& question : questions)
    if (has(question.words[0]) && has(question.words[1])) {
      ConsoleResult result = question.answer(request);
      result.tag = "SELECT " + std::to_string(result.rows.size());
      return result;
    }
  return std::nullopt;
}

}  // namespace pgsteer::proxy::console
