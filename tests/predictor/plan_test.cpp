#include <doctest/doctest.h>

#include <fstream>
#include <sstream>

#include "predictor/estimate.hpp"

using namespace pgsteer::predictor;

namespace {

std::string sample(const std::string& name) {
  std::ifstream in(std::string(PGSTEER_SOURCE_DIR) + "/tests/predictor/plans/" + name);
  std::stringstream text;
  text << in.rdbuf();
  REQUIRE(!text.str().empty());
  return text.str();
}

}  // namespace

TEST_CASE("plans of a real PostgreSQL 15") {
  const PlanFacts point = parse_plan(sample("point.json"));
  CHECK(point.known);
  CHECK(point.nodes == 1);
  CHECK(point.index_scans == 1);
  CHECK(point.total_cost == doctest::Approx(8.31));
  CHECK(point.text.find("Index Scan using posts_pkey on posts") == 0);

  const PlanFacts join = parse_plan(sample("join.json"));
  CHECK(join.known);
  CHECK(join.joins == 1);
  CHECK(join.hash_joins == 1);
  CHECK(join.limits == 1);
  CHECK(join.sorts == 1);
  CHECK(join.aggregates == 1);
  CHECK(join.seq_scans == 2);
  CHECK(join.disabled == 0);
  CHECK(join.seq_scan_rows > 40000);
  CHECK(join.self_cost_max > 100);

  const PlanFacts subplans = parse_plan(sample("subplans.json"));
  CHECK(subplans.subplans == 2);
  const PlanFacts update = parse_plan(sample("update.json"));
  CHECK(update.known);
  CHECK(update.bitmap_scans + update.index_scans == 1);
}

TEST_CASE("the shape ignores numbers and sees operators") {
  const std::string text = sample("join.json");
  const PlanFacts plain = parse_plan(text);
  CHECK(plain.shape == parse_plan(sample("join_analyze.json")).shape);
  CHECK(plain.shape != parse_plan(sample("join_disabled.json")).shape);
  std::string other = text;
  const auto at = other.find("\"Total Cost\": ");
  other.replace(at, 15, "\"Total Cost\": 9");
  CHECK(parse_plan(other).shape == plain.shape);
  CHECK(parse_plan(other).total_cost != plain.total_cost);
  std::string renamed = text;
  for (auto p = renamed.find("\"users\""); p != std::string::npos; p = renamed.find("\"users\"")) renamed.replace(p, 7, "\"usurs\"");
  CHECK(parse_plan(renamed).shape != plain.shape);
}

TEST_CASE("disabled costs are stripped, true huge costs are not") {
  const PlanFacts disabled = parse_plan(sample("nestloop_disabled.json"));
  CHECK(disabled.disabled == 1);
  CHECK(disabled.total_cost == doctest::Approx(6142.46));
  CHECK(disabled.startup_cost == doctest::Approx(0.28).epsilon(0.01));
  const PlanFacts huge = parse_plan(sample("huge.json"));
  CHECK(huge.disabled == 0);
  CHECK(huge.total_cost == doctest::Approx(800020002402.0));
  // PostgreSQL 18 says it in words and leaves the cost alone.
  const PlanFacts pg18 = parse_plan(R"([{"Plan":{"Node Type":"Seq Scan","Disabled":true,"Startup Cost":0.0,"Total Cost":5.5,"Plan Rows":3}}])");
  CHECK(pg18.disabled == 1);
  CHECK(pg18.total_cost == doctest::Approx(5.5));
}

TEST_CASE("bad plans are unknown, never a crash") {
  const std::string text = sample("join.json");
  CHECK(!parse_plan("").known);
  CHECK(!parse_plan("[]").known);
  CHECK(!parse_plan("[1]").known);
  CHECK(!parse_plan(R"([{"Plan":7}])").known);
  CHECK(!parse_plan(R"([{"Plan":{"Plans":"x"}}])").known);
  CHECK(!parse_plan(R"([{"Plan":{"Node Type":"Sort","Plans":[{}]}}])").known);
  for (std::size_t n = 0; n + 3 < text.size(); n += 7) CHECK(!parse_plan(text.substr(0, n)).known);
  const PlanFacts odd = parse_plan(R"([{"Plan":{"Node Type":"Sort","Total Cost":"x","Plan Rows":-5,"Startup Cost":null}}])");
  CHECK(odd.known);
  CHECK(odd.total_cost == 0);
  CHECK(odd.sort_rows == 0);
  std::string deep = R"([{"Plan":)";
  for (int i = 0; i < 5000; ++i) deep += R"({"Node Type":"Sort","Plans":[)";
  CHECK(!parse_plan(deep).known);
  for (int i = 0; i < 5000; ++i) deep += "]}";
  CHECK(!parse_plan(deep + "}]").known);
}
