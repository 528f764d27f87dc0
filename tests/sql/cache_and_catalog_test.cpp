#include <doctest/doctest.h>

#include <string>

#include "rewriter/sql/analysis.hpp"
#include "rewriter/sql/catalog.hpp"

using namespace pgsteer::sql;

TEST_CASE("analysis cache: exact text, least recently used goes first") {
  AnalysisCache cache(3);
  const auto a = cache.get("SELECT 1");
  CHECK(cache.get("SELECT 1") == a);
  CHECK(cache.get("SELECT 1 -- another text") != a);
  cache.get("SELECT 2");
  CHECK(cache.size() == 3);
  CHECK(cache.hits() == 1);
  CHECK(cache.misses() == 3);
  cache.get("SELECT 1");  // now the one with the comment is the oldest
  cache.get("SELECT 3");
  CHECK(cache.size() == 3);
  CHECK(cache.get("SELECT 1") == a);
  const auto misses = cache.misses();
  cache.get("SELECT 1 -- another text");
  CHECK(cache.misses() == misses + 1);
  CHECK(a->kind == StatementKind::select);  // outlives its place
}

TEST_CASE("analysis cache: bounded in bytes, and texts larger than all of it are not kept") {
  AnalysisCache cache(100, 64);
  cache.get("SELECT '" + std::string(20, 'x') + "'");
  cache.get("SELECT '" + std::string(21, 'x') + "'");
  CHECK(cache.size() == 2);
  cache.get("SELECT '" + std::string(22, 'x') + "'");
  CHECK(cache.size() == 2);
  cache.get("SELECT '" + std::string(100, 'x') + "'");
  CHECK(cache.size() == 2);
  cache.get("SELECT '" + std::string(54, 'x') + "'");
  CHECK(cache.size() == 1);
}

TEST_CASE("analysis cache: many texts through few places") {
  AnalysisCache cache(7, 1 << 20);
  for (int round = 0; round < 3; ++round)
    for (int i = 0; i < 50; ++i) {
      const std::string text = "SELECT c" + std::to_string(i * 7 % 23);  // names are no literals: nothing is shared
      CHECK(cache.get(text)->features.bytes == static_cast<int>(text.size()));
      CHECK(cache.size() <= 7);
    }
  CHECK(cache.hits() + cache.misses() == 150);
  CHECK(AnalysisCache(10, 1000, Limits{4, 10, 10, 1}).get("SELECT 1")->why_not == WhyNot::too_long);
}

TEST_CASE("catalog: search_path texts") {
  using Path = std::vector<std::string>;
  CHECK(split_search_path("\"$user\", public", "bob") == Path{"bob", "public"});
  CHECK(split_search_path("$user,Public ,  \"Mixed, Case\"", "bob") == Path{"bob", "public", "Mixed, Case"});
  CHECK(split_search_path("\"a\"\"b\"", "") == Path{"a\"b"});
  CHECK(split_search_path("\"$user\"", "") == Path{});
  CHECK(split_search_path("", "bob") == Path{});
  CHECK(split_search_path("\"\"", "bob") == Path{});
  CHECK(split_search_path("\"open", "bob") == Path{"open"});
}

TEST_CASE("catalog: names resolve as the server does") {
  Catalog catalog;
  const auto add = [&](Oid oid, const char* schema, const char* name) {
    Relation r;
    r.oid = oid;
    r.schema = schema;
    r.name = name;
    r.columns = {{"id", 1}, {"x", 3}};
    catalog.add(r);
  };
  add(1, "public", "t");
  add(2, "bob", "t");
  add(3, "pg_catalog", "pg_class");
  add(4, "public", "pg_class");
  add(5, "public", "T");
  const auto oid = [&](const char* schema, const char* name, const char* path) {
    const Relation* r = catalog.find(schema, name, path, "bob");
    return r == nullptr ? 0U : r->oid;
  };
  CHECK(oid("", "t", "") == 2);
  CHECK(oid("", "t", "public") == 1);
  CHECK(oid("", "t", "nowhere, public, bob") == 1);
  CHECK(oid("", "t", "nowhere") == 0);
  CHECK(oid("", "t", "\"\"") == 0);
  CHECK(oid("", "T", "public") == 5);
  CHECK(oid("bob", "t", "public") == 2);
  CHECK(oid("bob", "missing", "public") == 0);
  CHECK(oid("", "pg_class", "public") == 3);
  CHECK(oid("", "pg_class", "public, pg_catalog") == 4);
  CHECK(oid("public", "pg_class", "") == 4);
  REQUIRE(catalog.by_oid(1));
  CHECK(catalog.by_oid(1)->column("x")->number == 3);
  CHECK(catalog.by_oid(1)->column(std::int16_t{1})->name == "id");
  CHECK(catalog.by_oid(1)->column("y") == nullptr);
  CHECK(catalog.by_oid(1)->column(std::int16_t{2}) == nullptr);
  CHECK(catalog.by_oid(9) == nullptr);
  add(1, "public", "renamed");
  CHECK(oid("", "t", "public") == 0);
  CHECK(oid("", "renamed", "public") == 1);
}

TEST_CASE("catalog: a function name is as safe as its worst overload") {
  Catalog catalog;
  catalog.add(FunctionGroup{"pg_catalog", "f", 'i', true, true, false, false, false});
  CHECK(catalog.function("", "f")->worst_volatility == 'i');
  catalog.add(FunctionGroup{"pg_catalog", "f", 's', false, true, false, true, false});
  CHECK(catalog.function("pg_catalog", "f")->worst_volatility == 's');
  CHECK_FALSE(catalog.function("pg_catalog", "f")->all_leakproof);
  CHECK(catalog.function("pg_catalog", "f")->all_strict);
  CHECK(catalog.function("pg_catalog", "f")->any_aggregate);
  catalog.add(FunctionGroup{"public", "f", 'v', true, false, true, false, true});
  CHECK(catalog.function("pg_catalog", "f")->worst_volatility == 's');
  CHECK(catalog.function("", "f")->worst_volatility == 'v');
  CHECK_FALSE(catalog.function("", "f")->all_strict);
  CHECK(catalog.function("", "f")->any_set_returning);
  CHECK(catalog.function("", "f")->any_user_defined);
  CHECK(catalog.function("public", "f")->any_user_defined);
  CHECK(catalog.function("", "g") == nullptr);
  CHECK(catalog.function("s", "f") == nullptr);
}
