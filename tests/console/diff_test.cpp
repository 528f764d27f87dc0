#include "proxy/console/sql_diff.hpp"

#include <doctest/doctest.h>

using namespace pgsteer::proxy::console;
using Lines = std::vector<std::string>;

TEST_CASE("a statement breaks before its clauses") {
  struct {
    const char* sql;
    Lines lines;
  } const cases[] = {
      {"SELECT a FROM t WHERE b = 1 AND c = 2 ORDER BY a LIMIT 3",
       {"SELECT a", "FROM t", "WHERE b = 1", "AND c = 2", "ORDER BY a", "LIMIT 3"}},
      {"select a from t left join u on t.x=u.x where left(a, 1) = 'b'", {"select a", "from t", "left join u on t.x=u.x", "where left(a, 1) = 'b'"}},
      {"select 'x from y', \"where\" from t", {"select 'x from y', \"where\"", "from t"}},
      {"select $$ from $$, $1 from t", {"select $$ from $$, $1", "from t"}},
      {"select a -- from here\n from t", {"select a -- from here", "from t"}},
      {"select a where b between 1 and 2 and c", {"select a", "where b between 1 and 2", "and c"}},
      {"select (select 1 from u) from t", {"select (", "  select 1", "  from u)", "from t"}},
      {"select 'not closed from t", {"select 'not closed from t"}},
      {"", {}},
  };
  for (const auto& c : cases) {
    CAPTURE(c.sql);
    CHECK(break_clauses(c.sql) == c.lines);
  }
}

TEST_CASE("a diff keeps what is common and shows what is not") {
  CHECK(diff_lines({"a", "b", "c"}, {"a", "x", "c"}) == Lines{"  a", "- b", "+ x", "  c"});
  CHECK(diff_lines({}, {"a"}) == Lines{"+ a"});
  CHECK(diff_lines({"a"}, {}) == Lines{"- a"});
  CHECK(diff_lines({"a"}, {"a"}) == Lines{"  a"});
  CHECK(diff_lines(Lines(301, "a"), {"a"}).size() == 302);  // bounded work: shown whole
}

TEST_CASE("case, blanks and brackets are no difference") {
  for (const auto& line : diff_statements("select  a from t where b=1", "SELECT a FROM t WHERE (b = 1)")) {
    CAPTURE(line);
    CHECK(line.starts_with("  "));
  }
  bool removed = false, added = false;
  for (const auto& line : diff_statements("select a from t where b not in (select c from u)",
                                          "SELECT a FROM t WHERE NOT EXISTS (SELECT 1 FROM u WHERE u.c = t.b)")) {
    removed |= line.starts_with("- ");
    added |= line.starts_with("+ ") && line.find("EXISTS") != std::string::npos;
  }
  CHECK(removed);
  CHECK(added);
}
