// Answers of auth.query: believed for a while, bounded, and strangers push out no user.
#include <doctest/doctest.h>

#include <cmath>
#include <string>

#include "proxy/auth/secret_cache.hpp"

namespace pgsteer::proxy {
namespace {

using namespace std::chrono_literals;
const SecretCache::Time start{};

SecretAnswer user(const std::string& secret) {
  SecretAnswer answer;
  answer.secret = secret;
  return answer;
}

}  // namespace

TEST_CASE("an answer is believed until it is too old for who asks") {
  SecretCache cache;
  CHECK(cache.find("app", start, 1h) == nullptr);
  cache.put("app", user("s1"), start);
  REQUIRE(cache.find("app", start + 999ms, 1s));
  CHECK(*cache.find("app", start + 999ms, 1s) == user("s1"));
  CHECK(cache.find("app", start + 1s, 1s) == nullptr);
  CHECK(cache.find("app", start + 1s, 2s) != nullptr);
  CHECK(cache.find("app", start, 0ms) == nullptr);  // not kept at all
  cache.put("app", user("s2"), start + 5s);
  CHECK(*cache.find("app", start + 5s, 1s) == user("s2"));
}

TEST_CASE("that there is no such user is an answer, and a new one takes its place") {
  SecretCache cache;
  cache.put("app", {}, start);
  REQUIRE(cache.find("app", start, 1s));
  CHECK_FALSE(cache.find("app", start, 1s)->secret);
  cache.put("app", user("s"), start);
  CHECK(*cache.find("app", start, 1s) == user("s"));
  CHECK(cache.size() == 1);
  cache.put("app", {}, start);
  CHECK_FALSE(cache.find("app", start, 1s)->secret);
  CHECK(cache.size() == 1);
  cache.clear();
  CHECK(cache.size() == 0);
}

TEST_CASE("a flood of made-up names is bounded and pushes out no user") {
  SecretCache cache;
  cache.put("app", user("s"), start);
  for (std::size_t i = 0; i < 3 * SecretCache::kMostStrangers; ++i) {
    cache.put("x" + std::to_string(i), {}, start);
    REQUIRE(cache.size() <= SecretCache::kMostStrangers + 1);
  }
  CHECK(cache.find("app", start, 1s));
  for (std::size_t i = 0; i < SecretCache::kMostUsers + 10; ++i) cache.put("u" + std::to_string(i), user("s"), start);
  CHECK(cache.size() <= SecretCache::kMostStrangers + SecretCache::kMostUsers);
}

TEST_CASE("VALID UNTIL") {
  SecretAnswer answer = user("s");
  CHECK_FALSE(answer.expired(1e12));
  answer.ends_unix = 1000;
  CHECK_FALSE(answer.expired(999.9));
  CHECK(answer.expired(1000));
  answer.ends_unix = -std::numeric_limits<double>::infinity();
  CHECK(answer.expired(0));
}

}  // namespace pgsteer::proxy
