// Gate B as a table: what PostgreSQL reads and calls, found by a view that is rolled back.
#include "proxy/learner/judge.hpp"
#include "tests/learner/fixture.hpp"

using namespace pgsteer;
using namespace pgsteer::test;
using cache::Judgement;
using cache::Reason;

namespace {

constexpr const char* kSchema = R"(
CREATE TABLE t (id int PRIMARY KEY, name text, at timestamptz, day date);
CREATE TABLE other (id int);
CREATE VIEW v AS SELECT t.id, name FROM t JOIN other USING (id);
CREATE VIEW vv AS SELECT * FROM v WHERE id > 3;
CREATE VIEW recent AS SELECT id FROM t WHERE at > now();
CREATE VIEW sampled AS SELECT id FROM t TABLESAMPLE SYSTEM (10);
CREATE TABLE tree (at date, x int) PARTITION BY RANGE (at);
CREATE TABLE tree_1 PARTITION OF tree FOR VALUES FROM ('2024-01-01') TO ('2025-01-01') PARTITION BY LIST (x);
CREATE TABLE tree_1_a PARTITION OF tree_1 FOR VALUES IN (1);
CREATE TABLE heir () INHERITS (other);
CREATE UNLOGGED TABLE quick (id int);
CREATE TABLE secret (owner text);
ALTER TABLE secret ENABLE ROW LEVEL SECURITY;
CREATE VIEW behind AS SELECT * FROM secret;
CREATE SEQUENCE counter;
CREATE MATERIALIZED VIEW totals AS SELECT count(*) FROM t;
CREATE FUNCTION pure(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + 1';
CREATE FUNCTION wild() RETURNS int LANGUAGE plpgsql VOLATILE AS 'BEGIN RETURN 1; END';
CREATE VIEW calls AS SELECT wild() AS x;
CREATE FUNCTION text_near(text, text) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT $1 = $2';
CREATE OPERATOR ~~~ (leftarg = text, rightarg = text, function = text_near);
CREATE VIEW operated AS SELECT id FROM t WHERE name ~~~ 'x';
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE SCHEMA front;
CREATE TABLE front.t (id int, hidden text);
CREATE EXTENSION IF NOT EXISTS file_fdw;
CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
CREATE FOREIGN TABLE outside (x text) SERVER files OPTIONS (filename '/etc/hostname');
)";

struct Case {
  const char* text;
  Reason reason;  // none: cacheable
  bool explorable;
  std::vector<const char*> reads;  // when cacheable: exactly these
};

}  // namespace

