// The comparison with a control group: wrong no more often than it says although it is looked at after every pair, and not blind.
#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <string>

#include <doctest/doctest.h>

#include "policies/regret.hpp"
#include "tests/policies/decide_fixture.hpp"

namespace pgsteer::policies {
namespace {

using Side = Experiment::Side;

/// Times of executions, the parameters' part and the noise's.
struct Source {
  Stream stream;
  int kind = 0;  ///< of noise
  double unit() { return (static_cast<double>(stream.next() >> 11) + 0.5) * 0x1.0p-53; }
  double normal() { return std::sqrt(-2 * std::log(unit())) * std::cos(2 * std::numbers::pi * unit()); }
  double log_noise() {
    switch (kind) {
      case 0: return 0.3 * normal();                                   // an ordinary server
      case 1: return unit() < 0.05 ? 1 + 3 * unit() : 0.05 * normal();  // quiet, with outliers on one side: locks, checkpoints
      case 2: return std::tan(std::numbers::pi * (unit() - 0.5)) * 0.2;  // no mean at all
      default: return (unit() < 0.5 ? 0 : 3) + 0.2 * normal();          // two kinds of parameters, twenty times apart
    }
  }
  double ms() { return 50 * std::exp(log_noise()); }
  Side side(double changed) { return unit() < changed ? Side::changed : Side::control; }
};

/// Executions of a canary until the step changes or `most` have passed; the changed ones gain `gain`. How many of them were pairs.
Trial::Step canary(Source& source, double gain, double changed_share, int most, std::uint64_t* pairs = nullptr) {
  Evidence e;
  e.label = "arm:x";
  e.state = Evidence::State::approved;
  Experiment experiment;
  const CanaryAction bounds;
  enter_trial(e, Mode::canary);
  for (int i = 0; i < most && e.trial.step == Trial::Step::canary; ++i) {
    const Side side = source.side(changed_share);
    if (side == Side::changed) ++e.runs;
    if (experiment.add(side, source.ms() * (side == Side::changed ? 1 - gain : 1))) {
      if (pairs) ++*pairs;
      e.trial.pairs = experiment.pairs();
      if (experiment.p_better() <= 1 - bounds.promote_at || experiment.p_worse() <= trial_alpha) judge_trial(e, experiment, bounds);
    }
  }
  return e.trial.step;
}

}  // namespace

TEST_CASE("what gains nothing is promoted and stopped no more often than said, although every pair is looked at") {
  constexpr int streams = 10000, executions = 600;
  int promoted = 0, stopped = 0;
  std::array<int, 4> by_noise{};
  for (int i = 0; i < streams; ++i) {
    Source source{Stream{static_cast<std::uint64_t>(i) * 7919 + 1}, i % 4};
    const auto step = canary(source, 0, i % 8 < 4 ? 0.5 : 0.9, executions);
    promoted += step == Trial::Step::promoted;
    stopped += step == Trial::Step::stopped;
    by_noise[static_cast<std::size_t>(i % 4)] += step == Trial::Step::promoted;
  }
  MESSAGE(streams << " streams of " << executions << " executions without a gain: " << promoted << " promoted, " << stopped << " stopped");
  CHECK(promoted <= 0.05 * streams);
  CHECK(stopped <= 0.05 * streams);
  for (const int one : by_noise) CHECK(one <= 0.05 * streams / 4 + 3 * std::sqrt(0.05 * 0.95 * streams / 4));
}

TEST_CASE("a gain is found, sooner when it is larger") {
  double before = 1e9;
  for (const double gain : {0.1, 0.2, 0.3, 0.5, 0.9}) {
    std::vector<std::uint64_t> needed;
    int found = 0;
    for (int i = 0; i < 400; ++i) {
      Source source{Stream{static_cast<std::uint64_t>(i) + 1}, 0};
      std::uint64_t pairs = 0;
      found += canary(source, gain, 0.5, 4000, &pairs) == Trial::Step::promoted;
      needed.push_back(pairs);
    }
    std::nth_element(needed.begin(), needed.begin() + 200, needed.end());
    MESSAGE("gain " << gain * 100 << " %, times varying by 30 %: found in " << found / 4.0 << " %, median after " << needed[200] << " pairs");
    CHECK(static_cast<double>(needed[200]) <= before);
    before = static_cast<double>(needed[200]);
    if (gain >= 0.2) CHECK(found >= 396);
  }
  CHECK(before <= 15);
}

TEST_CASE("a loss is found and ends it") {
  int stopped = 0;
  for (int i = 0; i < 200; ++i) {
    Source source{Stream{static_cast<std::uint64_t>(i) + 1}, i % 3};
    stopped += canary(source, -0.5, 0.5, 4000) == Trial::Step::stopped;
  }
  CHECK(stopped >= 198);
}

TEST_CASE("the interval holds at every look together") {
  constexpr int streams = 400;
  int missed = 0;
  double width = 0;
  for (int i = 0; i < streams; ++i) {
    Source source{Stream{static_cast<std::uint64_t>(i) * 31 + 5}, 0};
    Experiment experiment;
    bool out = false;
    Experiment::Effect effect;
    for (int pair = 1; pair <= 160; ++pair) {
      experiment.add_pair(source.log_noise() - source.log_noise() - std::log(0.7));  // it takes 0.7 of the time
      if (pair < 5 || (pair & (pair - 1)) != 0) continue;
      effect = experiment.effect(0.05);
      CHECK(effect.low <= effect.gain);
      CHECK(effect.gain <= effect.high);
      out = out || effect.low > 0.3 || effect.high < 0.3;
    }
    missed += out;
    width += effect.high - effect.low;
  }
  MESSAGE("interval missed in " << missed << " of " << streams << ", mean width after 128 pairs " << width / streams);
  CHECK(missed <= 0.05 * streams);
  CHECK(width / streams < 0.4);
}

TEST_CASE("pairs are neighbours of two sides") {
  Experiment e;
  CHECK_FALSE(e.add(Side::changed, 10));
  CHECK_FALSE(e.add(Side::changed, 5));
  const auto gain = e.add(Side::control, 20);
  REQUIRE(gain);
  CHECK(*gain == doctest::Approx(std::log(4)));
  CHECK_FALSE(e.add(Side::control, 20));
  CHECK_FALSE(e.add(Side::control, 0));
  CHECK_FALSE(e.add(Side::control, std::nan("")));
  const auto loss = e.add(Side::changed, 40);
  REQUIRE(loss);
  CHECK(*loss == doctest::Approx(-std::log(2)));
  CHECK(e.pairs() == 2);
  CHECK(e.effect(0.05).low == -std::numeric_limits<double>::infinity());
}

TEST_CASE("one absurd time does not decide") {
  Experiment good, bad;
  for (int i = 0; i < 20; ++i) good.add_pair(0.7);
  good.add_pair(-9);
  CHECK(good.p_better() < 0.05);
  CHECK(good.effect(0.05).gain > 0.4);
  for (int i = 0; i < 3; ++i) bad.add_pair(20);
  CHECK(bad.p_better() > 0.05);
}

TEST_CASE("the steps of a candidate") {
  Evidence e;
  e.label = "arm:x";
  e.state = Evidence::State::approved;
  Experiment experiment;
  CHECK(enter_trial(e, Mode::canary));
  CHECK_FALSE(enter_trial(e, Mode::canary));
  for (int i = 0; i < 19; ++i) experiment.add_pair(1);
  e.runs = 19;
  CHECK_FALSE(judge_trial(e, experiment, {}));  // however sure: not before twenty executions
  e.runs = 20;
  CHECK(judge_trial(e, experiment, {}));
  CHECK(e.trial.step == Trial::Step::promoted);
  CHECK(experiment.pairs() == 0);  // compared afresh
  CHECK(e.why.find("p = ") != std::string::npos);
  CHECK_FALSE(enter_trial(e, Mode::canary));
  for (int i = 0; i < 30; ++i) experiment.add_pair(-1);
  CHECK(judge_trial(e, experiment, {}));
  CHECK(e.trial.step == Trial::Step::rolled_back);
  CHECK(e.state == Evidence::State::disabled);
  CHECK_FALSE(judge_trial(e, experiment, {}));
  CHECK_FALSE(enter_trial(e, Mode::canary));  // what was still under way
  CHECK(e.trial.step == Trial::Step::rolled_back);

  Evidence never;
  never.state = Evidence::State::approved;
  never.runs = 1000;
  enter_trial(never, Mode::canary);
  Experiment sure;
  for (int i = 0; i < 200; ++i) sure.add_pair(3);
  CHECK_FALSE(judge_trial(never, sure, {.share = 0.5, .control = 0.5, .promote_at = 1}));

  Evidence pinned = never;
  pinned.state = Evidence::State::pinned;
  Experiment loss;
  for (int i = 0; i < 50; ++i) loss.add_pair(-2);
  CHECK_FALSE(judge_trial(pinned, loss, {}));

  Evidence lost = never;  // by two losses, whatever the comparison says
  lost.state = Evidence::State::disabled;
  lost.why = "two losses";
  CHECK(judge_trial(lost, sure, {}));
  CHECK(lost.trial.step == Trial::Step::stopped);
  CHECK(lost.why == "two losses");
}

TEST_CASE("regret: gains pay for losses, are not saved up, and a budget drains away in an hour") {
  Regret regret;
  regret.add(-500, 1000, 0);
  regret.add(600, 1000, 0);
  CHECK(regret.lost_ms_at(1000, 0) == doctest::Approx(600));
  regret.add(-200, 1000, 0);
  CHECK(regret.lost_ms_at(1000, 0) == doctest::Approx(400));
  CHECK(regret.lost_ms_at(1000, 720) == doctest::Approx(200));
  CHECK(regret.lost_ms_at(1000, 3600) == 0);
  regret.add(1200, 1000, 3600);
  CHECK(regret.lost_ms_at(1000, 3600) == doctest::Approx(1200));
}

}  // namespace pgsteer::policies
