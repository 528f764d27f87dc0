// FLUSH CACHE: everything, one database, or every answer that read a table.
#include <fmt/format.h>

#include "proxy/console/command.hpp"
#include "proxy/console/result.hpp"

namespace pgsteer::proxy::console {
namespace {

/// The table and its partitions and inheritance children: a statement may name any of them.
void add_with_children(const sql::Catalog& catalog, sql::Oid table, std::vector<sql::Oid>& into, int depth = 0) {
  into.push_back(table);
  if (depth > 32) return;
  for (const auto& [oid, relation] : catalog.relations())
    if (relation.parent == table) add_with_children(catalog, oid, into, depth + 1);
}

/// Tables of that name: "schema.table", or "table" in any schema.
std::vector<sql::Oid> find_tables(const sql::Catalog& catalog, const std::string& name) {
  std::vector<sql::Oid> found;
  for (const auto& [oid, relation] : catalog.relations())
    if (relation.name == name || relation.schema + "." + relation.name == name) add_with_children(catalog, oid, found);
  return found;
}

ConsoleResult flush_all(const Request& request) {
  request.hub.words.flush();
  request.hub.memory.clear();
  return done("FLUSH CACHE");
}

bool known_database(const Request& request, const std::string& name) {
  if (request.hub.snapshot()->catalogs.contains(name)) return true;
  for (const auto& client : request.hub.clients())
    if (client.database == name && !client.is_console) return true;
  return false;
}

/// A table of that name in whichever databases have one: forgetting too much is safe.
bool flush_table(const Request& request, const std::string& name) {
  bool found = false;
  for (const auto& [database, catalog] : request.hub.snapshot()->catalogs) {
    if (!catalog) continue;
    const auto tables = find_tables(*catalog, name);
    if (tables.empty()) continue;
    request.hub.words.bump(database, tables);
    found = true;
  }
  if (found) request.hub.memory.clear();  // else "bounded" would give on what is no longer current
  return found;
}

ConsoleResult not_found(const Request& request, const std::string& name) {
  std::vector<std::string> names;
  for (const auto& [database, catalog] : request.hub.snapshot()->catalogs) {
    names.push_back(database);
    if (!catalog) continue;
    for (const auto& [oid, relation] : catalog->relations())
      if (relation.schema != "pg_catalog" && relation.schema != "information_schema") names.push_back(relation.name);
  }
  const auto near = policies::nearest_name(name, names);
  return failure("42P01", fmt::format("there is no database or table '{}' in the cache's catalogs", name),
                 near.empty() ? "FLUSH CACHE without a name forgets everything." : fmt::format("Did you mean '{}'?", near));
}

}  // namespace

ConsoleResult flush_cache(const Request& request) {
  auto words = request.arguments;
  if (words.empty() || (words.size() == 1 && words[0].is("ALL"))) return flush_all(request);
  bool table_wanted = true, database_wanted = true;
  if (words.size() == 2 && words[0].is("TABLE")) database_wanted = false;
  else if (words.size() == 2 && words[0].is("DATABASE")) table_wanted = false;
  else if (words.size() != 1) return usage("FLUSH CACHE [[TABLE] table | [DATABASE] database]");
  const std::string& name = words.back().text;
  if (database_wanted && known_database(request, name)) {
    request.hub.words.flush(name);
    return done("FLUSH CACHE");
  }
  if (table_wanted && flush_table(request, name)) return done("FLUSH CACHE");
  return not_found(request, name);
}

}  // namespace pgsteer::proxy::console
