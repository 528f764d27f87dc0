#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "rewriter/sql/analysis.hpp"

using namespace pgsteer::sql;

namespace {

/// "s.t" read, "s.t!" written, "s.t?!" both, " x" an alias; in the order of appearance.
std::string tables(const Analysis& a) {
  std::string out;
  for (const TableUse& t : a.tables) {
    if (!out.empty()) out += ", ";
    if (!t.schema.empty()) out += t.schema + ".";
    out += t.name;
    if (!t.alias.empty()) out += " " + t.alias;
    if (t.written) out += t.read ? "?!" : "!";
    if (!t.written && !t.read) out += "-";
  }
  return out;
}

std::string settings(const Analysis& a) {
  std::string out;
  for (const SettingChange& s : a.settings) {
    if (!out.empty()) out += "; ";
    out += s.name + (s.value ? "=" + *s.value : std::string(" reset")) + (s.local ? " local" : "");
  }
  return out;
}

bool calls(const Analysis& a, std::string_view name) {
  return std::ranges::any_of(a.functions, [&](const FunctionUse& f) { return f.name == name; });
}

}  // namespace

TEST_CASE("analysis: kind, statements and tables") {
  struct Case {
    const char* text;
    const char* kind;
    const char* tables;
  };
  const Case cases[] = {
      {"", "empty", ""},
      {" ; -- nothing", "empty", ""},
      {"SELECT 1", "select", ""},
      {"VALUES (1)", "select", ""},
      {"TABLE t", "select", "t"},
      {"SELECT * FROM t", "select", "t"},
      {"SELECT * FROM s.t AS x, \"U\" JOIN v ON true", "select", "s.t x, U, v"},
      {"SELECT * FROM t, t, t a", "select", "t, t a"},
      {"SELECT (SELECT 1 FROM u) FROM t WHERE EXISTS (SELECT 1 FROM v)", "select", "t, u, v"},
      {"SELECT 1 FROM a UNION SELECT 2 FROM b", "select", "a, b"},
      {"SELECT * FROM t FOR UPDATE OF t", "select", "t"},
      {"SELECT * INTO n FROM t", "select", "t, n!"},
      // CTE names: visible to later ones and to the statement, not to earlier ones, not when qualified
      {"WITH x AS (SELECT * FROM t) SELECT * FROM x", "select", "t"},
      {"WITH x AS (SELECT * FROM y), y AS (SELECT * FROM x) SELECT * FROM x, y", "select", "y"},
      {"WITH RECURSIVE x AS (SELECT * FROM y), y AS (SELECT * FROM x) SELECT * FROM x, y", "select", ""},
      {"WITH x AS (SELECT 1) SELECT * FROM s.x", "select", "s.x"},
      {"WITH x AS (SELECT * FROM x) SELECT * FROM x", "select", "x"},
      {"SELECT * FROM (WITH x AS (SELECT 1) SELECT * FROM x) q, x", "select", "x"},
      {"WITH x AS (SELECT 1) SELECT (SELECT 1 FROM x, y)", "select", "y"},
      {"WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x", "select", "t?!"},
      {"(WITH x AS (SELECT 1) SELECT 1 FROM x) UNION SELECT 1 FROM x", "select", "x"},
      // writes
      {"INSERT INTO t SELECT * FROM u", "insert", "t!, u"},
      {"INSERT INTO s.t AS x VALUES (1) RETURNING *", "insert", "s.t x?!"},
      {"WITH t AS (SELECT 1) INSERT INTO t SELECT * FROM t", "insert", "t!"},
      {"UPDATE t SET a = 1", "update", "t?!"},
      {"UPDATE t x SET a = (SELECT 1 FROM v) FROM u WHERE u.b = x.b", "update", "t x?!, u, v"},
      {"DELETE FROM t USING u WHERE a IN (SELECT b FROM v)", "delete", "t?!, u, v"},
      {"MERGE INTO t USING u ON t.a = u.a WHEN MATCHED THEN DELETE", "merge", "t?!, u"},
      {"TRUNCATE t, s.u", "truncate", "t!, s.u!"},
      {"COPY t FROM STDIN", "copy_from", "t!"},
      {"COPY s.t (a) TO STDOUT", "copy_to", "s.t"},
      {"COPY (SELECT * FROM t) TO STDOUT", "copy_to", "t"},
      {"COPY (DELETE FROM t RETURNING *) TO STDOUT", "copy_to", "t?!"},
      {"LOCK TABLE t, u IN SHARE MODE", "lock", "t, u"},
      // transactions
      {"BEGIN", "begin", ""},
      {"START TRANSACTION", "begin", ""},
      {"COMMIT AND CHAIN", "commit", ""},
      {"END", "commit", ""},
      {"ABORT", "rollback", ""},
      {"ROLLBACK", "rollback", ""},
      {"SAVEPOINT a", "savepoint", ""},
      {"RELEASE a", "savepoint", ""},
      {"ROLLBACK TO a", "savepoint", ""},
      {"PREPARE TRANSACTION 'x'", "prepare_transaction", ""},
      {"COMMIT PREPARED 'x'", "commit_prepared", ""},
      {"ROLLBACK PREPARED 'x'", "rollback_prepared", ""},
      // session
      {"SET a.b = 1", "set", ""},
      {"RESET ALL", "set", ""},
      {"SET CONSTRAINTS ALL DEFERRED", "set", ""},
      {"SHOW ALL", "show", ""},
      {"EXPLAIN SELECT * FROM t", "explain", "t"},
      {"PREPARE p AS SELECT * FROM t", "prepare", "t"},
      {"EXECUTE p (1)", "execute", ""},
      {"DEALLOCATE ALL", "deallocate", ""},
      {"DISCARD ALL", "discard", ""},
      {"DECLARE c CURSOR FOR SELECT * FROM t", "declare_cursor", "t"},
      {"FETCH ALL FROM c", "fetch", ""},
      {"MOVE 5 IN c", "fetch", ""},
      {"CLOSE c", "close_cursor", ""},
      {"LISTEN x", "listen", ""},
      {"UNLISTEN *", "listen", ""},
      {"NOTIFY x, 'y'", "listen", ""},
      {"CALL p(1)", "call", ""},
      {"DO $$ BEGIN DELETE FROM t; END $$", "do", ""},
      // maintenance and definition
      {"VACUUM t", "vacuum", "t"},
      {"ANALYZE", "vacuum", ""},
      {"CHECKPOINT", "vacuum", ""},
      {"CLUSTER t", "vacuum", "t"},
      {"REINDEX TABLE t", "vacuum", "t"},
      {"REFRESH MATERIALIZED VIEW v", "refresh_view", "v!"},
      {"CREATE TABLE t (a int)", "ddl", "t!"},
      {"CREATE TABLE t AS SELECT * FROM u", "ddl", "u, t!"},
      {"CREATE INDEX i ON t (a)", "ddl", "t!"},
      {"CREATE VIEW v AS SELECT * FROM t", "ddl", "v!, t"},
      {"ALTER TABLE s.t ADD COLUMN b int", "ddl", "s.t!"},
      {"DROP TABLE t, s.u", "ddl", "t!, s.u!"},
      {"DROP FUNCTION f(int)", "ddl", ""},
      {"GRANT SELECT ON t TO u", "ddl", "t!"},
      // several at once
      {"SELECT * FROM t; DELETE FROM u", "multiple", "t, u?!"},
      {"SELECT FROM WHERE", "unparsed", ""},
  };
  for (const Case& c : cases) {
    CAPTURE(c.text);
    const auto a = analyse(c.text);
    CHECK(to_string(a->kind) == c.kind);
    CHECK(tables(*a) == c.tables);
    CHECK((a->why_not == WhyNot::none) == (a->kind != StatementKind::unparsed));
  }
  CHECK(analyse("SELECT 1; SELECT 2;")->statements == 2);
  CHECK(analyse("CREATE TABLE a(); DROP TABLE b")->statements == 2);
}

