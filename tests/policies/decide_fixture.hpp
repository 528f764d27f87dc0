#pragma once
#include <limits>

#include "policies/decision.hpp"

namespace pgsteer::policies {

/// A statement for which everything says yes: one rewrite passed the cost gate, one arm is approved, the cache may
/// answer. Tests take single things away and see what remains.
struct Case {
  sql::SessionFacts session;
  sql::Query query;
  sql::Analysis analysis;
  sql::Catalog catalog;
  std::vector<rewriter::Candidate> candidates;
  std::vector<predictor::Estimate> estimates;
  Knowledge knowledge;
  Effective policy;
  DecideInput input;

  static std::string rule_that(bool always_gains) {
    for (const auto& rule : rewriter::all_rules()) {
      if (rule.always_gains == always_gains) return rule.name;
    }
    return {};
  }

  Case() {
    analysis.kind = sql::StatementKind::select;
    analysis.statements = 1;
    catalog.version = 7;
    candidates.resize(3);
    candidates[1].kind = rewriter::CandidateKind::rewritten;
    candidates[1].text = "select 2";
    candidates[1].rules = {rule_that(false)};
    candidates[2].kind = rewriter::CandidateKind::hinted;
    candidates[2].arm = rewriter::arms().front().name;
    for (auto& candidate : candidates) candidate.catalog_version = 7;
    estimates.resize(3);
    for (auto& estimate : estimates) estimate.ms = 100;
    knowledge.catalog_version = 7;
    knowledge.judged = true;
    knowledge.cache.state = cache::Judgement::State::cacheable;
    knowledge.cache.catalog_version = 7;
    knowledge.history.count = 50;
    knowledge.rewrites.push_back({candidates[1].label(), 1000, 200, true, true, "cheaper"});
    Evidence arm;
    arm.label = candidates[2].label();
    arm.state = Evidence::State::approved;
    arm.explored = 8;
    arm.explored_ms = 30;
    arm.explored_default_ms = 100;
    arm.worst_ratio = 1.0;
    knowledge.evidence.push_back(arm);
    policy.rule = "r";
    policy.mode = Mode::auto_;
    policy.cache.mode = cache::Consistency::strict;
    policy.steer.min_gain = 0.2;
    policy.steer.min_gain_time = policy.steer.floor = std::chrono::milliseconds(5);
    policy.lane = "slow";
    policy.route = "replica";
  }
  Case(const Case&) = delete;

  Evidence& evidence() { return knowledge.evidence.front(); }
  std::string arm_label() const { return candidates[2].label(); }
  std::string rewrite_label() const { return candidates[1].label(); }

  Decision run(std::uint64_t random = 0) {
    query.text = "select 1";
    query.session = &session;
    input.query = &query;
    input.analysis = &analysis;
    input.candidates = candidates;
    input.estimates = estimates;
    input.knowledge = &knowledge;
    input.policy = &policy;
    input.catalog = &catalog;
    input.random = random;
    return decide(input);
  }
  /// Without what only the fixture adds: fields that were set in `input` stay.
  Decision run_input() const { return decide(input); }
};

constexpr std::uint64_t last_random = std::numeric_limits<std::uint64_t>::max();

/// splitmix64: the tests' own stream of executions.
struct Stream {
  std::uint64_t state;
  std::uint64_t next() {
    std::uint64_t z = (state += 0x9E3779B97F4A7C15ull);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
  }
};

}  // namespace pgsteer::policies
