#include <doctest/doctest.h>

#include <cstdio>
#include <fstream>
#include <set>
#include <stdexcept>

#include "bench/workload/compare.hpp"
#include "bench/workload/sql_file.hpp"

using namespace pgsteer::workload;

TEST_CASE("braces in a template become values") {
  Random random(1);
  CHECK(fill_template("SELECT 1", random) == "SELECT 1");
  for (int i = 0; i < 50; ++i) {
    const auto chosen = fill_template("{a|b c}", random);
    CHECK((chosen == "a" || chosen == "b c"));
    const auto twice = fill_template("{x=1..9}{x}", random);
    REQUIRE(twice.size() == 2);
    CHECK(twice[0] == twice[1]);
    CHECK(std::stoi(fill_template("{-3..3}", random)) <= 3);
  }
  std::set<std::string> seen;
  for (int i = 0; i < 200; ++i) seen.insert(fill_template("{1..3}", random));
  CHECK(seen == std::set<std::string>{"1", "2", "3"});
  CHECK_THROWS_AS(fill_template("{a", random), std::invalid_argument);
}

TEST_CASE("the statements of bench/rewrite are read, each with a name of its own") {
  const std::string folder = PGSTEER_SOURCE_DIR "/bench/rewrite/workloads/";
  std::set<std::string> names;
  std::size_t statements = 0;
  for (const char* file : {"../../workload/tpch/queries.sql", "tpcds.sql", "orm.sql"}) {
    for (const StatementClass& c : sql_file_classes(folder + file, 2)) {
      CAPTURE(c.name);
      CHECK(names.insert(c.name).second);
      CHECK(!c.what.empty());
      Random one(7), again(7);
      const Statement statement = c.draw(one);
      CHECK(statement.steps.size() == 1);
      CHECK(statement.steps[0].sql.find_first_of("{};") == std::string::npos);
      CHECK(statement.steps[0].sql == c.draw(again).steps[0].sql);
      ++statements;
    }
  }
  CHECK(statements >= 22 + 15 + 30);
  CHECK_THROWS_AS(sql_file_classes(folder + "none.sql", 1), std::invalid_argument);
}

TEST_CASE("a file whose statement has no end is refused") {
  const std::string path = std::string(std::tmpnam(nullptr)) + ".sql";
  std::ofstream(path) << "-- name: a  first\nSELECT 1;\n\n-- name: b  second\nSELECT 2\n";
  CHECK_THROWS_AS(sql_file_classes(path, 1), std::invalid_argument);
  std::remove(path.c_str());
}

TEST_CASE("the verdict names what is slower, what differs and what failed, and nothing else") {
  Comparison comparison;
  comparison.rounds = 5;
  const auto add = [&](const char* name, double ratio_log, double spread, std::uint64_t unequal, std::uint64_t errors) {
    ClassResult result;
    result.name = name;
    result.compared = 10;
    result.unequal = unequal;
    Measured direct, through;
    direct.p50 = 10;
    through.p50 = 10;
    through.log_ratio = ratio_log;
    through.log_ratio_spread = spread;
    through.errors = errors;
    result.measured = {direct, through};
    comparison.classes.push_back(result);
  };
  add("hop", 1, 0, 0, 0);
  add("quick", -1, 0.1, 0, 0);
  add("noisy", 0.1, 0.2, 0, 0);
  CHECK(verdict("x", comparison).empty());
  add("slow", 0.3, 0.1, 0, 0);
  add("wrong", -1, 0.1, 1, 0);
  add("failing", -1, 0.1, 0, 2);
  const auto failures = verdict("x", comparison);
  REQUIRE(failures.size() == 3);
  CHECK(failures[0].rfind("x: slow is slower", 0) == 0);
  CHECK(failures[1].find("wrong: 1 of 10 answers differ") != std::string::npos);
  CHECK(failures[2].find("failing: 2 errors") != std::string::npos);
}
