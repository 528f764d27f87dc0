#include "proxy/reuse.hpp"

#include <doctest.h>

#include <random>

using namespace pgsteer::proxy;
using namespace std::chrono_literals;

namespace {

const Clock::time_point start = Clock::time_point() + 1h;

/// Executions of a statement whose times are log-normal around these; returns how many of `count` were reused.
int run(Repeated& repeated, int count, double plain_us, double reused_us, std::mt19937_64& random, Clock::time_point now = start, double share = 1) {
  std::normal_distribution<double> spread(0, 0.5);
  int reused = 0;
  for (int i = 0; i < count; ++i) {
    const bool turn = repeated.take_turn(now, share, random());
    reused += turn;
    repeated.note(turn, (turn ? reused_us : plain_us) * std::exp(spread(random)), now);
  }
  return reused;
}

}  // namespace

TEST_CASE("what pays is reused nearly always, but the comparison goes on") {
  std::mt19937_64 random(1);
  Repeated repeated;
  run(repeated, 3000, 100, 70, random);
  CHECK(repeated.refused_until < start);
  const int reused = run(repeated, 6400, 100, 70, random);
  CHECK(reused < 6400 - 50);
  CHECK(reused > 6400 - 200);
}

TEST_CASE("what is slower is left off, for longer each time, and tried again") {
  std::mt19937_64 random(2);
  Repeated repeated;
  const int first = run(repeated, 2000, 100, 200, random);
  CHECK(first < 200);
  CHECK(repeated.refused_until == start + 60s);
  CHECK(run(repeated, 500, 100, 200, random, start + 59s) == 0);
  CHECK(run(repeated, 2000, 100, 200, random, start + 61s) > 0);
  CHECK(repeated.refused_until == start + 61s + 120s);
}

TEST_CASE("chance alone does not turn it off") {
  int refused = 0;
  for (unsigned seed = 0; seed < 100; ++seed) {
    std::mt19937_64 random(seed);
    Repeated repeated;
    run(repeated, 1000, 100, 98, random);
    refused += repeated.refused_until > start;
  }
  CHECK(refused <= 15);
}

TEST_CASE("one execution in a hundred that is a thousand times slower is noticed") {
  std::mt19937_64 random(4);
  Repeated repeated;
  int reused = 0;
  for (int i = 0; i < 20000 && repeated.refused_until < start; ++i) {
    const bool turn = repeated.take_turn(start, 1, random());
    reused += turn;
    repeated.note(turn, turn && random() % 100 == 0 ? 100000 : turn ? 90 : 100, start);
  }
  CHECK(repeated.refused_until > start);
  CHECK(reused < 3000);
}

TEST_CASE("a canary reuses its share") {
  std::mt19937_64 random(5);
  Repeated repeated;
  const int reused = run(repeated, 4000, 100, 70, random, start, 0.05);
  CHECK(reused > 120);
  CHECK(reused < 300);
}

TEST_CASE("noisy statements are never reused") {
  Repeated repeated;
  repeated.noisy = true;
  CHECK_FALSE(repeated.take_turn(start, 1, 0));
}

TEST_CASE("a text is known from its second sight on, by types and settings") {
  ReuseBook book;
  const std::uint32_t one[] = {23}, other[] = {20};
  const auto here = book.scope("here"), there = book.scope("there");
  CHECK(here != there);
  CHECK(book.scope("here") == here);
  CHECK(book.see("select $1", one, here) == nullptr);
  const auto known = book.see("select $1", one, here);
  REQUIRE(known);
  CHECK(book.see("select $1", one, here) == known);
  for (int i = 0; i < 2; ++i) book.see("select $1", other, here), book.see("select $1", one, there), book.see("select $1", {}, here);
  CHECK(book.see("select $1", other, here) != known);
  CHECK(book.see("select $1", one, there) != known);
  CHECK(book.see("select $1", {}, here) != known);
  CHECK(book.see("select $1", one, here) == known);
}

TEST_CASE("texts that come once cost no memory, and what repeats is bounded") {
  ReuseBook book;
  for (int i = 0; i < 100000; ++i) book.see("select " + std::to_string(i), {}, 1);
  CHECK(book.size() < 100);
  for (int i = 0; i < 20000; ++i)
    for (int again = 0; again < 2; ++again) book.see("select " + std::to_string(i), {}, 2);
  CHECK(book.size() <= 5000);
}
