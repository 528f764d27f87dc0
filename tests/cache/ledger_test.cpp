#include <doctest/doctest.h>

#include "cache/ledger.hpp"

using namespace pgsteer;
using cache::Miss, cache::Unkept;

TEST_CASE("the ledger counts by statement, with reasons") {
  cache::Ledger ledger;
  ledger.hit("a", 2.5, false);
  ledger.hit("a", 1.5, true);
  ledger.missed("a", Miss::written);
  ledger.missed("b", Miss::absent);
  ledger.not_kept("b", Unkept::too_large);
  ledger.waited("b");
  ledger.stored("b");
  auto lines = ledger.lines();
  REQUIRE(lines.size() == 2);
  CHECK(lines["a"].hits == 2);
  CHECK(lines["a"].old_hits == 1);
  CHECK(lines["a"].saved_ms == 4);
  CHECK(lines["a"].misses() == 1);
  CHECK(lines["a"].missed[static_cast<std::size_t>(Miss::written)] == 1);
  CHECK(lines["b"].unkept[static_cast<std::size_t>(Unkept::too_large)] == 1);
  CHECK(lines["b"].waits == 1);
  CHECK(lines["b"].stores == 1);
}

TEST_CASE("beyond its bound the rest counts as one, and nothing is lost") {
  cache::Ledger ledger;
  for (int i = 0; i < 40000; ++i) ledger.hit(std::to_string(i), 1, false);
  const auto lines = ledger.lines();
  CHECK(lines.size() < 20000);
  CHECK(lines.at("").hits > 0);
  std::uint64_t hits = 0;
  for (const auto& [fingerprint, line] : lines) hits += line.hits;
  CHECK(hits == 40000);
  CHECK(ledger.total().hits == 40000);
}

TEST_CASE("every reason has a name of its own") {
  for (int i = 0; i < static_cast<int>(Miss::count); ++i) CHECK(cache::to_string(static_cast<Miss>(i)) != "?");
  for (int i = 0; i < static_cast<int>(Unkept::count); ++i) CHECK(cache::to_string(static_cast<Unkept>(i)) != "?");
}
