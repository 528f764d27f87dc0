// SHOW LANES, SHOW LIMITS: who runs and who waits in the lanes of the policies, and what limits did.
#include <map>

#include "proxy/console/command.hpp"
#include "proxy/console/result.hpp"
#include "proxy/lanes.hpp"

namespace pgsteer::proxy::console {

ConsoleResult show_lanes(const Request& request) {
  const auto snapshot = request.hub.snapshot();
  std::map<std::string, Lanes::State> states;
  for (const auto& lane : snapshot->policies->lanes()) states[lane.name].name = lane.name;  // unused ones too
  for (auto& state : request.hub.lanes->states()) states[state.name] = state;
  Table table({{"lane", Type::text}, {"concurrency", Type::int4}, {"max_predicted_ms", Type::float8}, {"queue_timeout_ms", Type::float8},
               {"running", Type::int4}, {"overdue", Type::int4}, {"waiting", Type::int4}, {"longest_wait_ms", Type::float8},
               {"admitted", Type::int8}, {"waited", Type::int8}, {"timed_out", Type::int8}, {"overdue_total", Type::int8},
               {"mean_wait_ms", Type::float8}});
  for (const auto& [name, s] : states) {
    const policies::Lane* lane = snapshot->policies->lane_for(name, 0);
    const policies::Lane built_in{.name = name, .max_predicted = std::nullopt, .queue_timeout = std::nullopt, .concurrency = name == "exceeding" ? 1 : 0};
    const policies::Lane& shown = lane ? *lane : built_in;
    table.row(name, shown.concurrency, shown.max_predicted ? static_cast<double>(shown.max_predicted->count()) : 0.0,
              static_cast<double>(shown.patience().count()), s.running, s.overdue, s.waiting, s.longest_wait_ms, s.admitted, s.waited,
              s.timed_out, s.overdue_total,
              s.waited ? static_cast<double>(s.waited_ns) / 1e6 / static_cast<double>(s.waited) : 0.0);
  }
  return table;
}

ConsoleResult show_limits(const Request& request) {
  Table table({{"rule", Type::text}, {"limit", Type::text}, {"outcome", Type::text}, {"count", Type::int8}});
  for (const auto& [key, count] : request.hub.limit_counts->counts()) table.row(key.rule, key.limit, key.outcome, count);
  return table;
}

}  // namespace pgsteer::proxy::console
