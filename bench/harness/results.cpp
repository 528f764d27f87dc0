// The JSON form of a run, what changed between two, and the table.
#include "bench/harness/results.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace pgsteer::harness {

using Json = nlohmann::json;

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(LoadFigures, system, tps, tps_spread, p50, p95, p99, p999, max, proxy_cpu_us, proxy_cpu_spread, server_cpu_us, server_cpu_spread, resident_mb,
                                   statements, errors, first_error, curve)

const std::vector<double>& curve_shares() {
  static const std::vector<double> shares = {0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975, 0.99, 0.995, 0.9975, 0.999, 0.9995, 0.9999};
  return shares;
}

std::string to_json(const Results& results) {
  Json json = {{"format", "pgsteer bench 1"}, {"version", results.version}, {"commit", results.commit}, {"when", results.when}, {"command", results.command},
               {"machine", results.machine}, {"server", results.server}, {"scale", results.scale}, {"rounds", results.rounds}, {"clients", results.clients},
               {"seconds", results.seconds}, {"rate", results.rate}, {"systems", results.systems}, {"left_out", results.left_out}, {"workloads", Json::array()}};
  for (const WorkloadResult& w : results.workloads)
    json["workloads"].push_back({{"name", w.name}, {"what", w.what}, {"notes", w.notes}, {"comparison", Json::parse(workload::to_json(w.comparison))}, {"load", w.load}});
  return json.dump(1, ' ', false, Json::error_handler_t::replace);
}

Results results_from_json(const std::string& text) {
  try {
    const Json json = Json::parse(text);
    if (json.at("format") != "pgsteer bench 1") throw std::runtime_error("not a file of this version of pgsteer bench");
    Results results{json.at("version"), json.at("commit"), json.at("when"), json.at("command"), json.at("machine"), json.at("server"), json.at("scale"),
                    json.at("rounds"), json.at("clients"), json.at("seconds"), json.at("rate"), json.at("systems"), json.at("left_out"), {}};
    for (const Json& w : json.at("workloads"))
      results.workloads.push_back({w.at("name"), w.at("what"), w.at("notes"), workload::from_json(w.at("comparison").dump()), w.at("load")});
    return results;
  } catch (const Json::exception& error) {
    throw std::runtime_error(std::string("not a result of pgsteer bench: ") + error.what());
  }
}

std::vector<std::string> faults(const Results& results) {
  std::vector<std::string> found;
  for (const WorkloadResult& w : results.workloads) {
    for (const auto& c : w.comparison.classes) {
      if (c.unequal > 0) found.push_back(fmt::format("{} {}: {} of {} answers differ; first: {}", w.name, c.name, c.unequal, c.compared, c.first_unequal));
      for (const auto& m : c.measured)
        if (m.errors > 0 && c.measured.front().errors == 0) found.push_back(fmt::format("{} {}, {}: {} errors; first: {}", w.name, c.name, m.label, m.errors, m.first_error));
    }
    for (const LoadFigures& l : w.load)
      if (l.errors > 0 && w.load.front().errors == 0) found.push_back(fmt::format("{}, {} under load: {} errors; first: {}", w.name, l.system, l.errors, l.first_error));
  }
  return found;
}

namespace {

/// The ratio of two figures, and how far from 1 it may lie by chance: each varies by its spread, given as a share.
void add_ratio(std::vector<Change>& found, Change change, double before, double after, double spread_before, double spread_after) {
  if (before <= 0 || after <= 0) return;
  change.ratio = after / before;
  change.noise = 1.02 + std::hypot(spread_before / before, spread_after / after);  // two runs on one machine differ by 2 % without a cause
  found.push_back(std::move(change));
}

template <class List, class Same>
const typename List::value_type* find(const List& list, Same same) {
  const auto at = std::find_if(list.begin(), list.end(), same);
  return at == list.end() ? nullptr : &*at;
}

}  // namespace

std::vector<Change> changes(const Results& before, const Results& after) {
  std::vector<Change> found;
  for (const WorkloadResult& now : after.workloads) {
    const auto* then = find(before.workloads, [&](const auto& w) { return w.name == now.name; });
    if (!then) continue;
    for (const auto& c : now.comparison.classes) {
      const auto* old = find(then->comparison.classes, [&](const auto& o) { return o.name == c.name; });
      if (!old) continue;
      // Against the first system of the same run: a slower machine slows both.
      for (std::size_t k = 1; k < c.measured.size(); ++k) {
        const auto* m = find(old->measured, [&](const auto& o) { return o.label == c.measured[k].label; });
        if (!m) continue;
        Change change{now.name, m->label, c.name, std::exp(c.measured[k].log_ratio - m->log_ratio), 1};
        change.noise = 1.02 * std::exp(std::hypot(c.measured[k].log_ratio_spread, m->log_ratio_spread));
        found.push_back(std::move(change));
      }
    }
    for (std::size_t k = 0; k < now.load.size(); ++k) {
      const LoadFigures& l = now.load[k];
      const auto* old = find(then->load, [&](const auto& o) { return o.system == l.system; });
      if (!old || old->tps <= 0 || l.tps <= 0) continue;
      add_ratio(found, {now.name, l.system, "throughput"}, l.tps, old->tps, l.tps_spread, old->tps_spread);
      add_ratio(found, {now.name, l.system, "proxy CPU"}, old->proxy_cpu_us, l.proxy_cpu_us, old->proxy_cpu_spread, l.proxy_cpu_spread);
      add_ratio(found, {now.name, l.system, "server CPU"}, old->server_cpu_us, l.server_cpu_us, old->server_cpu_spread, l.server_cpu_spread);
    }
  }
  std::sort(found.begin(), found.end(), [](const Change& a, const Change& b) { return a.ratio / a.noise > b.ratio / b.noise; });
  return found;
}

std::string to_text(const std::vector<Change>& changes) {
  std::string text;
  int equal = 0;
  for (const Change& c : changes) {
    if (!c.worse() && !c.better()) {
      ++equal;
      continue;
    }
    text += fmt::format("{:7} {:6.2f}x  {} {} {} (chance: up to {:.2f}x)\n", c.worse() ? "worse" : "better", c.worse() ? c.ratio : 1 / c.ratio, c.workload, c.system, c.what, c.noise);
  }
  return text + fmt::format("{} of {} figures are the same but for their noise\n", equal, changes.size());
}

}  // namespace pgsteer::harness
