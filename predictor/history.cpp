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

void History::add(double milliseconds, double rows, double bytes) {
  if (!std::isfinite(milliseconds) || milliseconds < 0) return;
  // A plain mean for the first ten runs, then a memory of about ten.
  constexpr double memory = 0.1;
  ++count;
  const double weight = std::max(1.0 / static_cast<double>(count), memory);
  const double log_ms = std::log(std::max(milliseconds, 1e-3));
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
  seconds_since_last = 0;
}

}  // namespace pgsteer::predictor