TEST_CASE("analysis: settings") {
  struct Case {
    const char* text;
    const char* settings;
  };
  const Case cases[] = {
      {"SET work_mem = '4MB'", "work_mem=4MB"},
      {"SET Work_Mem TO 4096", "work_mem=4096"},
      {"SET LOCAL work_mem = 1", "work_mem=1 local"},
      {"SET SESSION work_mem = DEFAULT", "work_mem reset"},
      {"SET enable_seqscan = off", "enable_seqscan=off"},
      {"SET enable_seqscan = true", "enable_seqscan=true"},
      {"SET search_path = a, \"B c\", \"$user\"", "search_path=a, \"B c\", \"$user\""},
      {"SET search_path = ''", "search_path=\"\""},
      {"SET DateStyle = ISO, DMY", "datestyle=iso, dmy"},
      {"SET pgsteer.mode = 'off'", "pgsteer.mode=off"},
      {"SET TIME ZONE 'UTC'", "timezone=UTC"},
      {"SET TIME ZONE LOCAL", "timezone reset"},
      {"SET TIME ZONE -1.5", "timezone=-1.5"},
      {"SET NAMES 'utf8'", "client_encoding=utf8"},
      {"SET ROLE x", "role=x"},
      {"SET SESSION AUTHORIZATION x", "session_authorization=x"},
      {"RESET work_mem", "work_mem reset"},
      {"RESET ALL", "all reset"},
      {"DISCARD ALL", "all reset"},
      {"DISCARD PLANS", ""},
      {"SET TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY",
       "transaction_isolation=serializable local; transaction_read_only=on local"},
      {"SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE", "default_transaction_read_only=off"},
      {"SET TRANSACTION SNAPSHOT '00-1'", "transaction_snapshot=00-1 local"},
      {"BEGIN ISOLATION LEVEL REPEATABLE READ NOT DEFERRABLE",
       "transaction_isolation=repeatable read local; transaction_deferrable=off local"},
      {"SELECT set_config('Work_Mem', '1MB', true)", "work_mem=1MB local"},
      {"SELECT pg_catalog.set_config('a.b', 'x', false)", "a.b=x"},
      {"SELECT set_config(a, 'x', false)", ""},
      {"SELECT set_config('a', 'x')", ""},
      {"SELECT s.set_config('a', 'x', false)", ""},
      {"SELECT 1; SET a.b = 1", "a.b=1"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.text);
    CHECK(settings(*analyse(c.text)) == c.settings);
  }
  CHECK(calls(*analyse("SELECT set_config(a, 'x', false)"), "set_config"));
  const auto raised = [](const char* text) { return analyse(text)->flags.transaction_read_only_or_isolation; };
  CHECK(raised("BEGIN ISOLATION LEVEL REPEATABLE READ"));
  CHECK(raised("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"));
  CHECK(raised("SET default_transaction_isolation = 'serializable'"));
  CHECK_FALSE(raised("BEGIN ISOLATION LEVEL READ COMMITTED"));
  CHECK_FALSE(raised("BEGIN READ ONLY"));
}

