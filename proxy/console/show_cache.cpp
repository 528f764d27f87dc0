// SHOW CACHE: a list of names and values (text: "off" and "none" are answers too), then why statements were not cached.
#include <fmt/format.h>

#include <map>

#include "cache/stores/redis.hpp"
#include "proxy/console/command.hpp"
#include "proxy/console/result.hpp"
#include "proxy/feed/feed.hpp"
#include "proxy/group/members.hpp"
#include "proxy/learner/learner.hpp"

namespace pgsteer::proxy::console {

ConsoleResult show_cache(const Request& request) {
  const auto snapshot = request.hub.snapshot();
  const auto memory = request.hub.memory.statistics();
  const auto totals = request.hub.totals();
  const auto looked_up = totals.cache_hits + totals.cache_misses;
  Table table({{"name", Type::text}, {"value", Type::text}});
  table.row("policy", snapshot->policies && snapshot->policies->any_cache() ? "some rule turns caching on" : "no rule turns caching on");
  table.row("hits", std::to_string(totals.cache_hits));
  table.row("misses", std::to_string(totals.cache_misses));
  table.row("hit_ratio", looked_up ? fmt::format("{:.3f}", static_cast<double>(totals.cache_hits) / static_cast<double>(looked_up)) : "none");
  table.row("stores", std::to_string(totals.cache_stores));
  table.row("saved_ms", fmt::format("{:.1f}", memory.saved_ms));
  table.row("memory_entries", std::to_string(memory.entries));
  table.row("memory_bytes", std::to_string(memory.bytes));
  table.row("memory_max_bytes", std::to_string(memory.max_bytes));
  table.row("memory_hits", std::to_string(memory.hits));
  table.row("memory_misses", std::to_string(memory.misses));
  table.row("memory_stores", std::to_string(memory.stores));
  table.row("memory_rejected", std::to_string(memory.rejected));
  table.row("memory_evictions", std::to_string(memory.evictions));
  table.row("redis", redis_state(*snapshot, request.hub.redis_breaker.load()));
  if (request.hub.group)
    for (const auto& [name, value] : request.hub.group->describe()) table.row(name, value);
  if (request.hub.feeds) {
    for (const auto& feed : request.hub.feeds->states()) {
      const std::string name = "feed of " + feed.database;
      table.row(name, feed.text);
      table.row(name + ": commits", std::to_string(feed.commits));
      table.row(name + ": everything void", std::to_string(feed.void_all));
      table.row(name + ": rounds", fmt::format("{}, {:.3f} ms each", feed.rounds, feed.mean_round_ms));
      table.row(name + ": look-ups too late", std::to_string(feed.late));
    }
  }
  std::map<std::string, std::uint64_t> reasons;
  if (request.hub.learner)
    for (const auto& query : request.hub.learner->queries())
      if (!query.reason.empty() && query.reason != "none") reasons[query.reason] += query.calls;
  for (const auto& [reason, calls] : reasons) table.row("not_cached: " + reason, fmt::format("{} calls", calls));
  return table;
}

std::string redis_state(const Snapshot& snapshot, int breaker) {
  if (!snapshot.config || snapshot.config->cache.redis_url.empty()) return "off";
  switch (static_cast<cache::BreakerState>(breaker)) {
    case cache::BreakerState::closed: return "in use";
    case cache::BreakerState::open: return "breaker open";
    case cache::BreakerState::half_open: return "breaker half open";
  }
  return "unknown";
}

}  // namespace pgsteer::proxy::console
