#include "policies/experiment.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace pgsteer::policies {
namespace {

constexpr double full_stake = 0.5;  ///< log gain from which on a pair wins all that was bet: below, in proportion
constexpr double step = 1.0 / 64;
constexpr double furthest = 10;     ///< log gains beyond are counted as this

double score(double log_gain) { return std::clamp(log_gain / full_stake, -1.0, 1.0); }

template <class List>
double log_mean_exp(const List& logarithms) {
  const double most = *std::max_element(logarithms.begin(), logarithms.end());
  const double sum = std::accumulate(logarithms.begin(), logarithms.end(), 0.0, [&](double s, double l) { return s + std::exp(l - most); });
  return most + std::log(sum / static_cast<double>(logarithms.size()));
}

/// Where a falling function crosses `level`, to a hundredth of a step.
template <class Function>
double crossing(Function falling, double level) {
  double low = -furthest, high = furthest;
  while (high - low > step / 100) {
    const double middle = (low + high) / 2;
    (falling(middle) >= level ? low : high) = middle;
  }
  return (low + high) / 2;
}

}  // namespace

std::optional<double> Experiment::add(Side side, double ms) {
  if (!std::isfinite(ms) || ms <= 0) return std::nullopt;
  const double log_ms = std::log(ms);
  if (!waiting_ || waiting_->first == side) {
    waiting_ = {side, log_ms};
    return std::nullopt;
  }
  const double log_gain = side == Side::changed ? waiting_->second - log_ms : log_ms - waiting_->second;
  waiting_.reset();
  add_pair(log_gain);
  return log_gain;
}

void Experiment::add_pair(double log_gain) {
  const auto steps = static_cast<std::int16_t>(std::lround(std::clamp(log_gain, -furthest, furthest) / step));
  const double won = score(steps * step);
  for (std::size_t i = 0; i < stakes.size(); ++i) {
    better_[i] += std::log1p(stakes[i] * won);
    worse_[i] += std::log1p(-stakes[i] * won);
  }
  best_better_ = std::max(best_better_, log_mean_exp(better_));
  best_worse_ = std::max(best_worse_, log_mean_exp(worse_));
  ++pairs_;
  ++steps_[steps];
}

double Experiment::p_better() const { return std::exp(-best_better_); }
double Experiment::p_worse() const { return std::exp(-best_worse_); }

/// The logarithm of the fortune that betting against "the log gain is `true_log_gain`" would have made.
double Experiment::fortune_if(double true_log_gain, bool better) const {
  Fortunes fortunes{};
  for (const auto& [steps, count] : steps_) {
    const double won = score(steps * step - true_log_gain) * (better ? 1 : -1);
    for (std::size_t i = 0; i < stakes.size(); ++i) fortunes[i] += count * std::log1p(stakes[i] * won);
  }
  return log_mean_exp(fortunes);
}

Experiment::Effect Experiment::effect(double alpha) const {
  constexpr double unknown = -std::numeric_limits<double>::infinity();
  if (pairs_ == 0) return {0, unknown, 1};
  const auto balance = [this](double at) {
    return std::accumulate(steps_.begin(), steps_.end(), 0.0, [at](double sum, const auto& item) { return sum + item.second * score(item.first * step - at); });
  };
  const auto share = [](double log_gain) { return 1 - std::exp(-log_gain); };
  const double enough = std::log(2 / alpha);
  const bool above = fortune_if(-furthest, true) >= enough, below = fortune_if(furthest, false) >= enough;
  return {share(crossing(balance, 0)), above ? share(crossing([this](double at) { return fortune_if(at, true); }, enough)) : unknown,
          below ? share(crossing([this](double at) { return -fortune_if(at, false); }, -enough)) : 1};
}

}  // namespace pgsteer::policies