TEST_CASE("analysis: names") {
  CHECK(analyse("PREPARE p AS SELECT 1")->name == "p");
  CHECK(analyse("EXECUTE \"P\"")->name == "P");
  CHECK(analyse("DEALLOCATE p")->name == "p");
  CHECK(analyse("DECLARE c CURSOR FOR SELECT 1")->name == "c");
  CHECK(analyse("FETCH 1 FROM c")->name == "c");
  CHECK(analyse("CLOSE c")->name == "c");
  CHECK(analyse("COMMIT PREPARED 'it''s'")->name == "it's");
  CHECK(analyse("SAVEPOINT a")->name == "a");
  CHECK(analyse("SHOW search_path")->name == "search_path");
  CHECK(analyse("SELECT 1; PREPARE p AS SELECT 1")->name.empty());
}

TEST_CASE("analysis: roles whose name will stand for another") {
  const std::pair<const char*, std::vector<std::string>> cases[] = {
      {"DROP ROLE anna, \"Ben\"", {"anna", "Ben"}}, {"DROP USER IF EXISTS anna", {"anna"}}, {"ALTER USER anna RENAME TO berta", {"anna", "berta"}},
      {"ALTER ROLE anna PASSWORD 'x'", {}},           {"DROP TABLE anna", {}},                {"ALTER TABLE anna RENAME TO berta", {}}};
  for (const auto& [text, want] : cases) {
    CAPTURE(text);
    CHECK(analyse(text)->roles_replaced == want);
  }
}

TEST_CASE("analysis: databases that nobody else may be connected to") {
  const std::pair<const char*, const char*> cases[] = {
      {"DROP DATABASE Shop", "shop"},
      {"DROP DATABASE IF EXISTS \"A b\" WITH (FORCE)", "A b"},
      {"ALTER DATABASE shop RENAME TO store", "shop"},
      {"ALTER DATABASE shop SET TABLESPACE fast", "shop"},
      {"CREATE DATABASE copy TEMPLATE shop OWNER anna", "shop"},
      {"CREATE DATABASE copy", ""},
      {"ALTER DATABASE shop SET work_mem = '1MB'", ""},
      {"ALTER DATABASE shop CONNECTION LIMIT 5", ""},
      {"ALTER TABLE shop RENAME TO store", ""},
      {"DROP TABLE shop", ""},
  };
  for (const auto& [text, want] : cases) {
    CAPTURE(text);
    const auto a = analyse(text);
    REQUIRE(a->why_not == WhyNot::none);
    CHECK(a->databases_alone.size() == (*want != '\0'));
    if (!a->databases_alone.empty()) CHECK(a->databases_alone[0] == want);
  }
}

