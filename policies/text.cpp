#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "policies/policy.hpp"

namespace pgsteer::policies {
namespace {

/// Edit distance with swapped neighbours counted once ("mdoe" is one slip away from "mode").
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> d(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) d[i][0] = i;
  for (std::size_t j = 0; j <= b.size(); ++j) d[0][j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t change = a[i - 1] == b[j - 1] ? 0 : 1;
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + change});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  }
  return d[a.size()][b.size()];
}

struct Measure {
  double amount = 0;
  std::string_view unit;
};

/// A non-negative decimal number and the unit after it, blanks between allowed.
std::optional<Measure> split_measure(std::string_view text) {
  Measure m;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, m.amount, std::chars_format::fixed);
  if (error != std::errc() || !std::isfinite(m.amount) || m.amount < 0 || text.front() == '-') return std::nullopt;
  m.unit = std::string_view(rest, static_cast<std::size_t>(end - rest));
  while (!m.unit.empty() && m.unit.front() == ' ') m.unit.remove_prefix(1);
  return m;
}

struct Unit {
  std::string_view name;
  double factor;
};

/// The measure in the smallest unit, rounded; nullopt beyond 2^53, where a double is no longer exact.
std::optional<double> scale(std::string_view text, const Unit* first, const Unit* last) {
  const auto measure = split_measure(text);
  if (!measure) return std::nullopt;
  for (const Unit* unit = first; unit != last; ++unit) {
    if (unit->name != measure->unit) continue;
    const double scaled = std::round(measure->amount * unit->factor);
    if (scaled > 9007199254740992.0) return std::nullopt;
    return scaled;
  }
  return std::nullopt;
}

}  // namespace

std::string nearest_name(std::string_view wrong, const std::vector<std::string>& names) {
  if (wrong.empty() || wrong.size() > 64) return {};
  std::string lower(wrong);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? char(c + 32) : c; });
  std::replace(lower.begin(), lower.end(), '-', '_');
  const std::string* best = nullptr;
  std::size_t best_distance = 1 + std::max<std::size_t>(1, wrong.size() / 3);  // further away is not a slip of the pen
  for (const std::string& name : names) {
    const std::size_t d = distance(lower, name);
    if (d < best_distance && d < name.size()) {
      best_distance = d;
      best = &name;
    }
  }
  return best ? *best : std::string();
}

std::optional<double> parse_rate(std::string_view text) {
  static constexpr Unit units[] = {{"/s", 1}, {"/min", 60}, {"/h", 3600}};
  if (text.empty()) return std::nullopt;
  const auto measure = split_measure(text);
  if (!measure || !(measure->amount > 0) || measure->amount > 1e9) return std::nullopt;
  for (const Unit& unit : units)
    if (unit.name == measure->unit) return measure->amount / unit.factor;
  return std::nullopt;
}

std::optional<std::chrono::microseconds> parse_duration(std::string_view text) {
  static constexpr Unit units[] = {{"us", 1},    {"µs", 1},    {"ms", 1e3},  {"s", 1e6},
                                   {"min", 6e7}, {"h", 3.6e9}, {"d", 8.64e10}};
  // A bare zero needs no unit; any other bare number would leave people guessing.
  if (text == "0") return std::chrono::microseconds(0);
  if (text.empty()) return std::nullopt;
  const auto scaled = scale(text, std::begin(units), std::end(units));
  if (!scaled) return std::nullopt;
  return std::chrono::microseconds(static_cast<std::int64_t>(*scaled));
}

std::optional<std::uint64_t> parse_bytes(std::string_view text) {
  // As in postgresql.conf: multiples of 1024.
  static constexpr Unit units[] = {{"", 1},         {"B", 1},          {"kB", 1024.0},       {"KB", 1024.0},
                                   {"kiB", 1024.0}, {"KiB", 1024.0},   {"MB", 1048576.0},    {"MiB", 1048576.0},
                                   {"GB", 1073741824.0}, {"GiB", 1073741824.0}, {"TB", 1099511627776.0},
                                   {"TiB", 1099511627776.0}};
  if (text.empty()) return std::nullopt;
  const auto scaled = scale(text, std::begin(units), std::end(units));
  if (!scaled) return std::nullopt;
  return static_cast<std::uint64_t>(*scaled);
}

bool glob_match(std::string_view pattern, std::string_view text) {
  // Greedy with one point of return: linear in practice, never exponential, whatever stars the pattern has.
  std::size_t p = 0, t = 0, star = std::string_view::npos, resume = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = t;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t])) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

}  // namespace pgsteer::policies
