#include "proxy/learner/sampler.hpp"

#include <doctest.h>

using pgsteer::proxy::learning::Sampler;

TEST_CASE("a hot statement is stored at a bounded rate, a rare one always") {
  Sampler sampler;
  int hot = 0, other_choice = 0;
  for (int i = 0; i < 200000; ++i) {  // ten seconds at 20,000 a second
    const std::int64_t now = i * 50;
    hot += sampler.take(1, 0, now);
    if (i % 20000 == 0) {
      CHECK(sampler.take(2, 0, now));
      other_choice += sampler.take(1, 1, now);
    }
  }
  CHECK(hot >= 395);  // burst of 200 and 20 a second
  CHECK(hot <= 401);
  CHECK(other_choice == 10);
}

TEST_CASE("a clock that jumps back gives nothing away and breaks nothing") {
  Sampler sampler;
  for (int i = 0; i < 300; ++i) sampler.take(1, 0, 1000000);
  CHECK_FALSE(sampler.take(1, 0, 500000));
  CHECK(sampler.take(1, 0, 700000));
}
