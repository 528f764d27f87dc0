// How right the predictor was on what ran since: its estimates, as they were recorded, against the server's times.
#include "predictor/quality.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <random>

#include "predictor/context.hpp"
#include "predictor/train/metrics.hpp"
#include "predictor/window.hpp"

namespace pgsteer::predictor {
namespace {

constexpr double least_ms = 1e-3;  // as in training: below a microsecond a ratio says nothing

double median_of(std::vector<float> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

/// Place of a name in a list, which it is added to when it is new.
template <class Key>
class Places {
 public:
  std::pair<std::uint32_t, bool> of(const Key& key) {
    const auto [found, added] = places_.try_emplace(key, static_cast<std::uint32_t>(places_.size()));
    return {found->second, added};
  }

 private:
  std::map<Key, std::uint32_t> places_;
};

/// Every row has the same chance to be among the kept ones (reservoir sampling), the same rows at every run.
class Sample {
 public:
  Sample(Quality& into, std::size_t rows) : into_(into), rows_(rows) {}
  void add(std::span<const float> features) {
    if (features.empty() || rows_ == 0) return;
    ++seen_;
    if (into_.sampled < rows_) {
      into_.sample.insert(into_.sample.end(), features.begin(), features.end());
      ++into_.sampled;
    } else if (const auto place = random_() % seen_; place < rows_) {
      std::copy(features.begin(), features.end(), into_.sample.begin() + static_cast<std::ptrdiff_t>(place * features.size()));
    }
  }

 private:
  Quality& into_;
  std::size_t rows_;
  std::uint64_t seen_ = 0;
  std::mt19937_64 random_{1};
};

bool positive(double value) { return std::isfinite(value) && value > 0; }

}  // namespace

void Accuracy::add(double actual_ms, double estimate_ms, double low_ms, double high_ms) {
  log_error_.push_back(static_cast<float>(std::log(estimate_ms / actual_ms)));
  log_actual_.push_back(static_cast<float>(std::log(actual_ms)));
  log_width_.push_back(static_cast<float>(std::log(high_ms / low_ms)));
  error_ms_ += std::abs(estimate_ms - actual_ms);
  ms_ += actual_ms;
  faster_ += actual_ms < low_ms;
  slower_ += actual_ms > high_ms;
}

Accuracy::Figures Accuracy::figures() const {
  Figures out;
  out.rows = rows();
  if (out.rows == 0) return out;
  const double n = double(out.rows);
  std::vector<double> errors;
  double bias = 0, squares = 0, sum = 0, spread = 0;
  for (const float error : log_error_) {
    errors.push_back(std::abs(double(error)));
    bias += error;
    squares += double(error) * double(error);
  }
  for (const float value : log_actual_) sum += value;
  for (const float value : log_actual_) spread += (value - sum / n) * (value - sum / n);
  const QErrors q = q_errors(std::move(errors));
  out.median_q = q.median;
  out.p90_q = q.p90;
  out.p99_q = q.p99;
  out.within_2x = q.within_2x;
  out.r2_log = spread > 1e-9 * n ? 1 - squares / spread : std::numeric_limits<double>::quiet_NaN();
  out.mean_error_ms = error_ms_ / n;
  out.mean_ms = ms_ / n;
  out.median_ms = std::exp(median_of(log_actual_));
  out.bias = std::exp(bias / n);
  out.faster = double(faster_) / n;
  out.slower = double(slower_) / n;
  out.inside = double(out.rows - faster_ - slower_) / n;
  out.median_width = std::exp(median_of(log_width_));
  return out;
}

bool read_quality(const FeedbackStore& store, std::int64_t from_us, std::int64_t to_us, std::size_t sample_rows, Quality* out, std::string* error) {
  Places<std::string> statements;
  Places<std::pair<std::string, std::string>> origins;
  Sample sample(*out, sample_rows);
  return store.read_outcomes(from_us, to_us, [&](const Outcome& o) {
    ++out->recorded;
    if (o.censored) ++out->censored;
    else if (!o.sqlstate.empty()) ++out->failed;
    else if (o.source != "server") ++out->cached;
    else if (!positive(o.estimate_ms) || !positive(o.estimate_low_ms) || !positive(o.estimate_high_ms)) ++out->unpredicted;
    else if (!positive(o.server_ms)) ++out->unmeasured;
    else {
      Judged row{o.unix_us, std::max(o.server_ms, least_ms), o.estimate_ms, o.estimate_low_ms, o.estimate_high_ms, 0, 0, {}};
      const auto [statement, first_seen] = statements.of(std::string(o.fingerprint));
      if (first_seen) out->fingerprints.emplace_back(o.fingerprint);
      const auto [origin, first_made] = origins.of({std::string(o.estimate_source), std::string(o.model_version)});
      if (first_made) out->origins.push_back({std::string(o.estimate_source), std::string(o.model_version)});
      row.statement = statement;
      row.origin = origin;
      if (!o.features.empty()) row.statement_class = class_of_row(o.features.data());
      sample.add(o.features);
      out->rows.push_back(row);
    }
  }, error);
}

}  // namespace pgsteer::predictor
