#include <array>

#include "tests/sql/corpus.hpp"

namespace pgsteer::sql::test {

std::span<const std::string_view> expressions() {
  static constexpr auto list = std::to_array<std::string_view>({
      // constants
      "0", "1", "-1", "-7", "- ( 3 )", "- - 4", "-(-(-2))", "a[-1]", "a::numeric(5,-2)", "2147483647", "2147483648", "-2147483648", "9223372036854775807", "99999999999999999999",
      "1.5", "-1.5", ".5", "5.", "1e10", "-1.5e-7", "''", "'x'", "'it''s'", "'back\\slash'", R"(E'tab\tnew\nquote\'s\\')",
      "$$dollar$$", "$tag$with $$ inside$tag$", R"(U&'d\0061t\+000061')", "B'0101'", "X'1FF'", "b''", "N'x'", "NULL",
      "TRUE", "false", "'a'\n'b'", "'Füße €'",
      // parameters and columns
      "$1", "$12", "a", "t.a", "s.t.a", "d.s.t.a", "*", "t.*", "\"Mixed Case\"", "\"sel\"\"ect\"", "\"select\"",
      "\"1a\"", "name", "\"order\"", "t.\"order\"", "größe", "a$b", "value", "t.type", "rows", "\"over\"", "over",
      // operators
      "a + b", "a - -1", "- a", "-(-a)", "+ a", "- (1)", "a * (b + c)", "(a * b) + c", "a + b + c", "a - (b - c)", "a ^ b ^ c",
      "a || 'x' || b", "a <> b", "a != b", "a >= 1", "a = b", "a < b", "a % b", "@ a", "a ->> 'k'", "a #>> '{x,y}'",
      "a @> b", "a && b", "a ~ 'x'", "a !~* 'x'", "a ? 'k'", "a OPERATOR(pg_catalog.+) b", "OPERATOR(pg_catalog.-) 5",
      "a OPERATOR(s.@@@) b", "~ a", "|/ a", "a - (- b)", "a <-> point '(1,2)'", "a*-1", "a<-1", "@-5",
      // booleans
      "a AND b", "a AND b AND c", "a OR b OR c", "a AND (b OR c)", "(a AND b) OR c", "a AND (b AND c)", "NOT a",
      "NOT NOT a", "NOT (a AND b)", "(NOT a) AND b", "NOT a = b", "(NOT a) = b", "a = 1 OR b = 2 AND c = 3",
      "(a AND b) IS NULL", "(a OR b) IS NOT TRUE", "(NOT a) IS UNKNOWN", "a IS NULL", "(a IS NULL) IS NOT NULL",
      "a IS NOT NULL", "a IS TRUE", "a IS NOT FALSE", "a IS FALSE", "a IS NOT UNKNOWN", "(a, b) IS NULL", "a ISNULL",
      "a NOTNULL", "(a = b) = c", "a = (b = c)", "(a < b) < c", "(a = b) IS DISTINCT FROM (c = d)",
      "a IS DISTINCT FROM b", "a IS NOT DISTINCT FROM NULL",
      // casts
      "a::int", "a::bigint", "a::smallint", "a::boolean", "a::real", "a::float8", "a::float(3)", "a::text", "a::numeric",
      "a::numeric(10,2)", "a::varchar", "a::varchar(5)", "a::char", "a::char(3)", "a::bpchar", "a::pg_catalog.bpchar",
      "a::\"char\"", "a::bit", "a::bit(3)", "a::bit varying(5)", "a::timestamp", "a::timestamp(3)", "a::timestamptz",
      "a::timestamp with time zone", "a::timestamp(2) with time zone", "a::time", "a::time with time zone", "a::date",
      "a::interval", "a::interval day", "a::interval day to second(3)", "a::interval(2)", "interval '1' hour",
      "interval '1 day'", "date '2020-01-01'", "timestamp '2020-01-01'", "float8 '1.5'", "int '5'", "a::int[]",
      "a::int[3][4]", "a::int array", "a::int array[4]", "a::s.mytype", "a::\"My Type\"[]", "CAST(a AS int)",
      "CAST(a + b AS int)", "a::int::text", "(a::int)::text", "-1::int", "(-1)::int", "-(1::int)", "(a AND b)::int",
      "(x = 1 AND y = 2)::int", "sum((x=1 AND y=2)::int)", "(ts AT TIME ZONE 'UTC')::date", "(a + b) AT TIME ZONE 'UTC'",
      "a AT TIME ZONE (b || 'x')", "1 + (b IS NULL)::int", "1 + (a IN (SELECT 1))::int", "(a IS TRUE)::int + 1",
      "x::pg_catalog.bpchar", "(NOT a)::text", "'t'::boolean", "true::boolean", "a::json", "a::name", "a::regclass",
      "point(a) '(1,2)'", "a::xml",
      // IN, BETWEEN, LIKE
      "a IN (1)", "a IN (1, 2, 3)", "a NOT IN (1, 2)", "(a = 1) IN (true)", "(NOT a) IN (b, c)", "(a, b) IN ((1, 2), (3, 4))",
      "a IN ((SELECT 1), 2)", "a BETWEEN 1 AND 2", "a NOT BETWEEN 1 AND 2", "a BETWEEN SYMMETRIC 2 AND 1",
      "a NOT BETWEEN SYMMETRIC 2 AND 1", "a BETWEEN (b AND c) AND d", "(a BETWEEN 1 AND 2) AND b",
      "a BETWEEN b + 1 AND c + 1", "a LIKE 'x%'", "a NOT LIKE 'x%'", "a ILIKE 'x%'", "a NOT ILIKE 'x%'",
      "a LIKE 'x!%' ESCAPE '!'", "a NOT LIKE 'x' ESCAPE ''", "a LIKE (b = c)", "a LIKE b || '%'", "a SIMILAR TO 'x'",
      "a NOT SIMILAR TO 'x'", "a SIMILAR TO 'x' ESCAPE '!'", "a ILIKE b ESCAPE c", "a ~~ 'x'", "a !~~* 'x'",
      "a = ANY (ARRAY[1,2])", "a <> ALL ($1)", "(a=1) = ANY (b)", "a LIKE ANY (ARRAY['x'])", "a NOT ILIKE ALL (b)",
      "a OPERATOR(pg_catalog.=) ANY (b)", "a = ANY ($1::int[])", "a = SOME (b)", "a = ANY ('{1,2}')",
      // subqueries
      "(SELECT 1)", "((SELECT 1))", "(SELECT 1) + 1", "EXISTS (SELECT 1)", "NOT EXISTS (SELECT 1)", "a IN (SELECT 1)",
      "a NOT IN (SELECT 1)", "(a, b) IN (SELECT 1, 2)", "a = ANY (SELECT 1)", "a > ALL (SELECT 1)",
      "a LIKE ANY (SELECT b)", "ARRAY(SELECT 1)", "(a, b) = (SELECT 1, 2)", "(a, b) < ANY (SELECT 1, 2)",
      "(SELECT a FROM t LIMIT 1)::int", "EXISTS (SELECT 1 UNION SELECT 2)", "(VALUES (1))", "a IN (VALUES (1), (2))",
      "(SELECT ARRAY[1,2])[1]", "((SELECT ROW(1,2))).f1", "NOT (a IN (SELECT 1))", "(a IN (SELECT 1)) IS TRUE",
      // rows, arrays, fields
      "ROW()", "ROW(1)", "ROW(1, 2)", "(1, 2)", "(a, b) = (1, 2)", "(a, b) < (1, 2)", "ROW(a, b) = ROW(1, 2)",
      "ROW(t.*)", "((a, b), c) = ((1, 2), 3)", "(a, b) OVERLAPS (c, d)", "ARRAY[1, 2]", "ARRAY[]::int[]", "ARRAY[[1,2],[3,4]]",
      "ARRAY[ARRAY[1], ARRAY[2]]", "(ARRAY[1,2])[1]", "a[1]", "a[1][2]", "a[1:2]", "a[:2]", "a[1:]", "a[:]", "t.a[i + 1]",
      "(a).b", "(a).b.c", "(a).*", "(t.a).b", "((a).b).c", "(f(x)).y", "(f(x)).*", "$1.x", "$1[1]", "(CASE WHEN a THEN b END).x",
      "(COALESCE(a, b))[1]", "(a || b)[1]", "(a::t).x", "(a[1]).b", "(a).b[1]", "(ROW(1,2)).f1", "((a, b)).f1",
      // functions
      "f()", "f(1)", "f(a, b)", "s.f(a)", "now()", "\"F\"(a)", "f(VARIADIC a)", "f(a, VARIADIC b)", "f(x => 1)",
      "f(a, x => 1, y => 2)", "f(x := 1)", "count(*)", "count(DISTINCT a)", "count(ALL a)", "sum(DISTINCT a ORDER BY a)",
      "string_agg(a, ',' ORDER BY b DESC, c)", "count(*) FILTER (WHERE a > 1)", "f(a = 1, NOT b)",
      "percentile_cont(0.5) WITHIN GROUP (ORDER BY a)", "mode() WITHIN GROUP (ORDER BY a DESC) FILTER (WHERE b)",
      "row_number() OVER ()", "row_number() OVER w", "sum(a) OVER (PARTITION BY b ORDER BY c)",
      "sum(a) OVER (w ORDER BY c)", "sum(a) OVER (ORDER BY b ROWS UNBOUNDED PRECEDING)",
      "sum(a) OVER (ROWS BETWEEN 1 PRECEDING AND 2 FOLLOWING)", "sum(a) OVER (RANGE BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING)",
      "sum(a) OVER (ORDER BY b RANGE BETWEEN interval '1 day' PRECEDING AND CURRENT ROW)",
      "sum(a) OVER (ORDER BY b GROUPS 2 PRECEDING)", "sum(a) OVER (ROWS CURRENT ROW EXCLUDE TIES)",
      "sum(a) OVER (ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING EXCLUDE GROUP)",
      "sum(a) OVER (ROWS BETWEEN 1 FOLLOWING AND a + 1 FOLLOWING EXCLUDE CURRENT ROW)",
      "sum(a) OVER (ROWS 1 PRECEDING EXCLUDE NO OTHERS)", "sum(a) FILTER (WHERE b) OVER (PARTITION BY c, d + 1)",
      "lag(a, 1) OVER (ORDER BY b NULLS FIRST)", "left(a, 1)", "coalesce(a, b, 1)", "COALESCE(a)", "nullif(a, b)",
      "NULLIF(a, b) = 1", "greatest(a, b)", "least(a, b, c)", "GROUPING(a, b)", "\"coalesce\"(a)",
      "extract(year FROM a)", "EXTRACT('epoch' FROM a - b)", "extract(fields FROM a)", "date_part('year', a)",
      "pg_catalog.extract('year', a)", "overlay(a PLACING b FROM 1)", "overlay(a PLACING b FROM 1 FOR 2)",
      "pg_catalog.overlay(a, b, c, d)", "overlay(a, b, c)", "position(a IN b)", "pg_catalog.position(a, b)",
      "substring(a FROM 1 FOR 2)", "substring(a FROM 'x')", "substring(a FOR 2)", "substring(a, 1, 2)",
      "substring(a SIMILAR 'x' ESCAPE '!')", "trim(a)", "trim(BOTH FROM a)", "trim(LEADING 'x' FROM a)", "trim(TRAILING FROM a)",
      "trim(BOTH 'x' FROM a)", "trim(a, 'x')", "btrim(a)", "a AT TIME ZONE 'UTC'", "timezone('UTC', a)",
      "pg_catalog.timezone('UTC', a)", "a AT TIME ZONE 'x' AT TIME ZONE 'y'", "COLLATION FOR (a)", "normalize(a)", "normalize(a, NFKC)",
      "a IS NORMALIZED", "a IS NFC NORMALIZED", "a IS NOT NFD NORMALIZED", "treat(a AS int)", "xmlexists('//x' PASSING a)",
      "current_date", "current_time", "current_time(2)", "current_timestamp", "current_timestamp(3)", "localtime",
      "localtime(1)", "localtimestamp", "localtimestamp(6)", "current_role", "current_user", "user", "session_user",
      "current_catalog", "current_schema", "current_schema()", "interval(3) '1 s'", "pg_sleep(0)", "like_escape(a, b)",
      // CASE and collation
      "CASE WHEN a THEN b END", "CASE WHEN a THEN b ELSE c END", "CASE a WHEN 1 THEN b WHEN 2 THEN c ELSE d END",
      "CASE WHEN a = 1 AND b THEN c + 1 ELSE -1 END", "CASE a = 1 WHEN true THEN 2 END", "CASE WHEN a THEN b END + 1",
      "CASE CASE WHEN a THEN b END WHEN c THEN d END", "a COLLATE \"C\"", "(a || b) COLLATE \"C\"", "a COLLATE s.\"de-DE\"",
      "1 + (b IS NULL) COLLATE \"C\"", "(a COLLATE \"C\") < b", "a || b COLLATE \"C\"", "(a COLLATE \"C\")::text",
      // XML
      "xmlconcat(a, b)", "xmlelement(NAME x)", "xmlelement(NAME x, XMLATTRIBUTES(a AS b, c), d, 'e')", "xmlforest(a, b AS c)",
      "xmlparse(DOCUMENT a)", "xmlparse(CONTENT a PRESERVE WHITESPACE)", "xmlpi(NAME x)", "xmlpi(NAME x, a || b)",
      "xmlserialize(CONTENT a AS text)", "xmlserialize(DOCUMENT a AS varchar(10))", "a IS DOCUMENT", "a IS NOT DOCUMENT",
      "(a IS DOCUMENT)::int", "xmlroot(a, VERSION '1.0')", "xmlroot(a, VERSION NO VALUE, STANDALONE YES)",
      "xmlroot(a, VERSION b || c, STANDALONE NO VALUE)", "xmlroot(a, VERSION $1, STANDALONE NO)",
  });
  return list;
}

std::span<const std::string_view> from_items() {
  static constexpr auto list = std::to_array<std::string_view>({
      "t", "s.t", "d.s.t", "ONLY t", "ONLY (t)", "t *", "t a", "t AS a", "t AS a (x, y)", "\"T\" AS \"A\"", "t, u", "t, u, v",
      "t AS \"left\"", "t AS natural_", "t AS \"partition\"", "t JOIN u ON t.a = u.a", "t JOIN u ON t.a = u.a AND t.b > 1",
      "t LEFT JOIN u ON true", "t RIGHT JOIN u ON t.a = u.a", "t FULL OUTER JOIN u ON t.a = u.a", "t CROSS JOIN u",
      "t NATURAL JOIN u", "t NATURAL LEFT JOIN u", "t NATURAL FULL JOIN u", "t JOIN u USING (a)", "t LEFT JOIN u USING (a, b)",
      "t JOIN u USING (a) AS j", "(t JOIN u ON t.a = u.a) AS j", "(t JOIN u USING (a)) AS j (x, y, z)",
      "t JOIN u ON t.a = u.a JOIN v ON v.b = u.b", "t JOIN (u JOIN v ON u.b = v.b) ON t.a = u.a",
      "t LEFT JOIN (u CROSS JOIN v) ON t.a = u.a", "(t CROSS JOIN u) CROSS JOIN v", "t CROSS JOIN (u CROSS JOIN v)",
      "t JOIN u JOIN v ON u.b = v.b ON t.a = u.a", "t CROSS JOIN u JOIN v ON true", "(t NATURAL JOIN u) LEFT JOIN v USING (a)",
      "(SELECT 1) AS q", "(SELECT 1) q (x)", "LATERAL (SELECT t.a) AS q", "t, LATERAL (SELECT t.a) AS q",
      "t LEFT JOIN LATERAL (SELECT t.a LIMIT 1) q ON true", "(VALUES (1, 'a'), (2, 'b')) AS v (i, s)",
      "(SELECT 1 UNION ALL SELECT 2) AS q", "(WITH c AS (SELECT 1) SELECT * FROM c) AS q", "f()", "f() AS g", "f(1) g (x)",
      "s.f(a, b) AS g", "generate_series(1, 10) WITH ORDINALITY AS g (v, n)", "f() AS g (a int, b text)",
      "f() AS (a int, b text)", "f(x) AS g (a numeric(10,2), b text COLLATE \"C\", c int[])", "LATERAL f(t.a) AS g",
      "ROWS FROM (f(1), g(2)) AS x", "ROWS FROM (f(1) AS (a int), g(2)) WITH ORDINALITY AS x (p, q, r)",
      "unnest(ARRAY[1,2], ARRAY['a','b']) AS u (i, s)", "json_to_recordset('[]') AS x (a int, b text)", "current_date AS d",
      "CAST('1' AS int) AS c", "coalesce(1, 2) AS c", "t TABLESAMPLE bernoulli (10)", "t a TABLESAMPLE system (1.5) REPEATABLE (42)",
      "s.t TABLESAMPLE my.method (a, b)", "current_timestamp", "nullif(1, 2) x", "t JOIN f(t.a) AS g ON true",
      "xmltable('/a' PASSING b COLUMNS c int)", "LATERAL xmltable((x || 'y') PASSING BY REF t.b COLUMNS c int PATH 'z' NOT NULL, n FOR ORDINALITY) AS q (u, v)",
      "xmltable(XMLNAMESPACES('u' AS p, DEFAULT 'd'), '/a' PASSING b COLUMNS c varchar(5) PATH '@x' DEFAULT -1) AS q",
  });
  return list;
}

}  // namespace pgsteer::sql::test
