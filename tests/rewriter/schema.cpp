#include "tests/rewriter/schema.hpp"

#include <random>
#include <vector>

namespace pgsteer::test {

std::string shop_ddl() {
  return R"sql(
CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL, region int, email text UNIQUE, city varchar(20),
                        created timestamptz NOT NULL);
CREATE TABLE orders (id bigint PRIMARY KEY, customer_id int NOT NULL REFERENCES customers, status text NOT NULL,
                     total numeric(10,2), note text, created_at timestamptz, placed timestamp, shipped date,
                     parent_id bigint, flag boolean);
CREATE TABLE items (id int PRIMARY KEY, order_id bigint NOT NULL REFERENCES orders, product_id int, qty smallint NOT NULL,
                    price numeric, weight float8, UNIQUE (order_id, qty));
CREATE TABLE products (id int PRIMARY KEY, code text NOT NULL UNIQUE, category int, tag char(4));
CREATE TABLE empty_table (id int PRIMARY KEY, ref int NOT NULL, word text);
CREATE TABLE bare (a int, b int, c text, d float8);
CREATE TABLE parts (id int NOT NULL, region int NOT NULL, v int, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (0, 1, 2);
CREATE TABLE parts_2 PARTITION OF parts DEFAULT;
CREATE TABLE animals (id int PRIMARY KEY, legs int NOT NULL);
CREATE TABLE dogs (bark text) INHERITS (animals);
CREATE TABLE late (id int NOT NULL, k int NOT NULL, UNIQUE (id) DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE weak (id int PRIMARY KEY, customer_id int REFERENCES customers DEFERRABLE);
CREATE INDEX orders_status ON orders (status);
CREATE INDEX orders_parent ON orders (parent_id);
CREATE INDEX items_qty ON items (qty);
CREATE VIEW cheap AS SELECT * FROM items WHERE price < 10;
)sql";
}

namespace {

class Builder {
 public:
  Builder(sql::Oid oid, std::string name, char kind = 'r') {
    relation_.oid = oid;
    relation_.schema = "public";
    relation_.name = std::move(name);
    relation_.kind = kind;
  }
  Builder& column(std::string name, sql::Oid type, bool not_null = false, std::int32_t modifier = -1) {
    sql::Column column;
    column.name = std::move(name);
    column.number = static_cast<std::int16_t>(relation_.columns.size() + 1);
    column.type = type;
    column.type_modifier = modifier;
    column.collation = type == 25 || type == 1043 || type == 1042 ? 100 : 0;
    column.not_null = not_null;
    relation_.columns.push_back(std::move(column));
    return *this;
  }
  Builder& unique(std::vector<std::int16_t> columns, bool primary = false, bool immediate = true) {
    sql::Index index;
    index.columns = std::move(columns);
    index.unique = index.valid = index.usual_order = true;
    index.primary = primary;
    index.immediate = immediate;
    relation_.indexes.push_back(std::move(index));
    return *this;
  }
  Builder& index(std::int16_t column) {
    sql::Index index;
    index.columns = {column};
    index.valid = index.immediate = index.usual_order = true;
    relation_.indexes.push_back(std::move(index));
    return *this;
  }
  /// A million rows, and in every column so many values.
  Builder& large(double values) {
    relation_.rows = 1e6;
    for (auto& column : relation_.columns) column.n_distinct = values;
    return *this;
  }
  Builder& references(std::int16_t column, sql::Oid table, bool deferrable = false) {
    sql::ForeignKey key;
    key.columns = {column};
    key.referenced = table;
    key.referenced_columns = {1};
    key.validated = true;
    key.deferrable = deferrable;
    relation_.foreign_keys.push_back(std::move(key));
    return *this;
  }
  Builder& children() {
    relation_.has_children = true;
    return *this;
  }
  operator sql::Relation() const { return relation_; }

