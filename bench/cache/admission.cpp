// The share of database time that a cache saves, net of its own cost: our MemoryStore, filled as the proxy fills it,
// against LRU of the same bytes. Recurring queries, Zipf 0.9, lognormal cost and size, one-hit traffic, invalidations.
#include <fmt/core.h>

#include <cmath>
#include <list>
#include <random>
#include <unordered_map>

#include "bench/cache/bench.hpp"
#include "cache/cache.hpp"

namespace pgsteer::bench {
namespace {

using namespace pgsteer::cache;

constexpr std::size_t queries = 40'000, requests = 400'000, tables = 200;
constexpr double hit_ms = 0.0005, miss_ms = 0.0005, fill_ms = 0.030, fill_ms_per_byte = 1e-6;

struct QueryKind {
  double cost_ms;
  std::size_t bytes, table;
};
struct Request {
  std::size_t query;
  QueryKind kind;
};
struct Load {
  std::vector<Request> requests;
  std::vector<std::vector<std::size_t>> bumped;  ///< tables written before each request
  std::size_t footprint = 0;
  double total_ms = 0;
};

Load make_load(unsigned seed) {
  std::mt19937_64 random(seed);
  std::lognormal_distribution<double> cost(std::log(0.4), 1.9), size(std::log(1500.0), 1.7);
  std::vector<QueryKind> kinds(queries);
  std::vector<double> weight(queries);
  Load load;
  const auto make_kind = [&] {
    return QueryKind{std::min(cost(random), 60'000.0), static_cast<std::size_t>(std::clamp(size(random), 40.0, 1e6)),
                     random() % tables};
  };
  for (std::size_t i = 0; i < queries; ++i) {
    kinds[i] = make_kind();
    weight[i] = 1 / std::pow(static_cast<double>(i + 1), 0.9);
    load.footprint += kinds[i].bytes;
  }
  std::discrete_distribution<std::size_t> zipf(weight.begin(), weight.end());
  std::size_t once = queries;
  load.bumped.resize(requests);
  for (std::size_t i = 0; i < requests; ++i) {
    const bool one_hit = random() % 4 == 0;
    const std::size_t query = one_hit ? once++ : zipf(random);
    load.requests.push_back({query, one_hit ? make_kind() : kinds[query]});
    load.total_ms += load.requests.back().kind.cost_ms;
    if (random() % 1000 < 44) load.bumped[i].push_back(random() % (random() % tables + 1));  // some tables far more often
  }
  return load;
}

struct Outcome {
  double saved_ms = 0;
  std::size_t hits = 0, fills = 0;
  void hit(const QueryKind& kind) {
    ++hits;
    saved_ms += kind.cost_ms - hit_ms;
  }
  void miss() { saved_ms -= miss_ms; }
  void fill(const QueryKind& kind) {
    ++fills;
    saved_ms -= fill_ms + fill_ms_per_byte * static_cast<double>(kind.bytes);
  }
};

/// `sights`: fill from that sight on (1 = always).
Outcome run_ours(const Load& load, std::size_t max_bytes, unsigned sights) {
  MemoryStore store(max_bytes);
  Words words;
  Outcome outcome;
  for (std::size_t i = 0; i < load.requests.size(); ++i) {
    for (const std::size_t table : load.bumped[i]) words.bump("db", std::vector<sql::Oid>{static_cast<sql::Oid>(table + 1)});
    const auto& [query, kind] = load.requests[i];
    const std::string text = std::to_string(query);
    KeyInput input;
    input.text = text;
    const Key key = make_key(input);
    const unsigned seen = store.sight(key);
    const auto found = store.find(key);
    if (found && words.unchanged("db", found->tag)) {
      outcome.hit(kind);
      continue;
    }
    outcome.miss();
    if (seen < sights && kind.cost_ms < 50) continue;
    auto entry = std::make_shared<Entry>();
    entry->key_material = key.material;
    entry->tag = words.read("db", std::vector<sql::Oid>{static_cast<sql::Oid>(kind.table + 1)}).value();
    entry->rows.resize(kind.bytes);
    entry->cost_ms = kind.cost_ms;
    if (store.put(key, entry)) outcome.fill(kind);
  }
  return outcome;
}

Outcome run_lru(const Load& load, std::size_t max_bytes) {
  struct Held {
    std::size_t query, bytes;
    std::uint64_t epoch;
  };
  std::list<Held> order;
  std::unordered_map<std::size_t, std::list<Held>::iterator> index;
  std::vector<std::uint64_t> epochs(tables);
  std::size_t bytes = 0;
  Outcome outcome;
  for (std::size_t i = 0; i < load.requests.size(); ++i) {
    for (const std::size_t table : load.bumped[i]) ++epochs[table];
    const auto& [query, kind] = load.requests[i];
    if (const auto found = index.find(query); found != index.end()) {
      if (found->second->epoch == epochs[kind.table]) {
        order.splice(order.begin(), order, found->second);
        outcome.hit(kind);
        continue;
      }
      bytes -= found->second->bytes;
      order.erase(found->second);
      index.erase(found);
    }
    outcome.miss();
    const std::size_t size = kind.bytes + 512;  // what an entry costs us besides its rows
    if (size > max_bytes) continue;
    while (bytes + size > max_bytes) {
      bytes -= order.back().bytes;
      index.erase(order.back().query);
      order.pop_back();
    }
    order.push_front({query, size, epochs[kind.table]});
    index[query] = order.begin();
    bytes += size;
    outcome.fill(kind);
  }
  return outcome;
}

void print(const char* name, const Outcome& outcome, const Load& load) {
  fmt::print("  {:<28} saved {:5.1f} %   hits {:5.1f} %   fills {:6}\n", name, 100 * outcome.saved_ms / load.total_ms,
             100.0 * static_cast<double>(outcome.hits) / static_cast<double>(requests), outcome.fills);
}

}  // namespace

void simulate_admission(unsigned seed) {
  const Load load = make_load(seed);
  for (const double share : {0.01, 0.05, 0.20}) {
    const auto max_bytes = static_cast<std::size_t>(static_cast<double>(load.footprint) * share);
    fmt::print("-- admission, seed {}, {:.0f} % of a footprint of {} MB\n", seed, share * 100, load.footprint >> 20);
    print("LRU", run_lru(load, max_bytes), load);
    print("ours, every sight", run_ours(load, max_bytes, 1), load);
    print("ours, from the second sight", run_ours(load, max_bytes, 2), load);
  }
}

}  // namespace pgsteer::bench
