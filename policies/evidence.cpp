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
constexpr double z95 = 1.6448536269514722;

/// Student's t at one-sided 95 % by the Cornish-Fisher expansion; 2 % off at 2 degrees of freedom, exact enough beyond.
double t95(double degrees) {
  const double z = z95, z3 = z * z * z, z5 = z3 * z * z, z7 = z5 * z * z;
  return z + (z3 + z) / (4 * degrees) + (5 * z5 + 16 * z3 + 3 * z) / (96 * degrees * degrees) +
         (3 * z7 + 19 * z5 + 17 * z3 - 15 * z) / (384 * degrees * degrees * degrees);
}

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

void add_gain(Evidence& e, double gain) {
  ++e.gain_count;
  const double step = gain - e.gain_mean;
  e.gain_mean += step / static_cast<double>(e.gain_count);
  e.gain_m2 += step * (gain - e.gain_mean);
  e.gain_low = -std::numeric_limits<double>::infinity();
  if (e.gain_count >= 3) {
    const double n = static_cast<double>(e.gain_count);
    e.gain_low = e.gain_mean - t95(n - 1) * std::sqrt(e.gain_m2 / (n - 1) / n);
  }
}

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

double Evidence::gain() const { return explored_default_ms > 0 ? 1 - explored_ms / explored_default_ms : gain_low; }

double Evidence::confidence() const {
  if (gain_count < 3) return 0;
  const double n = static_cast<double>(gain_count), v = n - 1;
  const double error = std::sqrt(gain_m2 / v / n);
  if (error < 1e-12) return gain_mean > 0 ? 1 : 0;
  const double t = gain_mean / error;
  // Wallace's normal approximation of Student's t.
  const double z = std::copysign(std::sqrt(v * std::log1p(t * t / v)) * (8 * v + 1) / (8 * v + 3), t);
  return 0.5 * std::erfc(-z / std::sqrt(2.0));
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
  add_gain(evidence, gain);
  if (explored) {
    evidence.worst_ratio = std::max(evidence.worst_ratio, ms / default_ms);
    evidence.explored_ms += ms;
    evidence.explored_default_ms += default_ms;
    judge_exploration(evidence, bounds);
  } else {
    judge_serving(evidence, gain, bounds);
  }
}

}  // namespace pgsteer::policies
