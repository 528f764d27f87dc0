#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "bench/workload/classes.hpp"

namespace pgsteer::workload {

/// One server or proxy to be compared: "direct=postgresql://…".
struct Target {
  std::string label, url;
};
/// Throws std::invalid_argument.
Target parse_target(const std::string& text);

struct CompareOptions {
  std::vector<Target> targets;  ///< the first is the baseline
  int rounds = 9;               ///< measured rounds; one more before them warms up and is not counted
  std::uint64_t seed = 1;
  std::string console_url;      ///< pgsteer's console: ask it what it did, through the last target; "" = do not
};

/// Of one class through one target, milliseconds.
struct Measured {
  std::string label;
  double p50 = 0, p95 = 0, mean = 0;
  /// ln(this / first target) over all statements, each asked of both one right after the other: the median, and how far the
  /// medians of the rounds lie apart (95 %). What disturbs a round disturbs both, so pairs say more than the figures above.
  double log_ratio = 0, log_ratio_spread = 0;
  std::uint64_t rows = 0, errors = 0;
  std::string first_error;
};

/// What pgsteer says it did with one more pass over the class's statements.
struct Decided {
  bool known = false;
  std::map<std::string, int> actions;  ///< "as-is", "rewrite:…", "arm:…", "cache"
  std::map<std::string, int> reasons;
  double predicted_ms = 0, actual_ms = 0, q_error = 0;  ///< medians over the statements
};

struct ClassResult {
  std::string name, what;
  int statements = 0;       ///< a round
  bool comparable = true;   ///< as of its StatementClass
  int round_trips = 1;      ///< of one statement: a transaction of four steps pays the way four times
  std::uint64_t compared = 0, unequal = 0;  ///< answers that had to be equal, and those that were not
  std::string first_unequal;
  std::vector<Measured> measured;  ///< one a target
  Decided decided;
};

struct Comparison {
  std::string dataset;
  std::uint64_t seed = 0;
  int rounds = 0;
  double hop_ms = 0;  ///< what SELECT 1 costs more through the last target than through the first, median
  std::vector<ClassResult> classes;
};

/// Every class's seeded list of statements, the same list every round, each statement through every target one after the
/// other, the order turning every time: what drifts hits all alike.
Comparison compare(const std::vector<StatementClass>& classes, const CompareOptions& options);

std::string to_json(const Comparison& comparison);
Comparison from_json(const std::string& text);  ///< throws std::runtime_error
std::string to_table(const Comparison& comparison);
/// What is wrong: answers that differ, errors, classes slower than the baseline by more than their noise. `phase` begins each line.
std::vector<std::string> verdict(const std::string& phase, const Comparison& comparison);

/// The demonstration's table from two comparisons with the same classes, and its verdict.
struct Report {
  std::string text;
  std::vector<std::string> failures;
};
/// `demand_gains`: at least one class each rewritten, steered and cached and faster than direct.
Report report(const Comparison& observe, const Comparison& after, bool demand_gains);

}  // namespace pgsteer::workload
