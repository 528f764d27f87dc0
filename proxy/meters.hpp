#pragma once
#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <string_view>

#include "rewriter/sql/analysis.hpp"

namespace pgsteer::proxy {

/// One writer, any readers: a plain load and store is enough and costs a nanosecond, a locked add would cost five.
class Counter {
 public:
  void add(std::uint64_t n = 1) { value_.store(value() + n, std::memory_order_relaxed); }
  std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

/// Log-linear counters of nanoseconds: two steps per power of two from 512 ns to 137 s. The upper bounds are whole numbers
/// of nanoseconds, so an exposition in cumulative buckets loses nothing.
class LatencyMeter {
 public:
  static constexpr int kLowest = 9, kPowers = 28;
  static constexpr std::size_t kBuckets = 2 * kPowers + 1;  ///< the last one is everything above
  void record(std::uint64_t ns) {
    counts_[bucket(ns)].add();
    sum_ns_.add(ns);
  }
  /// Nanoseconds up to and including which bucket `i` counts; none for the last.
  static std::uint64_t upper_ns(std::size_t i) {
    const auto base = std::uint64_t{1} << (kLowest + static_cast<int>(i / 2));
    return i % 2 == 0 ? base : base + base / 2;
  }
  static std::size_t bucket(std::uint64_t ns) {
    if (ns <= (std::uint64_t{1} << kLowest)) return 0;
    const std::uint64_t below = ns - 1;                     // upper bounds belong to their bucket
    const int power = std::bit_width(below) - 1;            // 2^power <= below < 2^(power+1)
    const auto half = (below >> (power - 1)) & 1;           // upper half of that octave?
    const std::size_t index = static_cast<std::size_t>(2 * (power - kLowest) + 1) + half;
    return index < kBuckets ? index : kBuckets - 1;
  }
  std::uint64_t count(std::size_t i) const { return counts_[i].value(); }
  std::uint64_t sum_ns() const { return sum_ns_.value(); }

 private:
  std::array<Counter, kBuckets> counts_;
  Counter sum_ns_;
};

/// What /metrics counts by statement, of one event loop.
struct Meters {
  enum class Action : std::uint8_t { pass, rewritten, hinted, cache_hit, refused };
  enum class Ending : std::uint8_t { ok, error, cancelled };
  static constexpr std::size_t kKinds = static_cast<std::size_t>(sql::StatementKind::ddl) + 1, kActions = 5, kEndings = 3;
  static constexpr std::size_t kClasses = 36 * 36;
  static constexpr std::array<std::string_view, kActions> action_names{"pass", "rewritten", "hinted", "cache_hit", "refused"};
  static constexpr std::array<std::string_view, kEndings> ending_names{"ok", "error", "cancelled"};

  std::array<Counter, kKinds * kActions * kEndings> statements;
  std::array<Counter, kClasses> errors;  ///< by the first two characters of the SQLSTATE
  LatencyMeter from_server, from_cache, overhead;

  static std::size_t index(sql::StatementKind kind, Action action, Ending ending) {
    return (static_cast<std::size_t>(kind) * kActions + static_cast<std::size_t>(action)) * kEndings +
           static_cast<std::size_t>(ending);
  }
  void count(sql::StatementKind kind, Action action, Ending ending) { statements[index(kind, action, ending)].add(); }
  void error(std::string_view sqlstate) {
    const auto digit = [](char c) -> std::size_t {
      return c >= '0' && c <= '9' ? static_cast<std::size_t>(c - '0') : c >= 'A' && c <= 'Z' ? static_cast<std::size_t>(c - 'A') + 10 : 0;
    };
    if (sqlstate.size() == 5) errors[digit(sqlstate[0]) * 36 + digit(sqlstate[1])].add();
  }
};

}  // namespace pgsteer::proxy
