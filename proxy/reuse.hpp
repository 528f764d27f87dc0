#pragma once
#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "proxy/clock.hpp"
#include "proxy/pool/statements.hpp"

namespace pgsteer::proxy {

/// A running comparison of two samples of positive times, by their logarithms and by their plain means.
class Comparison {
 public:
  void add(bool reused, double microseconds);
  /// Reused is slower than plain by more than chance (2.6 standard errors), by one of the two means.
  bool reused_loses() const;
  bool settled() const { return plain_.count >= 200 && reused_.count >= 200; }
  std::uint64_t plain() const { return plain_.runs; }
  std::uint64_t reused() const { return reused_.runs; }

 private:
  struct Moments {
    double count = 0, mean = 0, squares = 0;
    void add(double value);
    double variance_of_mean() const { return count < 2 ? 0 : squares / (count - 1) / count; }
  };
  struct Sample {
    double count = 0;
    std::uint64_t runs = 0;
    Moments plain, logarithm;
  };
  Sample plain_, reused_;
};

/// One text (with its parameter types, under the settings that its parse depends on) that comes again and again without being prepared.
struct Repeated {
  std::string text;
  std::vector<std::uint32_t> types;
  std::uint64_t scope = 0;
  StatementPtr statement;         ///< what the servers know it as, once it is reused
  Comparison times;
  Clock::time_point refused_until{};  ///< it did not pay
  std::chrono::seconds pause{60};     ///< for so long the next time, doubled each time
  bool noisy = false;             ///< parsing it says something to the client: every execution must
  std::uint64_t turns = 0;

  /// Whether this execution is to be run by the prepared statement; the others keep the comparison alive. `share`: of those that may.
  bool take_turn(Clock::time_point now, double share, std::uint64_t random);
  void note(bool reused, double microseconds, Clock::time_point now);
};

/// What repeats on one thread. Bounded; a text is remembered from its second sight on.
class ReuseBook {
 public:
  /// A number for the settings of a session, by their whole text: `material` as the cache's key has it.
  std::uint64_t scope(const std::string& material);
  /// Counts a sight; null for a text that has hardly been seen.
  std::shared_ptr<Repeated> see(std::string_view text, std::span<const std::uint32_t> types, std::uint64_t scope);
  std::size_t size() const { return entries_.size(); }

 private:
  static constexpr std::size_t kMostEntries = 5000, kDoors = 4096, kMostScopes = 1000;
  std::unordered_map<std::uint64_t, std::shared_ptr<Repeated>> entries_;  ///< by hash; on a collision the later one is never reused
  std::vector<std::uint64_t> seen_once_ = std::vector<std::uint64_t>(kDoors);
  std::unordered_map<std::string, std::uint64_t> scopes_;
  std::uint64_t next_scope_ = 0;
};

}  // namespace pgsteer::proxy
