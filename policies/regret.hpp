#pragma once
#include <algorithm>

namespace pgsteer::policies {

/// Time that changed executions lost: what they took beyond what the original takes. Gains pay for losses but are not saved up, and one budget
/// drains away in an hour. Times are seconds of any steady clock.
class Regret {
 public:
  void add(double lost_ms, double budget_ms, double seconds) {
    level_ms_ = std::max(0.0, lost_ms_at(budget_ms, seconds) + lost_ms);
    seconds_ = seconds;
  }
  double lost_ms_at(double budget_ms, double seconds) const { return std::max(0.0, level_ms_ - budget_ms * std::max(0.0, seconds - seconds_) / 3600); }

 private:
  double level_ms_ = 0, seconds_ = 0;
};

}  // namespace pgsteer::policies
