// The figures of a training: what it reports, its baselines, metrics.json.
#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "predictor/context.hpp"
#include "predictor/train/baseline.hpp"
#include "predictor/train/metrics.hpp"
#include "predictor/train/training.hpp"

namespace pgsteer::predictor {
namespace {

using Json = nlohmann::json;

Json to_json(const QErrors& errors) {
  if (errors.rows == 0) return {{"rows", 0}};
  return {{"rows", errors.rows}, {"median_q", errors.median}, {"p90_q", errors.p90}, {"p99_q", errors.p99},
          {"within_2x", errors.within_2x}, {"mean_log_error", errors.mean_log}};
}

}  // namespace

void Training::report() {
  const QErrors seen = q_errors(seen_errors_), unseen = q_errors(unseen_errors_);
  result_.rows_test_seen = static_cast<std::int64_t>(seen.rows);
  result_.rows_test_unseen = static_cast<std::int64_t>(unseen.rows);
  result_.seen_median_q = seen.median;
  result_.seen_p90_q = seen.p90;
  result_.unseen_median_q = unseen.median;
  result_.unseen_p90_q = unseen.p90;
  const auto covered = [this](const std::vector<double>& errors, const Matrix& rows, const auto& by_class, double half) {
    std::ptrdiff_t inside = 0;
    for (std::size_t i = 0; i < errors.size(); ++i) {
      const double own = by_class[class_of(rows.index[i])];
      inside += errors[i] <= (own > 0 ? own : half);
    }
    return inside;
  };
  const auto in_seen = covered(seen_errors_, judge_seen_, seen_by_class_, interval_);
  const auto in_unseen = covered(unseen_errors_, judge_unseen_, unseen_by_class_, interval_unseen_);
  const std::size_t all = seen.rows + unseen.rows;
  if (all > 0) result_.coverage = double(in_seen + in_unseen) / double(all);
  const auto share = [](std::ptrdiff_t n, std::size_t of) { return of ? Json(double(n) / double(of)) : Json(); };
  coverage_["seen"] = share(in_seen, seen.rows);
  coverage_["unseen"] = share(in_unseen, unseen.rows);
}

void Training::fit_baselines() {
  std::vector<std::pair<double, double>> rows;
  std::map<std::uint32_t, std::vector<double>> by_template;
  for (std::size_t i = 0; i < data_.rows(); ++i) {
    const Part part = data_.parts[i];
    if (data_.censored[i] || (part != Part::fit && part != Part::stop && part != Part::calibrate)) continue;
    rows.emplace_back(data_.cost[i], data_.log_ms[i]);
    by_template[data_.templates[i]].push_back(data_.log_ms[i]);
  }
  const CostBaseline cost(std::move(rows));
  const auto judge = [&](const Matrix& matrix, std::vector<double>& errors) {
    for (const std::size_t i : matrix.index) errors.push_back(std::abs(cost.predict(data_.cost[i]) - double(data_.log_ms[i])));
  };
  judge(judge_seen_, baseline_seen_);
  judge(judge_unseen_, baseline_unseen_);
  std::vector<double> all = baseline_seen_;
  all.insert(all.end(), baseline_unseen_.begin(), baseline_unseen_.end());
  const QErrors both = q_errors(all);
  result_.baseline_median_q = both.median;
  result_.baseline_p90_q = both.p90;
  for (auto& [id, list] : by_template) std::sort(list.begin(), list.end());
  for (const std::size_t i : judge_seen_.index) {
    const auto& list = by_template[data_.templates[i]];
    if (!list.empty()) template_median_.push_back(std::abs(list[list.size() / 2] - double(data_.log_ms[i])));
  }
}

std::string Training::summary() const {
  return fmt::format("q-error median {:.2f} p90 {:.2f} on {} rows of known templates, {:.2f} / {:.2f} on {} of unseen ones; planner cost {:.2f} / {:.2f}",
                     result_.seen_median_q, result_.seen_p90_q, result_.rows_test_seen, result_.unseen_median_q, result_.unseen_p90_q,
                     result_.rows_test_unseen, result_.baseline_median_q, result_.baseline_p90_q);
}

std::vector<std::pair<float, float>> Training::ranges() const {
  std::vector<std::pair<float, float>> out(data_.width, {1.0f, -1.0f});
  for (std::size_t column = 0; column < data_.width; ++column) {
    float low = std::numeric_limits<float>::max(), high = std::numeric_limits<float>::lowest();
    for (std::size_t i = 0; i < data_.rows(); ++i) {
      const float value = data_.row(i)[column];
      if (!std::isnan(value)) low = std::min(low, value), high = std::max(high, value);
    }
    const std::string& name = feature_names()[column];
    const bool drifts = name.starts_with("history_") || name.starts_with("load_") || name.starts_with("time_");
    out[column] = drifts || low > high ? std::pair(std::numeric_limits<float>::lowest(), std::numeric_limits<float>::max())
                                       : std::pair(low - 0.05f * std::abs(low), high + 0.05f * std::abs(high));
  }
  return out;
}

std::string Training::metrics() const {
  Json out;
  out["definition"] = "q-error = max(predicted/actual, actual/predicted) of server milliseconds; seen: newest rows of templates trained on; "
                      "unseen: held-out templates, without history. Measured before the refit on all rows that is registered.";
  out["seen"] = to_json(q_errors(seen_errors_));
  out["unseen"] = to_json(q_errors(unseen_errors_));
  out["coverage_90"] = coverage_;
  out["interval_factor"] = {{"seen", std::exp(interval_)}, {"young", std::exp(interval_young_)}, {"unseen", std::exp(interval_unseen_)}};
  out["baseline_planner_cost"] = {{"seen", to_json(q_errors(baseline_seen_))}, {"unseen", to_json(q_errors(baseline_unseen_))}};
  out["baseline_template_median"] = {{"seen", to_json(q_errors(template_median_))}};
  std::map<std::string, std::vector<double>> by_kind, by_time;
  for (std::size_t i = 0; i < seen_errors_.size(); ++i) {
    const std::size_t row = judge_seen_.index[i];
    const float log_ms = data_.log_ms[row];
    by_kind[data_.kinds[data_.templates[row]]].push_back(seen_errors_[i]);
    by_time[log_ms < 0 ? "<1ms" : log_ms < 2.302585f ? "1-10ms" : log_ms < 4.605170f ? "10-100ms" : ">=100ms"].push_back(seen_errors_[i]);
  }
  for (const auto& [kind, errors] : by_kind) out["seen_by_kind"][kind] = to_json(q_errors(errors));
  for (const auto& [range, errors] : by_time) out["seen_by_latency"][range] = to_json(q_errors(errors));
  out["compared_with"] = compared_;
  out["rows"] = {{"train", result_.rows_train}, {"test_seen", result_.rows_test_seen}, {"test_unseen", result_.rows_test_unseen},
                 {"all", data_.rows()}, {"templates", data_.fingerprints.size()},
                 {"censored", std::count(data_.censored.begin(), data_.censored.end(), true)},
                 {"excluded_cache", data_.excluded_cache}, {"excluded_errors", data_.excluded_errors},
                 {"excluded_other_source", data_.excluded_other_source}, {"excluded_invalid", data_.excluded_invalid}};
  double gains = 0;
  for (const auto& [name, gain] : final_.gains) gains += gain;
  Json importance = Json::array();
  for (const auto& [name, gain] : final_.gains) {
    const std::size_t column = name.size() > 1 ? std::strtoul(name.c_str() + 1, nullptr, 10) : data_.width;
    if (importance.size() < 20 && column < data_.width && gains > 0)
      importance.push_back({{"feature", feature_names()[column]}, {"share_of_gain", gain / gains}});
  }
  out["importance"] = importance;
  return out.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace pgsteer::predictor
