#include "proxy/cli/report_charts.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "proxy/cli/report_document.hpp"

namespace pgsteer::proxy::cli {
namespace {

constexpr double width = 480, left = 52, right = 12;  // of every picture, so that letters are of one size

std::string open_svg(double height, const std::string& label) {
  return fmt::format("<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">", width, height, escape_html(label));
}

std::string text(double x, double y, const char* anchor, const std::string& words) {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" class=\"{}\">{}</text>", x, y, anchor, escape_html(words));
}

std::string line(double x1, double y1, double x2, double y2, const char* style) {
  return fmt::format("<path class=\"{}\" d=\"M{:.1f} {:.1f}L{:.1f} {:.1f}\"/>", style, x1, y1, x2, y2);
}

std::string power_of_ten_ms(int power) {
  constexpr const char* names[] = {"1 us", "10 us", "100 us", "1 ms", "10 ms", "100 ms", "1 s", "10 s", "100 s"};
  return power >= -3 && power <= 5 ? names[power + 3] : fmt::format("1e{} ms", power);
}

/// Ticks of a logarithmic scale: round numbers, the fewer the more it spans.
std::vector<double> log_ticks(double low, double high) {
  std::vector<double> all, kept;
  const double span = std::log10(high / low);
  const std::vector<double> steps = span > 2.5 ? std::vector<double>{1} : span > 1 ? std::vector<double>{1, 2, 5}
                                    : std::vector<double>{1, 1.25, 1.5, 2, 3, 4, 5, 6.7, 8};
  for (int power = static_cast<int>(std::floor(std::log10(low))); power <= static_cast<int>(std::ceil(std::log10(high))); ++power)
    for (const double step : steps) all.push_back(step * std::pow(10, power));
  std::copy_if(all.begin(), all.end(), std::back_inserter(kept), [&](double tick) { return tick > low * 0.999 && tick < high * 1.001; });
  return kept;
}

struct Range {
  double low = 0, high = 1;
};

Range range_of(const TimeChart& chart) {
  double low = chart.nominal, high = chart.nominal;
  for (const auto& series : chart.series)
    for (const auto& [time, value] : series.points) low = std::min(low, value), high = std::max(high, value);
  if (chart.scale == TimeChart::Scale::percent) return {std::max(0.0, std::min(0.5, std::floor(low * 10) / 10)), 1};
  return {low < chart.nominal ? std::min(low / 1.1, 0.8) : chart.nominal, std::max(high * 1.1, low < chart.nominal ? 1.25 : 1.5)};
}

std::string tick_text(const TimeChart& chart, double value) {
  return chart.scale == TimeChart::Scale::percent ? fmt::format("{:.0f} %", value * 100) : fmt::format("{:.4g}", value);
}

std::string moment(std::int64_t unix_us, std::int64_t span_us) {
  const auto time = fmt::gmtime(static_cast<std::time_t>(unix_us / 1000000));
  constexpr std::int64_t day = 86400LL * 1000000;
  if (span_us < day / 144) return fmt::format("{:%H:%M:%S}", time);
  return span_us < day ? fmt::format("{:%H:%M}", time) : span_us < 4 * day ? fmt::format("{:%d %b %H:%M}", time) : fmt::format("{:%d %b}", time);
}

}  // namespace

std::string scatter_chart(std::span<const std::pair<double, double>> actual_predicted, const std::string& label) {
  constexpr double top = 12, bottom = 40, side = width - left - right, height = top + side + bottom;
  constexpr int cells = 72;
  double low = INFINITY, high = -INFINITY;
  for (const auto& [actual, predicted] : actual_predicted) {
    low = std::min({low, std::log10(actual), std::log10(predicted)});
    high = std::max({high, std::log10(actual), std::log10(predicted)});
  }
  if (!(low <= high)) low = 0, high = 1;
  low -= 0.1, high = std::max(high + 0.1, low + 1);
  const auto at = [&](double log_ms) { return (log_ms - low) / (high - low); };
  std::map<std::pair<int, int>, std::size_t> counts;
  std::size_t most = 1;
  for (const auto& [actual, predicted] : actual_predicted) {
    const auto cell = [&](double ms) { return std::clamp(static_cast<int>(at(std::log10(ms)) * cells), 0, cells - 1); };
    most = std::max(most, ++counts[{cell(actual), cell(predicted)}]);
  }
  std::string svg = open_svg(height, label);
  for (int power = static_cast<int>(std::ceil(low)); power <= high; ++power) {
    const double x = left + at(power) * side, y = top + (1 - at(power)) * side;
    svg += line(x, top, x, top + side, "grid") + line(left, y, left + side, y, "grid");
    svg += text(left - 6, y + 4, "end", power_of_ten_ms(power)) + text(x, top + side + 16, "middle", power_of_ten_ms(power));
  }
  // One path for a shade: five shades, each of a range of counts that is as wide as the others on a logarithmic scale.
  std::array<std::string, 5> shades;
  constexpr double size = side / cells;
  for (const auto& [cell, count] : counts) {
    const double share = most > 1 ? std::log(double(count)) / std::log(double(most)) : 1;
    shades[static_cast<std::size_t>(std::min(4.0, share * 5))] +=
        fmt::format("M{:.1f} {:.1f}h{:.1f}v{:.1f}h-{:.1f}z", left + cell.first * size, top + side - (cell.second + 1) * size, size, size, size);
  }
  for (std::size_t i = 0; i < shades.size(); ++i)
    if (!shades[i].empty()) svg += fmt::format("<path class=\"mark\" fill-opacity=\"{:.2f}\" d=\"{}\"/>", 0.25 + 0.1875 * double(i), shades[i]);
  const double two = std::log10(2.0) / (high - low) * side;
  svg += line(left, top + side, left + side, top, "rule");
  svg += line(left, top + side - two, left + side - two, top, "rule dash") + line(left + two, top + side, left + side, top + two, "rule dash");
  svg += text(left + side, top + side + 34, "end", "actual");
  svg += text(left + 6, top + 14, "", "predicted");
  return svg + "</svg>";
}

std::string time_chart(const TimeChart& chart) {
  constexpr double top = 34, bottom = 24, height = 220, tall = height - top - bottom, wide = width - left - right;
  const Range range = range_of(chart);
  const bool logarithmic = chart.scale == TimeChart::Scale::logarithmic;
  const auto y = [&](double value) {
    const double share = logarithmic ? std::log(value / range.low) / std::log(range.high / range.low)
                                     : (value - range.low) / (range.high - range.low);
    return top + (1 - share) * tall;
  };
  const double span = std::max(1.0, double(chart.to_us - chart.from_us));
  const auto x = [&](std::int64_t us) { return left + std::clamp(double(us - chart.from_us) / span, 0.0, 1.0) * wide; };
  std::string svg = open_svg(height, chart.label);
  for (const double tick : logarithmic ? log_ticks(range.low, range.high) : std::vector<double>{0, 0.25, 0.5, 0.6, 0.7, 0.8, 0.9, 1}) {
    if (tick < range.low * 0.999 || (!logarithmic && range.low < 0.5 && (tick == 0.6 || tick == 0.7 || tick == 0.8))) continue;
    svg += line(left, y(tick), left + wide, y(tick), "grid") + text(left - 6, y(tick) + 4, "end", tick_text(chart, tick));
  }
  svg += line(left, y(chart.nominal), left + wide, y(chart.nominal), "rule");
  for (int i = 0; i <= 3; ++i) {
    const auto us = chart.from_us + static_cast<std::int64_t>(span * i / 3);
    svg += text(x(us), height - 6, i == 0 ? "" : i == 3 ? "end" : "middle", moment(us, chart.to_us - chart.from_us));
  }
  double free_from = 0;
  for (const auto& mark : chart.marks) {
    const double at = x(mark.unix_us);
    svg += line(at, top, at, top + tall, "rule dash");
    if (at < free_from) continue;  // names would run into each other; the line stays
    const bool near_end = at > left + wide - 25;
    svg += text(at, top - 4, near_end ? "end" : "middle", mark.label);
    free_from = at + 50;
  }
  double legend = left;
  for (std::size_t i = 0; i < chart.series.size(); ++i) {
    const auto& [name, points] = chart.series[i];
    if (points.empty()) continue;
    const char* colour = i == 0 ? "mark" : "other";
    std::string path, dots;
    for (std::size_t k = 0; k < points.size(); ++k) {
      const bool joined = k > 0 && points[k].first - points[k - 1].first <= chart.step_us;
      path += fmt::format("{}{:.1f} {:.1f}", joined ? 'L' : 'M', x(points[k].first), y(points[k].second));
      dots += fmt::format("M{:.1f} {:.1f}h4v4h-4z", x(points[k].first) - 2, y(points[k].second) - 2);
    }
    svg += fmt::format("<path class=\"{0}-line\" d=\"{1}\"/><path class=\"{0}\" d=\"{2}\"/>", colour, path, dots);
    svg += fmt::format("<path class=\"{}\" d=\"M{:.1f} 9h10v10h-10z\"/>", colour, legend) + text(legend + 15, 18, "", name);
    legend += 40 + 6.5 * double(name.size());
  }
  return svg + "</svg>";
}

}  // namespace pgsteer::proxy::cli
