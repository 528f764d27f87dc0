#include <doctest/doctest.h>

#include "tests/console/fixture.hpp"

using namespace pgsteer;
using test::ConsoleFixture;
using test::lookup;

TEST_CASE("SHOW RULES: every rule in order with its place, then the default") {
  ConsoleFixture console(R"(
[default]
mode = "observe"
[[rule]]
name = "checkout"
match = { database = "shop", application = "checkout*", statement = ["insert", "update"] }
mode = "off"
[[rule]]
name = "pages"
match = { table = "products" }
mode = "canary"
cache = { mode = "strict" }
)");
  const auto rules = console.reader("SHOW RULES");
  REQUIRE(rules.rows.size() == 3);
  CHECK(lookup(rules, "rule", "checkout", "position") == "1");
  CHECK(lookup(rules, "rule", "checkout", "where").find("shop.toml:") != std::string::npos);
  CHECK(lookup(rules, "rule", "checkout", "match") == "database = shop, application = checkout*, statement = insert|update");
  CHECK(lookup(rules, "rule", "checkout", "actions").find("mode off") != std::string::npos);
  CHECK(lookup(rules, "rule", "pages", "actions").find("cache strict") != std::string::npos);
  CHECK(lookup(rules, "position", "3", "rule") == "default");
  CHECK(lookup(console.reader("SHOW CACHE"), "name", "policy", "value") == "some rule turns caching on");
}

TEST_CASE("SHOW CONFIG repeats under pgbouncer's names what its exporters read") {
  ConsoleFixture console;
  std::vector<std::string> errors;
  const auto loaded = proxy::Config::load("", {"limits.max_client_conn=321"}, &errors);
  REQUIRE(loaded);
  console.hub->update([&](proxy::Snapshot& s) { s.config = loaded; });
  const auto config = console.reader("SHOW CONFIG");
  CHECK(lookup(config, "key", "limits.max_client_conn", "value") == "321");
  CHECK(lookup(config, "key", "max_client_conn", "value") == "321");
}

TEST_CASE("SHOW HEALTH names the breaker's state") {
  ConsoleFixture console;
  CHECK(lookup(console.reader("SHOW HEALTH"), "check", "redis", "status") == "off");
  auto with_redis = std::make_shared<proxy::Config>(*console.config);
  with_redis->cache.redis_url = "redis://127.0.0.1:1";
  console.hub->update([&](proxy::Snapshot& s) { s.config = with_redis; });
  CHECK(lookup(console.reader("SHOW HEALTH"), "check", "redis", "status") == "ok");
  console.hub->redis_breaker = 1;
  CHECK(lookup(console.reader("SHOW HEALTH"), "check", "redis", "status") == "breaker open");
  CHECK(lookup(console.reader("SHOW CACHE"), "name", "redis", "value") == "breaker open");
  CHECK(lookup(console.reader("SHOW HEALTH"), "check", "model", "status") == "none yet");
}

TEST_CASE("SHOW CACHE QUERIES: each statement with its reasons, what saves most first") {
  ConsoleFixture console;
  auto& ledger = console.hub->ledger;
  ledger.hit("aaaa", 5, false);
  ledger.missed("aaaa", cache::Miss::absent);
  for (int i = 0; i < 3; ++i) ledger.missed("bbbb", cache::Miss::written);
  ledger.missed("bbbb", cache::Miss::absent);
  ledger.not_kept("bbbb", cache::Unkept::too_large);
  cache::KeyInput input;
  input.text = "select 1";
  const auto key = cache::make_key(input);
  auto entry = std::make_shared<cache::Entry>();
  entry->key_material = key.material;
  entry->fingerprint = "aaaa";
  entry->rows.assign(100, 'x');
  REQUIRE(console.hub->memory.put(key, entry));
  const auto shown = console.reader("SHOW CACHE QUERIES");
  REQUIRE(shown.rows.size() == 2);
  CHECK(shown.rows[0][0] == "aaaa");
  CHECK(lookup(shown, "fingerprint", "aaaa", "hit_ratio") == "0.5");
  CHECK(lookup(shown, "fingerprint", "aaaa", "saved_ms") == "5");
  CHECK(lookup(shown, "fingerprint", "aaaa", "entries") == "1");
  CHECK(lookup(shown, "fingerprint", "aaaa", "bytes") == std::to_string(console.hub->memory.statistics().bytes));
  CHECK(lookup(shown, "fingerprint", "bbbb", "missed_because") == "written 3, absent 1");
  CHECK(lookup(shown, "fingerprint", "bbbb", "not_kept_because") == "too_large 1");
  CHECK(lookup(console.reader("SHOW CACHE"), "name", "saved_ms", "value") == "5.0");
}

