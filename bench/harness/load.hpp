#pragma once
#include <functional>

#include "bench/harness/results.hpp"
#include "bench/harness/systems.hpp"
#include "bench/harness/workloads.hpp"

namespace pgsteer::harness {

struct LoadOptions {
  int rounds = 3, clients = 8;
  double seconds = 5;   ///< of each system in each round
  double rate = 0;      ///< statements a second, open loop; 0 = closed loop
  double speed = 1;     ///< of a recording
  std::uint64_t seed = 1;
  pid_t server = -1;    ///< the postmaster, where it is on this machine and ours to look at
};

/// Every system in turn, every round, the order turning; processor time is what /proc says of the proxy and of the server meanwhile.
/// `progress` is told what runs now. Throws std::runtime_error when a system cannot be reached.
std::vector<LoadFigures> measure_load(const Workload& workload, const std::vector<System>& systems, const LoadOptions& options,
                                      const std::function<void(const std::string&)>& progress);

}  // namespace pgsteer::harness