 private:
  sql::Relation relation_;
};

void add_functions(sql::Catalog& catalog) {
  const auto add = [&](const char* name, char volatility, bool aggregate = false, bool set = false) {
    sql::FunctionGroup group;
    group.schema = "pg_catalog";
    group.name = name;
    group.worst_volatility = volatility;
    group.any_aggregate = aggregate;
    group.any_set_returning = set;
    catalog.add(group);
  };
  for (const auto* name : {"count", "sum", "min", "max", "avg", "bool_and", "bool_or", "array_agg", "string_agg"})
    add(name, 'i', true);
  for (const auto* name : {"lower", "upper", "length", "abs", "coalesce", "row_number", "rank", "dense_rank", "substr", "round"}) add(name, 'i');
  for (const auto* name : {"date_trunc", "now", "to_char", "extract", "date_part", "timezone"}) add(name, 's');
  for (const auto* name : {"random", "nextval", "set_config"}) add(name, 'v');
  add("generate_series", 'i', false, true);
  add("unnest", 'i', false, true);
}

}  // namespace

sql::Catalog shop_catalog() {
  constexpr sql::Oid i2 = 21, i4 = 23, i8 = 20, txt = 25, num = 1700, f8 = 701, tz = 1184, ts = 1114, dt = 1082;
  sql::Catalog catalog;
  catalog.database = "shop";
  catalog.version = 7;
  catalog.server_version = 150000;
  catalog.add(Builder(1001, "customers").column("id", i4, true).column("name", txt, true).column("region", i4)
                  .column("email", txt).column("city", 1043, false, 24).column("created", tz, true)
                  .unique({1}, true).unique({4}));
  catalog.add(Builder(1002, "orders").column("id", i8, true).column("customer_id", i4, true).column("status", txt, true)
                  .column("total", num, false, (10 << 16 | 2) + 4).column("note", txt).column("created_at", tz)
                  .column("placed", ts).column("shipped", dt).column("parent_id", i8).column("flag", 16)
                  .unique({1}, true).references(2, 1001).index(3).index(9).large(5));
  catalog.add(Builder(1003, "items").column("id", i4, true).column("order_id", i8, true).column("product_id", i4)
                  .column("qty", i2, true).column("price", num).column("weight", f8)
                  .unique({1}, true).unique({2, 4}).references(2, 1002).index(4).large(-0.1));
  catalog.add(Builder(1004, "products").column("id", i4, true).column("code", txt, true).column("category", i4)
                  .column("tag", 1042, false, 8).unique({1}, true).unique({2}));
  catalog.add(Builder(1005, "empty_table").column("id", i4, true).column("ref", i4, true).column("word", txt)
                  .unique({1}, true));
  catalog.add(Builder(1006, "bare").column("a", i4).column("b", i4).column("c", txt).column("d", f8));
  catalog.add(Builder(1007, "parts", 'p').column("id", i4, true).column("region", i4, true).column("v", i4)
                  .unique({1, 2}, true).children());
  catalog.add(Builder(1008, "animals").column("id", i4, true).column("legs", i4, true).unique({1}, true).children());
  catalog.add(Builder(1009, "dogs").column("id", i4, true).column("legs", i4, true).column("bark", txt));
  catalog.add(Builder(1010, "late").column("id", i4, true).column("k", i4, true).unique({1}, false, false));
  catalog.add(Builder(1011, "weak").column("id", i4, true).column("customer_id", i4).unique({1}, true)
                  .references(2, 1001, true));
  catalog.add(Builder(1012, "cheap", 'v').column("id", i4).column("price", num));
  add_functions(catalog);
  return catalog;
}

namespace {

/// Random SQL literals out of small domains, so that joins meet and duplicates occur.
class Values {
 public:
  explicit Values(std::uint64_t seed) : random_(seed) {}
  int below(int n) { return static_cast<int>(random_() % static_cast<std::uint64_t>(n)); }
  std::string one_of(const std::vector<std::string>& list) {
    return list[static_cast<std::size_t>(below(static_cast<int>(list.size())))];
  }
  std::string maybe_null(std::string value, int percent = 30) { return below(100) < percent ? "NULL" : value; }
  std::string integer() { return maybe_null(one_of({"0", "1", "2", "3", "5", "-1", "2147483647"})); }
  std::string word() { return maybe_null(one_of({"'a'", "'A'", "'b'", "''", "'a '", "'5'", "'é'", "'a%'"})); }
  std::string price() {
    return maybe_null(one_of({"0", "1.0", "1.00", "-3.5", "99999999.99", "'NaN'", "2", "2.5"}));
  }
  std::string total() { return maybe_null(one_of({"0", "1.00", "-3.5", "99999999.99", "2.50", "5"})); }
  std::string weight() { return maybe_null(one_of({"0", "-0.0", "'NaN'", "'Infinity'", "1.5", "5", "9007199254740992"})); }
  std::string moment() {
    return maybe_null(one_of({"'2021-11-06 23:30:00-04'", "'2021-11-07 00:30:00-04'", "'2021-11-07 00:30:00-05'",
                              "'2021-11-07 01:00:00-05'", "'2021-11-08 00:00:00-05'", "'2020-02-29 12:00:00+00'",
                              "'2020-12-31 23:59:59.999999+00'", "'2021-01-01 00:00:00+00'", "'infinity'",
                              "'-infinity'", "'1999-12-31 00:00:00+14'"}));
  }
  std::string local() {
    return maybe_null(one_of({"'2020-02-29 00:00:00'", "'2020-02-29 23:59:59.999999'", "'2021-01-01'", "'infinity'",
                              "'2021-11-07 00:30:00'", "'1999-12-31 12:00:00'"}));
  }
  std::string day() { return maybe_null(one_of({"'2020-02-29'", "'2021-01-01'", "'infinity'", "'2021-11-07'"})); }

