// Verification on a real server: right rewrites pass, a planted wrong one is found, banned everywhere, and stays so.
#include <filesystem>
#include <fstream>

#include "proxy/learner/verifier.hpp"
#include "tests/learner/fixture.hpp"

using namespace pgsteer;
using namespace pgsteer::test;
using proxy::learning::Comparison;

namespace {

constexpr const char* kTables = R"(
CREATE TABLE parents (id int PRIMARY KEY, name text);
CREATE TABLE children (id int PRIMARY KEY, parent_id int NOT NULL REFERENCES parents, weight float8);
INSERT INTO parents SELECT i, 'p' || i FROM generate_series(1, 1000) i;
INSERT INTO children SELECT i, i % 900 + 1, i / 3.0 FROM generate_series(1, 3000) i;
ANALYZE;
)";
constexpr const char* kQuery = "SELECT DISTINCT id, name FROM parents WHERE id > 900";

bool no_exploring(proxy::Config& config) { return config.learning.explore = false; }

std::string read(const std::string& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::string health_of(const proxy::Learner& learner, const std::string& check) {
  for (const auto& [name, state] : learner.health())
    if (name == check) return state;
  return "none";
}

/// The plan of a real statement with a rewrite put in by hand: what a wrong rule would have made of it. No rule of the
/// program does this.
std::shared_ptr<const proxy::Plan> plant(Bench& bench, const proxy::Plan& real, const std::string& text) {
  auto plan = std::make_shared<proxy::Plan>(real);
  rewriter::Candidate wrong;
  wrong.kind = rewriter::CandidateKind::rewritten;
  wrong.text = text;
  wrong.rules = {"distinct_over_key"};
  wrong.catalog_version = bench.hub().snapshot()->catalog(real.database)->version;
  plan->candidates = {rewriter::Candidate{}, wrong};
  plan->decision.candidate = 1;
  return plan;
}

void report(Bench& bench, std::shared_ptr<const proxy::Plan> plan, const std::string& text) {
  proxy::Outcome outcome;
  outcome.plan = std::move(plan);
  outcome.execution.arrival = proxy::Clock::now();
  outcome.execution.sent_ns = 1000;
  outcome.execution.last_byte_ns = 2000000;
  outcome.execution.text = text;
  bench.hub().outcomes(0).add(outcome.plan, std::move(outcome.execution));
}

bool offers_rule(const proxy::Plan& plan) {
  for (const auto& candidate : plan.candidates)
    for (const auto& rule : candidate.rules)
      if (rule == "distinct_over_key") return true;
  return false;
}

}  // namespace

TEST_CASE("two forms in one snapshot: equal, and every way to differ") {
  if (!server_here()) return;
  Database database("forms");
  database.run(kTables);
  const auto connection = connect("forms");
  using Result = Comparison::Result;
  const struct {
    const char *name, *original, *rewritten;
    Result result;
  } table[] = {
      {"same rows in another order", "SELECT id FROM parents", "SELECT id FROM parents ORDER BY id DESC", Result::equal},
      {"empty", "SELECT id FROM parents WHERE false", "SELECT id FROM parents WHERE id < 0", Result::equal},
      {"floats to rounding", "SELECT sum(weight) FROM children", "SELECT sum(weight) FROM (SELECT weight FROM children ORDER BY id DESC) c", Result::equal},
      {"a row less", "SELECT id FROM parents", "SELECT id FROM parents WHERE id <> 7", Result::different},
      {"a row twice, another lost", "SELECT id FROM parents WHERE id < 4", "SELECT x AS id FROM (VALUES (1), (2), (2)) v (x)", Result::different},
      {"another value", "SELECT 1 AS x", "SELECT 2 AS x", Result::different},
      {"NULL for a text", "SELECT ''::text AS x", "SELECT NULL::text AS x", Result::different},
      {"values in other columns", "SELECT 1 AS x, 2 AS y", "SELECT 2 AS x, 1 AS y", Result::different},
      {"another name", "SELECT 1 AS x", "SELECT 1 AS y", Result::different},
      {"another type", "SELECT 1 AS x", "SELECT 1::bigint AS x", Result::different},
      {"a column of no table", "SELECT id FROM parents", "SELECT id + 0 AS id FROM parents", Result::different},
      {"an error of its own", "SELECT 1 AS x", "SELECT 1 / (SELECT count(*) FROM parents WHERE id < 0)::int AS x", Result::different},
      {"no statement at all", "SELECT 1 AS x", "SELECT x FROM nowhere", Result::different},
      {"the original fails", "SELECT 1 / 0", "SELECT 1", Result::untold},
      {"out of time", "SELECT 1 AS x", "SELECT 1 AS x FROM pg_sleep(60)", Result::untold},
      {"a write is refused", "DELETE FROM children RETURNING id", "SELECT id FROM children", Result::untold},
  };
  for (const auto& row : table) {
    CAPTURE(row.name);
    const auto c = proxy::learning::compare_forms(*connection, row.original, row.rewritten, {}, "", std::chrono::milliseconds(1500));
    CHECK_MESSAGE(c.result == row.result, c.why);
    CHECK(c.why.empty() == (c.result == Result::equal));
  }
  CHECK(connection->run("SELECT count(*) FROM children").text(0, 0) == "3000");
}

