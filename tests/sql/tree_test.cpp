#include <doctest/doctest.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <string>

#include "rewriter/sql/integers.hpp"
#include "rewriter/sql/tree.hpp"

using namespace pgsteer;
using sql::Tree;
using sql::WhyNot;

TEST_CASE("tree: parse takes exactly one statement and says why not") {
  struct Case {
    std::string text;
    bool parsed;
    WhyNot why;
  };
  const Case cases[] = {
      {"SELECT 1", true, WhyNot::none},
      {"SELECT 1;", true, WhyNot::none},
      {"/* c */ SELECT 1 -- x", true, WhyNot::none},
      {"", false, WhyNot::syntax},
      {";", false, WhyNot::syntax},
      {"SELECT 1; SELECT 2", false, WhyNot::syntax},
      {"SELECT FROM WHERE", false, WhyNot::syntax},
      {std::string("SELECT 1\0", 9), false, WhyNot::nul_byte},
      {"SELECT '" + std::string(40000, 'x') + "'", false, WhyNot::too_long},
      {"SELECT " + std::string(300, '(') + "1" + std::string(300, ')'), false, WhyNot::too_deep},
      {"SELECT '\xff'", false, WhyNot::syntax},
  };
  for (const Case& c : cases) {
    CAPTURE(c.text.substr(0, 40));
    WhyNot why = WhyNot::none;
    CHECK(Tree::parse(c.text, {}, &why).has_value() == c.parsed);
    CHECK(why == c.why);
  }
}

TEST_CASE("tree: the silent faults of the bundled deparser print as what they are") {
  struct Case {
    const char* in;
    const char* out;
  };
  const Case cases[] = {
      {"SELECT (a AND b)::int", "SELECT (a AND b)::integer"},
      {"SELECT sum((x=1 AND y=2)::int)", "SELECT sum(((x = 1) AND (y = 2))::integer)"},
      {"SELECT (ts AT TIME ZONE 'UTC')::date", "SELECT (ts AT TIME ZONE 'UTC')::date"},
      {"SELECT (a + b) AT TIME ZONE 'UTC'", "SELECT (a + b) AT TIME ZONE 'UTC'"},
      {"SELECT a AT TIME ZONE (b || 'x')", "SELECT a AT TIME ZONE (b || 'x')"},
      {"SELECT 1 + (b IS NULL)::int", "SELECT 1 + ((b IS NULL)::integer)"},
      {"SELECT 1 + (b IS TRUE)::int", "SELECT 1 + ((b IS TRUE)::integer)"},
      {"SELECT 1 + (b IN (SELECT 2))::int", "SELECT 1 + ((b IN (SELECT 2))::integer)"},
      {"SELECT (a AND b) IS NULL", "SELECT (a AND b) IS NULL"},
      {"SELECT (a OR b) IS NOT TRUE", "SELECT (a OR b) IS NOT TRUE"},
      {"SELECT (NOT a) IS UNKNOWN", "SELECT (NOT a) IS UNKNOWN"},
      {"SELECT (a = 1) IN (true)", "SELECT (a = 1) IN (TRUE)"},
      {"SELECT (NOT a) IN (b, c)", "SELECT (NOT a) IN (b, c)"},
      {"SELECT a LIKE (b = c)", "SELECT a LIKE (b = c)"},
      {"SELECT a BETWEEN (b AND c) AND d", "SELECT a BETWEEN (b AND c) AND d"},
      {"UPDATE t SET c=1,(a,b)=(1,2)", "UPDATE t SET c = 1, (a, b) = (1, 2)"},
      {"INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET c=1,(a,b)=(1,2)",
       "INSERT INTO t VALUES (1) ON CONFLICT (a) DO UPDATE SET c = 1, (a, b) = (1, 2)"},
      {"SELECT a FROM t FOR UPDATE OF t NOWAIT", "SELECT a FROM t FOR UPDATE OF t NOWAIT"},
      {"SELECT a FROM t FOR UPDATE OF t SKIP LOCKED", "SELECT a FROM t FOR UPDATE OF t SKIP LOCKED"},
      {"SELECT 1 + (b IS NULL) COLLATE \"C\"", "SELECT 1 + ((b IS NULL) COLLATE \"C\")"},
      {"SELECT x::pg_catalog.bpchar", "SELECT x::pg_catalog.bpchar"},
      {"SELECT x::char", "SELECT x::pg_catalog.bpchar(1)"},
      {"SELECT (ARRAY[1,2])[1]", "SELECT (ARRAY[1, 2])[1]"},
      {"SELECT (CASE WHEN a THEN b END).x", "SELECT (CASE WHEN a THEN b END).x"},
      {"SELECT (COALESCE(a,b))[1]", "SELECT (COALESCE(a, b))[1]"},
      {"SELECT (a=1) = ANY(b)", "SELECT (a = 1) = ANY (b)"},
      {"SELECT a FROM t ORDER BY a FETCH FIRST (1 + 2) ROWS WITH TIES",
       "SELECT a FROM t ORDER BY a FETCH FIRST (1 + 2) ROWS WITH TIES"},
      {"SELECT a FROM t LIMIT COALESCE($1,10)", "SELECT a FROM t LIMIT COALESCE($1, 10)"},
      {"SELECT pg_catalog.overlay(a,b,c,d)", "SELECT pg_catalog.\"overlay\"(a, b, c, d)"},
      {"SELECT 't'::boolean", "SELECT 't'::boolean"},
      {"SELECT E'a\\\\b'", "SELECT E'a\\\\b'"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.in);
    const auto tree = Tree::parse(c.in);
    REQUIRE(tree);
    CHECK(tree->print() == c.out);
    CHECK(tree->print_verified() == c.out);
  }
}

