#include "proxy/learner/catalog_loader.hpp"

#include <sys/socket.h>

#include <charconv>
#include <pqxx/pqxx>

#include "proxy/learner/catalog_queries.hpp"

namespace pgsteer::proxy::learning {

namespace {

// libpqxx 6.4 names a read-only snapshot transaction so; 7.x takes other parameters. Only this alias knows.
using SnapshotTransaction = pqxx::transaction<pqxx::repeatable_read, pqxx::read_only>;

char letter(const pqxx::field& field) { return field.size() > 0 ? field.c_str()[0] : '\0'; }

std::vector<std::int16_t> numbers(const char* text) {
  std::vector<std::int16_t> out;
  const std::string_view all(text);
  for (std::size_t at = 0; at < all.size();) {
    std::int16_t value = 0;
    const auto [end, error] = std::from_chars(all.data() + at, all.data() + all.size(), value);
    if (error != std::errc{}) break;
    out.push_back(value);
    at = static_cast<std::size_t>(end - all.data()) + 1;
  }
  return out;
}

using Relations = std::unordered_map<sql::Oid, sql::Relation>;

Relations read_relations(pqxx::transaction_base& transaction) {
  Relations relations;
  for (const auto& row : transaction.exec(queries::kRelations)) {
    sql::Relation relation;
    relation.oid = row[0].as<sql::Oid>();
    relation.schema = row[1].c_str();
    relation.name = row[2].c_str();
    relation.kind = letter(row[3]);
    relation.persistence = letter(row[4]);
    relation.rows = row[5].as<double>();
    relation.pages = row[6].as<double>();
    relation.has_children = row[7].as<bool>();
    relation.parent = row[8].as<sql::Oid>();
    relation.row_security = row[9].as<bool>();
    relation.has_user_triggers = row[10].as<bool>();
    relation.has_rules = row[11].as<bool>();
    relations.emplace(relation.oid, std::move(relation));
  }
  return relations;
}

void read_columns(pqxx::transaction_base& transaction, Relations& relations) {
  for (const auto& row : transaction.exec(queries::kColumns)) {
    const auto found = relations.find(row[0].as<sql::Oid>());
    if (found == relations.end()) continue;
    sql::Column column;
    column.name = row[1].c_str();
    column.number = row[2].as<std::int16_t>();
    column.type = row[3].as<sql::Oid>();
    column.type_modifier = row[4].as<std::int32_t>();
    column.collation = row[5].as<sql::Oid>();
    column.not_null = row[6].as<bool>();
    column.n_distinct = row[7].as<double>(0.0);
    column.null_fraction = row[8].as<double>(0.0);
    column.correlation = row[9].as<double>(0.0);
    column.average_width = row[10].as<int>(0);
    column.generated = row[11].as<bool>();
    found->second.columns.push_back(std::move(column));
  }
}

void read_indexes(pqxx::transaction_base& transaction, Relations& relations) {
  for (const auto& row : transaction.exec(queries::kIndexes)) {
    const auto found = relations.find(row[0].as<sql::Oid>());
    if (found == relations.end()) continue;
    sql::Index index;
    index.oid = row[1].as<sql::Oid>();
    index.name = row[2].c_str();
    index.columns = numbers(row[3].c_str());
    index.unique = row[4].as<bool>();
    index.primary = row[5].as<bool>();
    index.valid = row[6].as<bool>();
    index.immediate = row[7].as<bool>();
    index.partial = row[8].as<bool>();
    index.has_expressions = row[9].as<bool>();
    index.nulls_not_distinct = row[10].as<bool>();
    index.usual_order = row[11].as<bool>();
    found->second.indexes.push_back(std::move(index));
  }
}

void read_foreign_keys(pqxx::transaction_base& transaction, Relations& relations) {
  for (const auto& row : transaction.exec(queries::kForeignKeys)) {
    const auto found = relations.find(row[0].as<sql::Oid>());
    if (found == relations.end()) continue;
    sql::ForeignKey key;
    key.oid = row[1].as<sql::Oid>();
    key.name = row[2].c_str();
    key.columns = numbers(row[3].c_str());
    key.referenced = row[4].as<sql::Oid>();
    key.referenced_columns = numbers(row[5].c_str());
    key.validated = row[6].as<bool>();
    key.deferrable = row[7].as<bool>();
    key.on_delete = letter(row[8]);
    key.on_update = letter(row[9]);
    if (const auto target = relations.find(key.referenced); target != relations.end()) {
      auto& referencing = target->second.referencing;
      if (std::find(referencing.begin(), referencing.end(), found->first) == referencing.end())
        referencing.push_back(found->first);
    }
    found->second.foreign_keys.push_back(std::move(key));
  }
}

void read_functions(pqxx::transaction_base& transaction, sql::Catalog& catalog) {
  for (const auto& row : transaction.exec(queries::kFunctions)) {
    sql::FunctionGroup group;
    group.schema = row[0].c_str();
    group.name = row[1].c_str();
    group.worst_volatility = letter(row[2]);
    group.all_leakproof = row[3].as<bool>();
    group.all_strict = row[4].as<bool>();
    group.any_set_returning = row[5].as<bool>();
    group.any_aggregate = row[6].as<bool>();
    group.any_user_defined = row[7].as<bool>();
    catalog.add(std::move(group));
  }
}

bool first_line_has(const pqxx::result& plan, const char* words) {
  return !plan.empty() && std::string_view(plan[0][0].c_str()).find(words) != std::string_view::npos;
}

CatalogSignature read_signature(pqxx::transaction_base& transaction) {
  CatalogSignature signature;
  signature.structure = transaction.exec1(queries::kStructure)[0].c_str();
  signature.statistics = transaction.exec1(queries::kStatistics)[0].c_str();
  return signature;
}

}  // namespace

struct CatalogLoader::Impl {
  explicit Impl(const std::string& text) : connection(text), socket(connection.sock()) {}
  pqxx::connection connection;
  const int socket;
};

CatalogLoader::CatalogLoader(std::string connection_string) : impl_(std::make_unique<Impl>(connection_string)) {}
CatalogLoader::~CatalogLoader() = default;

// A cancel request waits for the server; an end of file does not, even when the server is stopped.
void CatalogLoader::abandon() { ::shutdown(impl_->socket, SHUT_RDWR); }

CatalogSignature CatalogLoader::signature() {
  SnapshotTransaction transaction(impl_->connection);
  transaction.exec("SET LOCAL search_path = pg_catalog");
  return read_signature(transaction);
}

std::unique_ptr<sql::Catalog> CatalogLoader::load(CatalogSignature* signature) {
  SnapshotTransaction transaction(impl_->connection);
  auto catalog = std::make_unique<sql::Catalog>();
  catalog->database = impl_->connection.dbname();
  transaction.exec("SET LOCAL search_path = pg_catalog");
  *signature = read_signature(transaction);
  const auto database = transaction.exec1(queries::kDatabase);
  catalog->database_oid = database[0].as<sql::Oid>();
  catalog->server_version = database[1].as<int>();
  catalog->timezone = database[2].c_str();
  catalog->default_search_path = database[3].c_str();
  catalog->usual_integers = database[4].as<bool>();
  catalog->hint_plan = !first_line_has(transaction.exec(queries::kHintedIndexScan), "Seq Scan") &&
                       first_line_has(transaction.exec(queries::kHintedSeqScan), "Seq Scan");
  Relations relations = read_relations(transaction);
  read_columns(transaction, relations);
  read_indexes(transaction, relations);
  read_foreign_keys(transaction, relations);
  for (auto& [oid, relation] : relations) catalog->add(std::move(relation));
  read_functions(transaction, *catalog);
  return catalog;
}

}  // namespace pgsteer::proxy::learning
