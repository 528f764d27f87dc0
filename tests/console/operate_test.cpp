#include <doctest/doctest.h>

#include "tests/console/fixture.hpp"

using namespace pgsteer;
using test::ConsoleFixture;
using test::lookup;

TEST_CASE("SET MODE bounds the mode of the process; default lifts the bound") {
  ConsoleFixture console;
  for (const char* text : {"SET MODE off", "set mode = 'off';", "SET MODE TO OFF"}) {
    CAPTURE(text);
    console.hub->update([](proxy::Snapshot& s) { s.console_mode.reset(); });
    CHECK(console.admin(text).tag == "SET MODE");
    CHECK(console.hub->snapshot()->console_mode == policies::Mode::off);
  }
  const auto wrong = console.admin("SET MODE observ");
  CHECK(wrong.sqlstate == "22023");
  CHECK(wrong.hint == "Did you mean 'observe'?");
  CHECK(console.admin("SET MODE").sqlstate == "42601");
  CHECK(console.hub->snapshot()->console_mode == policies::Mode::off);  // the wrong ones changed nothing
  CHECK(console.admin("SET MODE default").tag == "SET MODE");
  CHECK_FALSE(console.hub->snapshot()->console_mode);
}

TEST_CASE("PANIC and PANIC OFF") {
  ConsoleFixture console;
  CHECK(console.admin("panic").tag == "PANIC");
  CHECK(console.hub->snapshot()->panic);
  CHECK(lookup(console.reader("SHOW STATE"), "key", "panic", "value") == "yes");
  CHECK(lookup(console.reader("SHOW HEALTH"), "check", "traffic", "status") == "panic");
  CHECK(console.admin("PANIC NOW").sqlstate == "42601");
  CHECK(console.admin("PANIC OFF").tag == "PANIC OFF");
  CHECK_FALSE(console.hub->snapshot()->panic);
}

TEST_CASE("PAUSE and RESUME set the flag and say when it is already so") {
  ConsoleFixture console;
  CHECK(console.admin("RESUME").sqlstate == "55000");
  CHECK(console.admin("PAUSE").tag == "PAUSE");
  CHECK(console.hub->paused.load());
  CHECK(console.admin("PAUSE").sqlstate == "55000");
  CHECK(lookup(console.reader("SHOW STATE"), "key", "paused", "value") == "yes");
  CHECK(console.admin("PAUSE shop").sqlstate == "42601");
  CHECK(console.admin("RESUME").tag == "RESUME");
  CHECK_FALSE(console.hub->paused.load());
}

TEST_CASE("KILL closes the client it names and no other") {
  ConsoleFixture console;
  std::vector<std::uint64_t> killed;
  console.add_client(7, "web", "shop", "unix", "idle", 40);
  CHECK(console.admin("KILL 7").sqlstate == "55000");  // no listener yet
  console.hub->on_kill = [&](std::uint64_t id) { killed.push_back(id); };
  CHECK(console.admin("KILL 8").sqlstate == "42704");
  CHECK(console.admin("KILL shop").sqlstate == "42601");
  CHECK(console.admin("KILL 7x").sqlstate == "42601");
  CHECK(console.reader("KILL 7").sqlstate == "42501");
  CHECK(killed.empty());
  CHECK(console.admin("KILL 7;").tag == "KILL");
  CHECK(killed == std::vector<std::uint64_t>{7});
}

TEST_CASE("SHUTDOWN stops the process and closes the session") {
  ConsoleFixture console;
  int code = -1;
  console.hub->on_shutdown = [&](int exit_code) { code = exit_code; };
  CHECK(console.reader("SHUTDOWN").sqlstate == "42501");
  CHECK(code == -1);
  const auto result = console.admin("shutdown");
  CHECK(result.close);
  CHECK(code == 0);
}

TEST_CASE("RELOAD is all or nothing and says why") {
  ConsoleFixture console;
  CHECK(console.admin("RELOAD").tag == "RELOAD");
  auto broken = std::make_shared<proxy::Config>();
  broken->config_file = "/nonexistent/pgsteer.toml";
  console.hub->update([&](proxy::Snapshot& s) { s.config = broken; });
  const auto before = console.hub->snapshot()->policies;
  const auto result = console.admin("RELOAD");
  CHECK(result.sqlstate == "F0000");
  CHECK(result.message.find("/nonexistent/pgsteer.toml") != std::string::npos);
  CHECK(console.hub->snapshot()->policies == before);
}

TEST_CASE("FLUSH CACHE forgets everything, a database, or what read a table") {
  ConsoleFixture console;
  auto catalog = std::make_shared<sql::Catalog>();
  catalog->database = "shop";
  sql::Relation orders;
  orders.oid = 20000;
  orders.schema = "public";
  orders.name = "orders";
  catalog->add(orders);
  sql::Relation part = orders;
  part.oid = 20001;
  part.name = "orders_2026";
  part.parent = 20000;
  catalog->add(part);
  sql::Relation other = orders;
  other.oid = 20002;
  other.name = "customers";
  catalog->add(other);
  console.hub->update([&](proxy::Snapshot& s) { s.catalogs["shop"] = catalog; });
  const std::vector<sql::Oid> parts = {20001}, others = {20002};
  auto& words = console.hub->words;

  auto part_tag = words.read("shop", parts), other_tag = words.read("shop", others);
  REQUIRE(part_tag);
  REQUIRE(other_tag);
  CHECK(console.admin("FLUSH CACHE orders").tag == "FLUSH CACHE");
  CHECK_FALSE(words.unchanged("shop", *part_tag));  // a partition goes with its table
  CHECK(words.unchanged("shop", *other_tag));       // and nothing else
  CHECK(console.admin("FLUSH CACHE TABLE public.customers").tag == "FLUSH CACHE");
  CHECK_FALSE(words.unchanged("shop", *other_tag));

  part_tag = words.read("shop", parts);
  CHECK(console.admin("FLUSH CACHE DATABASE shop").tag == "FLUSH CACHE");
  CHECK_FALSE(words.unchanged("shop", *part_tag));
  part_tag = words.read("shop", parts);
  CHECK(console.admin("FLUSH CACHE").tag == "FLUSH CACHE");
  CHECK_FALSE(words.unchanged("shop", *part_tag));

  const auto wrong = console.admin("FLUSH CACHE custmers");
  CHECK(wrong.sqlstate == "42P01");
  CHECK(wrong.hint == "Did you mean 'customers'?");
  CHECK(console.admin("FLUSH CACHE DATABASE orders").sqlstate == "42P01");
  CHECK(console.admin("FLUSH CACHE a b c").sqlstate == "42601");
}

TEST_CASE("PIN, UNPIN, BAN, TRAIN check their form and say when learning is off") {
  ConsoleFixture console;
  CHECK(console.admin("PIN '50fde20626009aba'").sqlstate == "42601");
  CHECK(console.admin("PIN 'xyz' TO 'arm:no_nestloop'").sqlstate == "22023");
  CHECK(console.admin("PIN '50fde20626009aba' TO 'arm:no_nestloop'").sqlstate == "55000");
  CHECK(console.admin("UNPIN '50fde20626009aba'").sqlstate == "55000");
  CHECK(console.admin("BAN 50fde20626009aba").sqlstate == "42601");
  CHECK(console.admin("TRAIN").sqlstate == "55000");
  CHECK(console.admin("ROLLBACK MODEL").sqlstate == "55000");
  CHECK(console.admin("ROLLBACK MODEL a b").sqlstate == "42601");
}
