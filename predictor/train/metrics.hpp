#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace pgsteer::predictor {

/// Errors of one predictor on some rows. q-error = max(predicted / actual, actual / predicted).
struct QErrors {
  std::size_t rows = 0;
  double median = 0, p90 = 0, p99 = 0, within_2x = 0, mean_log = 0;
};
/// From |log(predicted) - log(actual)| of each row.
QErrors q_errors(std::vector<double> log_errors);

/// The half-width that covers `share` of future errors, from errors on rows not trained on (split conformal, with the
/// finite-sample correction). With fewer than ten rows: at least 1.0, i.e. a factor e.
double conformal_half_width(std::vector<double> log_errors, double share);

/// The same for templates never seen: every held-out template counts once, whatever its number of rows, and one more is
/// supposed to be missed altogether. With fewer than nine templates wider than the widest, the more so the fewer there are.
double template_half_width(const std::vector<std::vector<double>>& by_template, double share);

/// How many standard errors the mean gain is above nothing. Rows of a template err together: it counts as one witness, so
/// that a hot statement cannot promote a model by itself.
double standard_errors_won(const std::map<std::uint32_t, std::vector<double>>& by_template);

}  // namespace pgsteer::predictor
