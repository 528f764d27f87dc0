#include <doctest/doctest.h>

#include <set>

#include "proxy/console/command.hpp"
#include "proxy/stats_period.hpp"
#include "tests/console/fixture.hpp"

using namespace pgsteer;
using test::ConsoleFixture;
using test::lookup;

TEST_CASE("every listed SHOW answers a reader with a table whose rows fit its columns") {
  ConsoleFixture console;
  console.add_client(7, "web", "shop", "127.0.0.1:5000", "active", 42);
  int tables = 0;
  for (const auto& command : proxy::console::all_commands()) {
    if (!command.listed || !command.name.starts_with("SHOW ")) continue;
    CAPTURE(command.name);
    const auto result = console.reader(command.name);
    CHECK(result.sqlstate == "");
    CHECK_FALSE(result.columns.empty());
    for (const auto& row : result.rows) CHECK(row.size() == result.columns.size());
    ++tables;
  }
  CHECK(tables == 34);
}

TEST_CASE("cells of a number column are numbers") {
  ConsoleFixture console;
  console.add_client(7, "web", "shop", "unix", "idle", 42);
  const std::set<std::uint32_t> number_types = {20, 23, 701, 1700};
  for (const auto& command : proxy::console::all_commands()) {
    if (!command.listed || !command.name.starts_with("SHOW ")) continue;
    const auto result = console.reader(command.name);
    for (const auto& row : result.rows)
      for (std::size_t c = 0; c < row.size(); ++c)
        if (number_types.contains(result.columns[c].type)) {
          CAPTURE(command.name);
          CAPTURE(result.columns[c].name);
          std::size_t read = 0;
          CHECK_NOTHROW(std::stod(row[c], &read));
          CHECK(read == row[c].size());
        }
  }
}

TEST_CASE("columns and types of pgbouncer 1.18, as its exporters read them") {
  struct Expected {
    const char* command;
    std::vector<std::string> names;
    std::vector<std::uint32_t> types;
  };
  const std::uint32_t t = 25, i = 23, n = 1700;
  const std::vector<Expected> cases = {
      {"SHOW STATS",
       {"database", "total_xact_count", "total_query_count", "total_received", "total_sent", "total_xact_time", "total_query_time",
        "total_wait_time", "avg_xact_count", "avg_query_count", "avg_recv", "avg_sent", "avg_xact_time", "avg_query_time", "avg_wait_time"},
       {t, n, n, n, n, n, n, n, n, n, n, n, n, n, n}},
      {"SHOW STATS_TOTALS",
       {"database", "xact_count", "query_count", "bytes_received", "bytes_sent", "xact_time", "query_time", "wait_time"},
       {t, n, n, n, n, n, n, n}},
      {"SHOW STATS_AVERAGES",
       {"database", "xact_count", "query_count", "bytes_received", "bytes_sent", "xact_time", "query_time", "wait_time"},
       {t, n, n, n, n, n, n, n}},
      {"SHOW TOTALS", {"name", "value"}, {t, n}},
      {"SHOW POOLS",
       {"database", "user", "cl_active", "cl_waiting", "cl_active_cancel_req", "cl_waiting_cancel_req", "sv_active", "sv_active_cancel",
        "sv_being_canceled", "sv_idle", "sv_used", "sv_tested", "sv_login", "maxwait", "maxwait_us", "pool_mode"},
       {t, t, i, i, i, i, i, i, i, i, i, i, i, i, i, t}},
      {"SHOW CLIENTS",
       {"type", "user", "database", "state", "addr", "port", "local_addr", "local_port", "connect_time", "request_time", "wait", "wait_us",
        "close_needed", "ptr", "link", "remote_pid", "tls", "application_name"},
       {t, t, t, t, t, i, t, i, t, t, i, i, i, t, t, i, t, t}},
      {"SHOW SERVERS",
       {"type", "user", "database", "state", "addr", "port", "local_addr", "local_port", "connect_time", "request_time", "wait", "wait_us",
        "close_needed", "ptr", "link", "remote_pid", "tls", "application_name"},
       {t, t, t, t, t, i, t, i, t, t, i, i, i, t, t, i, t, t}},
      {"SHOW DATABASES",
       {"name", "host", "port", "database", "force_user", "pool_size", "min_pool_size", "reserve_pool", "pool_mode", "max_connections",
        "current_connections", "paused", "disabled"},
       {t, t, i, t, t, i, i, i, t, i, i, i, i}},
      {"SHOW LISTS", {"list", "items"}, {t, i}},
      {"SHOW USERS", {"name", "pool_mode"}, {t, t}},
      {"SHOW VERSION", {"version"}, {t}},
      {"SHOW CONFIG", {"key", "value", "default", "changeable"}, {t, t, t, t}},
  };
  ConsoleFixture console;
  for (const auto& expected : cases) {
    CAPTURE(expected.command);
    const auto result = console.reader(expected.command);
    REQUIRE(result.columns.size() >= expected.names.size());  // ours may follow
    for (std::size_t c = 0; c < expected.names.size(); ++c) {
      CHECK(result.columns[c].name == expected.names[c]);
      CHECK(result.columns[c].type == expected.types[c]);
    }
  }
}

