// SHOW CACHE: a list of names and values (text: "off" and "none" are answers too), then why statements were not cached.
// SHOW CACHE QUERIES: the same by statement.
#include <fmt/format.h>

#include <algorithm>
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
  table.row("old_hits", std::to_string(totals.cache_old_hits));
  table.row("waits", std::to_string(totals.cache_waits));
  table.row("stores", std::to_string(totals.cache_stores));
  table.row("saved_ms", fmt::format("{:.1f}", request.hub.ledger.total().saved_ms));
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

namespace {

/// "absent 12, written 3": what is not 0, the most frequent first.
template <class Why, std::size_t N>
std::string reasons_of(const std::array<std::uint64_t, N>& counts) {
  std::vector<std::pair<std::uint64_t, std::string_view>> some;
  for (std::size_t i = 0; i < N; ++i)
    if (counts[i] != 0) some.emplace_back(counts[i], cache::to_string(static_cast<Why>(i)));
  std::stable_sort(some.begin(), some.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
  std::string text;
  for (const auto& [count, why] : some) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", why, count);
  return text;
}

/// The statements that were looked up, and those that a rule lets be cached and something else does not.
struct Known {
  cache::Ledger::Line line;
  cache::Held held;
  std::string refused, query;
};

std::map<std::string, Known> known_statements(Hub& hub) {
  std::map<std::string, Known> all;
  for (auto& [fingerprint, line] : hub.ledger.lines()) all[fingerprint].line = line;
  for (auto& [fingerprint, held] : hub.memory.held()) all[fingerprint].held = held;
  if (!hub.learner) return all;
  for (const auto& query : hub.learner->queries()) {
    const bool refused = !query.reason.empty() && query.reason != "none";
    const bool ours = refused && query.kind == "select" && query.reason != cache::to_string(cache::Reason::rule_off);
    if (!ours && !all.contains(query.fingerprint)) continue;
    Known& known = all[query.fingerprint];
    known.query = query.normalized;
    if (refused) known.refused = query.reason;
  }
  return all;
}

}  // namespace

/// What saves most first, then what misses most.
ConsoleResult show_cache_queries(const Request& request) {
  if (!request.arguments.empty()) return usage("SHOW CACHE QUERIES");
  const auto statements = known_statements(request.hub);
  std::vector<std::pair<std::string, Known>> rows(statements.begin(), statements.end());
  std::stable_sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) {
    return std::pair(a.second.line.saved_ms, a.second.line.misses()) > std::pair(b.second.line.saved_ms, b.second.line.misses());
  });
  Table table({{"fingerprint", Type::text}, {"hits", Type::int8}, {"old_hits", Type::int8}, {"misses", Type::int8}, {"hit_ratio", Type::float8},
               {"saved_ms", Type::float8}, {"entries", Type::int8}, {"bytes", Type::int8}, {"waits", Type::int8}, {"stores", Type::int8},
               {"evicted", Type::int8}, {"replaced", Type::int8}, {"missed_because", Type::text}, {"not_kept_because", Type::text},
               {"not_cacheable_because", Type::text}, {"query", Type::text}});
  for (const auto& [fingerprint, known] : rows) {
    const auto& line = known.line;
    const auto asked = line.hits + line.misses();
    table.row(fingerprint.empty() ? "others" : fingerprint, line.hits, line.old_hits, line.misses(),
              asked ? static_cast<double>(line.hits) / static_cast<double>(asked) : 0.0, line.saved_ms, known.held.entries, known.held.bytes, line.waits,
              line.stores, known.held.evicted, known.held.replaced, reasons_of<cache::Miss>(line.missed), reasons_of<cache::Unkept>(line.unkept),
              known.refused, known.query);
  }
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