TEST_CASE("analysis: flags") {
  struct Case {
    const char* text;
    bool Flags::*flag;
    bool expected;
  };
  const Case cases[] = {
      {"SELECT 1 FROM t FOR SHARE", &Flags::locking_clause, true},
      {"SELECT (SELECT 1 FROM t FOR UPDATE)", &Flags::locking_clause, true},
      {"SELECT 1 FROM t", &Flags::locking_clause, false},
      {"SELECT 1 INTO t", &Flags::into, true},
      {"INSERT INTO t SELECT 1", &Flags::into, false},
      {"WITH x AS (INSERT INTO t VALUES (1)) SELECT 1", &Flags::data_modifying_cte, true},
      {"SELECT * FROM (WITH x AS (SELECT 1) SELECT 1) q", &Flags::data_modifying_cte, false},
      {"SELECT * FROM t TABLESAMPLE system (1)", &Flags::tablesample, true},
      {"SELECT current_user", &Flags::sql_value_function, true},
      {"SELECT 1 WHERE a < current_timestamp(3)", &Flags::sql_value_function, true},
      {"SELECT now()", &Flags::sql_value_function, false},
      {"SELECT 'now'::timestamp", &Flags::time_literal, true},
      {"SELECT 1 WHERE a > ' Today 12:00'", &Flags::time_literal, true},
      {"SELECT E'\\x6eow'", &Flags::time_literal, true},
      {"SELECT $$YESTERDAY$$", &Flags::time_literal, true},
      {"SELECT 'x-tomorrow'", &Flags::time_literal, true},
      {"SELECT 'know', 'nowhere', 'now_', 'todays'", &Flags::time_literal, false},
      {"SELECT now FROM today", &Flags::time_literal, false},
      {"SELECT * FROM generate_series(1, 2)", &Flags::function_in_from, true},
      {"SELECT f(1)", &Flags::function_in_from, false},
      {"UPDATE t SET a = 1 WHERE CURRENT OF c", &Flags::current_of, true},
      {"/*+ SeqScan(t) */ SELECT 1 FROM t", &Flags::hint_comment, true},
      {"SELECT '/*+ x */'", &Flags::hint_comment, false},
      {"/* + */ SELECT 1", &Flags::hint_comment, false},
      {"CREATE TEMP TABLE t (a int)", &Flags::creates_temporary, true},
      {"CREATE TEMP VIEW v AS SELECT 1", &Flags::creates_temporary, true},
      {"CREATE TABLE pg_temp.t (a int)", &Flags::creates_temporary, true},
      {"SELECT 1 INTO TEMP t", &Flags::creates_temporary, true},
      {"CREATE TEMP SEQUENCE s", &Flags::creates_temporary, true},
      {"CREATE TABLE t AS SELECT * FROM u", &Flags::creates_temporary, false},
      {"EXPLAIN (PGSTEER) SELECT 1", &Flags::explain_pgsteer, true},
      {"EXPLAIN (pgsteer off) SELECT 1", &Flags::explain_pgsteer, false},
      {"EXPLAIN ANALYZE SELECT 1", &Flags::explain_analyze, true},
      {"EXPLAIN (ANALYZE false) SELECT 1", &Flags::explain_analyze, false},
      {"EXPLAIN (VERBOSE) SELECT 1", &Flags::explain_analyze, false},
  };
  for (const Case& c : cases) {
    CAPTURE(c.text);
    const auto a = analyse(c.text);
    REQUIRE(a->why_not == WhyNot::none);
    CHECK(a->flags.*c.flag == c.expected);
  }
  CHECK(analyse("SELECT 1 FROM t")->read_only_select());
  CHECK_FALSE(analyse("SELECT 1 FROM t FOR UPDATE")->read_only_select());
}

