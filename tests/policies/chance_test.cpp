// Chance: what is recorded as probability is what happens, and a narrower scope only makes it safer.
#include <cmath>
#include <map>

#include <doctest/doctest.h>

#include "tests/policies/decide_fixture.hpp"

namespace pgsteer::policies {
namespace {

struct Group {
  std::uint64_t count = 0;
  double probability = 0;
};

/// Frequencies of (candidate, cache) over many executions, with the probability each recorded.
std::map<std::pair<std::size_t, bool>, Group> frequencies(Case& c, int executions, std::uint64_t* control) {
  std::map<std::pair<std::size_t, bool>, Group> groups;
  Stream stream{42};
  for (int i = 0; i < executions; ++i) {
    const Decision d = c.run(stream.next());
    Group& group = groups[{d.candidate, d.cache == CacheDirective::look_up}];
    if (group.count == 0) group.probability = d.probability;
    REQUIRE(group.probability == d.probability);
    ++group.count;
    *control += d.control ? 1 : 0;
  }
  return groups;
}

void check_groups(Case& c, double expected_control) {
  constexpr int n = 40000;
  std::uint64_t control = 0;
  double sum = 0;
  for (const auto& [choice, group] : frequencies(c, n, &control)) {
    CAPTURE(choice.first);
    CAPTURE(choice.second);
    const double p = group.probability, slack = 4 * std::sqrt(p * (1 - p) / n) + 1e-9;
    CHECK(std::abs(static_cast<double>(group.count) / n - p) <= slack);
    sum += p;
  }
  CHECK(sum == doctest::Approx(1));
  const double slack = 4 * std::sqrt(expected_control * (1 - expected_control) / n) + 1e-9;
  CHECK(std::abs(static_cast<double>(control) / n - expected_control) <= slack);
}

}  // namespace

TEST_CASE("frequencies match the recorded probabilities") {
  for (const bool cache : {true, false}) {
    for (const auto& [share, control] : std::vector<std::pair<double, double>>{
             {0.05, 0.05}, {0.3, 0.3}, {0, 0.5}, {1, 0}, {0.5, 0.5}, {0.05, 0}}) {
      CAPTURE(cache);
      CAPTURE(share);
      Case c;
      c.policy.mode = Mode::canary;
      c.policy.canary.share = share;
      c.policy.canary.control = control;
      if (!cache) c.policy.cache.mode = cache::Consistency::off;
      check_groups(c, control);
    }
    Case c;
    if (!cache) c.policy.cache.mode = cache::Consistency::off;
    check_groups(c, 0.02);
  }
}

TEST_CASE("the groups of a canary") {
  Case c;
  c.policy.mode = Mode::canary;
  const Decision treated = c.run(0);
  CHECK(treated.candidate == 2);
  CHECK(treated.reason == ReasonCode::canary_treated);
  CHECK(treated.cache == CacheDirective::look_up);
  CHECK(treated.probability == doctest::Approx(0.05));
  CHECK_FALSE(treated.control);
  const Decision rest = c.run(last_random / 2);
  CHECK(rest.candidate == 0);
  CHECK(rest.suggested == 2);
  CHECK(rest.reason == ReasonCode::canary_control);
  CHECK(rest.cache == CacheDirective::none);
  CHECK(rest.probability == doctest::Approx(0.95));
  CHECK_FALSE(rest.control);
  const Decision control = c.run(last_random);
  CHECK(control.candidate == 0);
  CHECK(control.suggested == 2);
  CHECK(control.control);
  CHECK(control.detail == "member of the canary's control group");
}

TEST_CASE("a canary that has proved itself acts on all but the control group") {
  Case c;
  c.policy.mode = Mode::canary;
  c.policy.cache.mode = cache::Consistency::off;
  c.evidence().trial.step = Trial::Step::promoted;
  CHECK(c.run(last_random / 2).candidate == 2);
  CHECK(c.run(last_random / 2).reason == ReasonCode::arm_measured);
  CHECK(c.run(last_random / 2).probability == doctest::Approx(0.95));
  CHECK(c.run(last_random).control);
  c.evidence().trial.step = Trial::Step::canary;
  CHECK(c.run(last_random / 2).candidate == 0);
}

TEST_CASE("the hold-out of auto stays default and still looks into the cache") {
  Case c;
  const Decision d = c.run(last_random);
  CHECK(d.candidate == 0);
  CHECK(d.suggested == 2);
  CHECK(d.reason == ReasonCode::holdout);
  CHECK(d.control);
  CHECK(d.probability == doctest::Approx(0.02));
  CHECK(d.cache == CacheDirective::look_up);
}

TEST_CASE("the same input gives the same decision") {
  Stream stream{7};
  for (int i = 0; i < 200; ++i) {
    const std::uint64_t random = stream.next();
    Case one, two;
    one.policy.mode = two.policy.mode = i % 2 ? Mode::canary : Mode::auto_;
    const Decision a = one.run(random), b = two.run(random);
    CHECK(a.candidate == b.candidate);
    CHECK(a.cache == b.cache);
    CHECK(a.reason == b.reason);
    CHECK(a.detail == b.detail);
    CHECK(a.probability == b.probability);
    CHECK(a.control == b.control);
  }
}

TEST_CASE("a narrower scope may only make it safer; what the policy has off stays off") {
  std::vector<std::optional<Mode>> modes{std::nullopt};
  for (int i = 0; i <= static_cast<int>(Mode::auto_); ++i) modes.push_back(static_cast<Mode>(i));
  for (int i = 0; i <= static_cast<int>(Mode::auto_); ++i) {
    const Mode policy = static_cast<Mode>(i);
    for (const auto& console : modes) {
      const Mode wide = effective_mode(policy, console, std::nullopt, std::nullopt);
      CHECK(wide == (policy == Mode::off ? Mode::off : console.value_or(policy)));
      for (const auto& session : modes) {
        for (const auto& directive : modes) {
          const Mode narrow = effective_mode(policy, console, session, directive);
          CHECK(narrow <= wide);
          if (session) CHECK(narrow <= *session);
          if (directive) CHECK(narrow <= *directive);
          if (!session && !directive) CHECK(narrow == wide);
        }
      }
    }
  }
}

TEST_CASE("no comment and no session setting makes an execution act that would not have acted") {
  const std::vector<std::optional<std::string>> words{std::nullopt, "off",  "observe", "suggest", "canary",
                                                      "auto",       "auto ", "AUTO",   "",        "on"};
  const std::vector<std::optional<std::string>> cache_words{std::nullopt, "off", "on", "strict", "ttl", "5s", "x", ""};
  Stream stream{3};
  for (int i = 0; i <= static_cast<int>(Mode::auto_); ++i) {
    for (const auto& word : words) {
      for (const auto& cache_word : cache_words) {
        const std::uint64_t random = stream.next();
        Case plain, narrowed;
        plain.policy.mode = narrowed.policy.mode = static_cast<Mode>(i);
        narrowed.analysis.directive.mode = word;
        narrowed.analysis.directive.cache = cache_word;
        const Decision before = plain.run(random), after = narrowed.run(random);
        // auto's hold-out is the canary's control group: the same numbers stand back.
        CHECK((after.candidate == 0 || before.candidate != 0));
        CHECK((after.cache == CacheDirective::none || before.cache == CacheDirective::look_up));
        CHECK(after.mode <= before.mode);
      }
    }
  }
}

}  // namespace pgsteer::policies
