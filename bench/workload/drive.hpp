#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "bench/workload/classes.hpp"

namespace pgsteer::workload {

/// One statement of a recording: when it was sent, of which class it is.
struct Recorded {
  double seconds = 0;  ///< since the recording began
  std::size_t chosen = 0;
  Statement statement;
};

struct DriveOptions {
  std::string url;
  int clients = 4;
  double seconds = 0;       ///< 0 = no limit
  std::uint64_t count = 0;  ///< statements in all; 0 = no limit
  int each = 0;             ///< instead of a mix: so many of every class, in turn
  double rate = 0;          ///< statements a second, as a Poisson process; 0 = closed loop, each client sends when answered
  bool day_rhythm = false;  ///< rate and mix follow a day: quiet nights with reports, busy days with short statements
  double day_seconds = 60;  ///< length of that day
  std::uint64_t seed = 1;
  std::map<std::string, double> mix;  ///< weight by class name, instead of the built-in ones
  std::string out;          ///< JSON lines, one a statement; "" = none
  const std::vector<Recorded>* recorded = nullptr;  ///< instead of drawing: these, each when it was due; latency counts from then
  double speed = 1;         ///< of a recording: 2 = twice as fast
};

struct DriveClass {
  std::uint64_t statements = 0, errors = 0, rows = 0;
  double p50 = 0, p95 = 0, p99 = 0;
  std::string first_error;
};
struct DriveResult {
  double seconds = 0;
  std::map<std::string, DriveClass> classes;
  std::vector<double> latencies;  ///< of all statements without error, milliseconds, sorted
};

/// Sends a mixed workload. With a rate, latency counts from the moment a statement was due, so a stalled server is not
/// flattered. Which statements are sent depends on seed and number only; with several clients their order does not.
DriveResult drive(const std::vector<StatementClass>& classes, const DriveOptions& options);

/// The share of the mean rate at a moment of the day, 0..1 -> 0.25..1.75, lowest at 3 in the morning.
double day_rate(double share_of_day);
/// How much of the day's mix applies (1) against the night's (0).
double daylight(double share_of_day);

std::string to_table(const DriveResult& result);

}  // namespace pgsteer::workload