TEST_CASE("a client's text that is run in the background is not taken for the client's in pg_stat_activity") {
  if (!server_here()) return;
  const auto ours = connect(), other = connect();
  const std::string text = "SELECT 'looked for in pg_stat_activity'";
  const auto seen = [&](const std::string& condition) { return other->run("SELECT count(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND " + condition).text(0, 0); };
  const auto check = [&] {
    CHECK(seen("query = $$" + text + "$$") == "0");
    CHECK(seen("query LIKE $$" + text + "%/* pgsteer */$$") == "1");
  };
  REQUIRE(ours->describe(text, {}).ok());
  check();
  ours->run("BEGIN");
  REQUIRE(ours->stream(text, {}).ok);
  check();
}

TEST_CASE("one snapshot: what is written meanwhile is no difference") {
  if (!server_here()) return;
  Database database("snapshot");
  database.run(kTables);
  const auto connection = connect("snapshot");
  std::atomic<bool> done{false};
  std::thread writer([&] {
    const auto other = connect("snapshot");
    for (int i = 5000; !done; ++i) other->run("INSERT INTO parents VALUES (" + std::to_string(i) + ", 'n')");
  });
  for (int i = 0; i < 20; ++i) {
    const auto c = proxy::learning::compare_forms(*connection, "SELECT id FROM parents", "SELECT id FROM parents WHERE id > 0", {}, "",
                                                  std::chrono::seconds(5));
    CHECK_MESSAGE(c.result == Comparison::Result::equal, c.why);
  }
  done = true;
  writer.join();
}

TEST_CASE("a wrong rule is found, banned in every plan at once, on record, and back only by UNBAN RULE") {
  if (!server_here()) return;
  Database database("verifying");
  database.run(kTables);
  Bench bench("[default]\nmode = \"auto\"\nverify = 1\n", no_exploring);
  bench.learner().start();
  REQUIRE(bench.wait_for_catalog("verifying"));
  std::shared_ptr<const proxy::Plan> plan;
  REQUIRE(eventually([&] {
    plan = bench.play("verifying", kQuery, 50);
    return offers_rule(*plan);
  }));
  REQUIRE(plan->chosen().kind == rewriter::CandidateKind::rewritten);  // it acts
  CHECK(eventually([&] { return bench.learner().verification().equal > 0; }));
  CHECK(bench.learner().verification().different == 0);
  CHECK(health_of(bench.learner(), "verification") == "ok");

  const auto version = bench.hub().snapshot()->version;
  report(bench, plant(bench, *plan, "SELECT id, name FROM parents WHERE id > 950"), kQuery);
  REQUIRE(eventually([&] { return bench.learner().verification().different == 1; }));
  CHECK(bench.hub().snapshot()->version > version);
  CHECK(bench.hub().snapshot()->banned_rules == std::vector<std::string>{"distinct_over_key"});
  const auto after = bench.play("verifying", kQuery, 50);
  CHECK_FALSE(offers_rule(*after));
  CHECK(after->chosen().kind == rewriter::CandidateKind::as_is);
  CHECK(health_of(bench.learner(), "verification").starts_with("degraded: distinct_over_key"));
  const auto mismatches = bench.learner().mismatches();
  REQUIRE(mismatches.size() == 1);
  CHECK(mismatches[0].original == kQuery);
  CHECK(mismatches[0].rewritten == "SELECT id, name FROM parents WHERE id > 950");
  CHECK(mismatches[0].why == "50 rows instead of 100");
  const auto audit = read(bench.state_dir() + "/audit.log");
  CHECK(audit.find("event=mismatch") != std::string::npos);
  CHECK(audit.find(kQuery) != std::string::npos);
  CHECK(audit.find("WHERE id > 950") != std::string::npos);

  CHECK(bench.learner().unban_rule("no_such_rule").starts_with("unknown rewrite rule"));
  CHECK(bench.learner().unban_rule("distinct_over_key").empty());
  CHECK(bench.learner().unban_rule("distinct_over_key") == "rule \"distinct_over_key\" is not banned");
  CHECK(health_of(bench.learner(), "verification") == "ok");
  CHECK(offers_rule(*bench.play("verifying", kQuery, 50)));
  CHECK(bench.learner().mismatches().size() == 1);  // the record stays
}

