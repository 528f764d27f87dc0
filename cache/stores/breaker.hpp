#pragma once
#include <chrono>
#include <cstdint>

#include "cache/stores/redis.hpp"

namespace pgsteer::cache {

/// Circuit breaker. closed: all pass; after `failures` in a row open: none pass; after `pause` half open: exactly one
/// passes, and its outcome closes or opens again. Time is passed in; not synchronised.
class Breaker {
 public:
  using Time = std::chrono::steady_clock::time_point;
  Breaker(int failures, std::chrono::milliseconds pause) : limit_(failures < 1 ? 1 : failures), pause_(pause) {}

  enum class Pass : unsigned char { no, yes, probe };
  Pass ask(Time now) {
    if (state_ == BreakerState::closed) return Pass::yes;
    if (state_ == BreakerState::half_open || now - opened_ < pause_) return Pass::no;
    state_ = BreakerState::half_open;
    return Pass::probe;
  }
  /// Outcome of something that was let through. In the other states only the probe's outcome counts: an answer that
  /// was asked for before the breaker opened says nothing about now.
  void success(Pass pass) {
    if (pass == Pass::probe || state_ == BreakerState::closed) {
      state_ = BreakerState::closed;
      failed_ = 0;
    }
  }
  void failure(Pass pass, Time now) {
    if (pass != Pass::probe && (state_ != BreakerState::closed || ++failed_ < limit_)) return;
    state_ = BreakerState::open;
    opened_ = now;
    failed_ = 0;
    ++times_opened_;
  }
  BreakerState state() const { return state_; }
  std::uint64_t times_opened() const { return times_opened_; }

 private:
  const int limit_;
  const std::chrono::milliseconds pause_;
  BreakerState state_ = BreakerState::closed;
  int failed_ = 0;
  Time opened_{};
  std::uint64_t times_opened_ = 0;
};

}  // namespace pgsteer::cache