TEST_CASE("tree: the library loses negative integers, the tree does not") {
  struct Case {
    const char* in;
    const char* out;
  };
  const Case cases[] = {
      {"SELECT -5", "SELECT -5"},
      {"SELECT - /* c */ (5)", "SELECT -5"},
      {"SELECT -(-(-(5)))", "SELECT -5"},
      {"SELECT - - 5, -0, 0, 00", "SELECT 5, 0, 0, 0"},
      {"SELECT a--5\n-007", "SELECT a - 7"},
      {"SELECT a*-5, a - -5", "SELECT a * (-5), a - (-5)"},
      {"SELECT 'é', -2147483647, -2147483648", "SELECT 'é', -2147483647, -2147483648"},
      {"SELECT -5::int, (-5)::int", "SELECT - (5::integer), (-5)::integer"},
      {"SELECT 1 LIMIT -1", "SELECT 1 LIMIT (-1)"},
      {"SELECT 1 FETCH FIRST -3 ROWS ONLY", "SELECT 1 LIMIT (-3)"},
      {"SELECT 1 FETCH FIRST ROW ONLY", "SELECT 1 LIMIT 1"},
      {"SELECT x::numeric(5,-2)", "SELECT x::pg_catalog.\"numeric\"(5, -2)"},
      {"VALUES (-1)", "VALUES (-1)"},
      {"SELECT a[-1], b BETWEEN -3 AND - 2", "SELECT (a)[(-1)], b BETWEEN (-3) AND (-2)"},
      {"UPDATE t SET a = -1 WHERE b IN (-2, 0, -3)", "UPDATE t SET a = -1 WHERE b IN (-2, 0, -3)"},
      {"SELECT xmlroot(a, version '1', standalone yes)", "SELECT XMLROOT(a, VERSION '1', STANDALONE YES)"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.in);
    const auto tree = Tree::parse(c.in);
    REQUIRE(tree);
    CHECK(tree->print().value_or("refused") == std::string(c.out));
    CHECK(tree->print_verified().value_or("refused") == std::string(c.out));
  }
}

TEST_CASE("tree: a lost literal that cannot be read again is refused") {
  using sql::restore_negative_integers;
  const auto tree = [](const char* constant) { return boost::json::parse(constant); };
  boost::json::value minus = tree(R"({"A_Const":{"ival":{},"location":7}})");
  CHECK(restore_negative_integers(minus, "SELECT - 5"));
  CHECK(minus == tree(R"({"A_Const":{"ival":{"ival":-5},"location":7}})"));
  for (const char* text : {"SELECT", "SELECT 'a'", "SELECT 5", "SELECT - a", "SELECT -(", "SELECT -99999999999", "SELECT 5.0"}) {
    CAPTURE(text);
    boost::json::value lost = tree(R"({"A_Const":{"ival":{},"location":7}})");
    CHECK_FALSE(restore_negative_integers(lost, text));
  }
  boost::json::value nowhere = tree(R"({"A_Const":{"ival":{}}})");  // no location: the text begins with no number
  CHECK_FALSE(restore_negative_integers(nowhere, "SELECT -5"));
}

