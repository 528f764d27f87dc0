#include "bench/harness/load.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "bench/workload/drive.hpp"
#include "bench/workload/statistics.hpp"

namespace pgsteer::harness {
namespace {

using workload::quantile;
using workload::spread95;

struct Rounds {
  std::vector<double> tps, proxy_us, server_us, latencies;
};

/// Of sorted values.
double at_share(const std::vector<double>& sorted, double share) {
  if (sorted.empty()) return 0;
  return sorted[std::min(sorted.size() - 1, static_cast<std::size_t>(share * static_cast<double>(sorted.size())))];
}

void one_round(const Workload& workload, const System& system, const LoadOptions& options, int round, Rounds& rounds, LoadFigures& figures) {
  workload::DriveOptions drive;
  drive.url = system.url;
  drive.clients = options.clients;
  drive.seconds = options.seconds;
  drive.rate = options.rate;
  drive.seed = workload::derive_seed(options.seed, static_cast<std::uint64_t>(round));  // of a round, the same for all systems
  drive.day_rhythm = workload.day_rhythm;
  drive.day_seconds = options.seconds;
  if (!workload.recorded.empty() && options.rate == 0) {
    drive.recorded = &workload.recorded;
    drive.speed = options.speed;
  }
  const double proxy = system.pid > 0 ? cpu_seconds(system.pid) : 0, server = options.server > 0 ? cpu_seconds(options.server) : 0;
  const workload::DriveResult result = workload::drive(workload.classes, drive);
  const double proxy_used = system.pid > 0 ? cpu_seconds(system.pid) - proxy : 0, server_used = options.server > 0 ? cpu_seconds(options.server) - server : 0;
  std::uint64_t statements = 0;
  for (const auto& [name, c] : result.classes) {
    statements += c.statements;
    figures.errors += c.errors;
    if (figures.first_error.empty() && c.errors > 0) figures.first_error = name + ": " + c.first_error;
  }
  if (statements == 0) return;
  const double count = static_cast<double>(statements);
  figures.statements += statements;
  rounds.tps.push_back(static_cast<double>(result.latencies.size()) / result.seconds);
  rounds.proxy_us.push_back(proxy_used / count * 1e6);
  rounds.server_us.push_back(server_used / count * 1e6);
  rounds.latencies.insert(rounds.latencies.end(), result.latencies.begin(), result.latencies.end());
}

}  // namespace

std::vector<LoadFigures> measure_load(const Workload& workload, const std::vector<System>& systems, const LoadOptions& options,
                                      const std::function<void(const std::string&)>& progress) {
  std::vector<Rounds> rounds(systems.size());
  std::vector<LoadFigures> figures(systems.size());
  for (int round = 0; round < options.rounds; ++round)
    for (std::size_t k = 0; k < systems.size(); ++k) {
      const std::size_t i = (k + static_cast<std::size_t>(round)) % systems.size();
      progress(fmt::format("{}: load, round {} of {}, {}", workload.name, round + 1, options.rounds, systems[i].label));
      one_round(workload, systems[i], options, round, rounds[i], figures[i]);
    }
  for (std::size_t i = 0; i < systems.size(); ++i) {
    LoadFigures& f = figures[i];
    auto& all = rounds[i].latencies;
    std::sort(all.begin(), all.end());
    f.system = systems[i].label;
    f.tps = quantile(rounds[i].tps, 0.5);
    f.tps_spread = spread95(rounds[i].tps);
    f.proxy_cpu_us = quantile(rounds[i].proxy_us, 0.5);
    f.proxy_cpu_spread = spread95(rounds[i].proxy_us);
    f.server_cpu_us = quantile(rounds[i].server_us, 0.5);
    f.server_cpu_spread = spread95(rounds[i].server_us);
    f.p50 = at_share(all, 0.5);
    f.p95 = at_share(all, 0.95);
    f.p99 = at_share(all, 0.99);
    f.p999 = at_share(all, 0.999);
    f.max = all.empty() ? 0 : all.back();
    f.resident_mb = systems[i].pid > 0 ? resident_mb(systems[i].pid) : 0;
    for (const double share : curve_shares()) f.curve.push_back(at_share(all, share));
  }
  return figures;
}

}  // namespace pgsteer::harness
