#include "proxy/http/trend.hpp"

#include <algorithm>

#include "proxy/learner/learner.hpp"

namespace pgsteer::proxy::http {

void Span::add(const Span& later) {
  unix_us = later.unix_us;
  seconds += later.seconds;
  queries += later.queries;
  transactions += later.transactions;
  errors += later.errors;
  cache_hits += later.cache_hits;
  cache_misses += later.cache_misses;
  rewritten += later.rewritten;
  steered += later.steered;
  bytes_in += later.bytes_in;
  bytes_out += later.bytes_out;
  saved_ms += later.saved_ms;
  proxy_us += later.proxy_us;
  clients = later.clients;
  active = later.active;
  waiting = later.waiting;
  for (std::size_t i = 0; i < latency.size(); ++i) latency[i] += later.latency[i];
}

double Span::quantile_ms(double q) const {
  std::uint64_t total = 0, seen = 0;
  for (const auto count : latency) total += count;
  if (total == 0) return 0;
  const double rank = q * static_cast<double>(total);
  for (std::size_t i = 0; i < latency.size(); ++i) {
    if (latency[i] == 0 || static_cast<double>(seen + latency[i]) < rank) {
      seen += latency[i];
      continue;
    }
    const double low = i == 0 ? 0 : static_cast<double>(LatencyMeter::upper_ns(i - 1));
    const double high = i + 1 < latency.size() ? static_cast<double>(LatencyMeter::upper_ns(i)) : low;
    return (low + (high - low) * (rank - static_cast<double>(seen)) / static_cast<double>(latency[i])) / 1e6;
  }
  return static_cast<double>(LatencyMeter::upper_ns(latency.size() - 2)) / 1e6;
}

void Trend::sample(Hub& hub, std::int64_t now_unix_us) {
  Counts now;
  now.unix_us = now_unix_us;
  now.totals = hub.totals();
  if (hub.learner) now.saved_ms = hub.learner->saved_ms();
  for (const auto* meters : hub.meters())
    for (std::size_t i = 0; i < now.latency.size(); ++i) now.latency[i] += meters->from_server.count(i) + meters->from_cache.count(i);
  if (before_.unix_us != 0) {
    Span s;
    const Totals &a = before_.totals, &b = now.totals;
    s.unix_us = now.unix_us;
    s.seconds = static_cast<double>(now.unix_us - before_.unix_us) / 1e6;
    s.queries = b.queries - a.queries;
    s.transactions = b.transactions - a.transactions;
    s.errors = b.errors - a.errors;
    s.cache_hits = b.cache_hits - a.cache_hits;
    s.cache_misses = b.cache_misses - a.cache_misses;
    s.rewritten = b.rewritten - a.rewritten;
    s.steered = b.steered - a.steered;
    s.bytes_in = b.bytes_in - a.bytes_in;
    s.bytes_out = b.bytes_out - a.bytes_out;
    s.saved_ms = now.saved_ms - before_.saved_ms;
    s.proxy_us = static_cast<double>(b.proxy_ns - a.proxy_ns) / 1e3;
    for (std::size_t i = 0; i < s.latency.size(); ++i) s.latency[i] = static_cast<std::uint32_t>(now.latency[i] - before_.latency[i]);
    for (const auto& client : hub.clients()) {
      if (client.is_console) continue;
      ++s.clients;
      s.active += client.state == "active";
      s.waiting += client.state == "waiting";
    }
    seconds_.push_back(std::move(s));
    if (seconds_.size() > kSeconds) seconds_.pop_front();
  }
  before_ = std::move(now);
}

std::vector<Span> Trend::spans(std::size_t seconds, std::size_t step) const {
  std::vector<Span> list;
  step = std::max<std::size_t>(1, step);
  std::size_t at = seconds_.size() - std::min(seconds, seconds_.size());
  at += (seconds_.size() - at) % step;  // whole steps: the last one ends now
  for (; at < seconds_.size(); at += step) {
    Span span;
    for (std::size_t i = at; i < std::min(at + step, seconds_.size()); ++i) span.add(seconds_[i]);
    list.push_back(std::move(span));
  }
  return list;
}

Span Trend::last(std::size_t seconds) const {
  Span all;
  for (std::size_t i = seconds_.size() - std::min(seconds, seconds_.size()); i < seconds_.size(); ++i) all.add(seconds_[i]);
  return all;
}

}  // namespace pgsteer::proxy::http
