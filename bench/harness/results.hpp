#pragma once
#include <map>
#include <string>
#include <vector>

#include "bench/workload/compare.hpp"

namespace pgsteer::harness {

/// One system under load in one workload. Medians over the rounds, with how far the rounds lie apart (95 %) where that is kept.
struct LoadFigures {
  std::string system;
  double tps = 0, tps_spread = 0;      ///< statements (or transactions) without error, a second
  double p50 = 0, p95 = 0, p99 = 0, p999 = 0, max = 0;  ///< milliseconds, of all rounds together
  double proxy_cpu_us = 0, proxy_cpu_spread = 0;        ///< of the proxy, a statement; 0 where none is ours
  double server_cpu_us = 0, server_cpu_spread = 0;      ///< of PostgreSQL, a statement; 0 where the server is not ours
  double resident_mb = 0;
  std::uint64_t statements = 0, errors = 0;
  std::string first_error;
  std::vector<double> curve;           ///< milliseconds at the shares of `curve_shares`
};
/// Where the latency curve is kept: from the median towards the last in ten thousand.
const std::vector<double>& curve_shares();

struct WorkloadResult {
  std::string name, what;
  std::vector<std::string> notes;
  workload::Comparison comparison;  ///< each statement through each system in turn, one at a time
  std::vector<LoadFigures> load;    ///< under load; empty when it was not asked for
};

/// One run, as kept in its JSON file.
struct Results {
  std::string version, commit, when, command, machine, server;
  double scale = 0;
  int rounds = 0, clients = 0;
  double seconds = 0, rate = 0;
  std::vector<std::string> systems, left_out;
  std::vector<WorkloadResult> workloads;
};

std::string to_json(const Results& results);
Results results_from_json(const std::string& text);  ///< throws std::runtime_error

std::string to_table(const Results& results);
std::string to_html(const Results& results);  ///< one file, nothing fetched

/// What changed from `before` to `after` by more than the noise of both: lines for people, worst first.
struct Change {
  std::string workload, system, what;  ///< what: a class, or "throughput", "proxy CPU", "server CPU"
  double ratio = 1;                    ///< after / before, larger is worse (throughput is turned round)
  double noise = 1;                    ///< a ratio this far from 1, either way, may be chance
  bool worse() const { return ratio > noise; }
  bool better() const { return ratio < 1 / noise; }
};
std::vector<Change> changes(const Results& before, const Results& after);
std::string to_text(const std::vector<Change>& changes);

/// Unequal answers and errors: why a run must not be believed. Empty: none.
std::vector<std::string> faults(const Results& results);

}  // namespace pgsteer::harness
