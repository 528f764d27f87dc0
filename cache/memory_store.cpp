// First tier. Every shard is a hash table plus an order of eviction:
//
//   priority = base + frequency * benefit / bytes        (GreedyDual-Size-Frequency: L + f * c / s)
//
// `base` is the shard's clock L when the entry was last used. The clock moves to the priority of what is evicted, and a
// little at every refusal, so that what nobody asks for loses to what is asked for now, however dear it was. A hit
// changes only the node; its place in the order is corrected when it comes up for eviction (priorities only grow on
// hits), which keeps a hit at one lock, one look-up and one comparison of the key material.
#include <algorithm>
#include <cmath>
#include <map>
#include <mutex>
#include <unordered_map>

#include "cache/cache.hpp"
#include "cache/sketch.hpp"

namespace pgsteer::cache {
namespace {

using Hash = std::array<std::uint64_t, 2>;
struct HashOfHash {
  std::size_t operator()(const Hash& hash) const { return hash[0]; }
};

constexpr std::size_t node_overhead = 256;  // map nodes, order, control block
constexpr double hit_cost_ms = 0.0005;
constexpr std::size_t max_held = 2000;  ///< statements of a shard whose evictions are remembered when nothing of them is left

struct Node {
  std::shared_ptr<const Entry> entry;
  Held* held = nullptr;  ///< of its statement
  std::size_t bytes = 0;
  double benefit = 0;  ///< milliseconds saved by a hit, per byte
  double base = 0;
  unsigned frequency = 1;
  std::uint32_t era = 0;  ///< of the sketch when `frequency` was last halved
  std::multimap<double, Hash>::iterator place;
};

double benefit_of(const Entry& entry, std::size_t bytes) {
  const double cost = std::isfinite(entry.cost_ms) ? entry.cost_ms : 0;
  return std::max(cost - hit_cost_ms, 1e-6) / static_cast<double>(bytes);
}

class Shard {
 public:
  Shard(std::size_t max_bytes, std::size_t counters) : max_bytes_(max_bytes), sketch_(counters) {}

  std::shared_ptr<const Entry> find(const Key& key) {
    const std::lock_guard lock(mutex_);
    const auto found = nodes_.find(key.hash);
    if (found == nodes_.end() || found->second.entry->key_material != key.material) {
      ++statistics_.misses;
      return nullptr;
    }
    Node& node = found->second;
    fade(node);
    ++node.frequency;
    node.base = clock_;
    ++statistics_.hits;
    return node.entry;
  }

  unsigned sight(const Key& key) {
    const std::lock_guard lock(mutex_);
    return sketch_.add(key.hash);
  }

  unsigned sights(const Key& key) const {
    const std::lock_guard lock(mutex_);
    return sketch_.estimate(key.hash);
  }

  bool put(const Key& key, std::shared_ptr<const Entry> entry) {
    const std::lock_guard lock(mutex_);
    Node fresh;
    fresh.bytes = entry->bytes() + node_overhead;
    fresh.benefit = benefit_of(*entry, fresh.bytes);
    fresh.frequency = std::max(1u, sketch_.estimate(key.hash));
    fresh.era = sketch_.era();
    fresh.base = clock_;
    if (const auto old = nodes_.find(key.hash); old != nodes_.end()) {
      fade(old->second);
      fresh.frequency = std::max(fresh.frequency, old->second.frequency);
      ++old->second.held->replaced;
      remove(old);  // outdated, whatever becomes of the new one
    }
    if (fresh.bytes > max_bytes_ || !make_room(fresh)) {
      ++statistics_.rejected;
      return false;
    }
    fresh.entry = std::move(entry);
    fresh.held = &held_of(fresh.entry->fingerprint);
    ++fresh.held->entries;
    fresh.held->bytes += fresh.bytes;
    bytes_ += fresh.bytes;
    fresh.place = order_.emplace(priority(fresh), key.hash);
    nodes_.emplace(key.hash, std::move(fresh));
    ++statistics_.stores;
    sketch_.set_sample(10 * std::max<std::size_t>(nodes_.size(), 128));
    return true;
  }

  void erase(const Key& key) {
    const std::lock_guard lock(mutex_);
    const auto found = nodes_.find(key.hash);
    if (found != nodes_.end() && found->second.entry->key_material == key.material) remove(found);
  }

  void clear() {
    const std::lock_guard lock(mutex_);
    nodes_.clear();
    order_.clear();
    bytes_ = 0;
    for (auto& [fingerprint, held] : held_) held.entries = held.bytes = 0;
  }

  void add_to(std::map<std::string, Held>& total) const {
    const std::lock_guard lock(mutex_);
    for (const auto& [fingerprint, held] : held_) {
      Held& sum = total[fingerprint];
      sum.entries += held.entries;
      sum.bytes += held.bytes;
      sum.evicted += held.evicted;
      sum.replaced += held.replaced;
    }
  }