TEST_CASE("what PostgreSQL itself may vary is not compared, nor what the share leaves out") {
  if (!server_here()) return;
  Database database("varying");
  database.run(kTables);
  for (const bool asked : {true, false}) {
    CAPTURE(asked);
    Bench bench(asked ? "[default]\nmode = \"auto\"\nverify = 1\n" : "[default]\nmode = \"auto\"\nverify = \"off\"\n", no_exploring);
    bench.learner().start();
    REQUIRE(bench.wait_for_catalog("varying"));
    const char* varying[] = {"SELECT id FROM parents LIMIT 3", "SELECT id, random() FROM parents", "SELECT array_agg(id) FROM parents"};
    for (const char* text : varying) {
      const auto plan = bench.play("varying", text, 5);
      report(bench, plant(bench, *plan, "SELECT id FROM parents WHERE id = 999"), text);
    }
    CHECK(eventually([&] { return bench.learner().settled(); }));
    CHECK(bench.learner().verification().sampled == (asked ? 3 : 0));
    CHECK(bench.learner().verification().excluded == (asked ? 3 : 0));
    CHECK(bench.learner().verification().different == 0);
    CHECK(bench.hub().snapshot()->banned_rules.empty());
  }
}

TEST_CASE("bans and mismatches outlive the process; a file that cannot be read bans every rule and is kept") {
  TempDir state;
  auto config = std::make_shared<proxy::Config>();
  config->state_dir = state.path();
  config->upstream.probe = false;
  const auto policies = policies::PolicySet::parse("", "p.toml", nullptr);
  {
    proxy::Hub hub(config, policies);
    proxy::learning::Audit audit(state.path());
    proxy::learning::RuleBans bans(hub, audit, state.path());
    bans.load();
    bans.mismatch({5, "d", "00ff", {"count_not_null", "date_range"}, "3 rows instead of 4", "verification", "SELECT 'a\"\n\\'", "SELECT 2"});
  }
  {
    proxy::Hub hub(config, policies);
    proxy::learning::Audit audit(state.path());
    proxy::learning::RuleBans bans(hub, audit, state.path());
    bans.load();
    CHECK(hub.snapshot()->banned_rules == std::vector<std::string>{"count_not_null", "date_range"});
    REQUIRE(bans.mismatches().size() == 1);
    CHECK(bans.mismatches()[0].original == "SELECT 'a\"\n\\'");
    CHECK(bans.unban("date_range").empty());
    CHECK(hub.snapshot()->banned_rules == std::vector<std::string>{"count_not_null"});
  }
  const std::string file = state.path() + "/rules.json";
  CHECK((std::filesystem::status(file).permissions() & std::filesystem::perms::others_read) == std::filesystem::perms::none);
  std::ofstream(file) << "{\"version\": 99}";
  proxy::Hub hub(config, policies);
  proxy::learning::Audit audit(state.path());
  proxy::learning::RuleBans bans(hub, audit, state.path());
  bans.load();
  CHECK(hub.snapshot()->banned_rules.size() == rewriter::all_rules().size());
  CHECK(bans.health().find("version 99") != std::string::npos);
  CHECK(bans.unban("date_range").empty());
  CHECK(read(file) == "{\"version\": 99}");
}
