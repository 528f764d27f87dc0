#pragma once
#include <doctest/doctest.h>

#include <chrono>
#include <cstdlib>
#include <string>
#include <thread>

#include "tests/support/servers.hpp"

namespace pgsteer::test {

/// Skips loudly: false and a message when there is no PostgreSQL here (and a failure in CI).
inline bool server_here() {
  if (have_postgres()) return true;
  const char* ci = std::getenv("CI");
  if (ci && std::string(ci) == "true") FAIL("no PostgreSQL 15 on this machine");
  MESSAGE("SKIPPED: no PostgreSQL 15 on this machine");
  return false;
}

template <class Condition>
bool eventually(Condition condition, double seconds = 20) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  while (std::chrono::steady_clock::now() < end) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return condition();
}

/// One PostgreSQL for all tests of this program: starting one takes seconds.
inline Postgres& postgres() {
  static Postgres server;
  return server;
}

}  // namespace pgsteer::test