TEST_CASE("analysis: the statement inside EXPLAIN") {
  struct Case {
    const char* text;
    const char* inner;
  };
  const Case cases[] = {
      {"EXPLAIN SELECT 1", "SELECT 1"},
      {"explain  analyze\n verbose select 1 ; ", "select 1"},
      {"EXPLAIN (SELECT 1)", "(SELECT 1)"},
      {"EXPLAIN ANALYZE (SELECT 1)", "(SELECT 1)"},
      {"EXPLAIN (PGSTEER) SELECT 1", "SELECT 1"},
      {"EXPLAIN (PGSTEER, FORMAT 'x)y', ANALYZE on) (SELECT 1) LIMIT 1", "(SELECT 1) LIMIT 1"},
      {"/* a */ EXPLAIN /* b */ (PGSTEER) /* c */ SELECT 1 -- d", "/* c */ SELECT 1 -- d"},
      {"EXPLAIN VERBOSE INSERT INTO t VALUES (';')", "INSERT INTO t VALUES (';')"},
      {"; EXPLAIN SELECT 2", "SELECT 2"},
      {"SELECT 1", ""},
  };
  for (const Case& c : cases) {
    CAPTURE(c.text);
    CHECK(analyse(c.text)->explained == c.inner);
  }
}

TEST_CASE("analysis: columns and functions") {
  const auto a = analyse("SELECT t.a, b, t.*, s.t.c FROM t WHERE t.a = 1 AND lower(b) LIKE 'x' ORDER BY d");
  const auto column = [&](std::string_view qualifier, std::string_view name) -> const ColumnUse* {
    for (const ColumnUse& c : a->columns)
      if (c.qualifier == qualifier && c.name == name) return &c;
    return nullptr;
  };
  CHECK(a->columns.size() == 5);
  REQUIRE(column("t", "a"));
  CHECK(column("t", "a")->in_predicate);
  CHECK(column("", "b")->in_predicate);
  CHECK_FALSE(column("t", "c")->in_predicate);
  CHECK(column("t", "*") != nullptr);
  CHECK_FALSE(column("", "d")->in_predicate);

  const auto f = analyse(
      "SELECT count(*), sum(DISTINCT a), s.f(1, 2, 3), rank() OVER (), a AT TIME ZONE 'x' FROM g(h(1)) WHERE i()");
  struct Expected {
    const char *schema, *name;
    int arguments;
    bool aggregate, in_from;
  };
  const Expected expected[] = {{"", "g", 1, false, true},       {"", "h", 1, false, false},
                               {"", "count", 0, true, false},   {"", "sum", 1, true, false},
                               {"s", "f", 3, false, false},     {"", "rank", 0, true, false},
                               {"pg_catalog", "timezone", 2, false, false}, {"", "i", 0, false, false}};
  REQUIRE(f->functions.size() == std::size(expected));
  for (std::size_t i = 0; i < f->functions.size(); ++i) {
    CAPTURE(expected[i].name);
    CHECK(f->functions[i].schema == expected[i].schema);
    CHECK(f->functions[i].name == expected[i].name);
    CHECK(f->functions[i].arguments == expected[i].arguments);
    CHECK(f->functions[i].aggregate_syntax == expected[i].aggregate);
    CHECK(f->functions[i].in_from == expected[i].in_from);
  }
  CHECK(calls(*analyse("CALL p(q(1))"), "p"));
  CHECK(analyse("SELECT a + b, -a, a || b")->functions.empty());
}

TEST_CASE("analysis: features") {
  const auto f = analyse(
      "WITH c AS (SELECT 1) SELECT DISTINCT a, count(*), t.* FROM t JOIN u ON t.id = u.id LEFT JOIN v ON v.x > 1, c "
      "WHERE t.a IN (1, 2, 3) AND (t.b = $1 OR t.b = $2) AND NOT t.c LIKE 'x%' AND t.d BETWEEN 1 AND 2 AND t.e IS NULL "
      "AND EXISTS (SELECT 1 FROM w WHERE w.t = t.id) AND t.f::int = 5 GROUP BY 1, 2 HAVING count(*) > 1 ORDER BY 1 "
      "LIMIT 10 OFFSET 5")->features;
  CHECK(f.tables == 4);
  CHECK(f.ctes == 1);
  CHECK(f.joins == 3);
  CHECK(f.outer_joins == 1);
  CHECK(f.subqueries == 1);
  CHECK(f.exists_sublinks == 1);
  CHECK(f.correlated_hint == 1);
  CHECK(f.distinct == 1);
  CHECK(f.aggregates == 2);
  CHECK(f.group_by == 2);
  CHECK(f.having == 1);
  CHECK(f.order_by == 1);
  CHECK(f.in_lists == 1);
  CHECK(f.in_list_items == 3);
  CHECK(f.ors == 1);
  CHECK(f.nots == 1);
  CHECK(f.likes == 1);
  CHECK(f.equalities == 5);
  CHECK(f.ranges == 3);
  CHECK(f.predicates == 12);
  CHECK(f.casts == 1);
  CHECK(f.parameters == 2);
  CHECK(f.target_columns == 3);
  CHECK(f.stars == 1);
  CHECK(f.has_limit == 1);
  CHECK(f.has_offset == 1);
  CHECK(f.limit_value == 10);
  CHECK(f.depth == 2);
  CHECK(analyse("VALUES (1), (2), (3)")->features.values_rows == 3);
  CHECK(analyse("SELECT 1 LIMIT ALL")->features.has_limit == 0);
  CHECK(analyse("SELECT 1 LIMIT $1")->features.limit_value == -1);
  CHECK(analyse("SELECT 1 LIMIT 0")->features.limit_value == 0);
  CHECK(analyse("SELECT 1 LIMIT -3")->features.limit_value == -1);
  CHECK(analyse("SET geqo_seed = -5")->settings.at(0).value == "-5");
  CHECK(analyse("SELECT 1 UNION SELECT 2 EXCEPT SELECT 3")->features.set_operations == 2);
  CHECK(analyse("SELECT CASE WHEN a THEN b END, rank() OVER () FROM t, LATERAL (SELECT 1) q")->features.lateral == 1);
  CHECK(analyse("SELECT 1")->features.bytes == 8);
  CHECK(analyse("SELECT 1 FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.a = 1)")->features.correlated_hint == 0);
}

