#include <array>

#include "tests/sql/corpus.hpp"

namespace pgsteer::sql::test {

std::span<const std::string_view> statements() {
  static constexpr auto list = std::to_array<std::string_view>({
      "SELECT", "SELECT FROM t", "SELECT * FROM t", "TABLE t", "VALUES (1)", "VALUES (1, 2), (3, 4)",
      "VALUES (1), (2) ORDER BY 1 LIMIT 1", "SELECT a AS b FROM t", "SELECT a AS \"select\", b \"B\" FROM t", "SELECT a b FROM t",
      "SELECT ALL a FROM t", "SELECT DISTINCT a FROM t", "SELECT DISTINCT ON (a, b + 1) a, b FROM t ORDER BY a, b + 1, c",
      "SELECT a FROM t WHERE b", "SELECT a FROM t WHERE b = 1 AND c = 2",
      "SELECT a, count(*) FROM t GROUP BY a", "SELECT a FROM t GROUP BY a, b + 1 HAVING count(*) > 1",
      "SELECT a FROM t GROUP BY ()", "SELECT a FROM t GROUP BY ROLLUP (a, b)", "SELECT a FROM t GROUP BY CUBE (a, (b, c))",
      "SELECT a FROM t GROUP BY GROUPING SETS ((a), (a, b), ())", "SELECT a FROM t GROUP BY DISTINCT ROLLUP (a), CUBE (b)",
      "SELECT a FROM t GROUP BY a, GROUPING SETS (ROLLUP (b), CUBE (c), GROUPING SETS (d, ()))", "SELECT a FROM t GROUP BY ALL a",
      "SELECT a FROM t GROUP BY (a, b)", "SELECT a FROM t GROUP BY \"rollup\"(a)", "SELECT 1 HAVING true",
      "SELECT a FROM t ORDER BY a", "SELECT a FROM t ORDER BY a ASC, b DESC", "SELECT a FROM t ORDER BY a NULLS FIRST, b DESC NULLS LAST",
      "SELECT a FROM t ORDER BY a USING <", "SELECT a FROM t ORDER BY a USING OPERATOR(pg_catalog.>) NULLS LAST", "SELECT a FROM t ORDER BY 1, a + b",
      "SELECT a FROM t ORDER BY a COLLATE \"C\" DESC", "SELECT a FROM t LIMIT 1", "SELECT a FROM t LIMIT 1 OFFSET 2", "SELECT a FROM t OFFSET 2",
      "SELECT a FROM t OFFSET 2 ROWS FETCH NEXT 3 ROWS ONLY", "SELECT a FROM t FETCH FIRST ROW ONLY", "SELECT a FROM t LIMIT ALL",
      "SELECT a FROM t ORDER BY a FETCH FIRST 3 ROWS WITH TIES", "SELECT a FROM t ORDER BY a FETCH FIRST (1 + 2) ROWS WITH TIES",
      "SELECT a FROM t LIMIT COALESCE($1, 10)", "SELECT a FROM t LIMIT (SELECT 1)", "SELECT a FROM t LIMIT $1::int + 1 OFFSET $2",
      "SELECT a FROM t LIMIT NULL OFFSET NULL", "SELECT a FROM t FOR UPDATE", "SELECT a FROM t FOR SHARE", "SELECT a FROM t FOR NO KEY UPDATE",
      "SELECT a FROM t FOR KEY SHARE", "SELECT a FROM t FOR UPDATE OF t NOWAIT", "SELECT a FROM t FOR UPDATE OF t SKIP LOCKED",
      "SELECT a FROM t, u FOR UPDATE OF t, u SKIP LOCKED", "SELECT a FROM t, u FOR UPDATE OF t FOR SHARE OF u NOWAIT",
      "SELECT a FROM t ORDER BY a LIMIT 1 FOR UPDATE SKIP LOCKED", "SELECT a FROM t FOR UPDATE NOWAIT LIMIT 5",
      "SELECT a, rank() OVER w FROM t WINDOW w AS (PARTITION BY b ORDER BY c), v AS (w ROWS 1 PRECEDING)",
      "SELECT sum(a) OVER w FROM t WINDOW w AS ()", "SELECT sum(a) OVER \"range\" FROM t WINDOW \"range\" AS (ORDER BY a)",
      "SELECT 1 UNION SELECT 2", "SELECT 1 UNION ALL SELECT 2", "SELECT 1 INTERSECT SELECT 2", "SELECT 1 INTERSECT ALL SELECT 2",
      "SELECT 1 EXCEPT SELECT 2", "SELECT 1 EXCEPT ALL SELECT 2", "SELECT 1 UNION SELECT 2 UNION ALL SELECT 3",
      "SELECT 1 UNION (SELECT 2 UNION ALL SELECT 3)", "SELECT 1 UNION SELECT 2 INTERSECT SELECT 3", "(SELECT 1 UNION SELECT 2) INTERSECT SELECT 3",
      "(SELECT 1 ORDER BY 1 LIMIT 1) UNION ALL (SELECT 2 ORDER BY 1 LIMIT 1) ORDER BY 1 LIMIT 5", "SELECT 1 UNION VALUES (2), (3)",
      "(SELECT 1) LIMIT 1", "((SELECT 1) UNION (SELECT 2)) ORDER BY 1", "SELECT 1 UNION SELECT 2 ORDER BY 1 DESC OFFSET 1",
      "(WITH x AS (SELECT 1) SELECT * FROM x) UNION SELECT 2", "TABLE t UNION TABLE u", "(SELECT a FROM t FOR UPDATE) UNION ALL SELECT 1",
      "WITH x AS (SELECT 1) SELECT * FROM x", "WITH x (a, b) AS (SELECT 1, 2), y AS (SELECT * FROM x) SELECT * FROM y",
      "WITH x AS MATERIALIZED (SELECT 1) SELECT * FROM x", "WITH x AS NOT MATERIALIZED (SELECT 1) SELECT * FROM x",
      "WITH RECURSIVE x (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM x WHERE n < 10) SELECT * FROM x",
      "WITH x AS (INSERT INTO t VALUES (1) RETURNING *) SELECT * FROM x", "WITH x AS (DELETE FROM t RETURNING a) INSERT INTO u SELECT * FROM x",
      "WITH x AS (UPDATE t SET a = 1 RETURNING *), y AS (SELECT 1) SELECT * FROM x, y", "WITH x AS (SELECT 1) (SELECT 2) ORDER BY 1",
      "WITH x AS (WITH y AS (SELECT 1) SELECT * FROM y) SELECT * FROM x", "WITH x AS (VALUES (1)) SELECT 1 UNION SELECT * FROM x",
      // DML
      "INSERT INTO t VALUES (1)", "INSERT INTO t DEFAULT VALUES", "INSERT INTO t (a, b) VALUES (1, DEFAULT), (2, 3)",
      "INSERT INTO s.t AS x (a) SELECT 1", "INSERT INTO t (a[1], b.c) VALUES (1, 2)", "INSERT INTO t SELECT * FROM u WHERE a ORDER BY b LIMIT 1",
      "INSERT INTO t OVERRIDING SYSTEM VALUE VALUES (1)", "INSERT INTO t (a) OVERRIDING USER VALUE SELECT 1", "INSERT INTO t TABLE u",
      "INSERT INTO t VALUES (1) RETURNING *", "INSERT INTO t VALUES (1) RETURNING a AS b, c + 1", "INSERT INTO t (SELECT 1 UNION SELECT 2)",
      "INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING", "INSERT INTO t VALUES (1) ON CONFLICT (a) DO NOTHING",
      "INSERT INTO t VALUES (1) ON CONFLICT (a, (lower(b)) COLLATE \"C\" text_ops) WHERE c > 1 DO NOTHING",
      "INSERT INTO t VALUES (1) ON CONFLICT (lower(b)) DO NOTHING", "INSERT INTO t VALUES (1) ON CONFLICT (b COLLATE \"C\" s.my_ops) DO NOTHING",
      "INSERT INTO t VALUES (1) ON CONFLICT ON CONSTRAINT \"t_pkey\" DO UPDATE SET a = excluded.a",
      "INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET b = excluded.b, c = DEFAULT WHERE t.b <> excluded.b RETURNING *",
      "INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET c = 1, (a, b) = (1, 2)",
      "INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET (a, b) = ROW(1, 2), c = 1, (d, e) = (SELECT 1, 2)",
      "WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x", "INSERT INTO t WITH x AS (SELECT 1) SELECT * FROM x",
      "INSERT INTO t VALUES ((SELECT 1), -1, a = b)", "UPDATE t SET a = 1", "UPDATE ONLY s.t AS x SET a = x.a + 1, b = DEFAULT WHERE x.c = 1",
      "UPDATE t SET c=1,(a,b)=(1,2)", "UPDATE t SET (a, b) = (1, 2), c = 3", "UPDATE t SET (a, b) = (SELECT 1, 2), (c, d) = ROW(3, DEFAULT)",
      "UPDATE t SET (a) = ROW(1)", "UPDATE t SET a[1] = 2, b.c = 3, a[1:2] = '{1}'", "UPDATE t SET a = u.b FROM u WHERE t.id = u.id",
      "UPDATE t SET a = 1 FROM u JOIN v ON u.x = v.x, w WHERE t.id = u.id RETURNING t.*, u.b", "UPDATE t SET a = 1 WHERE CURRENT OF c",
      "UPDATE t SET a = a = b", "WITH x AS (SELECT 1) UPDATE t SET a = (SELECT * FROM x)", "DELETE FROM t", "DELETE FROM ONLY t AS x WHERE x.a = 1",
      "DELETE FROM t USING u, v WHERE t.a = u.a RETURNING *", "DELETE FROM t WHERE CURRENT OF \"Cur\"", "WITH x AS (SELECT 1) DELETE FROM t USING x",
      "DELETE FROM t WHERE a IN (SELECT b FROM u)",
      "MERGE INTO t USING u ON t.a = u.a WHEN MATCHED THEN UPDATE SET b = u.b WHEN NOT MATCHED THEN INSERT VALUES (u.a, u.b)",
      "MERGE INTO t AS x USING (SELECT 1 AS a) AS y ON x.a = y.a WHEN MATCHED AND x.b > 1 THEN DELETE WHEN MATCHED THEN DO NOTHING",
      "MERGE INTO ONLY t USING u ON t.a = u.a WHEN NOT MATCHED AND u.b > 0 THEN INSERT (a, b) OVERRIDING SYSTEM VALUE VALUES (1, DEFAULT)",
      "MERGE INTO t USING u ON true WHEN NOT MATCHED THEN INSERT DEFAULT VALUES WHEN MATCHED THEN UPDATE SET (a, b) = (1, 2), c = DEFAULT",
      "WITH x AS (SELECT 1) MERGE INTO t USING x ON true WHEN NOT MATCHED THEN DO NOTHING",
      // whole queries as applications send them
      "SELECT abalance FROM pgbench_accounts WHERE aid = 12345;",
      "UPDATE pgbench_accounts SET abalance = abalance + -1234 WHERE aid = 54321;",
      "SELECT \"users\".* FROM \"users\" INNER JOIN \"posts\" ON \"posts\".\"user_id\" = \"users\".\"id\" WHERE \"users\".\"active\" = TRUE AND \"posts\".\"created_at\" > '2024-01-01' ORDER BY \"users\".\"id\" ASC LIMIT $1 OFFSET $2",
      "SELECT n_name, sum(l_extendedprice * (1 - l_discount)) AS revenue FROM customer, orders, lineitem, supplier, nation, region WHERE c_custkey = o_custkey AND l_orderkey = o_orderkey AND l_suppkey = s_suppkey AND c_nationkey = s_nationkey AND s_nationkey = n_nationkey AND n_regionkey = r_regionkey AND r_name = 'ASIA' AND o_orderdate >= date '1994-01-01' AND o_orderdate < date '1994-01-01' + interval '1' year GROUP BY n_name ORDER BY revenue DESC",
      "SELECT * FROM t WHERE (a, b) > ($1, $2) AND NOT EXISTS (SELECT 1 FROM u WHERE u.t_id = t.id AND u.deleted_at IS NULL) ORDER BY a, b LIMIT 50",
      "SELECT date_trunc('month', created_at AT TIME ZONE 'Europe/Berlin')::date AS m, count(*) FILTER (WHERE status = 'ok') FROM e GROUP BY 1 HAVING count(*) > 10 ORDER BY 1 DESC NULLS LAST",
      "DELETE FROM jobs WHERE id = (SELECT id FROM jobs WHERE run_at <= now() ORDER BY priority, run_at FOR UPDATE SKIP LOCKED LIMIT 1) RETURNING *",
  });
  return list;
}

}  // namespace pgsteer::sql::test
