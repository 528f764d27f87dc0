// The catalog loader against a schema with everything, field by field; and each kind of DDL must be noticed.
#include <set>

#include "proxy/learner/catalog_loader.hpp"
#include "tests/learner/fixture.hpp"

using namespace pgsteer;
using namespace pgsteer::test;
using proxy::learning::CatalogLoader;
using proxy::learning::CatalogSignature;

namespace {

constexpr const char* kSchema = R"(
CREATE SCHEMA shop;
CREATE TABLE shop.customer (id int PRIMARY KEY, email varchar(80) NOT NULL UNIQUE, country text, score numeric(8,2));
CREATE TABLE shop.orders (id bigint PRIMARY KEY, customer_id int NOT NULL REFERENCES shop.customer ON DELETE CASCADE ON UPDATE SET NULL,
  placed timestamptz NOT NULL, gone int, total numeric, buyer int CONSTRAINT late REFERENCES shop.customer DEFERRABLE INITIALLY DEFERRED);
ALTER TABLE shop.orders DROP COLUMN gone;
ALTER TABLE shop.orders ADD CONSTRAINT unproved FOREIGN KEY (buyer) REFERENCES shop.customer NOT VALID;
CREATE INDEX orders_partial ON shop.orders (customer_id, placed) WHERE total > 10;
CREATE INDEX customer_expression ON shop.customer (lower(email), country) INCLUDE (score);
CREATE UNIQUE INDEX customer_nulls ON shop.customer (country, id) NULLS NOT DISTINCT;
CREATE INDEX customer_other_collation ON shop.customer (email COLLATE "C");
CREATE INDEX customer_patterns ON shop.customer (country text_pattern_ops);
CREATE INDEX customer_hashed ON shop.customer USING hash (country);
CREATE TABLE shop.event (at date NOT NULL, what text) PARTITION BY RANGE (at);
CREATE TABLE shop.event_2024 PARTITION OF shop.event FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE shop.secret (owner text, what text);
ALTER TABLE shop.secret ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON shop.secret USING (owner = current_user);
CREATE VIEW shop.rich AS SELECT id, email FROM shop.customer WHERE score > 5;
CREATE RULE quiet AS ON DELETE TO shop.secret DO INSTEAD NOTHING;
CREATE FUNCTION shop.bump() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER bumping BEFORE UPDATE ON shop.orders FOR EACH ROW EXECUTE FUNCTION shop.bump();
CREATE FUNCTION shop.twice(int) RETURNS int LANGUAGE sql IMMUTABLE STRICT LEAKPROOF AS 'SELECT 2 * $1';
CREATE FUNCTION shop.twice(text) RETURNS text LANGUAGE sql STABLE AS 'SELECT $1 || $1';
CREATE FUNCTION shop.many(int) RETURNS SETOF int LANGUAGE sql IMMUTABLE STRICT AS 'SELECT generate_series(1, $1)';
CREATE UNLOGGED TABLE shop.scratch (x int);
CREATE MATERIALIZED VIEW shop.totals AS SELECT customer_id, sum(total) FROM shop.orders GROUP BY 1;
INSERT INTO shop.customer SELECT i, i || '@x', CASE WHEN i % 4 = 0 THEN NULL ELSE 'c' || i % 3 END, i FROM generate_series(1, 1000) i;
INSERT INTO shop.event SELECT date '2024-01-01' + i % 300, 'w' || i % 7 FROM generate_series(1, 3000) i;
ANALYZE;
ALTER DATABASE everything SET search_path = shop, public;
)";

std::string url(const std::string& database) {
  return "host=127.0.0.1 user=postgres port=" + std::to_string(postgres().port()) + " dbname=" + database;
}

std::unique_ptr<sql::Catalog> load(const std::string& database, CatalogSignature* signature = nullptr) {
  CatalogSignature ignored;
  return CatalogLoader(url(database)).load(signature ? signature : &ignored);
}

const sql::Relation& relation(const sql::Catalog& catalog, const char* name) {
  const auto* found = catalog.find("shop", name, "", "postgres");
  REQUIRE_MESSAGE(found != nullptr, name);
  return *found;
}

const sql::Index& index(const sql::Relation& relation, std::string_view name) {
  for (const auto& candidate : relation.indexes)
    if (candidate.name == name) return candidate;
  FAIL("no index ", std::string(name));
  throw 0;
}

}  // namespace

