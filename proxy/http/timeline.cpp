#include "proxy/http/timeline.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace pgsteer::proxy::http {
namespace {

template <class Counts>
Counts latency_counts(const Hub& hub) {
  Counts counts{};
  for (const Meters* meters : hub.meters())
    for (std::size_t i = 0; i < counts.size(); ++i) counts[i] += meters->from_server.count(i) + meters->from_cache.count(i);
  return counts;
}

/// The upper bound of the bucket that holds the q-quantile, milliseconds.
template <class Counts>
float quantile_ms(const Counts& now, const Counts& before, double q) {
  std::uint64_t total = 0, seen = 0;
  for (std::size_t i = 0; i < now.size(); ++i) total += now[i] - before[i];
  if (total == 0) return 0;
  const auto rank = static_cast<std::uint64_t>(q * static_cast<double>(total - 1)) + 1;
  for (std::size_t i = 0; i < now.size(); ++i)
    if ((seen += now[i] - before[i]) >= rank) return static_cast<float>(static_cast<double>(LatencyMeter::upper_ns(i)) / 1e6);
  return 0;
}

double rounded(double value) { return static_cast<double>(static_cast<std::int64_t>(value * 1000 + 0.5)) / 1000; }

}  // namespace

void Timeline::sample(std::int64_t unix_ms) {
  const Totals now = hub_.totals();
  const auto counts = latency_counts<Counts>(hub_);
  const double seconds = static_cast<double>(unix_ms - last_ms_) / 1000;
  if (last_ms_ != 0 && seconds > 0) {
    Point point;
    point.unix_ms = unix_ms;
    const auto rate = [&](std::uint64_t after, std::uint64_t before) { return static_cast<double>(after - std::min(before, after)) / seconds; };
    point.queries = rate(now.queries, last_.queries);
    point.errors = rate(now.errors, last_.errors);
    point.cache_hits = rate(now.cache_hits, last_.cache_hits);
    point.changed = rate(now.rewritten + now.steered, last_.rewritten + last_.steered);
    point.p50_ms = quantile_ms(counts, last_counts_, 0.50);
    point.p95_ms = quantile_ms(counts, last_counts_, 0.95);
    point.p99_ms = quantile_ms(counts, last_counts_, 0.99);
    if (now.queries > last_.queries)
      point.overhead_us = static_cast<float>(static_cast<double>(now.proxy_ns - last_.proxy_ns) / 1000 / static_cast<double>(now.queries - last_.queries));
    point.clients = hub_.clients().size();
    points_.push_back(point);
    if (points_.size() > kSeconds) points_.pop_front();
  }
  last_ = now;
  last_counts_ = counts;
  last_ms_ = unix_ms;
}

std::string Timeline::json(std::int64_t since_ms) const {
  nlohmann::ordered_json document;
  for (const char* name : {"time_ms", "queries", "errors", "cache_hits", "changed", "p50_ms", "p95_ms", "p99_ms", "overhead_us", "clients"})
    document[name] = nlohmann::ordered_json::array();
  for (const auto& point : points_) {
    if (point.unix_ms <= since_ms) continue;
    document["time_ms"].push_back(point.unix_ms);
    document["queries"].push_back(rounded(point.queries));
    document["errors"].push_back(rounded(point.errors));
    document["cache_hits"].push_back(rounded(point.cache_hits));
    document["changed"].push_back(rounded(point.changed));
    document["p50_ms"].push_back(rounded(static_cast<double>(point.p50_ms)));
    document["p95_ms"].push_back(rounded(static_cast<double>(point.p95_ms)));
    document["p99_ms"].push_back(rounded(static_cast<double>(point.p99_ms)));
    document["overhead_us"].push_back(rounded(static_cast<double>(point.overhead_us)));
    document["clients"].push_back(point.clients);
  }
  return document.dump() + "\n";
}

}  // namespace pgsteer::proxy::http
