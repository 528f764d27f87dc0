// An estimate in words. The contributions are XGBoost's own (SHAP); here they are only sorted and named.
#include <algorithm>
#include <cmath>
#include <numeric>

#include <fmt/format.h>

#include "predictor/context.hpp"
#include "predictor/predictor.hpp"

namespace pgsteer::predictor {
namespace {

/// Names as a DBA says them: "plan_work_sort" -> "sorting in the plan".
struct Phrase {
  std::string_view feature, words;
};
constexpr Phrase phrases[] = {
    {"plan_total_cost", "planner's cost"}, {"plan_rows", "rows the planner expects"}, {"plan_width", "width of a row"},
    {"plan_work_seq", "cost of sequential scans"}, {"plan_work_index", "cost of index scans"}, {"plan_work_bitmap", "cost of bitmap scans"},
    {"plan_work_nested_loop", "cost of nested loops"}, {"plan_work_hash", "cost of hash joins"}, {"plan_work_merge", "cost of merge joins"},
    {"plan_work_sort", "cost of sorting"}, {"plan_work_aggregate", "cost of aggregation"}, {"plan_work_join_rows", "rows out of joins"},
    {"plan_work_aggregated_rows", "rows aggregated"}, {"plan_work_sorted_rows", "rows sorted"}, {"plan_work_scanned_rows", "rows out of scans"},
    {"plan_work_inner_loops", "inner runs of nested loops"}, {"plan_work_filter_terms", "filter conditions"}, {"plan_output_bytes", "size of the answer"},
    {"history_near", "its latest runs with a like plan"}, {"history_near_gap", "how unlike its known plans this one is"},
    {"history_near_spread", "how its latest runs differ"}, {"history_ewma", "its running mean"}, {"history_last", "its last run"},
    {"history_median", "median of its latest runs"}, {"history_low", "its fast runs"}, {"history_high", "its slow runs"},
    {"history_count", "how often it was seen"}, {"history_rows", "rows it usually returns"}, {"history_bytes", "bytes it usually returns"},
    {"catalog_rows_sum", "rows of its tables"}, {"catalog_pages_sum", "pages of its tables"}, {"catalog_unindexed_rows", "rows of tables without a usable index"},
    {"load_in_flight", "statements running at the same time"}, {"syntax_tables", "number of tables"}, {"syntax_aggregates", "number of aggregates"},
    {"syntax_bytes", "length of the text"}, {"syntax_limit", "its LIMIT"}, {"plan_startup_cost", "planner's cost until the first row"},
    {"plan_self_cost_max", "cost of the dearest node"}, {"plan_max_rows", "rows of the largest node"}, {"plan_sum_rows", "rows of all nodes"},
    {"plan_index_scan_rows", "rows out of index scans"}, {"plan_seq_scan_rows", "rows out of sequential scans"}, {"plan_join_rows", "rows of joins"},
    {"plan_nodes", "nodes of the plan"}, {"catalog_distinct_sum", "distinct values of its filter columns"},
    {"catalog_rows_max", "rows of its largest table"},
    {"catalog_distinct_max", "distinct values of its most selective column"}, {"catalog_guessed_cost", "cost guessed from the catalog"},
    {"history_age", "time since its last run"}, {"history_spread", "how its runs vary"}, {"history_same_shape", "share of runs with this plan"},
    {"load_p95", "how long statements take at present"}, {"time_hour", "hour of the day"}, {"time_weekday", "day of the week"}};

std::string name_of(const std::string& feature) {
  for (const Phrase& phrase : phrases)
    if (phrase.feature == feature) return std::string(phrase.words);
  std::string words = feature;
  std::replace(words.begin(), words.end(), '_', ' ');
  return words;
}

std::string time_of(double log_ms) { return log_ms < 0 ? fmt::format("{:.2g} ms", std::exp(log_ms)) : fmt::format("{:.3g} ms", std::exp(log_ms)); }

std::string value_of(const std::string& unit, double value) {
  if (std::isnan(value)) return "unknown";
  if (unit == "log ms") return time_of(value);
  if (unit.starts_with("log ")) return fmt::format("{:.6g} {}", std::expm1(value), unit.substr(4));
  return unit == "bool" ? (value > 0 ? "yes" : "no") : fmt::format("{:.4g}", value);
}

}  // namespace

double half_width(const Model& model, std::span<const float> row) {
  return model.half_width(class_of_row(row.data()), executions_behind(row.data()));
}

std::vector<std::string> explain_estimate(std::span<const float> row, const Model& model, std::size_t n) {
  static const auto count = static_cast<std::size_t>(std::max(0, feature_index("history_count")));
  const std::vector<float> parts = model.contributions(row);
  if (parts.size() != row.size() + 1) return {};
  std::vector<std::size_t> order(row.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&parts](std::size_t a, std::size_t b) { return std::abs(parts[a]) > std::abs(parts[b]); });
  std::vector<std::string> out;
  out.push_back(fmt::format("starts from {} ({})", time_of(parts.back()),
                            row[count] > 0 ? "its latest runs, the ones with a like plan first" : "what such plans cost here"));
  for (const std::size_t i : order) {
    if (out.size() >= n || std::abs(parts[i]) < 0.01) break;
    const std::string& feature = feature_names()[i];
    out.push_back(fmt::format("x{:.2f}  {} = {}", std::exp(double(parts[i])), name_of(feature), value_of(std::string(feature_unit(i)), row[i])));
  }
  return out;
}

std::vector<Importance> feature_importance(const Model& model, std::span<const float> rows, std::size_t n) {
  const std::size_t width = feature_names().size();
  if (n == 0 || rows.size() != n * width) return {};
  std::vector<double> sums(width);
  for (std::size_t i = 0; i < n; ++i) {
    const std::vector<float> parts = model.contributions(rows.subspan(i * width, width));
    if (parts.size() != width + 1) return {};
    for (std::size_t c = 0; c < width; ++c) sums[c] += std::abs(double(parts[c]));
  }
  std::vector<Importance> out;
  for (std::size_t c = 0; c < width; ++c)
    if (sums[c] > 0) out.push_back({feature_names()[c], name_of(feature_names()[c]), std::string(feature_unit(c)), sums[c] / double(n)});
  std::stable_sort(out.begin(), out.end(), [](const Importance& a, const Importance& b) { return a.mean_log > b.mean_log; });
  return out;
}

}  // namespace pgsteer::predictor
