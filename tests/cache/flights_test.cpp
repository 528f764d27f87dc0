#include <doctest/doctest.h>

#include <atomic>
#include <optional>
#include <thread>
#include <vector>

#include "cache/flights.hpp"

using namespace pgsteer;

namespace {
cache::Key key_of(std::uint64_t number) {
  cache::Key key;
  key.hash = {number, ~number};
  return key;
}
}  // namespace

TEST_CASE("one leads for a key, the others wait and are woken once") {
  cache::Flights flights;
  int woken = 0;
  CHECK_FALSE(flights.wait(key_of(1), [] {}));  // nobody does anything
  auto lead = flights.lead(key_of(1));
  REQUIRE(lead);
  CHECK_FALSE(flights.lead(key_of(1)));
  CHECK(flights.lead(key_of(2)));
  const auto first = flights.wait(key_of(1), [&] { ++woken; });
  auto second = std::optional(flights.wait(key_of(1), [&] { ++woken; }));
  REQUIRE(first);
  const auto third = flights.wait(key_of(1), [&] { ++woken; });
  second.reset();  // has lost patience
  CHECK(woken == 0);
  lead.end();
  CHECK(woken == 2);
  lead.end();
  CHECK(woken == 2);
  CHECK(flights.lead(key_of(1)));
}

TEST_CASE("a lead that is moved or dropped ends once; who waited for an earlier one leaves the later alone") {
  cache::Flights flights;
  int woken = 0;
  auto lead = std::optional(flights.lead(key_of(1)));
  auto moved = std::move(*lead);
  lead.reset();
  CHECK_FALSE(flights.lead(key_of(1)));
  auto late = std::optional(flights.wait(key_of(1), [&] { ++woken; }));
  moved = flights.lead(key_of(2));
  CHECK(woken == 1);
  const auto next = flights.lead(key_of(1));
  const auto waiting = flights.wait(key_of(1), [&] { woken += 10; });
  late.reset();
  CHECK(next);
  CHECK(woken == 1);
}

TEST_CASE("many threads: nobody who waits is forgotten") {
  cache::Flights flights;
  std::atomic<int> leads = 0, waits = 0, wakes = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 20000; ++i) {
        const auto key = key_of(static_cast<std::uint64_t>(i % 3));
        if (auto lead = flights.lead(key)) {
          ++leads;
          continue;
        }
        std::atomic<bool> woken = false;
        const auto wait = flights.wait(key, [&] { woken = true; ++wakes; });
        if (!wait) continue;
        ++waits;
        while (!woken) std::this_thread::yield();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(leads > 0);
  CHECK(wakes == waits);
}
