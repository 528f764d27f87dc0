#include <cmath>
#include <limits>

#include <doctest/doctest.h>

#include "tests/policies/decide_fixture.hpp"

namespace pgsteer::policies {
namespace {

using State = Evidence::State;

Evidence arm() {
  Evidence e;
  e.label = "arm:x";
  return e;
}

SteerAction fifth() {
  SteerAction bounds;
  bounds.min_gain = 0.2;
  return bounds;
}

/// {ms, default_ms, explored} in order.
struct Step {
  double ms, default_ms;
  bool explored;
};
Evidence after(const std::vector<Step>& steps, const SteerAction& bounds = fifth(), bool wide = false) {
  Evidence e = arm();
  e.wide = wide;
  for (const auto& s : steps) learn(e, s.ms, s.default_ms, s.explored, bounds);
  return e;
}

}  // namespace

TEST_CASE("states after a sequence of executions") {
  const Step good{40, 100, true}, served{40, 100, false}, loss{130, 100, false}, even{100, 100, false}, awful{900, 100, false};
  const struct {
    std::string name;
    std::vector<Step> steps;
    State state;
  } table[] = {
      {"nothing", {}, State::trial},
      {"two are not enough", {good, good}, State::trial},
      {"three good ones", {good, good, good}, State::approved},
      {"one instance 1.1 times the default is tolerated", {good, good, {110, 100, true}, good}, State::approved},
      {"one instance above", {good, good, good, {110.1, 100, true}}, State::rejected},
      {"rejected stays rejected", {{200, 100, true}, good, good, good, good}, State::rejected},
      {"gain in sum, not in number: one large instance decides",
       {{1, 10, true}, {1, 10, true}, {990, 1000, true}}, State::trial},
      {"gain exactly as asked", {{80, 100, true}, {80, 100, true}, {80, 100, true}}, State::approved},
      {"too little gain for long", std::vector<Step>(8, Step{90, 100, true}), State::rejected},
      {"too little gain so far", std::vector<Step>(7, Step{90, 100, true}), State::trial},
      {"an approval can be lost again", {good, good, good, {1000, 1000, true}}, State::trial},
      {"served well proves nothing about other instances", std::vector<Step>(50, served), State::trial},
      {"one loss is forgiven", {good, good, good, served, loss, served}, State::approved},
      {"two losses disable", {good, good, good, loss, loss}, State::disabled},
      {"a gain that pays for two losses keeps it", {good, good, good, loss, served, served, loss}, State::approved},
      {"two great losses are paid for by nothing", {good, good, good, served, awful, served, awful}, State::disabled},
      {"what gains nothing pays for no loss", {good, good, good, even, even, even, loss, even, loss}, State::disabled},
      {"two losses far apart are forgiven",
       {good, good, good, loss, even, even, even, even, even, even, even, even, even, loss}, State::approved},
      {"two losses within ten",
       {good, good, good, loss, even, even, even, even, even, even, even, even, loss}, State::disabled},
      {"within the allowed regression", {good, good, good, {120, 100, false}, {120, 100, false}}, State::approved},
      {"disabled stays disabled", {loss, loss, good, good, good, served, served}, State::disabled},
      {"explored without a default does not count", {{40, 0, true}, {40, -1, true}, good, good}, State::trial},
      {"not a number", {good, good, {std::nan(""), 100, true}, {40, std::nan(""), true}}, State::trial},
      {"negative time", {good, good, {-1, 100, true}}, State::trial},
  };
  for (const auto& row : table) {
    CAPTURE(row.name);
    const Evidence e = after(row.steps);
    CHECK(to_string(e.state) == to_string(row.state));
    if (e.state == State::rejected || e.state == State::disabled || e.state == State::approved) CHECK_FALSE(e.why.empty());
  }
}

TEST_CASE("an arm for all values may lose a little on some of them") {
  const Step good{40, 100, true}, worse{115, 100, true}, even{100, 100, true}, long_one{152.1, 100, true}, tolerated{151.9, 100, true};
  const auto five = std::vector<Step>(5, good);
  const auto with = [&](std::initializer_list<Step> more) {
    auto steps = five;
    steps.insert(steps.end(), more);
    return steps;
  };
  const struct {
    std::string name;
    std::vector<Step> steps;
    State state;
  } table[] = {
      {"five calls say nothing of all values", five, State::trial},
      {"six do", with({good}), State::approved},
      {"a loss that others pay for", with({worse}), State::approved},
      {"one of half the default's time", with({good, tolerated}), State::approved},
      {"and beyond", with({good, long_one}), State::rejected},
      {"at the very first", {long_one}, State::rejected},
      {"short ones are noise", {{3.4, 1, true}, good, good, good, good, good}, State::approved},
      {"losses eat a fifth of what is won", with({tolerated, tolerated}), State::trial},
      {"too little", std::vector<Step>(11, even), State::trial},
      {"for long", std::vector<Step>(12, even), State::rejected},
      {"what serves is not judged by what is usual", with({good, {500, 100, false}, {500, 100, false}, {500, 100, false}}), State::approved},
  };
  for (const auto& row : table) {
    CAPTURE(row.name);
    CHECK(to_string(after(row.steps, fifth(), true).state) == to_string(row.state));
  }
}

TEST_CASE("figures of the evidence") {
  const Evidence e = after({{40, 100, true}, {50, 100, true}, {105, 100, true}, {60, 100, false}, {130, 100, false}});
  CHECK(e.explored == 3);
  CHECK(e.runs == 2);
  CHECK(e.losses == 1);
  CHECK(e.worst_ratio == doctest::Approx(1.05));
  CHECK(e.median_ms == doctest::Approx(60));
  CHECK(e.p95_ms == doctest::Approx(130));
  CHECK(e.gain() == doctest::Approx(1 - 195.0 / 300));
  CHECK(e.gain_low() == doctest::Approx(-0.05));  // on the worst explored instance
  CHECK(arm().gain_low() == -std::numeric_limits<double>::infinity());
  Evidence compared = e;
  compared.trial.effect = {0.4, 0.2, 0.6};
  CHECK(compared.gain_low() == doctest::Approx(0.2));
  CHECK(after({{40, 100, true}, {50, 100, true}}).median_ms == doctest::Approx(45));
}

TEST_CASE("the window forgets old times") {
  Evidence e = arm();
  for (int i = 0; i < 40; ++i) learn(e, 1000, 0, false, {});
  for (int i = 0; i < 32; ++i) learn(e, 10, 0, false, {});
  CHECK(e.median_ms == doctest::Approx(10));
  CHECK(e.p95_ms == doctest::Approx(10));
  CHECK(e.recent_ms.size() == 32);
  CHECK(e.runs == 72);
}

TEST_CASE("the original is only measured, never judged") {
  Evidence e;
  e.label = "as-is";
  for (int i = 0; i < 20; ++i) learn(e, 100, i % 2 ? 50 : 100, i % 3 == 0, {});
  CHECK(e.state == State::trial);
  CHECK(e.losses == 0);
  CHECK(e.runs + e.explored == 20);
  CHECK(e.median_ms == doctest::Approx(100));
}

TEST_CASE("a pinned arm is measured but not taken away") {
  Evidence e = arm();
  e.state = State::pinned;
  for (int i = 0; i < 10; ++i) learn(e, 500, 100, i % 2 == 0, {});
  CHECK(e.state == State::pinned);
  CHECK(e.losses == 5);
}

TEST_CASE("the bounds are the rule's") {
  SteerAction bounds;
  bounds.min_gain = 0.7;
  CHECK(after(std::vector<Step>(3, Step{40, 100, true}), bounds).state == State::trial);
  bounds.min_gain = 0.5;
  CHECK(after(std::vector<Step>(3, Step{40, 100, true}), bounds).state == State::approved);
  bounds.max_regression = 3;
  CHECK(after({{250, 100, false}, {250, 100, false}}, bounds).state == State::trial);
  CHECK(after({{350, 100, false}, {350, 100, false}}, bounds).state == State::disabled);
}

TEST_CASE("an arm that shines while it is tried and fails once it serves costs two executions, not more") {
  Case c;
  c.evidence() = Evidence{};
  c.evidence().label = c.arm_label();
  c.candidates.erase(c.candidates.begin() + 1);
  for (int i = 0; i < 8; ++i) learn(c.evidence(), 10, 100, true, c.policy.steer);
  REQUIRE(c.evidence().state == State::approved);
  Stream stream{11};
  int harmed = 0;
  for (int i = 0; i < 2000; ++i) {
    const Decision d = c.run(stream.next());
    if (d.candidate == 0) continue;
    ++harmed;
    learn(c.evidence(), 5000, 100, false, c.policy.steer);
  }
  CHECK(harmed == 2);
  CHECK(c.run(0).reason == ReasonCode::disabled);
}

TEST_CASE("an arm that is bad on one instance in twenty does not last") {
  Stream stream{5};
  for (int attempt = 0; attempt < 50; ++attempt) {
    Evidence e = arm();
    double lost_ms = 0;
    for (int i = 0; i < 8 && e.state != State::rejected; ++i) learn(e, stream.next() % 20 == 0 ? 300 : 30, 100, true, {});
    int served = 0;
    for (; served < 5000 && e.state == State::approved; ++served) {
      const bool bad = stream.next() % 20 == 0;
      if (bad) lost_ms += 200;
      learn(e, bad ? 300 : 30, 100, false, {});
    }
    CHECK(e.state != State::approved);  // two of ten come sooner or later
    CHECK(lost_ms <= 70.0 * served + 400);  // and what was lost is less than what was gained until then
  }
}

TEST_CASE("knowledge is found by label") {
  Case c;
  CHECK(c.knowledge.find(c.arm_label()) == &c.knowledge.evidence[0]);
  CHECK(c.knowledge.find("arm:none") == nullptr);
  CHECK(c.knowledge.rewrite(c.rewrite_label()) == &c.knowledge.rewrites[0]);
  CHECK(c.knowledge.rewrite("") == nullptr);
  KnowledgeKeyHash hash;
  CHECK(hash({{1, 2}, "a", "bc"}) != hash({{1, 2}, "ab", "c"}));
  CHECK(hash({{1, 2}, "a", "b"}) == hash({{1, 2}, "a", "b"}));
}

}  // namespace pgsteer::policies
