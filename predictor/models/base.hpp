#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace pgsteer::predictor {

/// The simple prediction that the trees only correct, in log(ms). A tree answers with constants: it cannot copy a number that
/// is in front of it, nor add up the work of a plan it has not met. So a statement with a past starts from its nearest past
/// executions, one without from planner costs by operator with fitted milliseconds each, or from the mean of all.
struct Base {
  bool enabled = false;    ///< false: 0 for every row
  double constant = 0;     ///< milliseconds of a statement that does nothing
  double fallback = 0;     ///< log(ms) where neither plan nor past is known
  std::vector<std::pair<std::string, double>> terms;  ///< feature (a log1p) -> milliseconds per unit

  /// Looks the columns up; false with *error when a feature is unknown or a number not finite. Before operator().
  bool bind(std::string* error);
  double operator()(const float* row) const;

 private:
  std::vector<std::pair<std::size_t, double>> columns_;
  std::size_t near_ = 0;
};

/// Non-negative least squares of relative errors: rows x width features without history, log(ms) each.
Base fit_base(const std::vector<const float*>& rows, const std::vector<float>& log_ms);

}  // namespace pgsteer::predictor