TEST_CASE("analysis: shape merges literals only") {
  const auto same = [](const char* a, const char* b) { return analyse(a)->shape == analyse(b)->shape; };
  CHECK(same("SELECT a FROM t WHERE b = 1", "select a from T where B=2 -- other"));
  CHECK(same("SELECT 'x'", "SELECT /* c */ $$yy$$;"));
  CHECK(same("SELECT 'a'\n'b'", "SELECT 'ab'"));
  CHECK_FALSE(same("SELECT 1", "SELECT 1.5"));
  CHECK_FALSE(same("SELECT 1", "SELECT 'x'"));
  CHECK_FALSE(same("SELECT a, b", "SELECT b, a"));
  CHECK_FALSE(same("SELECT 1 AS x", "SELECT 1 AS y"));
  CHECK_FALSE(same("SELECT $1", "SELECT $2"));
  CHECK_FALSE(same("SELECT NULL", "SELECT 1"));
  CHECK_FALSE(same("SELECT a", "SELECT \"A\""));
  CHECK_FALSE(same("SELECT a IN (1)", "SELECT a IN (1, 2)"));
  CHECK_FALSE(same("SELECT ab", "SELECT a b"));
  CHECK_FALSE(same("SELECT 1; SELECT 2", "SELECT 1"));
  CHECK_FALSE(same("SELECT B'1'", "SELECT '1'"));
  CHECK(analyse("SELECT 1")->shape.hex().size() == 32);
}

TEST_CASE("analysis: no string is left in the normalized text") {
  for (const char* text : {"create role a password 'secret'", "comment on table t is 'secret'", "prepare p as select $$secret$$", "execute p(E'secret')",
                           "alter system set x = 'secret'", "call f('it''s secret' /* secret */)", "create table c (a text default U&'secret')",
                           "create function f() returns text language sql as $f$select 'secret'$f$", "select 1; comment on table t is 'secret'"}) {
    CAPTURE(text);
    const auto a = analyse(text);
    CHECK(a->why_not == WhyNot::none);
    CHECK(a->normalized() != "");
    CHECK(a->normalized().find("secret") == std::string::npos);
  }
  CHECK(analyse("prepare p as select 'a', b from t -- x")->normalized() == "prepare p as select '...', b from t");
}

TEST_CASE("analysis: fingerprint and normalized text") {
  const auto a = analyse("SELECT a FROM t WHERE b = 'x' /* c */ AND d = 5 -- e");
  CHECK(a->normalized() == "SELECT a FROM t WHERE b = $1 AND d = $2");
  CHECK(a->fingerprint_hex.size() == 16);
  CHECK(a->fingerprint == analyse("select a from t where b = 'y' and d = 6")->fingerprint);
  CHECK(a->fingerprint != analyse("select a from u where b = 'y' and d = 6")->fingerprint);
  const auto bad = analyse("SELEC 1");
  CHECK(bad->why_not == WhyNot::syntax);
  CHECK(bad->fingerprint_hex.size() == 16);
  CHECK(bad->fingerprint_hex != analyse("SELEC 2")->fingerprint_hex);
  CHECK(bad->normalized().empty());
}
