#pragma once
#include <chrono>
#include <cstdint>

namespace pgsteer::proxy {

using Clock = std::chrono::steady_clock;

/// Microseconds since 1970 by the system's clock, which may be set back.
inline std::int64_t unix_us() {
  using namespace std::chrono;
  return duration_cast<microseconds>(system_clock::now().time_since_epoch()).count();
}

/// The same, moving with the steady clock from where the system's stood at the start: setting that back must not make answers live longer.
inline std::int64_t steady_unix_us() {
  using namespace std::chrono;
  const auto steady = [] { return duration_cast<microseconds>(Clock::now().time_since_epoch()).count(); };
  static const std::int64_t offset = unix_us() - steady();
  return offset + steady();
}

}  // namespace pgsteer::proxy
