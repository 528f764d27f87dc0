#include "proxy/lanes.hpp"

#include <algorithm>

namespace pgsteer::proxy {

struct LanePlace::Waiter {
  std::shared_ptr<Lane> lane;
  Clock::time_point since;
  std::function<void()> wake;
  std::optional<std::list<Running>::iterator> given;  // guarded by lane->mutex, as all of it
};

struct LanePlace::Lane {
  std::mutex mutex;
  std::string name;
  int concurrency = 0;
  std::optional<std::chrono::milliseconds> overdue_after;
  bool closed = false;
  std::list<Running> running;
  int counted = 0;  ///< of running, those that take a place
  std::deque<std::shared_ptr<Waiter>> waiting;
  std::uint64_t admitted = 0, waited = 0, timed_out = 0, overdue_total = 0;
  LatencyMeter waits;

  std::list<Running>::iterator run(Clock::time_point now, Clock::time_point since) {
    ++admitted;
    ++counted;
    const auto waited_ns = static_cast<std::uint64_t>(std::chrono::nanoseconds(now - since).count());
    waits.record(waited_ns);
    return running.insert(running.end(), Running{now, false});
  }
  bool full() const { return concurrency > 0 && counted >= concurrency; }

  void mark_overdue(Clock::time_point now) {
    if (!overdue_after) return;
    for (auto& one : running) {  // in the order they began
      if (now - one.since <= *overdue_after) break;
      if (std::exchange(one.overdue, true)) continue;
      --counted;
      ++overdue_total;
    }
  }

  /// Places for those in front; their wakes are called by the caller, without the lock.
  std::vector<std::function<void()>> give(Clock::time_point now) {
    std::vector<std::function<void()>> wakes;
    if (full() && !waiting.empty()) mark_overdue(now);
    while (!full() && !waiting.empty()) {
      auto next = std::move(waiting.front());
      waiting.pop_front();
      next->given = run(now, next->since);
      if (!closed) wakes.push_back(next->wake);
    }
    return wakes;
  }
};

namespace {
void call(const std::vector<std::function<void()>>& wakes) {
  for (const auto& wake : wakes) wake();
}
}  // namespace

void LanePlace::leave() {
  const auto lane = std::exchange(lane_, nullptr);
  std::vector<std::function<void()>> wakes;
  {
    const std::lock_guard lock(lane->mutex);
    if (!at_->overdue) --lane->counted;
    lane->running.erase(at_);
    wakes = lane->give(Clock::now());
  }
  call(wakes);
}

std::shared_ptr<LanePlace::Lane> Lanes::find(const policies::Lane& wanted) {
  const std::lock_guard lock(mutex_);
  auto& lane = lanes_[wanted.name];
  if (!lane) {
    lane = std::make_shared<LanePlace::Lane>();
    lane->name = wanted.name;
  }
  return lane;
}

Lanes::Entry Lanes::enter(const policies::Lane& wanted, bool may_wait, std::function<void()> wake) {
  const auto lane = find(wanted);
  const auto now = Clock::now();
  Entry entry;
  const std::lock_guard lock(lane->mutex);
  lane->concurrency = wanted.concurrency;  // as the policies in force have it
  lane->overdue_after = wanted.max_predicted;
  if (may_wait && lane->full()) lane->mark_overdue(now);
  if (may_wait && (lane->full() || !lane->waiting.empty())) {
    entry.waiter = std::make_shared<LanePlace::Waiter>();
    entry.waiter->lane = lane;
    entry.waiter->since = now;
    entry.waiter->wake = std::move(wake);
    lane->waiting.push_back(entry.waiter);
    ++lane->waited;
    return entry;
  }
  LanePlace place;
  place.at_ = lane->run(now, now);
  place.lane_ = lane;
  entry.place = std::move(place);
  return entry;
}

std::optional<LanePlace> Lanes::take(const Waiter& waiter) {
  std::vector<std::function<void()>> wakes;
  std::optional<LanePlace> place;
  {
    const std::lock_guard lock(waiter->lane->mutex);
    if (!waiter->given) wakes = waiter->lane->give(Clock::now());
    if (waiter->given) {
      place.emplace();
      place->lane_ = waiter->lane;
      place->at_ = *std::exchange(waiter->given, std::nullopt);
    }
  }
  call(wakes);
  return place;
}

void Lanes::leave(const Waiter& waiter, bool timed_out) {
  if (auto place = take(waiter)) return;  // too late for the wait, and given back here
  const std::lock_guard lock(waiter->lane->mutex);
  std::erase(waiter->lane->waiting, waiter);
  if (timed_out) ++waiter->lane->timed_out;
}

void Lanes::close() {
  const std::lock_guard lock(mutex_);
  for (const auto& [name, lane] : lanes_) {
    const std::lock_guard lane_lock(lane->mutex);
    lane->closed = true;
  }
}

std::vector<Lanes::State> Lanes::states() const {
  const std::lock_guard lock(mutex_);
  const auto now = Clock::now();
  std::vector<State> list;
  for (const auto& [name, lane] : lanes_) {
    const std::lock_guard lane_lock(lane->mutex);
    lane->mark_overdue(now);
    State s;
    s.name = name;
    s.running = static_cast<int>(lane->running.size());
    s.overdue = s.running - lane->counted;
    s.waiting = static_cast<int>(lane->waiting.size());
    s.admitted = lane->admitted;
    s.waited = lane->waited;
    s.timed_out = lane->timed_out;
    s.overdue_total = lane->overdue_total;
    s.waited_ns = lane->waits.sum_ns();
    if (!lane->waiting.empty())
      s.longest_wait_ms = std::chrono::duration<double, std::milli>(now - lane->waiting.front()->since).count();
    list.push_back(std::move(s));
  }
  return list;
}

std::vector<std::pair<std::string, const LatencyMeter*>> Lanes::waits() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::pair<std::string, const LatencyMeter*>> list;
  for (const auto& [name, lane] : lanes_) list.emplace_back(name, &lane->waits);
  return list;
}

std::optional<std::chrono::nanoseconds> Rates::book(const std::string& key, double per_second, std::chrono::nanoseconds patience,
                                                    Clock::time_point now) {
  using std::chrono::nanoseconds;
  const nanoseconds step(static_cast<std::int64_t>(1e9 / per_second));
  const nanoseconds burst = std::max(nanoseconds(0), nanoseconds(std::chrono::seconds(1)) - step);
  const std::lock_guard lock(mutex_);
  if (due_.size() >= kMaxKeys && !due_.contains(key)) {
    std::erase_if(due_, [&](const auto& entry) { return entry.second <= now; });
    if (due_.size() >= kMaxKeys) due_.erase(due_.begin());
  }
  auto& due = due_[key];
  const auto wait = std::max(nanoseconds(0), nanoseconds(std::max(due, now) - burst - now));
  if (wait > patience) return std::nullopt;
  due = std::max(due, now) + step;
  return wait;
}

}  // namespace pgsteer::proxy
