// Arms that are right under one of the default's plans and wrong under another; what a person approved; how long an arm may take.
#include <doctest/doctest.h>

#include "tests/policies/decide_fixture.hpp"

namespace pgsteer::policies {
namespace {

/// The fixture's arm, explored under plan 11 only; the rewrite and the cache are out of the way.
struct Bound : Case {
  Bound() {
    policy.rewrite_enabled = false;
    policy.cache.mode = cache::Consistency::off;
    evidence().plan = 11;
    knowledge.plans = {{11, 8, 100, 50, 60}, {12, 5, 300, 50, 60}};
  }
};

}  // namespace

TEST_CASE("an arm serves under the plan it was explored for, and under no other") {
  Bound c;
  c.input.plan = 11;
  CHECK(c.run(1).candidate == 2);
  c.input.plan = 12;
  CHECK(c.run(1).candidate == 0);
  CHECK(c.run(1).reason == ReasonCode::no_evidence);
  CHECK_FALSE(c.run(1).wants_plan);
  Evidence other = c.evidence();
  other.plan = 12;
  other.state = Evidence::State::rejected;
  c.knowledge.evidence.push_back(other);
  CHECK(c.run(1).candidate == 0);
  c.input.plan = 11;
  CHECK(c.run(1).candidate == 2);
}

TEST_CASE("nothing is concluded for what costs more or less than anything explored") {
  Bound c;
  c.input.plan = 11;
  c.evidence().cost_low = 100;
  c.evidence().cost_high = 1000;
  const std::pair<double, std::size_t> cases[] = {{0, 2}, {100, 2}, {70, 2}, {60, 0}, {1000, 2}, {1400, 2}, {1600, 0}, {1e9, 0}};
  for (const auto& [cost, candidate] : cases) {
    CAPTURE(cost);
    c.input.plan_cost = cost;
    CHECK(c.run(1).candidate == candidate);
  }
}

TEST_CASE("which plan it is, is asked for where it matters") {
  Bound c;
  CHECK(c.run(1).wants_plan);
  CHECK(c.run(1).candidate == 0);
  CHECK(c.run(last_random).wants_plan);  // held back, and compared with others of the same plan
  Bound canary;
  canary.policy.mode = Mode::canary;
  CHECK(canary.run(1).wants_plan);
  CHECK(canary.run(last_random).wants_plan);
  CHECK_FALSE(canary.run(last_random / 2).wants_plan);  // neither changed nor compared
  c.input.plan = 12;
  CHECK_FALSE(c.run(1).wants_plan);
  c.input.plan = 0;
  const std::pair<const char*, void (*)(Bound&)> not_worth_it[] = {
      {"suggest", [](Bound& b) { b.policy.mode = Mode::suggest; }},
      {"below the floor", [](Bound& b) { b.estimates[0].ms = 1; b.evidence().explored_ms /= 100; b.evidence().explored_default_ms /= 100; }},
      {"in a block, where a failing EXPLAIN would end it", [](Bound& b) { b.query.transaction = sql::TransactionStatus::in_block; }},
      {"banned", [](Bound& b) { b.knowledge.banned = b.arm_label(); }},
      {"nothing approved", [](Bound& b) { b.evidence().state = Evidence::State::trial; }},
      {"steering off", [](Bound& b) { b.policy.steer.enabled = false; }},
      {"older catalog", [](Bound& b) { b.knowledge.catalog_version = 6; }},
  };
  for (const auto& [name, change] : not_worth_it) {
    CAPTURE(std::string(name));
    Bound other;
    change(other);
    CHECK_FALSE(other.run(1).wants_plan);
    CHECK(other.run(1).candidate == 0);
  }
}

TEST_CASE("of a statement of ever other values the plan is asked for only where that pays") {
  Bound c;
  c.knowledge.varied = true;
  c.knowledge.planning_ms = 1;
  CHECK(c.run(1).wants_plan);  // 70 ms gained on 8 of 13
  c.knowledge.planning_ms = 30;
  CHECK_FALSE(c.run(1).wants_plan);
  CHECK(c.run(1).candidate == 0);
  c.knowledge.varied = false;  // few values: each is asked for once
  CHECK(c.run(1).wants_plan);
}

TEST_CASE("a plan is not asked for where a rewrite acts that gains as much without") {
  Bound c;
  c.policy.rewrite_enabled = true;
  Evidence rewrite = c.evidence();
  rewrite.label = c.rewrite_label();
  rewrite.plan = 0;
  rewrite.explored_ms = 20;  // 80 %, the arm gains 70
  c.knowledge.evidence.push_back(rewrite);
  CHECK(c.run(1).candidate == 1);
  CHECK_FALSE(c.run(1).wants_plan);
  c.evidence().explored_ms = 1;  // 99 %
  CHECK(c.run(1).wants_plan);
  c.knowledge.varied = true;
  c.knowledge.planning_ms = 10;  // for another 19 % of 100 ms on 8 of 13
  CHECK_FALSE(c.run(1).wants_plan);
}

TEST_CASE("an arm for all values serves without asking, but where a plan is known to be worse with it") {
  Bound c;
  Evidence wide = c.evidence();
  wide.plan = 0;
  wide.wide = true;
  wide.worst_ratio = 1.4;
  c.evidence().plan = 12;
  c.evidence().state = Evidence::State::rejected;
  c.knowledge.evidence.push_back(wide);
  CHECK(c.run(1).candidate == 2);
  CHECK_FALSE(c.run(1).wants_plan);
  CHECK(c.run(1).patience_ms == doctest::Approx(620));  // the worst of any plan
  c.input.plan = 12;
  CHECK(c.run(1).candidate == 0);
  CHECK(c.run(1).reason == ReasonCode::regression_seen);
  c.evidence().state = Evidence::State::trial;  // too few calls under this plan to say otherwise
  CHECK(c.run(1).candidate == 2);
  c.input.plan = 11;
  CHECK(c.run(1).candidate == 2);
  c.knowledge.evidence.back().wide = false;  // measured on one call's values only
  CHECK(c.run(1).candidate == 0);
}

TEST_CASE("a plan that never changed is not asked for any more, but for an audit") {
  Bound c;
  c.knowledge.plans = {{11, 20, 100, 50, 60}};
  CHECK(c.run(1).candidate == 2);
  CHECK_FALSE(c.run(1).wants_plan);
  CHECK(c.run(64).wants_plan);
  CHECK(c.run(64).candidate == 2);
  c.knowledge.plans = {{11, 19, 100, 50, 60}};
  CHECK(c.run(1).candidate == 0);
  c.knowledge.plans = {{11, 30, 100, 10, 60}};  // the same, but for very different amounts
  CHECK(c.run(1).candidate == 0);
  CHECK(c.run(1).wants_plan);
  c.knowledge.plans = {{11, 19, 100, 50, 60}};
  c.query.transaction = sql::TransactionStatus::in_block;  // what was seen so far must do
  CHECK(c.run(1).candidate == 2);
}

TEST_CASE("an arm in doubt stands back") {
  Bound c;
  c.input.plan = 11;
  c.evidence().doubted = true;
  CHECK(c.run(1).candidate == 0);
  CHECK(c.run(1).reason == ReasonCode::holdout);
}

TEST_CASE("what a person approved needs no measured gain, but keeps to the other bounds") {
  Bound c;
  c.input.plan = 11;
  c.evidence().explored_ms = c.evidence().explored_default_ms = 0;
  CHECK(c.run(1).candidate == 0);
  c.evidence().by_hand = true;
  CHECK(c.run(1).candidate == 2);
  c.evidence().worst_ratio = 3;
  CHECK(c.run(1).candidate == 0);
}

TEST_CASE("an arm may take twice what the default was ever seen to take") {
  Bound c;
  c.input.plan = 11;
  CHECK(c.run(1).patience_ms == doctest::Approx(220));
  c.estimates[0].ms = 400;
  CHECK(c.run(1).patience_ms == doctest::Approx(820));
  c.knowledge.history.ewma_bytes = 1e6;  // rows would have to be held back
  CHECK(c.run(1).patience_ms == 0);
  c.knowledge.history.ewma_bytes = 0;
  c.knowledge.plans.clear();
  CHECK(c.run(1).patience_ms == 0);  // nothing known
  c.knowledge.pinned = c.arm_label();
  c.knowledge.plans = {{11, 8, 100, 50, 60}};
  CHECK(c.run(1).candidate == 2);
  CHECK(c.run(1).patience_ms == 0);  // a person's word
}

}  // namespace pgsteer::policies
