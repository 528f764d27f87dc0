#include <doctest/doctest.h>

#include <string>

#include "rewriter/sql/tree.hpp"
#include "tests/sql/corpus.hpp"

using namespace pgsteer;
using sql::Tree;

namespace {

/// Prints and reads back; the text must mean the same tree, whether or not print_verified() would catch it.
void round_trip(const std::string& text) {
  CAPTURE(text);
  const auto tree = Tree::parse(text);
  CHECK_MESSAGE(tree.has_value(), text);
  if (!tree) return;
  const auto printed = tree->print();
  CHECK_MESSAGE(printed.has_value(), text);
  if (!printed) return;
  CAPTURE(*printed);
  const auto again = Tree::parse(*printed);
  CHECK_MESSAGE(again.has_value(), *printed);
  if (!again) return;
  CHECK_MESSAGE(again->same_as(*tree), *printed);
  CHECK(again->print() == printed);
  CHECK(tree->print_verified() == printed);
}

}  // namespace

TEST_CASE("printer: every expression of the corpus comes back in every kind of place") {
  for (const std::string_view e : sql::test::expressions()) {
    const std::string x(e);
    round_trip("SELECT " + x);
    if (x.ends_with('*')) continue;
    round_trip("SELECT (" + x + ") AS c, f((" + x + "))");
    round_trip("SELECT ((" + x + "))::text, NOT (" + x + "), ((" + x + ")) IS NULL, (" + x + ") COLLATE \"C\"");
    round_trip("SELECT 1 + (" + x + "), (" + x + ") * 2, (" + x + ") LIKE 'a', 'a' LIKE (" + x + ")");
    round_trip("SELECT a BETWEEN (" + x + ") AND (" + x + "), CASE (" + x + ") WHEN (" + x + ") THEN (" + x + ") END");
    round_trip("SELECT ((" + x + ")) AT TIME ZONE 'UTC', ((" + x + "))[1], ((" + x + ")).f");
    round_trip("SELECT 1 FROM t WHERE " + x + " GROUP BY 1, (" + x + ") HAVING (" + x + ") ORDER BY (" + x + ") DESC");
    round_trip("UPDATE t SET a = " + x + ", b[1] = (" + x + ") WHERE (" + x + ") RETURNING (" + x + ")");
    round_trip("SELECT 1 LIMIT (" + x + ") OFFSET (" + x + ")");
  }
}

TEST_CASE("printer: every FROM item comes back") {
  for (const std::string_view item : sql::test::from_items()) {
    round_trip("SELECT 1 FROM " + std::string(item));
    round_trip("SELECT * FROM x, " + std::string(item));
    round_trip("DELETE FROM x USING " + std::string(item));
    round_trip("SELECT (SELECT 1 FROM " + std::string(item) + " WHERE true)");
  }
}

TEST_CASE("printer: every statement comes back") {
  for (const std::string_view statement : sql::test::statements()) round_trip(std::string(statement));
}
