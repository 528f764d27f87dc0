#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace pgsteer::proxy::cli {

/// Pictures of a report: SVG without script, coloured by the page's style sheet, so that they follow light and dark. Labels are escaped.

/// Predicted against actual, both logarithmic, as a grid of cells that are the darker the more executions fall into them: the size
/// depends on the cells, not on the executions. Pairs are (actual, predicted) in milliseconds, above 0.
std::string scatter_chart(std::span<const std::pair<double, double>> actual_predicted, const std::string& label);

/// Something over time. A point is drawn where there is one; a line joins those not further apart than `step_us`.
struct TimeChart {
  struct Series {
    std::string name;
    std::vector<std::pair<std::int64_t, double>> points;  ///< in time order; above 0 where logarithmic
  };
  struct Mark {
    std::int64_t unix_us = 0;
    std::string label;
  };
  enum class Scale : unsigned char { logarithmic, percent };
  std::string label;              ///< for those who cannot see it
  std::int64_t from_us = 0, to_us = 0, step_us = 0;
  Scale scale = Scale::logarithmic;
  double nominal = 1;             ///< where a line is drawn: no error, or the share promised
  std::vector<Series> series;     ///< two at most, drawn in two colours
  std::vector<Mark> marks;        ///< dashed verticals
};
std::string time_chart(const TimeChart& chart);

}  // namespace pgsteer::proxy::cli
