#pragma once
#include <cstdint>
#include <ctime>

namespace pgsteer::predictor {

/// When a statement came, as features say it: in UTC wherever the process runs, so that rows of a fleet and of a restart elsewhere mean the same.
struct TimeOfWeek {
  double hour = 0;  ///< 0 <= hour < 24, by the minute
  int day = 0;      ///< 0 = Sunday
};

inline TimeOfWeek time_of_week(std::int64_t unix_seconds) {
  const std::time_t seconds = unix_seconds;
  std::tm utc{};
  ::gmtime_r(&seconds, &utc);
  return {utc.tm_hour + utc.tm_min / 60.0, utc.tm_wday};
}

}  // namespace pgsteer::predictor