TEST_CASE("a command needs an admin exactly when it changes something") {
  ConsoleFixture console;
  int checked = 0;
  for (const auto& command : proxy::console::all_commands()) {
    if (!command.listed) continue;
    CAPTURE(command.name);
    const bool shows = command.name.starts_with("SHOW ");
    CHECK((command.needs == proxy::console::Needs::admin) == !shows);
    if (!shows) CHECK(console.reader(command.name).sqlstate == "42501");
    ++checked;
  }
  CHECK(checked > 30);
  CHECK_FALSE(console.hub->snapshot()->panic);
  CHECK_FALSE(console.hub->paused.load());
}

TEST_CASE("a word too many is an error, not half of an answer") {
  ConsoleFixture console;
  for (const char* text : {"SHOW STATS; SHOW POOLS", "SHOW VERSION 2", "RELOAD now", "SHUTDOWN WAIT", "TRAIN model"}) {
    CAPTURE(text);
    CHECK(console.admin(text).sqlstate == "42601");
  }
}

TEST_CASE("an unknown command names the nearest one") {
  ConsoleFixture console;
  struct {
    const char* text;
    const char* near;
  } const cases[] = {{"SHOW STAT", "SHOW STATS"}, {"show querys", "SHOW QUERIES"}, {"SHOW DECISION 5", "SHOW DECISIONS"},
                     {"PANC", "PANIC"},           {"RELOD;", "RELOAD"},            {"FLUSH CACH", "FLUSH CACHE"}};
  for (const auto& c : cases) {
    CAPTURE(c.text);
    const auto result = console.admin(c.text);
    CHECK(result.sqlstate == "42601");
    CHECK(result.hint.find(std::string("'") + c.near + "'") != std::string::npos);
  }
  CHECK(console.admin("xyzzy plugh").hint == "SHOW HELP lists all commands.");
  CHECK(console.admin("").sqlstate == "");
  CHECK(console.admin("").tag == "");
  CHECK(console.admin("-- nothing").columns.empty());
}