TEST_CASE("SHOW ADVICE tells what would pay and is not done, and nothing that a person has banned") {
  ConsoleFixture console;
  auto knowledge = std::make_shared<policies::Knowledge>();
  knowledge->fingerprint = "50fde20626009aba";
  knowledge->database = "shop";
  knowledge->rewrites.push_back({"rewrite:not_in_to_not_exists", 1000, 10, true, true, ""});
  knowledge->rewrites.push_back({"rewrite:other", 1000, 990, true, false, "costs the same"});
  policies::Evidence as_is, arm;
  as_is.label = "as-is";
  as_is.median_ms = 900;
  arm.label = "arm:no_nestloop";
  arm.median_ms = 20;
  arm.explored = 5;
  arm.worst_ratio = 0.1;
  arm.state = policies::Evidence::State::approved;
  knowledge->evidence = {as_is, arm};
  auto publish = [&](std::shared_ptr<const policies::Knowledge> one) {
    auto map = std::make_shared<policies::KnowledgeMap>();
    (*map)[{one->shape, one->database, ""}] = one;
    console.hub->update([&](proxy::Snapshot& s) { s.knowledge = map; });
  };
  publish(knowledge);
  auto advice = console.reader("SHOW ADVICE");
  REQUIRE(advice.rows.size() == 2);
  CHECK(advice.rows[0][3] == "use arm:no_nestloop");  // the largest saving first
  CHECK(advice.rows[0][5] == "880");
  CHECK(advice.rows[1][3] == "use rewrite:not_in_to_not_exists");
  CHECK(advice.rows[1][6].find("fingerprint = \"50fde20626009aba\"") != std::string::npos);
  auto banned = std::make_shared<policies::Knowledge>(*knowledge);
  banned->banned = "arm:no_nestloop,rewrite:not_in_to_not_exists";
  publish(banned);
  CHECK(console.reader("SHOW ADVICE").rows.empty());
}

TEST_CASE("what drivers say at connect is answered") {
  ConsoleFixture console;
  for (const char* text : {"SET client_encoding TO 'UTF8'", "set extra_float_digits = 3", "SET application_name = 'x'",
                           "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY"}) {
    CAPTURE(text);
    CHECK(console.reader(text).tag == "SET");
  }
  struct {
    const char* text;
    const char* tag;
  } const words[] = {{"BEGIN", "BEGIN"},       {"begin transaction isolation level read committed", "BEGIN"},
                     {"START TRANSACTION", "START TRANSACTION"}, {"COMMIT", "COMMIT"}, {"END", "COMMIT"},
                     {"ROLLBACK", "ROLLBACK"}, {"ABORT", "ROLLBACK"}, {"DISCARD ALL", "DISCARD"}, {"RESET ALL", "RESET"}};
  for (const auto& c : words) CHECK(console.reader(c.text).tag == c.tag);
  struct {
    const char* text;
    const char* column;
    const char* value;
  } const selects[] = {{"SELECT 1", "?column?", "1"},
                       {"select 1 as ok;", "ok", "1"},
                       {"SELECT version()", "version", "PostgreSQL 15.0 (pgsteer " PGSTEER_VERSION " console)"},
                       {"select pg_catalog.version()", "version", "PostgreSQL 15.0 (pgsteer " PGSTEER_VERSION " console)"},
                       {"SELECT current_database()", "current_database", "pgsteer"},
                       {"SELECT current_user", "current_user", "grafana"},
                       {"SHOW TRANSACTION ISOLATION LEVEL", "transaction_isolation", "read committed"},
                       {"show standard_conforming_strings", "standard_conforming_strings", "on"},
                       {"SHOW server_version", "server_version", "15.0"}};
  for (const auto& c : selects) {
    CAPTURE(c.text);
    const auto result = console.reader(c.text);
    REQUIRE(result.rows.size() == 1);
    CHECK(result.columns[0].name == c.column);
    CHECK(result.rows[0][0] == c.value);
  }
  CHECK(console.reader("SELECT * FROM pg_class").sqlstate == "0A000");
}
