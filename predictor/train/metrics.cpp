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
  std::vector<std::pair<double, double>> errors;  // error, share of its template
  std::size_t templates = 0;
  for (const std::vector<double>& list : by_template) {
    templates += !list.empty();
    for (const double error : list) errors.emplace_back(error, 1.0 / double(list.size()));
  }
  if (errors.empty()) return 3.0;
  std::sort(errors.begin(), errors.end());
  const double wanted = share * double(templates + 1);
  double inside = 0;
  for (const auto& [error, weight] : errors) {
    inside += weight;
    if (inside >= wanted - 1e-9) return std::clamp(error, 0.01, 8.0);
  }
  return std::clamp(errors.back().first * (1 + 2.0 / double(templates)), 0.01, 8.0);
}

double standard_errors_won(const std::map<std::uint32_t, std::vector<double>>& by_template) {
  double sum = 0, rows = 0, squares = 0;
  for (const auto& [id, list] : by_template) {
    for (const double gain : list) sum += gain;
    rows += double(list.size());
  }
  const double mean = rows > 0 ? sum / rows : 0;
  for (const auto& [id, list] : by_template) {
    double off = 0;
    for (const double gain : list) off += gain - mean;
    squares += off * off;
  }
  const double templates = double(by_template.size());
  if (templates < 2) return mean > 0 ? std::sqrt(rows) * mean : 0;
  const double error = std::sqrt(squares * templates / (templates - 1)) / rows;
  return error > 0 ? mean / error : mean > 0 ? 1e9 : 0;
}

}  // namespace pgsteer::predictor