TEST_CASE("clients, pools and servers say the same of a session") {
  ConsoleFixture console;
  console.add_client(7, "web", "shop", "10.0.0.1:5000", "active", 42);
  console.add_client(8, "web", "shop", "[::1]:5001", "idle", 43);
  console.add_client(9, "dba", "pgsteer", "unix", "active", 0);
  const auto clients = console.reader("SHOW CLIENTS");
  REQUIRE(clients.rows.size() == 3);
  CHECK(lookup(clients, "id", "7", "addr") == "10.0.0.1");
  CHECK(lookup(clients, "id", "7", "port") == "5000");
  CHECK(lookup(clients, "id", "7", "connect_time") == "2023-11-14 22:13:20 UTC");
  CHECK(lookup(clients, "id", "8", "addr") == "::1");
  CHECK(lookup(clients, "id", "9", "addr") == "unix");
  const auto pools = console.reader("SHOW POOLS");
  REQUIRE(pools.rows.size() == 2);
  CHECK(lookup(pools, "database", "shop", "cl_active") == "2");
  CHECK(lookup(pools, "database", "shop", "sv_active") == "1");
  CHECK(lookup(pools, "database", "shop", "sv_idle") == "1");
  CHECK(lookup(pools, "database", "shop", "pool_mode") == "session");
  CHECK(lookup(pools, "database", "pgsteer", "pool_mode") == "statement");
  const auto servers = console.reader("SHOW SERVERS");
  REQUIRE(servers.rows.size() == 2);
  CHECK(lookup(servers, "remote_pid", "42", "link") == lookup(clients, "id", "7", "ptr"));
  CHECK(lookup(console.reader("SHOW DATABASES"), "name", "shop", "current_connections") == "2");
  CHECK(lookup(console.reader("SHOW LISTS"), "list", "used_servers", "items") == "1");
}

TEST_CASE("counters of all threads arrive in STATS and TOTALS, by database") {
  ConsoleFixture console;
  console.hub->counters(0, "shop").queries.add(5);
  console.hub->counters(1, "shop").queries.add(7);
  console.hub->counters(1, "shop").server_ns.add(24'000'000);
  console.hub->counters(1, "other_shop").queries.add(1);
  console.hub->counters(1, "").queries.add(1);  // before a login: of no database
  const auto stats = console.reader("SHOW STATS");
  REQUIRE(stats.rows.size() == 2);
  CHECK(lookup(stats, "database", "shop", "total_query_count") == "12");
  CHECK(lookup(stats, "database", "shop", "total_query_time") == "24000");
  CHECK(lookup(stats, "database", "shop", "avg_query_time") == "2000");
  CHECK(lookup(stats, "database", "other_shop", "total_query_count") == "1");
  CHECK(lookup(console.reader("SHOW TOTALS"), "name", "total_query_count", "value") == "14");
}

TEST_CASE("names of databases without end share counters") {
  ConsoleFixture console;
  for (std::size_t i = 0; i < proxy::Hub::kMaxDatabases + 50; ++i) console.hub->counters(0, "db" + std::to_string(i)).queries.add();
  const auto stats = console.reader("SHOW STATS");
  CHECK(stats.rows.size() == proxy::Hub::kMaxDatabases + 1);
  CHECK(lookup(stats, "database", "other", "total_query_count") == "50");
}

TEST_CASE("averages are of the last whole minute; before there is one, since the start") {
  const std::int64_t start = 1'000'000'000;
  proxy::StatsPeriod period(start);
  proxy::Totals counted;
  const auto tick = [&](std::int64_t seconds) {
    period.tick(start + seconds * 1'000'000, [&] { return proxy::StatsPeriod::ByDatabase{{"shop", counted}}; });
  };
  const auto last = [&](std::int64_t seconds) { return period.last("shop", counted, start + seconds * 1'000'000); };
  counted.queries = 100;
  tick(10);
  CHECK(last(10).totals.queries == 100);
  CHECK(last(10).seconds == doctest::Approx(10));
  counted.queries = 600;
  tick(60);
  counted.queries = 700;
  tick(90);
  CHECK(last(90).totals.queries == 600);
  CHECK(last(90).seconds == doctest::Approx(60));
  counted.queries = 780;
  tick(120);
  CHECK(last(121).totals.queries == 180);
  CHECK(last(121).seconds == doctest::Approx(60));
  CHECK(period.last("unknown", {}, start).totals.queries == 0);
}