TEST_CASE("a catalog with everything is loaded field by field") {
  if (!server_here()) return;
  Database database("everything");
  database.run(kSchema);
  const auto catalog = load("everything");
  CHECK(catalog->database == "everything");
  CHECK(catalog->database_oid > 0);
  CHECK(catalog->server_version / 10000 == 15);
  CHECK(catalog->default_search_path == "shop, public");
  CHECK_FALSE(catalog->hint_plan);
  CHECK_FALSE(catalog->timezone.empty());

  SUBCASE("columns and their statistics") {
    const auto& customer = relation(*catalog, "customer");
    CHECK(customer.kind == 'r');
    CHECK(customer.persistence == 'p');
    CHECK(customer.rows == 1000);
    CHECK(customer.pages > 0);
    REQUIRE(customer.columns.size() == 4);
    const auto& email = customer.columns[1];
    CHECK(email.name == "email");
    CHECK(email.number == 2);
    CHECK(email.type == 1043);
    CHECK(email.type_modifier == 84);
    CHECK(email.collation == 100);
    CHECK(email.not_null);
    CHECK(email.n_distinct == -1);
    CHECK(email.average_width > 3);
    CHECK_FALSE(customer.columns[2].not_null);
    CHECK(customer.columns[2].n_distinct == 3);
    CHECK(customer.columns[2].null_fraction == doctest::Approx(0.25));
    CHECK(customer.columns[0].correlation == doctest::Approx(1));
    const auto& orders = relation(*catalog, "orders");
    REQUIRE(orders.columns.size() == 5);  // the dropped one is not there, the numbers stay
    CHECK(orders.columns[3].name == "total");
    CHECK(orders.columns[3].number == 5);
  }
  SUBCASE("indexes") {
    const auto& customer = relation(*catalog, "customer");
    CHECK(index(customer, "customer_pkey").primary);
    CHECK(index(customer, "customer_pkey").unique);
    CHECK(index(customer, "customer_pkey").immediate);
    CHECK(index(customer, "customer_pkey").valid);
    CHECK_FALSE(index(customer, "customer_pkey").partial);
    CHECK_FALSE(index(customer, "customer_email_key").primary);
    for (const char* usual : {"customer_pkey", "customer_email_key", "customer_expression", "customer_nulls"}) CHECK(index(customer, usual).usual_order);
    for (const char* other : {"customer_other_collation", "customer_patterns", "customer_hashed"}) CHECK_FALSE(index(customer, other).usual_order);
    const auto& expression = index(customer, "customer_expression");
    CHECK(expression.columns == std::vector<std::int16_t>{0, 3});  // INCLUDE is no key
    CHECK(expression.has_expressions);
    CHECK_FALSE(expression.unique);
    CHECK(index(customer, "customer_nulls").nulls_not_distinct);
    CHECK_FALSE(index(customer, "customer_email_key").nulls_not_distinct);
    const auto& partial = index(relation(*catalog, "orders"), "orders_partial");
    CHECK(partial.partial);
    CHECK(partial.columns == std::vector<std::int16_t>{2, 3});
  }
  SUBCASE("foreign keys") {
    const auto& orders = relation(*catalog, "orders");
    const auto& customer = relation(*catalog, "customer");
    REQUIRE(orders.foreign_keys.size() == 3);
    CHECK(orders.foreign_keys[0].columns == std::vector<std::int16_t>{2});
    CHECK(orders.foreign_keys[0].referenced == customer.oid);
    CHECK(orders.foreign_keys[0].referenced_columns == std::vector<std::int16_t>{1});
    CHECK(orders.foreign_keys[0].on_delete == 'c');
    CHECK(orders.foreign_keys[0].on_update == 'n');
    CHECK(orders.foreign_keys[0].validated);
    CHECK_FALSE(orders.foreign_keys[0].deferrable);
    CHECK(orders.foreign_keys[1].name == "late");
    CHECK(orders.foreign_keys[1].deferrable);
    CHECK(orders.foreign_keys[2].name == "unproved");
    CHECK_FALSE(orders.foreign_keys[2].validated);
    CHECK(customer.referencing == std::vector<sql::Oid>{orders.oid});
  }
  SUBCASE("partitions, views, triggers, rules, row security") {
    const auto& event = relation(*catalog, "event");
    const auto& partition = relation(*catalog, "event_2024");
    CHECK(event.kind == 'p');
    CHECK(event.has_children);
    CHECK(event.columns[1].n_distinct == 7);  // of the whole tree: the parent itself is empty
    CHECK(partition.parent == event.oid);
    CHECK_FALSE(partition.has_children);
    CHECK(relation(*catalog, "rich").kind == 'v');
    CHECK_FALSE(relation(*catalog, "rich").has_rules);
    CHECK(relation(*catalog, "secret").has_rules);
    CHECK(relation(*catalog, "secret").row_security);
    CHECK_FALSE(relation(*catalog, "customer").row_security);
    CHECK(relation(*catalog, "orders").has_user_triggers);
    CHECK_FALSE(relation(*catalog, "customer").has_user_triggers);  // the foreign key's own do not count
    CHECK(relation(*catalog, "scratch").persistence == 'u');
    CHECK(relation(*catalog, "totals").kind == 'm');
    CHECK(catalog->find("", "pg_class", "", "postgres") != nullptr);
  }
  SUBCASE("functions") {
    const auto* twice = catalog->function("shop", "twice");
    REQUIRE(twice);
    CHECK(twice->worst_volatility == 's');
    CHECK_FALSE(twice->all_strict);
    CHECK_FALSE(twice->all_leakproof);
    CHECK(twice->any_user_defined);
    CHECK(catalog->function("shop", "bump")->worst_volatility == 'v');
    CHECK(catalog->function("shop", "many")->any_set_returning);
    CHECK(catalog->function("shop", "many")->all_strict);
    CHECK(catalog->function("pg_catalog", "int4eq")->all_leakproof);
    CHECK(catalog->function("pg_catalog", "count")->any_aggregate);
    CHECK_FALSE(catalog->function("pg_catalog", "count")->any_user_defined);
    CHECK(catalog->function("pg_catalog", "now")->worst_volatility == 's');
  }
}