 private:
  std::mt19937_64 random_;
};

}  // namespace

std::string random_rows(std::uint64_t seed) {
  Values v(seed);
  std::string sql = "TRUNCATE customers, orders, items, products, empty_table, bare, parts, animals, dogs, late, weak CASCADE;\n";
  const auto insert = [&](const std::string& table, const std::vector<std::string>& values) {
    sql += "INSERT INTO " + table + " VALUES (";
    for (std::size_t i = 0; i < values.size(); ++i) sql += (i ? ", " : "") + values[i];
    sql += ");\n";
  };
  const auto rows = [&](int most) { return v.below(8) == 0 ? 0 : 1 + v.below(most); };
  const int customers = rows(8);
  for (int i = 0; i < customers; ++i)
    insert("customers", {std::to_string(i), v.one_of({"'a'", "'A'", "'b'", "''"}), v.integer(),
                         v.maybe_null("'m" + std::to_string(i) + "'"), v.word(), "'2021-11-07 00:30:00-05'"});
  const int orders = customers == 0 ? 0 : rows(14);
  for (int i = 0; i < orders; ++i)
    insert("orders", {std::to_string(i == 13 ? 9007199254740993LL : i), std::to_string(v.below(customers)),
                      v.one_of({"'new'", "'paid'", "'a'", "''"}), v.total(), v.word(), v.moment(), v.local(), v.day(),
                      v.maybe_null(std::to_string(v.below(14))), v.maybe_null(v.one_of({"true", "false"}))});
  const int items = orders == 0 ? 0 : rows(20);
  for (int i = 0; i < items; ++i)
    insert("items", {std::to_string(i), std::to_string(v.below(orders < 13 ? orders : 13)), v.integer(),
                     std::to_string(i % 7 * 5 + v.below(2)), v.price(), v.weight()});
  for (auto at = sql.find("INSERT INTO items"); at != std::string::npos; at = sql.find("INSERT INTO items", at + 1)) {
    const auto end = sql.find(";\n", at);
    sql.insert(end, " ON CONFLICT DO NOTHING");
  }
  const int products = rows(6);
  for (int i = 0; i < products; ++i)
    insert("products", {std::to_string(i), "'c" + std::to_string(i) + "'", v.integer(), v.word()});
  for (int i = rows(12); i > 0; --i) insert("bare", {v.integer(), v.integer(), v.word(), v.weight()});
  for (int i = rows(8); i > 0; --i) insert("parts", {std::to_string(i), std::to_string(v.below(4)), v.integer()});
  for (int i = rows(4); i > 0; --i) insert("animals", {std::to_string(i), std::to_string(v.below(3))});
  for (int i = rows(4); i > 0; --i) insert("dogs", {std::to_string(v.below(4)), std::to_string(v.below(3)), v.word()});
  for (int i = rows(4); i > 0; --i) insert("late", {std::to_string(i), std::to_string(v.below(3))});
  for (int i = rows(4); i > 0; --i)
    insert("weak", {std::to_string(i), customers == 0 ? "NULL" : v.maybe_null(std::to_string(v.below(customers)))});
  return sql;
}

}  // namespace pgsteer::test
