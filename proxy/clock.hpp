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

}  // namespace pgsteer::proxy
