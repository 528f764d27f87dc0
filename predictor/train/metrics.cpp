#include "predictor/train/metrics.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace pgsteer::predictor {

QErrors q_errors(std::vector<double> log_errors) {
  QErrors out;
  out.rows = log_errors.size();
  if (log_errors.empty()) return out;
  std::sort(log_errors.begin(), log_errors.end());
  const auto n = log_errors.size();
  const auto at = [&](double share) { return std::exp(log_errors[std::min(n - 1, static_cast<std::size_t>(share * double(n)))]); };
  out.median = at(0.5);
  out.p90 = at(0.9);
  out.p99 = at(0.99);
  const auto within = std::upper_bound(log_errors.begin(), log_errors.end(), std::log(2.0)) - log_errors.begin();
  out.within_2x = double(within) / double(n);
  out.mean_log = std::accumulate(log_errors.begin(), log_errors.end(), 0.0) / double(n);
  return out;
}

double conformal_half_width(std::vector<double> log_errors, double share) {
  if (log_errors.empty()) return 2.0;
  std::sort(log_errors.begin(), log_errors.end());
  const auto n = log_errors.size();
  const auto rank = static_cast<std::size_t>(std::ceil(share * double(n + 1)));
  const double width = log_errors[std::min(rank, n) - 1];
  return std::clamp(n < 10 ? std::max(width, 1.0) : width, 0.01, 20.0);
}

double template_half_width(const std::vector<std::vector<double>>& by_template, double share) {
  std::vector<double> widths;
  for (std::vector<double> errors : by_template) {
    if (errors.empty()) continue;
    std::sort(errors.begin(), errors.end());
    widths.push_back(errors[std::min(errors.size() - 1, static_cast<std::size_t>(share * double(errors.size())))]);
  }
  if (widths.empty()) return 3.0;
  std::sort(widths.begin(), widths.end());
  const auto n = widths.size();
  const auto rank = static_cast<std::size_t>(std::ceil(share * double(n + 1)));
  const double width = rank <= n ? widths[rank - 1] : widths.back() * (1 + 2.0 / double(n));
  return std::clamp(width, 0.01, 8.0);
}

}  // namespace pgsteer::predictor
