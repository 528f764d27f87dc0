// LatencyMeter: every value in the bucket whose bounds hold it, and what counting one statement costs.
#include <doctest/doctest.h>

#include <chrono>
#include <cstdlib>
#include <memory>
#include <random>
#include <vector>

#include "proxy/meters.hpp"

using pgsteer::proxy::LatencyMeter;
using pgsteer::proxy::Meters;

TEST_CASE("a value belongs to the first bucket whose upper bound is not below it") {
  const auto naive = [](std::uint64_t ns) {
    for (std::size_t i = 0; i + 1 < LatencyMeter::kBuckets; ++i)
      if (ns <= LatencyMeter::upper_ns(i)) return i;
    return LatencyMeter::kBuckets - 1;
  };
  for (std::size_t i = 0; i + 1 < LatencyMeter::kBuckets; ++i)
    for (const int step : {-1, 0, 1}) {
      const auto ns = LatencyMeter::upper_ns(i) + static_cast<std::uint64_t>(step);
      CAPTURE(ns);
      CHECK(LatencyMeter::bucket(ns) == naive(ns));
    }
  std::mt19937_64 random(1);
  for (int i = 0; i < 100000; ++i) {
    const auto ns = random() >> (random() % 64);
    if (LatencyMeter::bucket(ns) != naive(ns)) FAIL(ns);
  }
  CHECK(LatencyMeter::bucket(0) == 0);
  CHECK(LatencyMeter::bucket(UINT64_MAX) == LatencyMeter::kBuckets - 1);
}

TEST_CASE("counting a statement costs less than 20 ns") {
  auto meters = std::make_unique<Meters>();
  std::vector<std::uint64_t> values(4096);
  std::mt19937_64 random(2);
  for (auto& value : values) value = random() % 100000000;
  double best = 1e9;
  for (int round = 0; round < 20; ++round) {
    const auto start = std::chrono::steady_clock::now();
    for (const auto value : values) {
      meters->count(pgsteer::sql::StatementKind::select, Meters::Action::pass, Meters::Ending::ok);
      meters->from_server.record(value);
      meters->overhead.record(value >> 6);
    }
    best = std::min(best, std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - start).count() / static_cast<double>(values.size()));
  }
  MESSAGE(best << " ns a statement");
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  CHECK(best < 20);
#endif
}