TEST_CASE("PostgreSQL's own verdict on what a statement reads and calls") {
  if (!server_here()) return;
  Database database("gate_b");
  database.run(kSchema);
  const auto connection = connect("gate_b");
  const Case cases[] = {
      {"select * from t", Reason::none, true, {"t"}},
      {"select * from t;", Reason::none, true, {"t"}},
      {"select 1 /* a */ -- nothing", Reason::none, true, {}},
      {"select * from vv", Reason::none, true, {"vv", "v", "t", "other", "heir"}},
      {"select count(*), max(name) from t group by day", Reason::none, true, {"t"}},
      {"select x from tree where at = '2024-02-02'", Reason::none, true, {"tree", "tree_1", "tree_1_a"}},
      {"select * from quick", Reason::unlogged_table, true, {}},
      {"select * from totals", Reason::none, true, {"totals"}},
      {"select id from t where exists (select 1 from other o where o.id = t.id)", Reason::none, true, {"t", "other", "heir"}},
      {"with c as (select * from t) select * from c", Reason::none, true, {"t"}},
      {"values (1), (2)", Reason::none, true, {}},
      {"select at > day from t", Reason::none, true, {"t"}},
      {"select date_trunc('day', at), to_char(at, 'YYYY') from t", Reason::none, true, {"t"}},
      {"select name || id from t", Reason::none, true, {"t"}},
      {"select now()", Reason::stable_function, true, {}},
      {"select * from recent", Reason::stable_function, true, {}},
      {"select current_timestamp", Reason::sql_value_function, true, {}},
      {"select random()", Reason::volatile_function, false, {}},
      {"select wild()", Reason::volatile_function, false, {}},
      {"select * from calls", Reason::volatile_function, false, {}},
      {"select pure(id) from t", Reason::user_function, false, {}},
      {"select id from t where name ~~~ 'a'", Reason::user_function, false, {}},
      {"select * from operated", Reason::user_function, false, {}},
      {"select name::text::timestamptz from t", Reason::stable_function, true, {}},
      {"select id::positive from t", Reason::user_function, true, {}},
      {"select * from sampled", Reason::tablesample, false, {}},
      {"select * from secret", Reason::row_security, false, {}},
      {"select * from behind", Reason::row_security, false, {}},
      {"select last_value from counter", Reason::sequence, false, {}},
      {"select nextval('counter')", Reason::sequence, false, {}},
      {"select * from outside", Reason::foreign_table, false, {}},
      {"select relname from pg_class", Reason::catalog_relation, true, {}},
      {"select table_name from information_schema.tables", Reason::catalog_relation, true, {}},
      {"select count(*) from pg_stat_activity where query = 'x'", Reason::catalog_relation, false, {}},
      {"select current_setting('x.y', true)", Reason::stable_function, true, {}},
      {"select age(at) from t", Reason::stable_function, true, {}},
      {"with d as (delete from t returning *) select * from d", Reason::data_modifying_cte, false, {}},
      {"select * from nowhere", Reason::syntax_unknown, false, {}},
      {"select 1; select 2", Reason::syntax_unknown, false, {}},
  };
  for (const auto& item : cases) {
    CAPTURE(std::string(item.text));
    const auto gate = proxy::learning::judge(*connection, item.text, {}, "public");
    CAPTURE(gate.judgement.detail);
    CHECK(std::string(cache::to_string(gate.judgement.reason)) == std::string(cache::to_string(item.reason)));
    CHECK((gate.judgement.state == Judgement::State::cacheable) == (item.reason == Reason::none));
    if (item.text != std::string("select current_setting('x.y', true)")) CHECK(gate.explorable == item.explorable);
    if (item.reason != Reason::none) continue;
    std::vector<sql::Oid> expected;
    for (const char* name : item.reads)
      expected.push_back(static_cast<sql::Oid>(std::stoul(
          std::string(connection->run("SELECT 'public." + std::string(name) + "'::regclass::oid").text(0, 0)))));
    std::sort(expected.begin(), expected.end());
    CHECK(gate.judgement.relations == expected);
  }
  SUBCASE("names are resolved in the session's search_path") {
    const auto front = connection->run("SELECT 'front.t'::regclass::oid");
    const auto gate = proxy::learning::judge(*connection, "select * from t", {}, "front, public");
    REQUIRE(gate.judgement.relations.size() == 1);
    CHECK(std::to_string(gate.judgement.relations[0]) == front.text(0, 0));
  }
  SUBCASE("parameters have their types") {
    using proxy::learning::judge;
    CHECK(judge(*connection, "select * from t where id = $1 and name = $2", {23, 25}, "public").judgement.state ==
          Judgement::State::cacheable);
    CHECK(judge(*connection, "select * from t where at > $1::timestamptz", {1184}, "public").judgement.state ==
          Judgement::State::cacheable);
    CHECK(judge(*connection, "select * from t where id = $1", {}, "public").judgement.state == Judgement::State::refused);
  }
  SUBCASE("nothing stays behind") {
    CHECK(connection->run("SELECT 1 FROM pg_class WHERE relname LIKE 'pgsteer%'").rows() == 0);
    CHECK(connection->run("SHOW search_path").text(0, 0) == "\"$user\", public");
  }
  SUBCASE("without the right to make temporary objects the answer is no") {
    database.run("REVOKE TEMP ON DATABASE gate_b FROM PUBLIC; CREATE ROLE plain LOGIN; GRANT SELECT ON t TO plain");
    const auto plain = connect("gate_b");
    REQUIRE(plain->run("SET SESSION AUTHORIZATION plain").ok());
    CHECK(proxy::learning::judge(*plain, "select * from t", {}, "public").judgement.state == Judgement::State::refused);
    CHECK(plain->run("RESET SESSION AUTHORIZATION; DROP OWNED BY plain; DROP ROLE plain").ok());
  }
}
