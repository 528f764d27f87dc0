#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "predictor/feedback.hpp"

namespace pgsteer::predictor {

/// What a training row is for. Rows of held-out templates are never trained on before the final refit.
enum class Part : unsigned char {
  fit,             ///< the oldest
  stop,            ///< decides the number of trees
  calibrate,       ///< gives the interval
  test_seen,       ///< the newest; template also in the parts above
  unseen_calibrate,
  unseen_test,     ///< template in no other part; judged without its history, as at first sight
  later,           ///< time-outs of held-out templates or of the test's time: for the final refit only
};

/// The usable rows of the store in time order, in columns.
struct Dataset {
  std::size_t width = 0;
  std::vector<float> values;             ///< rows x width
  std::vector<float> log_ms;             ///< of server_ms; a lower bound where censored
  std::vector<double> cost;              ///< of the planner; -1 unknown
  std::vector<std::uint32_t> templates;  ///< index into fingerprints
  std::vector<std::int64_t> unix_us;
  std::vector<bool> censored;
  std::vector<std::string> fingerprints, kinds;  ///< by template
  std::vector<Part> parts;
  std::vector<std::string> masked;       ///< features set to missing because too little time was seen
  std::int64_t excluded_cache = 0, excluded_errors = 0, excluded_other_source = 0, excluded_invalid = 0;

  std::size_t rows() const { return log_ms.size(); }
  const float* row(std::size_t i) const { return values.data() + i * width; }
};

/// Reads rows with source `server` and success or a time-out; the newest `max_rows` of them.
bool load_dataset(const FeedbackReader& feedback, std::size_t max_rows, Dataset* out, std::string* error);

/// Assigns parts. Templates are held out by a hash of fingerprint and seed; of the others the newest `test_share` of the
/// rows are for the test, and 12 % of the older ones each for stopping and calibrating. Censored rows are only ever fit.
void split(Dataset& data, std::uint64_t seed, double test_share);

/// Sets the history features of one row to what they are at first sight.
void forget_history(float* row);

}  // namespace pgsteer::predictor
