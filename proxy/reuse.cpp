#include "proxy/reuse.hpp"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <cmath>

namespace pgsteer::proxy {
namespace {

constexpr double kWindow = 2000;  // then the past counts half

}  // namespace

void Comparison::Moments::add(double value) {
  if (count >= kWindow) {
    count /= 2;
    squares /= 2;
  }
  ++count;
  const double step = value - mean;
  mean += step / count;
  squares += step * (value - mean);
}

void Comparison::add(bool reused, double microseconds) {
  Sample& sample = reused ? reused_ : plain_;
  ++sample.runs;
  sample.plain.add(microseconds);
  sample.logarithm.add(std::log(std::max(microseconds, 1.0)));
  sample.count = sample.plain.count;
}

bool Comparison::reused_loses() const {
  if (plain_.count < 10 || reused_.count < 20) return false;
  const auto worse = [](const Moments& plain, const Moments& reused, double margin) {
    return reused.mean - plain.mean > margin + 2.6 * std::sqrt(plain.variance_of_mean() + reused.variance_of_mean());
  };
  return worse(plain_.logarithm, reused_.logarithm, 0.02) || worse(plain_.plain, reused_.plain, plain_.plain.mean * 0.02);
}

bool Repeated::take_turn(Clock::time_point now, double share, std::uint64_t random) {
  if (noisy || now < refused_until) return false;
  ++turns;
  const double control = times.settled() ? 1.0 / 64 : 1.0 / 8;
  return static_cast<double>(random >> 11) * 0x1.0p-53 < std::min(share, 1 - control);
}

void Repeated::note(bool reused, double microseconds, Clock::time_point now) {
  times.add(reused, microseconds);
  if (!reused || (times.reused() & 15) != 0 || !times.reused_loses()) return;
  refused_until = now + pause;
  pause = std::min<std::chrono::seconds>(pause * 2, std::chrono::hours(24));
  times = {};
}

std::uint64_t ReuseBook::scope(const std::string& material) {
  if (const auto found = scopes_.find(material); found != scopes_.end()) return found->second;
  if (scopes_.size() >= kMostScopes) scopes_.clear();  // numbers are not used again
  return scopes_[material] = ++next_scope_;
}

std::shared_ptr<Repeated> ReuseBook::see(std::string_view text, std::span<const std::uint32_t> types, std::uint64_t scope) {
  std::uint64_t hash = XXH3_64bits_withSeed(text.data(), text.size(), scope);
  if (!types.empty()) hash = XXH3_64bits_withSeed(types.data(), types.size_bytes(), hash);
  if (const auto found = entries_.find(hash); found != entries_.end()) {
    const Repeated& r = *found->second;
    const bool same = r.text == text && r.scope == scope && std::ranges::equal(r.types, types);
    return same ? found->second : nullptr;
  }
  std::uint64_t& door = seen_once_[hash % kDoors];
  if (door != hash) {
    door = hash;
    return nullptr;
  }
  if (entries_.size() >= kMostEntries) entries_.clear();
  auto made = std::make_shared<Repeated>();
  made->text = text;
  made->types.assign(types.begin(), types.end());
  made->scope = scope;
  return entries_[hash] = std::move(made);
}

}  // namespace pgsteer::proxy
