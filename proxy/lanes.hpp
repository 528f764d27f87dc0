#pragma once
#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "policies/policy.hpp"
#include "proxy/clock.hpp"
#include "proxy/meters.hpp"

namespace pgsteer::proxy {

/// A statement's place in a lane, given back when it ends. Movable; may be given back from any thread.
class LanePlace {
 public:
  LanePlace() = default;
  LanePlace(LanePlace&& other) noexcept { swap(other); }
  LanePlace& operator=(LanePlace&& other) noexcept {
    LanePlace(std::move(other)).swap(*this);
    return *this;
  }
  ~LanePlace() { give_back(); }
  void give_back() {
    if (lane_) leave();
  }
  explicit operator bool() const { return lane_ != nullptr; }

 private:
  friend class Lanes;
  void leave();
  struct Running {
    Clock::time_point since;
    bool overdue = false;  ///< longer than the lane is for: it no longer takes a place from others
  };
  struct Waiter;
  struct Lane;
  void swap(LanePlace& other) noexcept {
    std::swap(lane_, other.lane_);
    std::swap(at_, other.at_);
  }
  std::shared_ptr<Lane> lane_;
  std::list<Running>::iterator at_;
};

/// Lanes: statements of one lane share a number of places ([lanes.<name>] concurrency), first come, first served. Lanes
/// do not know of each other, so what waits in one never delays another; and a statement that has run for longer than
/// its lane's max_predicted was taken for a short one by mistake: it goes on, but its place is free for the next.
/// Of the process, thread-safe; nothing here waits. The wait itself is the session's (session/admission.cpp).
class Lanes {
 public:
  using Waiter = std::shared_ptr<LanePlace::Waiter>;
  struct Entry {
    std::optional<LanePlace> place;  ///< at once
    Waiter waiter;                   ///< or in its turn: `wake` is then called, from any thread
  };
  /// `may_wait` false: a place is given whatever the number (a transaction that may hold locks must not stand in line).
  Entry enter(const policies::Lane& lane, bool may_wait, std::function<void()> wake);
  /// After `wake`, or whenever: the place, once it is there. Looks for overdue statements too.
  std::optional<LanePlace> take(const Waiter& waiter);
  /// Ends a wait: a place that was given meanwhile goes to the next.
  void leave(const Waiter& waiter, bool timed_out);
  void close();  ///< no more wakes: the loops are ending

  struct State {
    std::string name;
    int running = 0, overdue = 0, waiting = 0;
    std::uint64_t admitted = 0, waited = 0, timed_out = 0, overdue_total = 0;
    double longest_wait_ms = 0;     ///< of those waiting now
    std::uint64_t waited_ns = 0;    ///< of those admitted
  };
  std::vector<State> states() const;
  std::vector<std::pair<std::string, const LatencyMeter*>> waits() const;  ///< live as long as this

 private:
  std::shared_ptr<LanePlace::Lane> find(const policies::Lane& lane);
  mutable std::mutex mutex_;  // guards the map, not the lanes
  std::map<std::string, std::shared_ptr<LanePlace::Lane>> lanes_;
};

/// Rates by key (a user under a rule, a value of a tag), as a generic cell rate: a second's worth may come at once, the
/// rest evenly. Bounded: idle keys are forgotten, which gives them their burst back, as being idle would.
class Rates {
 public:
  static constexpr std::size_t kMaxKeys = 20000;
  /// Books one execution and says how long it has to wait; nullopt when that is longer than `patience`: nothing is booked.
  std::optional<std::chrono::nanoseconds> book(const std::string& key, double per_second, std::chrono::nanoseconds patience,
                                               Clock::time_point now);

 private:
  std::mutex mutex_;
  std::map<std::string, Clock::time_point> due_;  ///< theoretical arrival time of the next execution
};

/// What limits did: counted by policy rule, limit and outcome. Thread-safe.
class LimitCounts {
 public:
  struct Key {
    std::string rule, limit, outcome;  ///< limit: predicted user_rate tag_rate queue; outcome: warned queued refused observed
    auto operator<=>(const Key&) const = default;
  };
  void add(const Key& key) {
    const std::lock_guard lock(mutex_);
    ++counts_[key];
  }
  std::map<Key, std::uint64_t> counts() const {
    const std::lock_guard lock(mutex_);
    return counts_;
  }

 private:
  mutable std::mutex mutex_;
  std::map<Key, std::uint64_t> counts_;  ///< as many as policy rules x limits x outcomes
};

}  // namespace pgsteer::proxy
