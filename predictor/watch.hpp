#pragma once
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <unordered_map>

namespace pgsteer::predictor {

/// Whether a model in use still holds, from one execution after the other: is it worse than the version it replaced, do its
/// intervals still cover, are the statements still such as it was trained on. Each question is a bet against "all is well"
/// (an e-process in the form of a CUSUM: Shin, Ramdas, Rinaldo, "E-detectors"), so that it may be asked after every
/// execution: on average a false alarm comes not before `alarm` executions. Pure; one thread.
class ModelWatch {
 public:
  struct Row {
    std::string_view fingerprint;
    double log_ms = 0;     ///< what it took
    double predicted = 0;  ///< log(ms) of the model in use
    double before = std::numeric_limits<double>::quiet_NaN();  ///< of the version before it; NaN: there is none
    double half_width = 0; ///< of the 90 % interval
    bool foreign = false;  ///< features far out of what the model was trained on
  };
  enum class Verdict : unsigned char { holds, worse_than_before, residuals_drifted, inputs_drifted };

  Verdict add(const Row& row);
  void reset() { *this = ModelWatch(); }

  std::uint64_t rows() const { return rows_; }
  double covered() const { return rows_ ? 1 - double(missed_) / double(rows_) : 0; }
  /// Mean |log error| of the model in use, and of the one before on the rows it was asked too.
  double error() const { return rows_ ? error_ / double(rows_) : 0; }
  double error_before() const { return compared_ ? error_before_ / double(compared_) : 0; }

  static constexpr double alarm = 1e6;

 private:
  /// One statement that runs all day must not speak for all others.
  bool heard_enough(std::string_view fingerprint);
  std::uint64_t rows_ = 0, missed_ = 0, compared_ = 0;
  double error_ = 0, error_before_ = 0;
  double worse_ = 1, drifted_ = 1, foreign_ = 1;
  std::unordered_map<std::string, std::uint64_t> heard_;
};

std::string_view to_string(ModelWatch::Verdict verdict);

}  // namespace pgsteer::predictor
