// Which host sessions go to, by what was seen of each.
#include <doctest/doctest.h>

#include <set>

#include "proxy/hosts/hosts.hpp"

namespace pgsteer::proxy {
namespace {

using namespace std::chrono_literals;
using Clock = Hosts::Clock;
const Clock::time_point t0 = Clock::now();

HostLook primary(std::uint64_t position = 1000, std::uint32_t timeline = 1, std::chrono::seconds when = 0s) {
  return {.asked = t0 + when, .error = "", .role = Role::primary, .read_only = false, .timeline = timeline, .position = position, .lag_seconds = std::nullopt, .caught_up = 0, .inserted = position, .flushed_within = 600ms};
}
HostLook standby(std::uint64_t position = 1000, std::optional<double> lag = 0, std::chrono::seconds when = 0s) {
  return {.asked = t0 + when, .error = "", .role = Role::standby, .read_only = true, .timeline = 0, .position = position, .lag_seconds = lag, .caught_up = 0, .inserted = 0, .flushed_within = 0ms};
}
HostLook down() { return {t0, "connection refused", Role::unknown, false, 0, 0, std::nullopt}; }
std::string url(const char* attributes) { return std::string("postgresql://a,b,c?target_session_attrs=") + attributes; }

using List = std::vector<int>;

}  // namespace

TEST_CASE("one host is never judged") {
  const Hosts hosts("postgresql://a?target_session_attrs=primary");
  CHECK_FALSE(hosts.several());
  CHECK_FALSE(hosts.particular());
  CHECK(hosts.candidates(false) == List{0});
  CHECK(hosts.fits(0));
  CHECK(hosts.is_primary(0));
}

TEST_CASE("candidates by target_session_attrs") {
  // a: standby, b: primary, c: standby that does not answer
  const struct {
    const char* attributes;
    List expected;
    bool standby_fits, primary_fits;
  } table[] = {
      {"any", {0, 1, 2}, true, true},          {"primary", {1}, false, true},        {"read-write", {1}, false, true},
      {"standby", {0, 2}, true, false},        {"read-only", {0, 2}, true, false},   {"prefer-standby", {0, 1, 2}, true, true},
  };
  for (const auto& one : table) {
    CAPTURE(one.attributes);
    Hosts hosts(url(one.attributes));
    hosts.saw(0, standby());
    hosts.saw(1, primary());
    hosts.saw(2, standby());
    hosts.saw(2, down());
    CHECK(hosts.candidates(false) == one.expected);
    CHECK(hosts.fits(0) == one.standby_fits);
    CHECK(hosts.fits(1) == one.primary_fits);
    CHECK(hosts.is_primary(1));
    CHECK_FALSE(hosts.is_primary(0));
  }
}

TEST_CASE("what nobody has looked at is tried only where the login tells what it is") {
  Hosts hosts(url("primary"));
  CHECK(hosts.candidates(false).empty());
  CHECK(hosts.candidates(true) == List{0, 1, 2});
  hosts.saw(1, primary());
  hosts.saw(0, standby());
  CHECK(hosts.candidates(false) == List{1});
  CHECK(hosts.candidates(true) == List{1, 2});
  CHECK(hosts.why_none() == "no host of upstream.url is primary (a:5432: standby; b:5432: primary; c:5432: not looked at yet)");
}

TEST_CASE("a primary that refuses writes is one, but not read-write") {
  auto look = primary();
  look.read_only = true;
  Hosts any(url("primary")), writable(url("read-write")), readable(url("read-only"));
  for (Hosts* hosts : {&any, &writable, &readable}) hosts->saw(0, look);
  CHECK(any.candidates(false) == List{0});
  CHECK(writable.candidates(false).empty());
  CHECK(readable.candidates(false) == List{0});
}

TEST_CASE("a failover: what changes is told once, and a primary of the past is none") {
  Hosts hosts(url("primary"));
  std::vector<Hosts::Change> changes;
  hosts.on_change = [&](const Hosts::Change& change) { changes.push_back(change); };
  hosts.saw(0, primary());
  hosts.saw(1, standby());
  REQUIRE(changes.size() == 2);
  CHECK(changes[0].primary);
  CHECK(changes[0].unfit.empty());
  CHECK(changes[1].unfit == List{1});  // what went there in doubt
  changes.clear();
  hosts.saw(0, primary(1100));
  hosts.saw(1, standby(1100));
  CHECK(changes.empty());
  hosts.saw(0, down());
  REQUIRE(changes.size() == 1);
  CHECK(changes[0].unfit.empty());  // it may be back in a moment: connections to it are not closed
  CHECK(hosts.candidates(false) == List{0});
  changes.clear();
  hosts.saw(1, primary(1200, 2));
  REQUIRE(changes.size() == 1);
  CHECK(changes[0].primary);
  CHECK(changes[0].unfit == List{0});
  CHECK(hosts.candidates(true) == List{1, 2});
  hosts.saw(0, primary(1150));  // it is back, and knows nothing
  CHECK((*hosts.table())[0].stale);
  CHECK_FALSE(hosts.fits(0));
  CHECK(hosts.candidates(true) == List{1, 2});
  hosts.saw(0, standby(1200));
  CHECK_FALSE((*hosts.table())[0].stale);
}

TEST_CASE("lag: in bytes by the primary's last position, in seconds by when it had what the standby has") {
  Hosts hosts(url("any"));
  const auto seen = [&](const HostLook& look) {
    hosts.saw(1, look);
    return (*hosts.table())[1];
  };
  CHECK(*seen(standby(900, 0.5, 0s)).lag_seconds == doctest::Approx(0.5));  // nothing is known of the primary: as it says itself
  CHECK_FALSE(seen(standby(900, std::nullopt, 0s)).lag_seconds);
  hosts.saw(0, primary(1000, 1, 0s));
  hosts.saw(0, primary(2000, 1, 1s));
  hosts.saw(0, primary(3000, 1, 2s));
  CHECK(seen(standby(3000, 0, 3s)).lag_bytes == 0u);
  CHECK(*seen(standby(3000, 0, 3s)).lag_seconds == doctest::Approx(0));
  CHECK(*seen(standby(3000, 0.25, 3s)).lag_seconds == doctest::Approx(0.25));
  CHECK(*seen(standby(3000, 77, 3s)).lag_seconds == doctest::Approx(1));  // nothing was committed for a minute
  CHECK(seen(standby(1500, 0, 5s)).lag_bytes == 1500u);
  CHECK(*seen(standby(1500, 0, 5s)).lag_seconds == doctest::Approx(5));  // says that it has all it was sent
  CHECK(*seen(standby(2000, 77, 5s)).lag_seconds == doctest::Approx(4));
  CHECK(*seen(standby(999, 9, 5s)).lag_seconds == doctest::Approx(9));
  auto idle = standby(2950, 0, 3s);  // the last record reaches into a page that was not sent
  idle.caught_up = 3000;
  CHECK(*seen(idle).lag_seconds == doctest::Approx(0));
  CHECK(seen(idle).lag_bytes == 0u);
  CHECK_FALSE(hosts.replayed(1, t0 + 1s));  // whether that record is somebody's commit is not known
  hosts.saw(0, down());
  CHECK(*seen(standby(3000, 0, 9s)).lag_seconds == doctest::Approx(7));  // who knows what has been written meanwhile
}

TEST_CASE("a standby has replayed what was acknowledged at a moment when it has what the primary had after it") {
  Hosts hosts(url("primary"));
  hosts.saw(0, primary(1000, 1, 0s));
  hosts.saw(1, standby(1000));
  CHECK_FALSE(hosts.replayed(1, t0));  // the primary was asked no later than that
  hosts.saw(0, primary(2000, 1, 2s));
  CHECK_FALSE(hosts.replayed(1, t0 + 1s));
  CHECK_FALSE(hosts.replayed(1, t0 + 2s));
  hosts.saw(1, standby(1999));
  CHECK_FALSE(hosts.replayed(1, t0 + 1s));
  hosts.saw(1, standby(2000));
  CHECK(hosts.replayed(1, t0 + 1s));
  hosts.saw(0, primary(3000, 1, 4s));
  CHECK(hosts.replayed(1, t0 + 1s));
  CHECK_FALSE(hosts.replayed(1, t0 + 3s));
  CHECK_FALSE(hosts.replayed(0, t0 + 1s));  // no standby
  SUBCASE("the header of the next page is never replayed") {
    hosts.saw(0, primary(8192 * 2 + 24, 1, 6s));
    hosts.saw(1, standby(8192 * 2));
    CHECK(hosts.replayed(1, t0 + 5s));
    hosts.saw(1, standby(8192 * 2 - 1));
    CHECK_FALSE(hosts.replayed(1, t0 + 5s));
  }
  SUBCASE("what nobody waits for may stay unflushed: after a while the flushed position says enough") {
    auto look = primary(3000, 1, 10s);
    look.inserted = 3500;
    hosts.saw(0, look);
    hosts.saw(1, standby(3000));
    CHECK_FALSE(hosts.replayed(1, t0 + 9500ms));
    look.asked = t0 + 10200ms;
    hosts.saw(0, look);
    CHECK(hosts.replayed(1, t0 + 9500ms));
    CHECK_FALSE(hosts.replayed(1, t0 + 9700ms));
  }
  SUBCASE("a new primary's history is another one") {
    hosts.saw(1, primary(2500, 2, 6s));
    hosts.saw(2, standby(2500));
    CHECK_FALSE(hosts.replayed(2, t0 + 6s));
    CHECK(hosts.replayed(2, t0 + 5s));
  }
}

TEST_CASE("where to read") {
  Hosts hosts(url("primary"));
  const auto read = [&](std::optional<Clock::time_point> after = std::nullopt, std::chrono::milliseconds max_lag = 5s, bool or_primary = false) {
    return hosts.choose_for_reading(after, max_lag, or_primary);
  };
  CHECK(read().why == "primary: no standby is known");
  hosts.saw(0, primary(1000, 1, 0s));
  CHECK(read().host == -1);
  hosts.saw(1, standby(1000, 0.012, 1s));
  CHECK(read().host == 1);
  CHECK(read().why == "replica b:5432: read-only, 12 ms behind");
  hosts.saw(2, standby(900, 7));
  for (int i = 0; i < 4; ++i) CHECK(read().host == 1);
  std::set<int> seen;
  for (int i = 0; i < 4; ++i) seen.insert(read(std::nullopt, 0ms).host);
  CHECK(seen == std::set<int>{1, 2});
  seen.clear();
  for (int i = 0; i < 6; ++i) seen.insert(read(std::nullopt, 0ms, true).host);
  CHECK(seen == std::set<int>{-1, 1, 2});
  hosts.saw(1, standby(900, std::nullopt));
  CHECK(read().why == "primary: b:5432 nobody knows how far behind, c:5432 7.0 s behind");
  hosts.saw(1, down());
  hosts.saw(2, standby(1000, 0));
  CHECK(read().host == 2);
  CHECK(read(t0).why == "primary: b:5432 down, c:5432 may not have this session's writes yet");
  hosts.saw(0, primary(1000, 1, 1s));
  CHECK(read(t0).host == 2);
  hosts.saw(2, primary(2000, 2));
  CHECK(read().host == -1);
}

}  // namespace pgsteer::proxy