TEST_CASE("every kind of change alters the signature, and reading does not") {
  if (!server_here()) return;
  Database database("everything");
  database.run(kSchema);
  CatalogLoader loader(url("everything"));
  auto before = loader.signature();
  database.run("SELECT count(*) FROM shop.orders; CREATE TEMP TABLE t (x int); CREATE TEMP VIEW v AS SELECT * FROM t");
  CHECK(loader.signature() == before);
  const char* changes[] = {
      "CREATE TABLE shop.fresh (x int)",
      "ALTER TABLE shop.fresh ADD COLUMN y int",
      "ALTER TABLE shop.fresh ALTER COLUMN y SET NOT NULL",
      "ALTER TABLE shop.fresh RENAME TO stale",
      "CREATE INDEX stale_x ON shop.stale (x)",
      "DROP INDEX shop.stale_x",
      "ALTER TABLE shop.orders DROP CONSTRAINT unproved",
      "ALTER TABLE shop.stale ADD CONSTRAINT positive CHECK (x > 0)",
      "CREATE OR REPLACE FUNCTION shop.twice(int) RETURNS int LANGUAGE sql VOLATILE AS 'SELECT 3 * $1'",
      "CREATE FUNCTION shop.other() RETURNS int LANGUAGE sql AS 'SELECT 1'",
      "DROP TRIGGER bumping ON shop.orders",
      "CREATE OR REPLACE VIEW shop.rich AS SELECT id, email FROM shop.customer WHERE score > 6",
      "ALTER POLICY own ON shop.secret USING (true)",
      "ALTER TABLE shop.customer ENABLE ROW LEVEL SECURITY",
      "DROP RULE quiet ON shop.secret",
      "CREATE TABLE shop.event_2025 PARTITION OF shop.event FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')",
      "ALTER TABLE shop.event DETACH PARTITION shop.event_2025",
      "CREATE SCHEMA another",
      "TRUNCATE shop.stale",
      "CREATE TYPE shop.mood AS ENUM ('good', 'bad')",
      "ALTER TYPE shop.mood RENAME VALUE 'bad' TO 'sad'",
      "ALTER DATABASE everything SET search_path = public",
      "DROP TABLE shop.stale",
  };
  for (const char* change : changes) {
    CAPTURE(std::string(change));
    database.run(change);
    const auto after = loader.signature();
    CHECK(after.structure != before.structure);
    before = after;
  }
  database.run("INSERT INTO shop.scratch SELECT generate_series(1, 500); ANALYZE shop.scratch");
  CHECK(eventually([&] { return loader.signature().statistics != before.statistics; }, 5));
  CHECK(loader.signature().structure == before.structure);
}

TEST_CASE("the hub's catalog follows DDL that nobody announced, and only then gets another version") {
  if (!server_here()) return;
  Database database("everything");
  database.run("CREATE TABLE a (x int)");
  Bench bench;
  bench.learner().start();
  REQUIRE(bench.wait_for_catalog("everything"));
  const auto version = [&] {
    const auto snapshot = bench.hub().snapshot();
    const auto* catalog = snapshot->catalog("everything");
    return catalog ? catalog->version : 0;
  };
  const auto first = version();
  CHECK(first > 0);
  std::this_thread::sleep_for(std::chrono::milliseconds(700));  // three polls
  CHECK(version() == first);
  const auto word = bench.hub().words.read("everything", {});
  database.run("CREATE TABLE b (x int)");
  CHECK(eventually([&] { return version() > first; }, 5));
  CHECK(bench.hub().snapshot()->catalog("everything")->find("", "b", "public", "postgres") != nullptr);
  REQUIRE(word);
  CHECK_FALSE(bench.hub().words.unchanged("everything", *word));  // cached answers must not outlive it
  const auto second = version();
  bench.hub().catalog_changed("everything");  // a false alarm: back again, the same version
  CHECK(eventually([&] { return version() == second; }, 5));
}
