#pragma once
#include <algorithm>
#include <cmath>
#include <vector>

namespace pgsteer::workload {

/// Interpolated quantile, q in [0, 1]; 0 for no values. Takes a copy: it sorts.
inline double quantile(std::vector<double> values, double q) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const double place = q * static_cast<double>(values.size() - 1);
  const auto low = static_cast<std::size_t>(place);
  const std::size_t high = std::min(low + 1, values.size() - 1);
  return values[low] + (values[high] - values[low]) * (place - std::floor(place));
}

/// Width of the range that holds 95 % of the values.
inline double spread95(const std::vector<double>& values) { return quantile(values, 0.975) - quantile(values, 0.025); }

}  // namespace pgsteer::workload
