// Online robust regression of log(ms) on log(1 + cost): Huber-weighted least squares with a slow forgetting and a weak
// prior (slope 1, intercept -6), so that three samples already move it and one outlier does not.
#include <algorithm>
#include <cmath>

#include "predictor/predictor.hpp"

namespace pgsteer::predictor {
namespace {

constexpr double forgetting = 0.999;      // a memory of about a thousand statements
constexpr double huber = 1.345;           // in units of spread
constexpr double prior_intercept = -6.0;  // 1,000 cost units ~ 2.5 ms; measured on cached data
constexpr double prior_slope = 1.0;
constexpr double prior_intercept_weight = 0.25, prior_slope_weight = 8.0;
constexpr double min_spread = 0.05, max_spread = 5.0;

void add_median(double& median, std::uint64_t& samples, double value) {
  ++samples;
  if (samples == 1) {
    median = value;
    return;
  }
  // Robbins-Monro for the median; the floor keeps it able to follow drift.
  const double step = std::max(1.5 / std::pow(static_cast<double>(samples), 0.7), 0.01);
  median += std::clamp(value - median, -step, step);
}

void refit(Calibration& c) {
  const auto& [w, wx, wy, wxx, wxy] = c.sums;
  const double a = w + prior_intercept_weight, b = wx, d = wxx + prior_slope_weight;
  const double p = wy + prior_intercept_weight * prior_intercept, q = wxy + prior_slope_weight * prior_slope;
  const double determinant = a * d - b * b;
  if (!(determinant > 1e-9)) return;
  const double slope = std::clamp((a * q - b * p) / determinant, 0.05, 2.0);
  const double intercept = (p - slope * b) / a;
  if (!std::isfinite(slope) || !std::isfinite(intercept)) return;
  c.slope = slope;
  c.intercept = intercept;
}

void add_cost(Calibration& c, double cost, double log_ms) {
  const double x = std::log1p(cost);
  // The residual is taken before the fit sees the sample: an honest error of prediction.
  const double residual = std::abs(log_ms - (c.intercept + c.slope * x));
  ++c.samples;
  const double weight = std::min(1.0, huber * c.spread / std::max(residual, 1e-9));
  for (double& sum : c.sums) sum *= forgetting;
  c.sums[0] += weight;
  c.sums[1] += weight * x;
  c.sums[2] += weight * log_ms;
  c.sums[3] += weight * x * x;
  c.sums[4] += weight * x * log_ms;
  refit(c);
  // Median of |residual| by multiplicative steps; 1.4826 makes it a standard deviation for normal noise.
  const double step = std::max(1.0 / (static_cast<double>(c.samples) + 4.0), 0.01);
  const double scale = residual * 1.4826 > c.spread ? 1 + step : 1 / (1 + step);
  c.spread = std::clamp(c.spread * scale, min_spread, max_spread);
}

}  // namespace

void Calibration::add(double cost, sql::StatementKind kind, double milliseconds) {
  if (!std::isfinite(milliseconds) || milliseconds < 0) return;
  const double log_ms = std::log(std::max(milliseconds, 1e-3));
  const auto index = static_cast<std::size_t>(kind);
  if (index < kind_log_ms.size()) add_median(kind_log_ms[index], kind_samples[index], log_ms);
  if (std::isfinite(cost) && cost >= 0) add_cost(*this, cost, log_ms);
}

}  // namespace pgsteer::predictor
