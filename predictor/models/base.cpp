#include "predictor/models/base.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "predictor/context.hpp"

namespace pgsteer::predictor {
namespace {

constexpr const char* work_terms[] = {"plan_work_seq", "plan_work_index", "plan_work_bitmap", "plan_work_nested_loop", "plan_work_hash", "plan_work_merge",
                                 "plan_work_sort", "plan_work_aggregate", "plan_work_other", "plan_work_join_rows", "plan_work_aggregated_rows",
                                 "plan_work_sorted_rows", "plan_work_scanned_rows", "plan_work_inner_loops", "plan_output_bytes"};
constexpr std::size_t n_terms = std::size(work_terms);
constexpr double least_ms = 1e-3;

/// min |A x - b|^2, x >= 0, from A'A and A'b, one coordinate after the other.
std::vector<double> non_negative(const std::vector<std::vector<double>>& gram, const std::vector<double>& right) {
  std::vector<double> x(right.size(), 0.0);
  for (int round = 0; round < 2000; ++round) {
    double moved = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      if (gram[i][i] <= 0) continue;
      double gradient = right[i];
      for (std::size_t j = 0; j < x.size(); ++j) gradient -= gram[i][j] * x[j];
      const double next = std::max(0.0, x[i] + gradient / gram[i][i]);
      moved = std::max(moved, std::abs(next - x[i]) * std::sqrt(gram[i][i]));
      x[i] = next;
    }
    if (moved < 1e-6) break;
  }
  return x;
}

}  // namespace

bool Base::bind(std::string* error) {
  columns_.clear();
  near_ = static_cast<std::size_t>(std::max(0, feature_index("history_near")));
  for (const auto& [name, value] : terms) {
    const int column = feature_index(name);
    if (column < 0 || !std::isfinite(value) || value < 0) {
      *error = fmt::format("base: term {} = {} is not a feature with a weight of at least 0", name, value);
      return false;
    }
    columns_.emplace_back(static_cast<std::size_t>(column), value);
  }
  if (std::isfinite(constant) && std::isfinite(fallback) && constant >= 0) return true;
  *error = "base: constant or fallback is not a number";
  return false;
}

double Base::operator()(const float* row) const {
  if (!enabled) return 0;
  if (std::isfinite(row[near_])) return row[near_];
  double ms = constant;
  for (const auto& [column, weight] : columns_) {
    if (std::isnan(row[column])) return fallback;
    ms += weight * std::expm1(std::min(double(row[column]), 40.0));
  }
  return std::log(std::max(ms, least_ms));
}

Base fit_base(const std::vector<const float*>& rows, const std::vector<float>& log_ms) {
  Base base;
  base.enabled = true;
  for (const float value : log_ms) base.fallback += value / double(log_ms.size());
  std::size_t columns[n_terms];
  for (std::size_t j = 0; j < n_terms; ++j) columns[j] = static_cast<std::size_t>(std::max(0, feature_index(work_terms[j])));
  std::vector<std::vector<double>> gram(n_terms + 1, std::vector<double>(n_terms + 1, 0.0));
  std::vector<double> right(n_terms + 1, 0.0), line(n_terms + 1);
  // Several times: the errors of the first fit lower the say of rows it is far off from (a wrong row estimate, not a wrong price).
  std::vector<double> x;
  for (int pass = 0; pass < 4; ++pass) {
    for (auto& list : gram) std::fill(list.begin(), list.end(), 0.0);
    std::fill(right.begin(), right.end(), 0.0);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (std::isnan(rows[i][columns[0]])) continue;
      const double ms = std::exp(double(log_ms[i]));
      line[0] = 1 / ms;
      for (std::size_t j = 0; j < n_terms; ++j) line[j + 1] = std::expm1(std::min(double(rows[i][columns[j]]), 40.0)) / ms;
      double weight = 1;
      if (pass > 0) {
        double predicted = 0;
        for (std::size_t j = 0; j <= n_terms; ++j) predicted += line[j] * x[j];
        const double off = std::abs(std::log(std::max(predicted, 1e-6)));
        weight = 1 / (predicted * predicted + 0.01) / (1 + off);  // towards errors in the logarithm, robustly
        if (!std::isfinite(weight)) weight = 0;
        weight = std::min(weight, 10.0);
      }
      for (std::size_t a = 0; a <= n_terms; ++a) {
        right[a] += weight * line[a];
        for (std::size_t b = 0; b <= n_terms; ++b) gram[a][b] += weight * line[a] * line[b];
      }
    }
    x = non_negative(gram, right);
  }
  base.constant = x[0];
  for (std::size_t j = 0; j < n_terms; ++j)
    if (x[j + 1] > 0) base.terms.emplace_back(work_terms[j], x[j + 1]);
  std::string ignored;
  base.bind(&ignored);
  return base;
}

}  // namespace pgsteer::predictor
