#include "protocol/ring.hpp"

#include <doctest.h>

#include <deque>
#include <memory>
#include <random>

using pgsteer::protocol::Ring;

TEST_CASE("a ring is a queue") {
  Ring<std::unique_ptr<int>> ring;
  std::deque<int> truth;
  std::mt19937 random(7);
  int next = 0;
  for (int step = 0; step < 20000; ++step) {
    const bool filling = (step / 500) % 2 == 0;
    if (random() % 3 == 0 ? !filling : filling) {
      ring.push_back() = std::make_unique<int>(next);
      truth.push_back(next++);
    } else if (truth.size() > 1 && random() % 4 == 0) {
      CHECK(*std::exchange(ring[1], nullptr) == truth[1]);
      ring.drop_second();
      truth.erase(truth.begin() + 1);
    } else if (!truth.empty()) {
      CHECK(*std::exchange(ring.front(), nullptr) == truth.front());
      ring.drop_front();
      truth.pop_front();
    }
    REQUIRE(ring.size() == truth.size());
    REQUIRE(ring.empty() == truth.empty());
    if (!truth.empty()) CHECK(*ring.front() == truth.front());
    std::size_t seen = 0;
    for (const auto& value : ring) REQUIRE(*value == truth[seen++]);
    REQUIRE(seen == truth.size());
  }
}

TEST_CASE("what was taken is not held on to") {
  Ring<std::shared_ptr<int>> ring;
  const auto value = std::make_shared<int>(1);
  for (int i = 0; i < 100; ++i) ring.push_back() = value;
  for (int i = 0; i < 50; ++i) {
    ring[1] = nullptr;
    ring.drop_second();
  }
  while (!ring.empty()) {
    ring.front() = nullptr;
    ring.drop_front();
  }
  CHECK(value.use_count() == 1);
  ring.push_back() = value;
  Ring<std::shared_ptr<int>> other;
  other = std::move(ring);
  CHECK(ring.empty());
  CHECK(other.size() == 1);
  other = {};
  CHECK(value.use_count() == 1);
}
