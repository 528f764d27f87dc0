#include <string>

#include <doctest/doctest.h>

#include "predictor/join_sizes.hpp"

using namespace pgsteer::predictor;

namespace {

std::string scan(const std::string& alias, const std::string& more = "") { return R"({"Node Type":"Seq Scan","Alias":")" + alias + "\"" + more + "}"; }
std::string join(int expected, int actual, const std::string& outer, const std::string& inner, int loops = 1) {
  return R"({"Node Type":"Hash Join","Plan Rows":)" + std::to_string(expected) + R"(,"Actual Rows":)" + std::to_string(actual) + R"(,"Actual Loops":)" +
         std::to_string(loops) + R"(,"Plans":[)" + outer + "," + inner + "]}";
}
std::string over(const std::string& type, const std::string& child, const std::string& more = "") {
  return R"({"Node Type":")" + type + "\"" + more + R"(,"Plans":[)" + child + "]}";
}
std::string plan(const std::string& node) { return R"([{"Plan":)" + node + "}]"; }

}  // namespace

TEST_CASE("what came of joins, and their order") {
  const auto seen = join_sizes(plan(over("Aggregate", join(5, 5000, join(10, 12, scan("b"), over("Hash", scan("a"))), over("Hash", scan("c"))))));
  REQUIRE(seen);
  CHECK(seen->order == "((b a) c)");
  REQUIRE(seen->sizes.size() == 2);
  CHECK(seen->sizes[0].tables == std::vector<std::string>{"a", "b"});
  CHECK(seen->sizes[1].tables == std::vector<std::string>{"a", "b", "c"});
  CHECK(seen->sizes[1].expected == 5);
  CHECK(seen->sizes[1].actual == 5000);
  CHECK(rows_hints(seen->sizes, 3) == "Rows(a b c #5000)");
  CHECK(rows_hints(seen->sizes, 1.1) == "Rows(a b #12) Rows(a b c #5000)");
  CHECK(rows_hints({}, 3) == "");
  CHECK(rows_hints({{{"a", "b"}, 100, 0}}, 3) == "Rows(a b #1)");
}

TEST_CASE("a bitmap's index scans are no tables, a join that ran many times or below a LIMIT has no size of its own") {
  const std::string bitmap = R"({"Node Type":"Bitmap Heap Scan","Alias":"a","Plans":[{"Node Type":"Bitmap Index Scan","Parent Relationship":"Outer"}]})";
  const auto seen = join_sizes(plan(join(5, 50, bitmap, join(1, 7, scan("b"), scan("c"), 9))));
  REQUIRE(seen);
  CHECK(seen->order == "(a (b c))");
  REQUIRE(seen->sizes.size() == 1);
  CHECK(seen->sizes[0].tables.size() == 3);
  const auto cut = join_sizes(plan(over("Limit", join(5, 50, scan("a"), scan("b")))));
  REQUIRE(cut);
  CHECK(cut->sizes.empty());
  CHECK(cut->order == "(a b)");
}

TEST_CASE("what hints cannot name is left alone") {
  for (const std::string& node : {scan("a"), join(1, 1, scan("a"), scan("a")), join(1, 1, scan("a"), scan("B")), join(1, 1, scan("a"), scan("x y")),
                                  join(1, 1, scan("a"), scan("b", R"(,"Parent Relationship":"SubPlan")")), join(1, 1, scan("a"), R"({"Node Type":"CTE Scan","Alias":"w"})"),
                                  join(1, 1, scan("a"), over("Append", scan("b"))), join(1, 1, scan("a"), over("Subquery Scan", scan("b"), R"(,"Alias":"s")"))}) {
    CAPTURE(node);
    CHECK_FALSE(join_sizes(plan(node)));
  }
  for (const char* text : {"", "[", "[]", "{}", "[{}]", "[{\"Plan\":3}]", "null"}) CHECK_FALSE(join_sizes(text));
}