  void add_to(Statistics& total) const {
    const std::lock_guard lock(mutex_);
    total.hits += statistics_.hits;
    total.misses += statistics_.misses;
    total.stores += statistics_.stores;
    total.evictions += statistics_.evictions;
    total.rejected += statistics_.rejected;
    total.entries += nodes_.size();
    total.bytes += bytes_;
  }

 private:
  using Nodes = std::unordered_map<Hash, Node, HashOfHash>;

  static double priority(const Node& node) { return node.base + node.frequency * node.benefit; }

  void fade(Node& node) const {
    const std::uint32_t halvings = std::min<std::uint32_t>(sketch_.era() - node.era, 31);
    node.frequency = std::max(1u, node.frequency >> halvings);
    node.era = sketch_.era();
  }

  Held& held_of(const std::string& fingerprint) {
    if (held_.size() >= max_held && !held_.contains(fingerprint)) std::erase_if(held_, [](const auto& one) { return one.second.entries == 0; });
    return held_[fingerprint];
  }

  void remove(Nodes::iterator at) {
    bytes_ -= at->second.bytes;
    --at->second.held->entries;
    at->second.held->bytes -= at->second.bytes;
    order_.erase(at->second.place);
    nodes_.erase(at);
  }

  /// Evicts only if the newcomer beats every victim; looks first and takes after, so that a refusal costs nobody.
  bool make_room(const Node& fresh) {
    const double bid = priority(fresh);
    std::vector<Nodes::iterator> victims;
    std::size_t room = max_bytes_ - bytes_;
    for (auto cheapest = order_.begin(); room < fresh.bytes;) {
      if (cheapest == order_.end()) return false;
      const auto at = nodes_.find(cheapest->second);
      Node& node = at->second;
      fade(node);
      if (const double now = priority(node); now > cheapest->first) {  // used since: to its true place
        const auto next = std::next(cheapest);
        order_.erase(cheapest);
        node.place = order_.emplace(now, at->first);
        cheapest = next == order_.end() || now < next->first ? node.place : next;
        continue;
      }
      if (cheapest->first >= bid) {
        // A whole shard of such refusals moves the clock by one average newcomer.
        clock_ += fresh.frequency * fresh.benefit * static_cast<double>(fresh.bytes) / static_cast<double>(max_bytes_);
        return false;
      }
      room += node.bytes;
      victims.push_back(at);
      ++cheapest;
    }
    for (const auto at : victims) {
      clock_ = std::max(clock_, at->second.place->first);
      ++statistics_.evictions;
      ++at->second.held->evicted;
      remove(at);
    }
    return true;
  }

  mutable std::mutex mutex_;
  const std::size_t max_bytes_;
  std::size_t bytes_ = 0;
  double clock_ = 0;
  Nodes nodes_;
  std::unordered_map<std::string, Held> held_;  ///< by fingerprint; a node stays where it is
  std::multimap<double, Hash> order_;
  Sketch sketch_;
  Statistics statistics_;
};

}  // namespace

struct MemoryStore::Impl {
  explicit Impl(std::size_t limit) : max_bytes(limit) {
    // Few large shards rather than many small ones: an entry must fit into one.
    std::size_t count = 1;
    while (count < 16 && max_bytes / (count * 2) >= (8u << 20)) count *= 2;
    const std::size_t share = max_bytes / count;
    for (std::size_t i = 0; i < count; ++i) shards.push_back(std::make_unique<Shard>(share, share / 1024));
  }
  Shard& shard(const Key& key) { return *shards[(key.hash[1] >> 48) % shards.size()]; }

  std::size_t max_bytes;
  std::vector<std::unique_ptr<Shard>> shards;
};

MemoryStore::MemoryStore(std::size_t max_bytes) : impl_(std::make_unique<Impl>(max_bytes)) {}
MemoryStore::~MemoryStore() = default;

std::shared_ptr<const Entry> MemoryStore::find(const Key& key) { return impl_->shard(key).find(key); }
unsigned MemoryStore::sight(const Key& key) { return impl_->shard(key).sight(key); }
unsigned MemoryStore::sights(const Key& key) const { return impl_->shard(key).sights(key); }
bool MemoryStore::put(const Key& key, std::shared_ptr<const Entry> entry) {
  // What is found by this key must be of this key: a foreign entry would be compared with itself for ever.
  if (entry == nullptr || entry->key_material != key.material) return false;
  return impl_->shard(key).put(key, std::move(entry));
}
void MemoryStore::erase(const Key& key) { impl_->shard(key).erase(key); }
void MemoryStore::clear() {
  for (auto& shard : impl_->shards) shard->clear();
}
std::map<std::string, Held> MemoryStore::held() const {
  std::map<std::string, Held> total;
  for (const auto& shard : impl_->shards) shard->add_to(total);
  return total;
}
Statistics MemoryStore::statistics() const {
  Statistics total;
  for (const auto& shard : impl_->shards) shard->add_to(total);
  total.max_bytes = impl_->max_bytes;
  return total;
}

}  // namespace pgsteer::cache
