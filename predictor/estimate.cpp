// One estimate from up to four opinions, each a mean and a standard deviation in log(ms). They are weighted by
// precision. The interval supposes that their errors go together (they read the same plan and the same past), so that
// agreement never narrows it, and opinions that disagree widen it.
#include <algorithm>
#include <cmath>

#include "predictor/context.hpp"
#include "predictor/predictor.hpp"

namespace pgsteer::predictor {
namespace {

constexpr double z90 = 1.645;
constexpr double min_log_ms = -9.2, max_log_ms = 18.4;  // 0.1 us .. 27 h: anything beyond is a fault of ours

struct Opinion {
  double log_ms = 0, deviation = 0;
  EstimateSource source = EstimateSource::cold_start;
};

double square(double x) { return x * x; }

/// The planner's cost when there is one, else what the catalog or the syntax suggests; `doubt` is the deviation it adds.
struct Cost {
  double value = 0, doubt = 0;
};
Cost cost_of(const FeatureInput& input, const CatalogContext& context) {
  if (input.plan && input.plan->known) return {input.plan->total_cost, 0};
  const sql::SyntaxFeatures& syntax = input.analysis->features;
  const double joins = std::max(0, std::max(syntax.joins, syntax.tables - 1));
  if (context.known && context.tables_found > 0) return {context.guessed_cost * (1 + 0.5 * joins), 1.5};
  // Nothing is known of the tables: every table and sub-query counts as a small scan, a row of VALUES as an insert.
  const double scans = syntax.tables + syntax.subqueries + syntax.ctes;
  return {1 + 50 * scans * (1 + joins) + 0.5 * syntax.values_rows + 5 * syntax.aggregates + 0.01 * syntax.bytes, 2.0};
}

Opinion from_cost(const Cost& cost, const Calibration& calibration) {
  const double samples = static_cast<double>(calibration.samples);
  const double few = 4.0 / (1.0 + samples);  // without evidence the prior line may be off by e^2
  return {calibration.intercept + calibration.slope * std::log1p(cost.value),
          std::sqrt(square(calibration.spread) + few + square(cost.doubt)), EstimateSource::cold_start};
}

bool from_kind(sql::StatementKind kind, const Calibration& calibration, Opinion& out) {
  const auto index = static_cast<std::size_t>(kind);
  if (index >= calibration.kind_samples.size() || calibration.kind_samples[index] == 0) return false;
  const double samples = static_cast<double>(calibration.kind_samples[index]);
  // A kind says little: statements of one kind spread over orders of magnitude.
  out = {calibration.kind_log_ms[index], std::sqrt(square(std::max(calibration.spread, 1.5)) + 2.0 / samples), EstimateSource::cold_start};
  return true;
}

bool from_history(const History* history, double unix_seconds, Opinion& out) {
  if (!history || history->count == 0 || !std::isfinite(history->ewma_log_ms)) return false;
  const double runs = std::min(static_cast<double>(history->count), 20.0);  // an exponential memory holds no more
  const double seen = std::isfinite(history->ewma_var_log_ms) ? std::max(history->ewma_var_log_ms, 0.0) : 0.0;
  const double variance = (runs * seen + 4 * 0.4) / (runs + 4);
  const double hours = history->age(unix_seconds) / 3600;
  const double stale = 0.02 * square(std::log1p(hours));
  out = {history->ewma_log_ms, std::sqrt(variance * (1 + 1 / runs) + stale), EstimateSource::history};
  return true;
}

Estimate combine(const Opinion* opinions, std::size_t n) {
  double weights = 0, mean = 0, inverse = 0, best = -1;
  Estimate out;
  for (std::size_t i = 0; i < n; ++i) {
    const double weight = 1 / square(opinions[i].deviation);
    weights += weight;
    mean += weight * opinions[i].log_ms;
    inverse += 1 / opinions[i].deviation;
    if (weight > best) {
      best = weight;
      out.source = opinions[i].source;
    }
  }
  mean /= weights;
  double variance = square(inverse / weights);
  for (std::size_t i = 0; i < n; ++i) variance += square((opinions[i].log_ms - mean) / opinions[i].deviation) / weights;
  const double log_ms = std::clamp(mean, min_log_ms, max_log_ms);
  const double half = std::min(z90 * std::sqrt(variance), 12.0);
  out.ms = std::exp(log_ms);
  out.ms_low = std::exp(log_ms - half);
  out.ms_high = std::exp(log_ms + half);
  return out;
}

void add_sizes(const FeatureInput& input, const CatalogContext& context, Estimate& out) {
  const bool plan = input.plan && input.plan->known;
  const double width = plan && input.plan->width > 0 ? input.plan->width : 64;
  if (input.history && input.history->count > 0) {
    out.rows = input.history->ewma_rows;
    out.bytes = input.history->ewma_bytes;
  } else {
    const sql::SyntaxFeatures& syntax = input.analysis->features;
    out.rows = plan ? input.plan->rows : syntax.aggregates && !syntax.group_by ? 1 : context.rows_max;
    if (!plan && syntax.limit_value >= 0) out.rows = std::min(out.rows, syntax.limit_value);
    out.bytes = out.rows * width;
  }
}

Estimate one(const FeatureInput& input, const CatalogContext& context, const Calibration& calibration,
             const Opinion* model) {
  Opinion opinions[4];
  std::size_t n = 0;
  // The model starts from the history and reads the plan: nothing else has anything to add, and its interval is calibrated
  // for itself alone.
  if (model) opinions[n++] = *model;
  if (!model && from_history(input.history, input.unix_seconds, opinions[n])) ++n;
  if (!model) {
    const Cost cost = cost_of(input, context);
    opinions[n++] = from_cost(cost, calibration);
    if (cost.doubt > 0 && from_kind(input.analysis->kind, calibration, opinions[n])) ++n;
  }
  Estimate out = combine(opinions, n);
  add_sizes(input, context, out);
  return out;
}

bool same_context(const FeatureInput& a, const FeatureInput& b) {
  return a.analysis == b.analysis && a.catalog == b.catalog && a.search_path == b.search_path && a.user == b.user;
}

}  // namespace

std::vector<Estimate> estimate(std::span<const FeatureInput> inputs, const Model* model, const Calibration& calibration,
                               int* model_failures) {
  std::vector<Estimate> out;
  out.reserve(inputs.size());
  const std::size_t width = feature_names().size();
  std::vector<CatalogContext> contexts;
  std::vector<std::size_t> context_of(inputs.size());
  std::vector<float> rows(model ? inputs.size() * width : 0);
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (i == 0 || !same_context(inputs[i - 1], inputs[i])) contexts.push_back(catalog_context(inputs[i]));
    context_of[i] = contexts.size() - 1;
    if (model) extract_row(inputs[i], contexts.back(), rows.data() + i * width);
  }
  std::vector<float> predicted;
  if (model && !inputs.empty()) predicted = model->predict(rows, inputs.size());

  for (std::size_t i = 0; i < inputs.size(); ++i) {
    Opinion opinion;
    const bool usable = i < predicted.size() && std::isfinite(predicted[i]) && predicted[i] >= min_log_ms && predicted[i] <= max_log_ms;
    if (model && !usable && model_failures) ++*model_failures;
    if (usable) {
      const double executions = inputs[i].history ? double(inputs[i].history->count) : 0;
      const double half = model->half_width(statement_class(*inputs[i].analysis), executions);
      opinion = {predicted[i], std::max(half / z90, 0.02), EstimateSource::model};
    }
    out.push_back(one(inputs[i], contexts[context_of[i]], calibration, usable ? &opinion : nullptr));
    if (usable) out.back().model_version = model->version();
  }
  return out;
}

}  // namespace pgsteer::predictor
