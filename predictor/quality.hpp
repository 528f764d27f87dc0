#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "predictor/feedback.hpp"

namespace pgsteer::predictor {

/// How right some predictions were, one execution after the other. Times in milliseconds, all above 0.
class Accuracy {
 public:
  void add(double actual_ms, double estimate_ms, double low_ms, double high_ms);

  struct Figures {
    std::size_t rows = 0;
    double median_q = 0, p90_q = 0, p99_q = 0;  ///< q-error = max(predicted / actual, actual / predicted)
    double within_2x = 0;                       ///< share
    double r2_log = 0;                          ///< R2 of log(ms); NaN when all took the same time
    double mean_error_ms = 0, mean_ms = 0, median_ms = 0;
    double bias = 0;                            ///< geometric mean of predicted / actual: 1 none, 2 twice too high
    double inside = 0, faster = 0, slower = 0;  ///< shares in the interval, below it, above it
    double median_width = 0;                    ///< of the interval: its upper end / its lower end
  };
  Figures figures() const;  ///< all 0 without rows
  std::size_t rows() const { return log_error_.size(); }

 private:
  std::vector<float> log_error_, log_actual_, log_width_;  ///< error: log(predicted) - log(actual)
  double error_ms_ = 0, ms_ = 0;
  std::size_t faster_ = 0, slower_ = 0;
};

/// One execution that was predicted, and then measured at the server.
struct Judged {
  std::int64_t unix_us = 0;
  double actual_ms = 0, estimate_ms = 0, low_ms = 0, high_ms = 0;
  std::uint32_t statement = 0, origin = 0;         ///< places in Quality::fingerprints and Quality::origins
  std::optional<StatementClass> statement_class;   ///< none: recorded with another feature schema
};

/// What the store says of the estimates of a time window. Judged are rows with source `server` that succeeded; each other row is
/// counted once, under the first of the reasons below that holds.
struct Quality {
  struct Origin {
    std::string source, version;  ///< "model" and its version, or "history", "cold_start": no model took part
    bool model() const { return source == "model"; }
  };
  std::vector<Judged> rows;  ///< in time order
  std::vector<Origin> origins;
  std::vector<std::string> fingerprints;
  std::size_t recorded = 0, censored = 0, failed = 0, cached = 0, unpredicted = 0, unmeasured = 0;
  /// Features of a seeded sample of the judged rows, those of this build's schema: `sampled` rows of feature_names().size().
  std::vector<float> sample;
  std::size_t sampled = 0;
};

/// Reads [from_us, to_us); false with *error when there is no store to read.
bool read_quality(const FeedbackStore& store, std::int64_t from_us, std::int64_t to_us, std::size_t sample_rows, Quality* out, std::string* error);

}  // namespace pgsteer::predictor