TEST_CASE("tree: print_verified refuses what has no text, and takes what a rule builds") {
  const auto changed = [](const char* text, std::string_view from, std::string_view to) {
    std::string json = boost::json::serialize(Tree::parse(text)->root());
    const std::size_t at = json.find(from);
    REQUIRE(at != std::string::npos);
    json.replace(at, from.size(), to);
    Tree tree = *Tree::parse("SELECT 1");
    tree.root() = boost::json::parse(json);
    return tree;
  };
  // A minus in front of a number is folded into it by the grammar.
  const Tree minus = changed("SELECT - a", R"({"ColumnRef":{"fields":[{"String":{"sval":"a"}}],"location":9}})",
                             R"({"A_Const":{"ival":{"ival":1}}})");
  CHECK_FALSE(minus.print_verified());
  // IN of one scalar subquery would read as IN (SELECT ..).
  const Tree in = changed("SELECT a IN (1)", R"({"A_Const":{"ival":{"ival":1},"location":13}})",
                          boost::json::serialize(
                              Tree::parse("SELECT (SELECT 1)")->root().at("SelectStmt").at("targetList").at(0).at("ResTarget").at("val")));
  CHECK_FALSE(in.print_verified());
  CHECK_FALSE(changed("SELECT a", "ColumnRef", "UnknownNode").print());
  CHECK_FALSE(changed("SELECT 1 FROM t", R"("relname":"t")", R"("relname":"t","colour":"red")").print_verified());
  // Nested AND, single-operand OR and explicit zeros mean what the grammar would have made of them.
  const Tree nested = changed("SELECT 1 WHERE (a OR b) AND c", "OR_EXPR", "AND_EXPR");
  CHECK(nested.print_verified() == "SELECT 1 WHERE a AND b AND c");
  const Tree zero = changed("SELECT 7", R"("ival":7)", R"("ival":0)");
  CHECK(zero.print_verified() == "SELECT 0");
  // A rule's negative number: the printed text must read back as that number, not as zero or its opposite.
  CHECK(changed("SELECT 7", R"("ival":7)", R"("ival":-7)").print_verified() == "SELECT -7");
  const Tree zero_limit = changed("SELECT 1", R"("op":"SETOP_NONE")", R"("op":"SETOP_NONE","all":false,"sortClause":[])");
  CHECK(zero_limit.print_verified() == "SELECT 1");
}

TEST_CASE("tree: utility statements and what the printer does not know are refused") {
  for (const char* text : {"CREATE TABLE t (a int)", "SET a = 1", "SELECT 1 INTO t", "EXPLAIN SELECT 1",
                           "WITH RECURSIVE x AS (SELECT 1 UNION ALL SELECT 2) SEARCH DEPTH FIRST BY a SET b SELECT 1"}) {
    CAPTURE(text);
    const auto tree = Tree::parse(text);
    REQUIRE(tree);
    CHECK_FALSE(tree->print());
    CHECK_FALSE(tree->print_verified());
  }
}

TEST_CASE("tree: same_as looks at everything but places") {
  const auto same = [](const char* a, const char* b) { return Tree::parse(a)->same_as(*Tree::parse(b)); };
  CHECK(same("SELECT a,b FROM t", "select  a , b from   t"));
  CHECK(same("SELECT ((a))", "SELECT a"));
  CHECK_FALSE(same("SELECT a,b", "SELECT b,a"));
  CHECK_FALSE(same("SELECT 1", "SELECT 2"));
  CHECK_FALSE(same("SELECT DISTINCT a FROM t", "SELECT a FROM t"));
  CHECK_FALSE(same("SELECT a FROM t", "SELECT DISTINCT a FROM t"));
  CHECK_FALSE(same("SELECT a::varchar(5)", "SELECT a::varchar(9)"));
}

TEST_CASE("tree: print_expression writes one expression") {
  const auto tree = Tree::parse("SELECT a + 1 * f(b)");
  const auto& value = tree->root().at("SelectStmt").at("targetList").at(0).at("ResTarget").at("val");
  CHECK(sql::print_expression(value) == "a + (1 * f(b))");
  CHECK(sql::print_expression(boost::json::parse(R"({"Nothing":{}})")).empty());
}
