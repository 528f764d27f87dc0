#include "tests/cache/picture.hpp"

#include <sstream>

namespace pgsteer::test {
namespace {

sql::Relation relation(sql::Oid oid, std::string name, char kind = 'r') {
  sql::Relation made;
  made.oid = oid;
  made.schema = "public";
  made.name = std::move(name);
  made.kind = kind;
  return made;
}

sql::ForeignKey key(sql::Oid referenced, char on_delete, char on_update = 'a') {
  sql::ForeignKey made;
  made.referenced = referenced;
  made.on_delete = on_delete;
  made.on_update = on_update;
  return made;
}

void add_function(sql::Catalog& catalog, std::string name, char volatility, bool user = false) {
  sql::FunctionGroup group;
  group.schema = user ? "public" : "pg_catalog";
  group.name = std::move(name);
  group.worst_volatility = volatility;
  group.any_user_defined = user;
  catalog.add(group);
}

}  // namespace

sql::Catalog picture() {
  sql::Catalog catalog;
  catalog.database = "shop";
  catalog.version = 7;
  // accounts <- orders (cascade delete) <- lines (set null delete, cascade update); notes -> accounts without action
  auto a = relation(accounts, "accounts");
  a.referencing = {orders, notes};
  auto o = relation(orders, "orders");
  o.foreign_keys = {key(accounts, 'c')};
  o.referencing = {lines};
  auto l = relation(lines, "lines");
  l.foreign_keys = {key(orders, 'n', 'c')};
  auto n = relation(notes, "notes");
  n.foreign_keys = {key(accounts, 'a')};
  auto with_trigger = relation(logged, "logged");
  with_trigger.has_user_triggers = true;
  auto with_rule = relation(ruled, "ruled");
  with_rule.has_rules = true;
  auto partitioned = relation(events, "events", 'p');
  partitioned.has_children = true;
  auto part_1 = relation(events_1, "events_1"), part_2 = relation(events_2, "events_2");
  part_1.parent = part_2.parent = events;
  // INHERITS (base, other_base): the picture knows the first parent only
  auto b = relation(base, "base"), ob = relation(other_base, "other_base"), c = relation(child, "child");
  b.has_children = ob.has_children = true;
  c.parent = base;
  auto foreign = relation(remote, "remote", 'f');
  auto rls = relation(secret, "secret");
  rls.row_security = true;
  auto temporary = relation(scratch, "scratch");
  temporary.persistence = 't';
  auto unlogged = relation(fast, "fast");
  unlogged.persistence = 'u';
  auto self = relation(staff, "staff");  // references itself
  self.foreign_keys = {key(staff, 'c')};
  self.referencing = {staff};
  auto elsewhere = relation(other_accounts, "accounts");
  elsewhere.schema = "other";
  auto top = relation(parent_of_trigger, "top");
  top.referencing = {child_with_trigger};
  auto below = relation(child_with_trigger, "below");
  below.foreign_keys = {key(parent_of_trigger, 'c')};
  below.has_user_triggers = true;
  auto system = relation(1259, "pg_class");
  system.schema = "pg_catalog";
  for (auto& each : {a, o, l, n, with_trigger, with_rule, partitioned, part_1, part_2, b, ob, c, foreign, rls, temporary,
                     unlogged, self, elsewhere, top, below, system, relation(summary, "summary", 'v'),
                     relation(totals, "totals", 'm'), relation(counter, "counter", 'S'), relation(quiet, "quiet"),
                     relation(16450, "shape", 'c')})
    catalog.add(each);
  for (const char* name : {"sum", "lower", "generate_subscripts", "coalesce_like"}) add_function(catalog, name, 'i');
  for (const char* name : {"now", "to_char", "date_trunc", "current_setting", "json_populate_record", "generate_series",
                           "table_to_xml"})
    add_function(catalog, name, 's');
  add_function(catalog, "age", 's');
  for (const char* name : {"random", "nextval", "set_config", "query_to_xml", "pg_advisory_lock", "lo_put"})
    add_function(catalog, name, 'v');
  add_function(catalog, "pure", 'i', true);
  add_function(catalog, "looks", 's', true);
  add_function(catalog, "writes", 'v', true);
  add_function(catalog, "gen_random_uuid", 'v');
  add_function(catalog, "gen_random_uuid", 'v', true);  // an overload of the user's own
  return catalog;
}

sql::SessionFacts session() {
  sql::SessionFacts facts;
  facts.database = "shop";
  facts.user = "app";
  return facts;
}

sql::Analysis statement(sql::StatementKind kind, const std::string& words) {
  sql::Analysis made;
  made.kind = kind;
  made.statements = 1;
  std::istringstream in(words);
  for (std::string word; in >> word;) {
    const auto split = [](std::string text) {
      const auto dot = text.find('.');
      return dot == std::string::npos ? std::pair<std::string, std::string>{"", text}
                                      : std::pair{text.substr(0, dot), text.substr(dot + 1)};
    };
    if (const auto bracket = word.find('('); bracket != std::string::npos) {
      sql::FunctionUse use;
      use.in_from = word[0] == '@';
      use.arguments = std::atoi(word.c_str() + bracket + 1);
      std::tie(use.schema, use.name) = split(word.substr(use.in_from, bracket - use.in_from));
      made.flags.function_in_from |= use.in_from;
      made.functions.push_back(use);
    } else {
      sql::TableUse use;
      use.written = word[0] == '+';
      use.read = !use.written;
      std::tie(use.schema, use.name) = split(word.substr(use.written));
      made.tables.push_back(use);
    }
  }
  return made;
}

}  // namespace pgsteer::test
