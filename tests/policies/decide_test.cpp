#include <algorithm>
#include <cmath>
#include <functional>

#include <doctest/doctest.h>

#include "tests/policies/decide_fixture.hpp"

namespace pgsteer::policies {

using Change = std::function<void(Case&)>;

TEST_CASE("with everything in favour the measured arm acts, the cache is looked at, lane and route hold") {
  Case c;
  const Decision d = c.run();
  CHECK(d.candidate == 2);
  CHECK(d.suggested == 2);
  CHECK(d.reason == ReasonCode::arm_measured);
  CHECK(d.cache == CacheDirective::look_up);
  CHECK(d.cache_reason == cache::Reason::none);
  CHECK(d.mode == Mode::auto_);
  CHECK(d.rule == "r");
  CHECK(d.probability == doctest::Approx(0.98));
  CHECK_FALSE(d.control);
  CHECK(d.lane == "slow");
  CHECK(d.route == "replica");
}

TEST_CASE("what makes everything stand aside") {
  const struct {
    std::string name;
    Change change;
    ReasonCode reason;
    Mode mode;
    cache::Reason cache_reason;
  } table[] = {
      {"panic", [](Case& c) { c.input.panic = true; }, ReasonCode::panic, Mode::off, cache::Reason::rule_off},
      {"panic beats a pin", [](Case& c) { c.input.panic = true; c.knowledge.pinned = c.arm_label(); },
       ReasonCode::panic, Mode::off, cache::Reason::rule_off},
      {"off", [](Case& c) { c.policy.mode = Mode::off; }, ReasonCode::mode_off, Mode::off, cache::Reason::rule_off},
      {"observe", [](Case& c) { c.policy.mode = Mode::observe; }, ReasonCode::mode_observe, Mode::observe,
       cache::Reason::rule_off},
      {"comment", [](Case& c) { c.analysis.directive.mode = "off"; }, ReasonCode::directive, Mode::off,
       cache::Reason::directive_off},
      {"comment observe", [](Case& c) { c.analysis.directive.mode = "observe"; }, ReasonCode::directive, Mode::observe,
       cache::Reason::directive_off},
      {"comment unknown word", [](Case& c) { c.analysis.directive.mode = "fast"; }, ReasonCode::directive, Mode::off,
       cache::Reason::directive_off},
      {"session", [](Case& c) { c.input.session_mode = Mode::off; }, ReasonCode::mode_off, Mode::off,
       cache::Reason::rule_off},
      {"console", [](Case& c) { c.input.console_mode = Mode::observe; }, ReasonCode::mode_observe, Mode::observe,
       cache::Reason::rule_off},
      {"unparsed", [](Case& c) { c.analysis.kind = sql::StatementKind::unparsed; c.analysis.why_not = sql::WhyNot::syntax; },
       ReasonCode::not_analysed, Mode::auto_, cache::Reason::syntax_unknown},
      {"settings", [](Case& c) { c.session.settings_uncertain = true; }, ReasonCode::settings_uncertain, Mode::auto_,
       cache::Reason::settings_unknown},
  };
  for (const auto& row : table) {
    CAPTURE(row.name);
    Case c;
    row.change(c);
    const Decision d = c.run();
    CHECK(d.candidate == 0);
    CHECK(d.suggested == 0);
    CHECK(d.cache == CacheDirective::none);
    CHECK(d.reason == row.reason);
    CHECK(d.mode == row.mode);
    CHECK(d.cache_reason == row.cache_reason);
    CHECK(d.probability == 1);
    CHECK_FALSE(d.control);
    CHECK(d.lane.empty());
    CHECK(d.route.empty());
  }
}

TEST_CASE("what keeps the arm away (no rewrite at hand)") {
  const struct {
    std::string name;
    Change change;
    ReasonCode reason;
  } table[] = {
      {"no candidates", [](Case& c) { c.candidates.resize(1); }, ReasonCode::no_candidate},
      {"steer off", [](Case& c) { c.policy.steer.enabled = false; }, ReasonCode::no_candidate},
      {"arm not listed", [](Case& c) { c.policy.steer.arms = {"another"}; }, ReasonCode::no_candidate},
      {"for update", [](Case& c) { c.analysis.flags.locking_clause = true; }, ReasonCode::no_candidate},
      {"an update", [](Case& c) { c.analysis.kind = sql::StatementKind::update; }, ReasonCode::no_candidate},
      {"settings in a block, extended protocol",
       [](Case& c) {
         c.query.extended = true;
         c.candidates[1].kind = rewriter::CandidateKind::settings;
         c.query.transaction = sql::TransactionStatus::in_block;
       },
       ReasonCode::in_transaction},
      {"failed block", [](Case& c) { c.query.transaction = sql::TransactionStatus::failed; }, ReasonCode::in_transaction},
      {"catalog moved", [](Case& c) { c.catalog.version = 8; }, ReasonCode::catalog_stale},
      {"knowledge old", [](Case& c) { c.knowledge.catalog_version = 6; }, ReasonCode::catalog_stale},
      {"catalog uncertain", [](Case& c) { c.session.catalog_uncertain = true; }, ReasonCode::catalog_stale},
      {"temporary tables", [](Case& c) { c.session.has_temporary_objects = true; }, ReasonCode::catalog_stale},
      {"below floor", [](Case& c) { c.estimates[0].ms = 4.9; }, ReasonCode::below_floor},
      {"estimate not a number", [](Case& c) { c.estimates[0].ms = std::nan(""); }, ReasonCode::below_floor},
      {"no evidence", [](Case& c) { c.knowledge.evidence.clear(); }, ReasonCode::no_evidence},
      {"on trial", [](Case& c) { c.evidence().state = Evidence::State::trial; }, ReasonCode::no_evidence},
      {"never explored", [](Case& c) { c.evidence().explored = 0; }, ReasonCode::no_evidence},
      {"rejected", [](Case& c) { c.evidence().state = Evidence::State::rejected; }, ReasonCode::regression_seen},
      {"disabled", [](Case& c) { c.evidence().state = Evidence::State::disabled; }, ReasonCode::disabled},
      {"gain too small", [](Case& c) { c.evidence().explored_ms = 81; }, ReasonCode::gain_too_small},
      {"gain too short", [](Case& c) { c.estimates[0].ms = 7; }, ReasonCode::gain_too_small},
      {"regression beyond the rule", [](Case& c) { c.policy.steer.max_regression = 1; c.evidence().worst_ratio = 1.05; },
       ReasonCode::regression_seen},
      {"banned", [](Case& c) { c.knowledge.banned = "rewrite:x, " + c.candidates[1].label(); }, ReasonCode::banned},
      {"banned by glob", [](Case& c) { c.knowledge.banned = "arm:*"; }, ReasonCode::banned},
  };
  for (const auto& row : table) {
    CAPTURE(row.name);
    Case c;
    c.candidates.erase(c.candidates.begin() + 1);
    CHECK(c.run().candidate == 1);  // the twin that acts
    Case changed;
    changed.candidates.erase(changed.candidates.begin() + 1);
    row.change(changed);
    const Decision d = changed.run();
    CHECK(d.candidate == 0);
    CHECK(d.suggested == 0);
    CHECK(d.reason == row.reason);
    CHECK_FALSE(d.control);
  }
}

TEST_CASE("inside a block planner settings act in the simple protocol, behind a savepoint") {
  Case c;
  c.candidates.erase(c.candidates.begin() + 1);
  c.candidates[1].kind = rewriter::CandidateKind::settings;
  c.query.transaction = sql::TransactionStatus::in_block;
  CHECK(c.run().candidate == 1);
}

TEST_CASE("when a rewrite acts, and why not (no arm at hand)") {
  const struct {
    std::string name;
    Change change;
    std::size_t candidate;
    ReasonCode reason;
  } table[] = {
      {"cost gate", [](Case&) {}, 1, ReasonCode::rewrite_cost_gate},
      {"in a block", [](Case& c) { c.query.transaction = sql::TransactionStatus::in_block; }, 1,
       ReasonCode::rewrite_cost_gate},
      {"always gains",
       [](Case& c) {
         c.candidates[1].rules = {Case::rule_that(true)};
         c.knowledge.rewrites[0] = {c.candidates[1].label(), 0, 0, true, false, ""};
       },
       1, ReasonCode::rewrite_always},
      {"always gains but other columns",
       [](Case& c) {
         c.candidates[1].rules = {Case::rule_that(true)};
         c.knowledge.rewrites[0] = {c.candidates[1].label(), 0, 0, false, false, ""};
       },
       0, ReasonCode::regression_seen},
      {"one rule of two does not always gain",
       [](Case& c) {
         c.candidates[1].rules = {Case::rule_that(true), Case::rule_that(false)};
         c.knowledge.rewrites[0] = {c.candidates[1].label(), 100, 99, true, false, ""};
       },
       0, ReasonCode::gain_too_small},
      {"gate says no", [](Case& c) { c.knowledge.rewrites[0].approved = false; }, 0, ReasonCode::gain_too_small},
      {"too short for the planner's word", [](Case& c) { c.estimates[0].ms = 0.4; }, 0, ReasonCode::below_floor},
      {"short, but measured", [](Case& c) { c.estimates[0].ms = 0.4; c.evidence().label = c.rewrite_label(); }, 1, ReasonCode::rewrite_measured},
      {"approved but other columns", [](Case& c) { c.knowledge.rewrites[0].columns_equal = false; }, 0,
       ReasonCode::regression_seen},
      {"pinned but other columns",
       [](Case& c) { c.knowledge.rewrites[0].columns_equal = false; c.knowledge.pinned = c.rewrite_label(); }, 0,
       ReasonCode::regression_seen},
      {"measured",
       [](Case& c) { c.evidence().label = c.rewrite_label(); }, 1, ReasonCode::rewrite_measured},
      {"measured as losing",
       [](Case& c) { c.evidence().label = c.rewrite_label(); c.evidence().state = Evidence::State::disabled; }, 0,
       ReasonCode::disabled},
      {"not judged", [](Case& c) { c.knowledge.judged = false; }, 0, ReasonCode::not_judged},
      {"other rewrite judged", [](Case& c) { c.knowledge.rewrites[0].label = "rewrite:other"; }, 0, ReasonCode::not_judged},
      {"unknown shape", [](Case& c) { c.input.knowledge = nullptr; }, 0, ReasonCode::unknown_shape},
      {"no catalog", [](Case& c) { c.input.catalog = nullptr; }, 0, ReasonCode::catalog_stale},
      {"rewriting off", [](Case& c) { c.policy.rewrite_enabled = false; }, 0, ReasonCode::no_candidate},
      {"rule excluded", [](Case& c) { c.policy.rewrite.excluded = {Case::rule_that(false)}; }, 0,
       ReasonCode::no_candidate},
      {"banned", [](Case& c) { c.knowledge.banned = c.rewrite_label(); }, 0, ReasonCode::banned},
  };
  for (const auto& row : table) {
    CAPTURE(row.name);
    Case c;
    c.candidates.pop_back();
    c.run();
    row.change(c);
    // run() sets the pointers again: what a row took out of the input must stay out.
    const bool no_knowledge = !c.input.knowledge, no_catalog = !c.input.catalog;
    c.run();
    if (no_knowledge) c.input.knowledge = nullptr;
    if (no_catalog) c.input.catalog = nullptr;
    const Decision d = c.run_input();
    CHECK(d.candidate == row.candidate);
    CHECK(d.reason == row.reason);
  }
}

TEST_CASE("the larger gain wins; a planner's promise counts half") {
  Case c;
  CHECK(c.run().candidate == 2);            // 70 % measured against 80 % promised
  c.evidence().explored_ms = 65;            // 35 % measured against 80 % promised
  CHECK(c.run().candidate == 1);
}

TEST_CASE("a pin acts without evidence and without a hold-out; as-is can be pinned") {
  Case c;
  c.evidence().state = Evidence::State::rejected;
  c.estimates[0].ms = 0.1;
  c.knowledge.pinned = c.arm_label();
  for (const auto random : {std::uint64_t{0}, last_random}) {
    const Decision d = c.run(random);
    CHECK(d.candidate == 2);
    CHECK(d.reason == ReasonCode::pinned);
    CHECK(d.probability == 1);
  }
  c.policy.mode = Mode::canary;
  c.policy.cache.mode = cache::Consistency::off;
  CHECK(c.run(last_random).candidate == 2);
  c.policy.mode = Mode::suggest;
  CHECK(c.run().candidate == 0);
  CHECK(c.run().suggested == 2);
  c.policy.mode = Mode::auto_;
  c.knowledge.pinned = "as-is";
  CHECK(c.run().candidate == 0);
  CHECK(c.run().reason == ReasonCode::pinned);
  c.knowledge.pinned = "arm:gone";
  CHECK(c.run().candidate == 0);
  CHECK(c.run().detail == "pinned to arm:gone, which this text does not have");
}

TEST_CASE("suggest records what it would do and does nothing") {
  Case c;
  c.policy.mode = Mode::suggest;
  const Decision d = c.run();
  CHECK(d.candidate == 0);
  CHECK(d.suggested == 2);
  CHECK(d.reason == ReasonCode::mode_suggest);
  CHECK(d.cache == CacheDirective::none);
  CHECK(d.probability == 1);
  CHECK(d.lane.empty());
  CHECK(d.detail.find("would act, arm_measured") == 0);
  CHECK(d.detail.find("would look into the cache") != std::string::npos);
}

TEST_CASE("the cache") {
  const struct {
    std::string name;
    Change change;
    cache::Reason reason;  // none: looked at
  } table[] = {
      {"yes", [](Case&) {}, cache::Reason::none},
      {"rule off", [](Case& c) { c.policy.cache.mode = cache::Consistency::off; }, cache::Reason::rule_off},
      {"comment off", [](Case& c) { c.analysis.directive.cache = "off"; }, cache::Reason::directive_off},
      {"comment unknown", [](Case& c) { c.analysis.directive.cache = "please"; }, cache::Reason::directive_off},
      {"comment as the rule", [](Case& c) { c.analysis.directive.cache = "strict"; }, cache::Reason::none},
      {"comment laxer", [](Case& c) { c.analysis.directive.cache = "30s"; }, cache::Reason::none},
      {"comment stricter than the rule can be",
       [](Case& c) { c.policy.cache.mode = cache::Consistency::ttl; c.analysis.directive.cache = "strict"; },
       cache::Reason::directive_off},
      {"comment shorter than the rule",
       [](Case& c) { c.policy.cache.mode = cache::Consistency::ttl; c.analysis.directive.cache = "1s"; },
       cache::Reason::directive_off},
      {"comment longer than the rule",
       [](Case& c) { c.policy.cache.mode = cache::Consistency::ttl; c.analysis.directive.cache = "3s"; },
       cache::Reason::none},
      {"comment cannot switch on",
       [](Case& c) { c.policy.cache.mode = cache::Consistency::off; c.analysis.directive.cache = "30s"; },
       cache::Reason::rule_off},
      {"given reason", [](Case& c) { c.input.cache_reason = cache::Reason::volatile_function; },
       cache::Reason::volatile_function},
      {"update", [](Case& c) { c.analysis.kind = sql::StatementKind::update; }, cache::Reason::not_select},
      {"pending", [](Case& c) { c.knowledge.cache.state = cache::Judgement::State::pending; },
       cache::Reason::not_judged_yet},
      {"refused",
       [](Case& c) { c.knowledge.cache.state = cache::Judgement::State::refused; c.knowledge.cache.reason = cache::Reason::row_security; },
       cache::Reason::row_security},
      {"refused without a reason",
       [](Case& c) { c.knowledge.cache.state = cache::Judgement::State::refused; c.knowledge.cache.reason = cache::Reason::none; },
       cache::Reason::not_judged_yet},
      {"judged under another catalog", [](Case& c) { c.knowledge.cache.catalog_version = 6; },
       cache::Reason::not_judged_yet},
      {"cheap", [](Case& c) { c.estimates[0].ms = 0.29; }, cache::Reason::cheap},
      {"temporary tables", [](Case& c) { c.session.has_temporary_objects = true; }, cache::Reason::session_temp_objects},
      {"DDL in the open transaction", [](Case& c) { c.session.catalog_uncertain = true; },
       cache::Reason::in_transaction_after_write},
      {"failed", [](Case& c) { c.query.transaction = sql::TransactionStatus::failed; }, cache::Reason::failed_transaction},
      {"auto, first sight", [](Case& c) { c.policy.cache.learn = true; c.knowledge.history.count = 1; },
       cache::Reason::first_sight},
      {"auto, seen", [](Case& c) { c.policy.cache.learn = true; }, cache::Reason::none},
  };
  for (const auto& row : table) {
    CAPTURE(row.name);
    Case c;
    row.change(c);
    const Decision d = c.run();
    CHECK(d.cache_reason == row.reason);
    CHECK((d.cache == CacheDirective::look_up) == (row.reason == cache::Reason::none));
  }
}

TEST_CASE("decide is total: nothing but defaults") {
  DecideInput nothing;
  CHECK(decide(nothing).candidate == 0);
  CHECK(decide(nothing).mode == Mode::observe);
  nothing.console_mode = Mode::auto_;
  CHECK(decide(nothing).reason == ReasonCode::not_analysed);
  Case c;
  c.run();
  c.input.candidates = {};
  c.input.estimates = {};
  c.input.knowledge = nullptr;
  c.input.catalog = nullptr;
  CHECK(c.run_input().candidate == 0);
  c.input.query = nullptr;
  CHECK(c.run_input().reason == ReasonCode::not_analysed);
}

TEST_CASE("what has lost its regret budget is left alone: a statement runs as it came, a policy observes") {
  Case statement;
  statement.knowledge.held = "lost too much";
  const Decision alone = statement.run();
  CHECK(alone.candidate == 0);
  CHECK(alone.suggested == 0);
  CHECK(alone.reason == ReasonCode::regret);
  CHECK(alone.detail == "lost too much");
  CHECK(alone.mode == Mode::auto_);
  CHECK(alone.cache == CacheDirective::look_up);
  statement.knowledge.pinned = statement.arm_label();
  CHECK(statement.run().candidate == 2);  // a person's word
  Case policy;
  policy.policy.held = "lost too much";
  policy.knowledge.pinned = policy.arm_label();
  const Decision observed = policy.run();
  CHECK(observed.mode == Mode::observe);
  CHECK(observed.candidate == 0);
  CHECK(observed.reason == ReasonCode::regret);
  CHECK(observed.cache == CacheDirective::none);
  policy.policy.mode = Mode::observe;
  CHECK(policy.run().reason == ReasonCode::mode_observe);
}

TEST_CASE("of candidates that are as good as equal the same one is taken, whichever was measured a little faster") {
  Case c;
  c.policy.rewrite_enabled = false;
  const auto& arms = rewriter::arms();
  for (const std::size_t arm : {3u, 1u}) {  // in the order of their evidence, which is chance's
    c.candidates.push_back(c.candidates[2]);
    c.candidates.back().arm = arms[arm].name;
    c.estimates.push_back(c.estimates[2]);
    c.knowledge.evidence.push_back(c.evidence());
    c.knowledge.evidence.back().label = c.candidates.back().label();
  }
  const auto takes = [&](double first, double third, double second) {
    for (std::size_t i = 0; i < 3; ++i) c.knowledge.evidence[i].explored_ms = std::array{first, third, second}[i];
    return c.run().candidate;
  };
  CHECK(takes(30, 30, 30) == 2);
  CHECK(takes(30.9, 30, 30.5) == 2);
  CHECK(takes(50, 30, 30.5) == 4);
  CHECK(takes(50, 30.5, 30) == 4);
  CHECK(takes(50, 30, 40) == 3);
  CHECK(takes(32, 31, 30) == 4);  // no chain of ties may lead away from the best
}

TEST_CASE("every reason has a name of its own") {
  std::vector<std::string_view> seen;
  for (int i = 0; i <= static_cast<int>(ReasonCode::regret); ++i) {
    const auto name = to_string(static_cast<ReasonCode>(i));
    CHECK_FALSE(name.empty());
    CHECK(std::find(seen.begin(), seen.end(), name) == seen.end());
    seen.push_back(name);
  }
  CHECK(to_string(ReasonCode::mode_off) == "mode_off");
  CHECK(to_string(ReasonCode::canary_treated) == "canary_treated");
  CHECK(to_string(ReasonCode::cache_hit) == "cache_hit");
  CHECK(to_string(ReasonCode::holdout) == "holdout");
}

}  // namespace pgsteer::policies
