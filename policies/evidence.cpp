#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include <fmt/format.h>

#include "policies/decision.hpp"

namespace pgsteer::policies {
namespace {

constexpr std::size_t window = 32;           // executions the median and p95 are taken over
constexpr std::size_t served_window = 10;    // STEERING.md 7.6: demote on 2 of the last 10
constexpr int losses_to_disable = 2;
constexpr double explored_tolerance = 1.1;   // no explored instance may be slower than this multiple of the default
constexpr std::uint64_t explored_to_approve = 3;
constexpr std::uint64_t explored_to_give_up = 8;
constexpr std::uint64_t wide_to_give_up = 12;
constexpr double wide_tolerance = 1.5, wide_slack_ms = 2, wide_loss = 0.2;  // by what 96 templates showed: policies/README.md
void add_time(Evidence& e, double ms) {
  if (e.recent_ms.size() >= window) e.recent_ms.erase(e.recent_ms.begin());
  e.recent_ms.push_back(static_cast<float>(ms));
  std::vector<float> sorted = e.recent_ms;
  std::sort(sorted.begin(), sorted.end());
  const std::size_t n = sorted.size();
  e.median_ms = n % 2 ? sorted[n / 2] : (static_cast<double>(sorted[n / 2 - 1]) + sorted[n / 2]) / 2;
  e.p95_ms = sorted[(n * 95 + 99) / 100 - 1];  // nearest rank
}

/// Share of the default's time gained. One absurd ratio must not drown the rest: a loss counts as at most five times the default.
double gain_of(double ms, double default_ms) { return std::max(-4.0, 1 - ms / default_ms); }

void judge_exploration(Evidence& e, const SteerAction& bounds) {
  using State = Evidence::State;
  if (e.state != State::trial && e.state != State::approved) return;
  if (e.worst_ratio > explored_tolerance) {
    e.state = State::rejected;
    e.why = fmt::format("an explored instance took {:.2f} times the default's time", e.worst_ratio);
    return;
  }
  const double gain = e.gain();
  if (e.explored >= explored_to_approve && gain >= bounds.min_gain - 1e-9) {
    e.state = State::approved;
    e.why = fmt::format("gained {:.0f} % over {} explored instances, worst {:.2f} times the default", gain * 100,
                        e.explored, e.worst_ratio);
  } else if (e.explored >= explored_to_give_up) {
    e.state = State::rejected;
    e.why = fmt::format("gained {:.0f} % over {} explored instances, {:.0f} % asked for", gain * 100, e.explored,
                        bounds.min_gain * 100);
  } else {
    e.state = State::trial;
    e.why = fmt::format("gained {:.0f} % over {} explored instances so far", gain * 100, e.explored);
  }
}

/// Of an arm for all values. It may lose on some of them, little and seldom: asking for each call's plan, to tell them apart, takes as long as planning
/// it once more, which short statements do not gain.
void judge_wide(Evidence& e, const SteerAction& bounds, double ms, double default_ms) {
  using State = Evidence::State;
  if (e.state != State::trial && e.state != State::approved) return;
  const double gain = e.gain(), won_ms = e.explored_default_ms - e.explored_ms + e.lost_ms;
  if (ms > tolerated_ms(default_ms)) {
    e.state = State::rejected;
    e.why = fmt::format("one of {} explored calls took {:.2f} ms, the default {:.2f} ms", e.explored, ms, default_ms);
    return;
  }
  const bool enough = e.explored >= Knowledge::varied_from, good = gain >= bounds.min_gain - 1e-9 && e.lost_ms <= wide_loss * won_ms;
  e.state = enough && good ? State::approved : e.explored >= wide_to_give_up ? State::rejected : State::trial;
  e.why = fmt::format("gained {:.0f} % over {} calls of different values, lost {:.1f} ms on some and won {:.1f} ms on others", gain * 100, e.explored,
                      e.lost_ms, won_ms);
}

/// Single executions are noisy, most of all short ones: losses disable only what did not pay for them in the same window.
void judge_serving(Evidence& e, double gain, const SteerAction& bounds) {
  auto& gains = e.served_gains;
  if (gains.size() >= served_window) gains.erase(gains.begin());
  gains.push_back(gain);
  const double least = 1 - bounds.max_regression - 1e-9;
  e.losses = static_cast<int>(std::count_if(gains.begin(), gains.end(), [&](double g) { return g < least; }));
  if (e.losses < losses_to_disable || e.state == Evidence::State::pinned || e.state == Evidence::State::disabled) return;
  const double sum = std::accumulate(gains.begin(), gains.end(), 0.0);
  if (sum > 0) return;
  e.state = Evidence::State::disabled;
  e.why = fmt::format("{} of the last {} served executions took more than {:.2f} times the expected time, and together they "
                      "gained nothing", e.losses, gains.size(), bounds.max_regression);
}

}  // namespace

double tolerated_ms(double default_ms) { return wide_tolerance * default_ms + wide_slack_ms; }

double Evidence::gain() const { return explored_default_ms > 0 ? 1 - explored_ms / explored_default_ms : gain_low(); }

double Evidence::gain_low() const {
  if (std::isfinite(trial.effect.low)) return trial.effect.low;
  return explored > 0 ? 1 - worst_ratio : -std::numeric_limits<double>::infinity();
}

std::string_view to_string(Trial::Step step) {
  switch (step) {
    case Trial::Step::none: return "";
    case Trial::Step::canary: return "canary";
    case Trial::Step::promoted: return "promoted";
    case Trial::Step::serving: return "serving";
    case Trial::Step::stopped: return "stopped";
    case Trial::Step::rolled_back: return "rolled_back";
  }
  return "";
}

std::string_view to_string(Evidence::State state) {
  switch (state) {
    case Evidence::State::trial: return "trial";
    case Evidence::State::approved: return "approved";
    case Evidence::State::rejected: return "rejected";
    case Evidence::State::disabled: return "disabled";
    case Evidence::State::pinned: return "pinned";
  }
  return "trial";
}

void learn(Evidence& evidence, double ms, double default_ms, bool explored, const SteerAction& bounds) {
  if (!std::isfinite(ms) || ms < 0) return;
  add_time(evidence, ms);
  const bool comparable = std::isfinite(default_ms) && default_ms > 0;
  const bool original = evidence.label == "as-is";  // compared with itself: only its times are of use
  if (!explored) ++evidence.runs;
  // An explored instance without the default's time on the same instance proves nothing and is not counted.
  if (explored && comparable) ++evidence.explored;
  if (!comparable || original) return;
  const double gain = gain_of(ms, default_ms);
  if (explored) {
    evidence.worst_ratio = std::max(evidence.worst_ratio, ms / default_ms);
    evidence.explored_ms += ms;
    evidence.explored_default_ms += default_ms;
    evidence.lost_ms += std::max(0.0, ms - default_ms);
    if (evidence.wide) judge_wide(evidence, bounds, ms, default_ms);
    else judge_exploration(evidence, bounds);
  } else if (!evidence.wide) {  // what the default takes for these values nobody knows: the control group tells
    judge_serving(evidence, gain, bounds);
  }
}

bool enter_trial(Evidence& e, Mode mode) {
  using enum Trial::Step;
  const auto before = e.trial.step;
  if (e.state == Evidence::State::disabled || e.state == Evidence::State::rejected) return false;  // it was under way when that was decided
  if (mode == Mode::auto_) e.trial.step = serving;
  else if (before != promoted) e.trial.step = canary;
  return e.trial.step != before;
}

bool judge_trial(Evidence& e, Experiment& experiment, const CanaryAction& bounds) {
  using enum Trial::Step;
  constexpr std::uint64_t runs_to_promote = 20, every_pair_until = 32, watch = 64;  // what was gained long ago would hide a loss
  const auto before = e.trial.step;
  const bool acting = before == canary || before == promoted || before == serving;
  e.trial.pairs = experiment.pairs();
  e.trial.p_better = experiment.p_better();
  e.trial.p_worse = experiment.p_worse();
  const bool worse = e.trial.p_worse <= trial_alpha, better = e.trial.p_better <= 1 - bounds.promote_at && e.runs >= runs_to_promote;
  if (worse || better || e.trial.pairs <= every_pair_until || e.trial.pairs % 16 == 0) e.trial.effect = experiment.effect(trial_alpha);
  if (!acting || e.state == Evidence::State::pinned) return false;
  const auto figures = [&](double p) {
    return fmt::format("against the control group {:.0f} % gained ({:.0f} to {:.0f} %) over {} pairs, p = {:.2g}", e.trial.effect.gain * 100,
                       e.trial.effect.low * 100, e.trial.effect.high * 100, e.trial.pairs, p);
  };
  if (worse || e.state == Evidence::State::disabled) {
    e.trial.step = before == canary ? stopped : rolled_back;
    if (e.state != Evidence::State::disabled) e.why = figures(e.trial.p_worse);
    e.state = Evidence::State::disabled;
  } else if (before == canary && better) {
    e.trial.step = promoted;
    e.why = figures(e.trial.p_better);
    experiment = {};
  } else if (before != canary && e.trial.pairs >= watch) {
    experiment = {};
  }
  return e.trial.step != before;
}

}  // namespace pgsteer::policies
