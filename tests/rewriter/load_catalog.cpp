#include <pqxx/pqxx>
#include <sstream>

#include "tests/rewriter/schema.hpp"

namespace pgsteer::test {
namespace {

std::vector<std::int16_t> numbers(const std::string& text) {
  std::vector<std::int16_t> list;
  std::istringstream in(text);
  for (int value; in >> value;) list.push_back(static_cast<std::int16_t>(value));
  return list;
}

void load_columns(pqxx::work& tx, std::map<sql::Oid, sql::Relation>& relations) {
  for (const auto& row : tx.exec("SELECT attrelid, attname, attnum, atttypid, atttypmod, attcollation, attnotnull, coalesce(stadistinct, 0) "
                                 "FROM pg_attribute LEFT JOIN pg_statistic ON starelid = attrelid AND staattnum = attnum AND NOT stainherit "
                                 "WHERE attnum > 0 AND NOT attisdropped ORDER BY attrelid, attnum")) {
    const auto found = relations.find(row[0].as<sql::Oid>());
    if (found == relations.end()) continue;
    sql::Column column;
    column.name = row[1].c_str();
    column.number = static_cast<std::int16_t>(row[2].as<int>());
    column.type = row[3].as<sql::Oid>();
    column.type_modifier = row[4].as<int>();
    column.collation = row[5].as<sql::Oid>();
    column.not_null = row[6].as<bool>();
    column.n_distinct = row[7].as<double>();
    found->second.columns.push_back(std::move(column));
  }
}

void load_indexes(pqxx::work& tx, std::map<sql::Oid, sql::Relation>& relations) {
  for (const auto& row : tx.exec("SELECT indrelid, indkey::text, indnkeyatts, indisunique, indisprimary, indisvalid, "
                                 "indimmediate, indpred IS NOT NULL, indexprs IS NOT NULL, indnullsnotdistinct, amname = 'btree' AND NOT EXISTS "
                                 "(SELECT 1 FROM generate_series(0, indnkeyatts - 1) k JOIN pg_opclass o ON o.oid = indclass[k] "
                                 "LEFT JOIN pg_attribute a ON attrelid = indrelid AND attnum = indkey[k] "
                                 "WHERE NOT opcdefault OR attcollation <> indcollation[k]) "
                                 "FROM pg_index JOIN pg_class c ON c.oid = indexrelid JOIN pg_am m ON m.oid = relam")) {
    const auto found = relations.find(row[0].as<sql::Oid>());
    if (found == relations.end()) continue;
    sql::Index index;
    index.columns = numbers(row[1].c_str());
    index.columns.resize(static_cast<std::size_t>(row[2].as<int>()));
    index.unique = row[3].as<bool>();
    index.primary = row[4].as<bool>();
    index.valid = row[5].as<bool>();
    index.immediate = row[6].as<bool>();
    index.partial = row[7].as<bool>();
    index.has_expressions = row[8].as<bool>();
    index.nulls_not_distinct = row[9].as<bool>();
    index.usual_order = row[10].as<bool>();
    found->second.indexes.push_back(std::move(index));
  }
}

void load_foreign_keys(pqxx::work& tx, std::map<sql::Oid, sql::Relation>& relations) {
  for (const auto& row : tx.exec("SELECT conrelid, translate(conkey::text, '{,}', '   '), confrelid, "
                                 "translate(confkey::text, '{,}', '   '), convalidated, condeferrable "
                                 "FROM pg_constraint WHERE contype = 'f'")) {
    const auto found = relations.find(row[0].as<sql::Oid>());
    if (found == relations.end()) continue;
    sql::ForeignKey key;
    key.columns = numbers(row[1].c_str());
    key.referenced = row[2].as<sql::Oid>();
    key.referenced_columns = numbers(row[3].c_str());
    key.validated = row[4].as<bool>();
    key.deferrable = row[5].as<bool>();
    found->second.foreign_keys.push_back(std::move(key));
  }
}

}  // namespace

sql::Catalog load_catalog(const std::string& url, bool pretend_large) {
  pqxx::connection connection(url);
  pqxx::work tx(connection);
  std::map<sql::Oid, sql::Relation> relations;
  for (const auto& row :
       tx.exec("SELECT c.oid, nspname, relname, relkind, relpersistence, relhassubclass, relrowsecurity, "
               "relkind <> 'v' AND relhasrules, reltuples FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace "
               "WHERE relkind IN ('r', 'p', 'v', 'm', 'f') AND nspname NOT LIKE 'pg_%'")) {
    sql::Relation relation;
    relation.oid = row[0].as<sql::Oid>();
    relation.schema = row[1].c_str();
    relation.name = row[2].c_str();
    relation.kind = row[3].c_str()[0];
    relation.persistence = row[4].c_str()[0];
    relation.has_children = row[5].as<bool>();
    relation.row_security = row[6].as<bool>();
    relation.has_rules = row[7].as<bool>();
    relation.rows = row[8].as<double>();
    relations[relation.oid] = std::move(relation);
  }
  load_columns(tx, relations);
  load_indexes(tx, relations);
  load_foreign_keys(tx, relations);

  sql::Catalog catalog;
  catalog.database = "postgres";
  catalog.version = 1;
  for (auto& [oid, relation] : relations) {
    if (pretend_large) {
      relation.rows = 1e6;
      for (auto& column : relation.columns) column.n_distinct = 5;
    }
    catalog.add(std::move(relation));
  }
  for (const auto& row : tx.exec("SELECT nspname, proname, provolatile, proretset, prokind = 'a', p.oid >= 16384 "
                                 "FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace")) {
    sql::FunctionGroup group;
    group.schema = row[0].c_str();
    group.name = row[1].c_str();
    group.worst_volatility = row[2].c_str()[0];
    group.any_set_returning = row[3].as<bool>();
    group.any_aggregate = row[4].as<bool>();
    group.any_user_defined = row[5].as<bool>();
    catalog.add(std::move(group));
  }
  return catalog;
}

}  // namespace pgsteer::test
