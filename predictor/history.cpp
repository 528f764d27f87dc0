#include <algorithm>
#include <cmath>

#include "predictor/estimate.hpp"

namespace pgsteer::predictor {

std::string_view to_string(EstimateSource source) {
  switch (source) {
    case EstimateSource::cold_start: return "cold_start";
    case EstimateSource::history: return "history";
    case EstimateSource::model: return "model";
  }
  return "cold_start";
}

std::string_view to_string(StatementClass c) {
  switch (c) {
    case StatementClass::lookup: return "lookup";
    case StatementClass::list: return "list";
    case StatementClass::aggregate: return "aggregate";
    case StatementClass::join: return "join";
    case StatementClass::join_aggregate: return "join aggregate";
    case StatementClass::other: return "other";
  }
  return "other";
}

void History::add(double milliseconds, double rows, double bytes, const PlanFacts* plan) {
  if (!std::isfinite(milliseconds) || milliseconds < 0) return;
  Recent& slot = recent[count % kRecent];
  slot = {};
  const double log_ms = std::log(std::max(milliseconds, 1e-3));
  slot.log_ms = static_cast<float>(log_ms);
  if (plan && plan->known)
    slot = {static_cast<float>(std::log1p(plan->total_cost)), static_cast<float>(std::log1p(plan->rows)), slot.log_ms,
            static_cast<std::uint32_t>(plan->shape)};
  // A plain mean for the first ten runs, then a memory of about ten.
  constexpr double memory = 0.1;
  ++count;
  const double weight = std::max(1.0 / static_cast<double>(count), memory);
  const double delta = log_ms - ewma_log_ms;
  if (count == 1) {
    ewma_log_ms = log_ms;
    ewma_var_log_ms = 0;
  } else {
    ewma_log_ms += weight * delta;
    ewma_var_log_ms = (1 - weight) * (ewma_var_log_ms + weight * delta * delta);
  }
  if (std::isfinite(rows) && rows >= 0) ewma_rows += weight * (rows - ewma_rows);
  if (std::isfinite(bytes) && bytes >= 0) ewma_bytes += weight * (bytes - ewma_bytes);
  last_ms = milliseconds;
}

}  // namespace pgsteer::predictor
