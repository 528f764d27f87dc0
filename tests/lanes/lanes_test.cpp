// Lanes and rates without sessions: order, deadlines, overdue statements, and threads that race for places.
#include "proxy/lanes.hpp"

#include <doctest/doctest.h>

#include <thread>

using namespace pgsteer::proxy;
using namespace std::chrono_literals;
using pgsteer::policies::Lane;

namespace {

Lane lane(int concurrency, std::optional<std::chrono::milliseconds> longest = {}) {
  return {.name = "lane", .max_predicted = longest, .queue_timeout = std::nullopt, .concurrency = concurrency};
}

}  // namespace

TEST_CASE("places are given up to the number, then in the order of asking") {
  Lanes lanes;
  auto first = lanes.enter(lane(1), true, [] {});
  REQUIRE(first.place);
  int woken = 0;
  auto second = lanes.enter(lane(1), true, [&] { woken = woken * 10 + 2; });
  auto third = lanes.enter(lane(1), true, [&] { woken = woken * 10 + 3; });
  CHECK_FALSE(second.place);
  CHECK_FALSE(lanes.take(second.waiter));
  CHECK(lanes.states()[0].waiting == 2);
  first.place->give_back();
  CHECK(woken == 2);
  auto place = lanes.take(second.waiter);
  REQUIRE(place);
  CHECK_FALSE(lanes.take(third.waiter));
  place->give_back();
  CHECK(woken == 23);
  CHECK(lanes.take(third.waiter));
  CHECK(lanes.states()[0].running == 0);
  CHECK(lanes.states()[0].admitted == 3);
  CHECK(lanes.states()[0].waited == 2);
}

TEST_CASE("who leaves the line takes no place, not even one that was just given") {
  Lanes lanes;
  auto first = lanes.enter(lane(1), true, [] {});
  auto second = lanes.enter(lane(1), true, [] {});
  auto third = lanes.enter(lane(1), true, [] {});
  lanes.leave(second.waiter, true);
  CHECK(lanes.states()[0].timed_out == 1);
  CHECK(lanes.states()[0].waiting == 1);
  first.place->give_back();            // third has it now
  lanes.leave(third.waiter, true);     // too late: given back, and no time-out
  CHECK(lanes.states()[0].timed_out == 1);
  CHECK(lanes.states()[0].running == 0);
  CHECK(lanes.enter(lane(1), true, [] {}).place);
}

TEST_CASE("what must not wait gets a place whatever the number; no number is no limit") {
  Lanes lanes;
  const auto first = lanes.enter(lane(1), true, [] {});
  const auto inside = lanes.enter(lane(1), false, [] {});
  CHECK(inside.place);
  CHECK(lanes.states()[0].running == 2);
  Lanes open;
  std::vector<Lanes::Entry> many;
  for (int i = 0; i < 100; ++i) many.push_back(open.enter(lane(0), true, [] {}));
  for (const auto& entry : many) CHECK(entry.place);
}

TEST_CASE("a statement that runs for longer than its lane is for gives its place to the next") {
  Lanes lanes;
  auto first = lanes.enter(lane(1, 20ms), true, [] {});
  auto second = lanes.enter(lane(1, 20ms), true, [] {});
  CHECK_FALSE(lanes.take(second.waiter));
  std::this_thread::sleep_for(30ms);
  auto place = lanes.take(second.waiter);
  REQUIRE(place);
  CHECK(lanes.states()[0].overdue == 1);
  CHECK(lanes.states()[0].running == 2);
  first.place->give_back();  // it held no place any more: nobody may follow
  auto third = lanes.enter(lane(1, 10s), true, [] {});
  CHECK_FALSE(third.place);
  CHECK(lanes.states()[0].overdue_total == 1);
}

TEST_CASE("a reload changes the number for who comes next") {
  Lanes lanes;
  auto first = lanes.enter(lane(1), true, [] {});
  auto second = lanes.enter(lane(1), true, [] {});
  CHECK_FALSE(second.place);
  auto third = lanes.enter(lane(3), true, [] {});
  CHECK_FALSE(third.place);  // behind the second
  CHECK(lanes.take(second.waiter));
  CHECK(lanes.take(third.waiter));
}

TEST_CASE("threads that race for three places are never more than three and all get their turn") {
  Lanes lanes;
  std::atomic<int> inside{0}, most{0}, done{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 200; ++i) {
        auto entry = lanes.enter(lane(3), true, [] {});
        std::optional<LanePlace> place = std::move(entry.place);
        while (!place) {
          std::this_thread::yield();
          place = lanes.take(entry.waiter);
        }
        const int now = ++inside;
        int seen = most.load();
        while (now > seen && !most.compare_exchange_weak(seen, now)) {}
        std::this_thread::yield();
        --inside;
        ++done;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(done == 1600);
  CHECK(most <= 3);
  CHECK(lanes.states()[0].running == 0);
  CHECK(lanes.states()[0].admitted == 1600);
}

TEST_CASE("rates: a second's worth at once, then evenly; nothing is booked that would wait too long") {
  Rates rates;
  const auto start = Clock::now();
  for (int i = 0; i < 10; ++i) CHECK(rates.book("a", 10, 0ns, start) == 0ns);
  CHECK_FALSE(rates.book("a", 10, 0ns, start));
  CHECK_FALSE(rates.book("a", 10, 50ms, start));
  CHECK(rates.book("a", 10, 1s, start) == 100ms);
  CHECK(rates.book("a", 10, 1s, start) == 200ms);
  CHECK(rates.book("b", 10, 0ns, start) == 0ns);  // of its own
  CHECK(rates.book("a", 10, 0ns, start + 300ms) == 0ns);
  CHECK_FALSE(rates.book("a", 10, 0ns, start + 300ms));
  CHECK(rates.book("slow", 0.5, 0ns, start) == 0ns);
  CHECK_FALSE(rates.book("slow", 0.5, 0ns, start + 1900ms));
  CHECK(rates.book("slow", 0.5, 0ns, start + 2s) == 0ns);
}

TEST_CASE("rates forget idle keys and never hold more than they may") {
  Rates rates;
  const auto start = Clock::now();
  for (std::size_t i = 0; i < Rates::kMaxKeys + 100; ++i) CHECK(rates.book(std::to_string(i), 1, 0ns, start).has_value());
  CHECK(rates.book("new", 1, 0ns, start + 10s) == 0ns);
}
