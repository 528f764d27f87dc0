#include "cache/ledger.hpp"

#include <functional>
#include <mutex>
#include <numeric>
#include <unordered_map>

namespace pgsteer::cache {

std::string_view to_string(Miss miss) {
  switch (miss) {
    case Miss::absent: return "absent";
    case Miss::expired: return "expired";
    case Miss::written: return "written";
    case Miss::being_written: return "being_written";
    case Miss::refreshing: return "refreshing";
    case Miss::catalog: return "catalog";
    case Miss::feed: return "feed";
    case Miss::redis: return "redis";
    case Miss::count: break;
  }
  return "?";
}

std::string_view to_string(Unkept why) {
  switch (why) {
    case Unkept::first_sight: return "first_sight";
    case Unkept::too_large: return "too_large";
    case Unkept::failed: return "failed";
    case Unkept::overtaken: return "overtaken";
    case Unkept::no_room: return "no_room";
    case Unkept::count: break;
  }
  return "?";
}

Ledger::Line& Ledger::Line::operator+=(const Line& other) {
  hits += other.hits;
  old_hits += other.old_hits;
  waits += other.waits;
  stores += other.stores;
  saved_ms += other.saved_ms;
  for (std::size_t i = 0; i < missed.size(); ++i) missed[i] += other.missed[i];
  for (std::size_t i = 0; i < unkept.size(); ++i) unkept[i] += other.unkept[i];
  return *this;
}

std::uint64_t Ledger::Line::misses() const { return std::accumulate(missed.begin(), missed.end(), std::uint64_t{0}); }

struct Ledger::Impl {
  static constexpr std::size_t shards_count = 16, max_lines = 1000;  ///< of each
  struct Shard {
    std::mutex mutex;
    std::unordered_map<std::string, Line> lines;
  };
  std::array<Shard, shards_count> shards;

  template <class Change>
  void at(const std::string& fingerprint, Change change) {
    Shard& shard = shards[std::hash<std::string>{}(fingerprint) % shards_count];
    const std::lock_guard lock(shard.mutex);
    const auto found = shard.lines.find(fingerprint);
    if (found != shard.lines.end()) return change(found->second);
    change(shard.lines[shard.lines.size() < max_lines ? fingerprint : std::string()]);
  }
};

Ledger::Ledger() : impl_(std::make_unique<Impl>()) {}
Ledger::~Ledger() = default;

void Ledger::hit(const std::string& fingerprint, double saved_ms, bool old) {
  impl_->at(fingerprint, [&](Line& line) {
    ++line.hits;
    line.old_hits += old ? 1 : 0;
    line.saved_ms += saved_ms;
  });
}
void Ledger::missed(const std::string& fingerprint, Miss why, bool first_sight) {
  impl_->at(fingerprint, [&](Line& line) {
    ++line.missed[static_cast<std::size_t>(why)];
    line.unkept[static_cast<std::size_t>(Unkept::first_sight)] += first_sight ? 1 : 0;
  });
}
void Ledger::waited(const std::string& fingerprint) {
  impl_->at(fingerprint, [](Line& line) { ++line.waits; });
}
void Ledger::stored(const std::string& fingerprint) {
  impl_->at(fingerprint, [](Line& line) { ++line.stores; });
}
void Ledger::not_kept(const std::string& fingerprint, Unkept why) {
  impl_->at(fingerprint, [&](Line& line) { ++line.unkept[static_cast<std::size_t>(why)]; });
}

std::map<std::string, Ledger::Line> Ledger::lines() const {
  std::map<std::string, Line> all;
  for (auto& shard : impl_->shards) {
    const std::lock_guard lock(shard.mutex);
    for (const auto& [fingerprint, line] : shard.lines) {
      all[fingerprint] += line;  // "" is in several shards
    }
  }
  return all;
}

Ledger::Line Ledger::total() const {
  Line sum;
  for (const auto& [fingerprint, line] : lines()) sum += line;
  return sum;
}

}  // namespace pgsteer::cache
