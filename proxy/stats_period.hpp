#pragma once
#include <cstdint>
#include <map>
#include <mutex>
#include <string>

#include "proxy/hub.hpp"

namespace pgsteer::proxy {

/// What was counted in the last whole period, by database: the averages of SHOW STATS are over it, as pgbouncer's are over its
/// stats_period. Until the first period has passed, it is what was counted since the start. Thread-safe.
class StatsPeriod {
 public:
  static constexpr std::int64_t kPeriodUs = 60'000'000;
  using ByDatabase = std::map<std::string, Totals>;

  explicit StatsPeriod(std::int64_t start_unix_us) : begin_us_(start_unix_us) {}
  /// Called now and then (every second will do); `counted` is asked when a period has passed.
  template <class Counted>
  void tick(std::int64_t now_us, Counted counted) {
    const std::lock_guard lock(mutex_);
    if (now_us - (whole_ ? end_us_ : begin_us_) < kPeriodUs) return;
    if (whole_) {
      begin_us_ = end_us_;
      begin_ = std::move(end_);
    }
    end_ = counted();
    end_us_ = now_us;
    whole_ = true;
  }
  struct Span {
    Totals totals;
    double seconds = 0;
  };
  /// Of one database; `now` is what is counted of it now.
  Span last(const std::string& database, const Totals& now, std::int64_t now_us) const;

 private:
  mutable std::mutex mutex_;
  bool whole_ = false;
  std::int64_t begin_us_, end_us_ = 0;
  ByDatabase begin_, end_;
};

}  // namespace pgsteer::proxy
