// Settings of the learner valued from what was recorded under other settings: against the truth of a world that is known.
#include <cmath>

#include <doctest/doctest.h>

#include "policies/replay.hpp"
#include "tests/policies/decide_fixture.hpp"

namespace pgsteer::policies {
namespace {

/// A world of statements with their true times, and what a pgsteer would have recorded in it.
struct World {
  Stream stream{17};
  std::vector<predictor::Feedback> rows;
  double unit() { return static_cast<double>(stream.next() >> 11) * 0x1.0p-53; }
  double about(double ms) { return ms * (0.9 + 0.2 * unit()); }

  void row(const std::string& statement, const std::string& source, const std::string& candidate, double ms, double probability = 1,
           std::vector<std::string> possible = {}) {
    predictor::Feedback f;
    f.fingerprint = statement;
    f.source = source;
    f.candidate = candidate;
    f.candidates = std::move(possible);
    f.server_ms = ms;
    f.probability = probability;
    rows.push_back(f);
  }
  void explore(const std::string& statement, double default_ms, const std::vector<std::pair<std::string, double>>& arms, int rounds) {
    for (int i = 0; i < rounds; ++i) {
      row(statement, "explore", "as-is", about(default_ms));
      for (const auto& [arm, ms] : arms) row(statement, "explore", arm, about(ms));
    }
  }
  /// In a canary of `share`.
  void serve(const std::string& statement, double default_ms, const std::string& arm, double arm_ms, double share, int executions) {
    for (int i = 0; i < executions; ++i) {
      const bool changed = unit() < share;
      row(statement, "server", changed ? arm : "as-is", about(changed ? arm_ms : default_ms), changed ? share : 1 - share, {"as-is", arm});
    }
  }
};

const Evaluation& named(const std::vector<Evaluation>& list, const std::string& name) {
  const auto found = std::find_if(list.begin(), list.end(), [&](const auto& e) { return e.name == name; });
  REQUIRE(found != list.end());
  return *found;
}

std::vector<Evaluation> all(const World& world, const SteerAction& present = {}) { return evaluate(world.rows, variants(present), 1); }

}  // namespace

TEST_CASE("the share of the time that is left is found from a canary of a tenth") {
  World world;
  world.explore("a", 100, {{"arm:hash_only", 40}}, 8);
  world.serve("a", 100, "arm:hash_only", 40, 0.1, 2000);
  const auto e = named(all(world), "as it is");
  CHECK(e.ratio == doctest::Approx(0.4).epsilon(0.05));
  CHECK(e.steered == 1);
  CHECK(e.worse == 0);
  CHECK(e.supported == doctest::Approx(1));
  CHECK(named(all(world), "without hash_only").ratio == doctest::Approx(1).epsilon(0.02));
}

TEST_CASE("what clients saw corrects what the explorer measured") {
  World world;
  world.explore("a", 100, {{"arm:hash_only", 40}}, 8);
  world.serve("a", 100, "arm:hash_only", 150, 0.2, 5000);  // cold caches, say
  const auto e = named(all(world), "as it is");
  CHECK(e.ratio == doctest::Approx(1.5).epsilon(0.1));
  CHECK(e.worse == 1);
}

TEST_CASE("a setting that is too careful is found, one that makes no difference is not called better") {
  World world;
  for (const char* name : {"a", "b", "c", "d", "e", "f", "g", "h"}) {
    world.explore(name, 100, {{"arm:no_hash", 72}}, 8);
    world.serve(name, 100, "arm:no_hash", 72, 0.1, 400);
  }
  SteerAction careful;
  careful.min_gain = 0.5;
  const auto list = all(world, careful);
  CHECK(named(list, "as it is").steered == 0);
  const auto& less = named(list, "min_gain 20 %");
  CHECK(less.better);
  CHECK(less.against == doctest::Approx(-0.28).epsilon(0.1));
  CHECK(less.against_high < 0);
  CHECK(less.low <= less.ratio);
  CHECK(less.ratio <= less.high);
  CHECK_FALSE(named(list, "max_regression 1").better);
  CHECK_FALSE(named(list, "without geqo_1").better);
}

TEST_CASE("exploring less costs less; what nobody has tried on clients rests on the explorer's word and says so") {
  World world;
  world.explore("a", 100, {{"arm:hash_only", 40}, {"arm:no_hash", 400}}, 12);
  world.serve("a", 100, "arm:hash_only", 40, 0, 50);
  for (auto& row : world.rows)
    if (row.source == "server") row.candidates = {"as-is"};
  const auto list = all(world);
  CHECK(named(list, "3 rounds of exploring").explored_ms < 0.4 * named(list, "as it is").explored_ms);
  CHECK(named(list, "3 rounds of exploring").ratio == doctest::Approx(0.4).epsilon(0.1));
  CHECK(named(list, "as it is").supported == 0);
}

TEST_CASE("nothing recorded, nothing said; the same seed says the same") {
  CHECK(evaluate({}, variants({}), 1).empty());
  World world;
  world.explore("a", 100, {{"arm:hash_only", 40}}, 8);
  world.serve("a", 100, "arm:hash_only", 40, 0.3, 100);
  world.serve("b", 50, "arm:hash_only", 40, 0, 100);
  const auto one = all(world), two = all(world);
  REQUIRE(one.size() == two.size());
  for (std::size_t i = 0; i < one.size(); ++i) {
    CHECK(one[i].ratio == two[i].ratio);
    CHECK(one[i].low == two[i].low);
    CHECK(one[i].against_high == two[i].against_high);
  }
}

}  // namespace pgsteer::policies
