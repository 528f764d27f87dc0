// The learner as a whole, on a real server: statements are played by the real pipeline and reported as sessions do.
#include <filesystem>
#include <fstream>

#include "tests/learner/fixture.hpp"

using namespace pgsteer;
using namespace pgsteer::test;
using State = policies::Evidence::State;

namespace {

// Three columns that always agree: the planner multiplies their selectivities, expects one row on either side and takes a
// nested loop, which scans the inner table two hundred times. Without nested loops the same answer takes a fraction.
constexpr const char* kMisestimated = R"(
CREATE TABLE facts (a int, b int, c int, k int);
INSERT INTO facts SELECT i % 100, i % 100, i % 100, i FROM generate_series(1, 20000) i;
CREATE TABLE details AS TABLE facts;
ANALYZE;
)";
std::string slow_query(int a) {
  const auto n = std::to_string(a);
  return "SELECT count(*), sum(d.k) FROM facts f JOIN details d ON d.k = f.k WHERE f.a = " + n + " AND f.b = " + n +
         " AND f.c = " + n + " AND d.a = " + n + " AND d.b = " + n + " AND d.c = " + n;
}

const policies::Evidence* evidence_of(const std::shared_ptr<const policies::Knowledge>& knowledge, const char* label) {
  return knowledge ? knowledge->find(label) : nullptr;
}

std::string audit_log(const Bench& bench) {
  std::ifstream in(bench.state_dir() + "/audit.log");
  return {std::istreambuf_iterator<char>(in), {}};
}

bool no_exploring(proxy::Config& config) { return config.learning.explore = false; }

}  // namespace

TEST_CASE("a statement seen twice is probed: plan, history, judgement; and again after DDL") {
  if (!server_here()) return;
  Database database("probing");
  database.run("CREATE TABLE t (id int PRIMARY KEY, name text); INSERT INTO t SELECT i, i FROM generate_series(1, 5000) i; ANALYZE");
  Bench bench("[default]\nmode = \"auto\"\ncache = \"strict\"\n", no_exploring);
  bench.learner().start();
  REQUIRE(bench.wait_for_catalog("probing"));
  auto plan = bench.play("probing", "select * from t where id = 7", 1.5);
  CHECK(eventually([&] { return bench.learner().settled(); }));
  REQUIRE(bench.knowledge(*plan));
  CHECK_FALSE(bench.knowledge(*plan)->judged);  // once is not enough for what is fast
  bench.play("probing", "select * from t where id = 8", 1.5);
  REQUIRE(eventually([&] { return bench.knowledge(*plan) && bench.knowledge(*plan)->judged; }));
  auto knowledge = bench.knowledge(*plan);
  CHECK(knowledge->plan.known);
  CHECK(knowledge->plan.index_scans == 1);
  CHECK(knowledge->history.count == 2);
  CHECK(knowledge->cache.state == cache::Judgement::State::cacheable);
  CHECK(knowledge->cache.relations.size() == 1);
  CHECK(knowledge->catalog_version == bench.hub().snapshot()->catalog("probing")->version);
  CHECK(knowledge->cache.catalog_version == knowledge->catalog_version);
  database.run("ALTER TABLE t DROP CONSTRAINT t_pkey");
  const auto before = knowledge->catalog_version;
  CHECK(eventually([&] {
    knowledge = bench.knowledge(*plan);
    return knowledge->catalog_version > before && knowledge->plan.seq_scans == 1;
  }));
  const auto queries = bench.learner().queries();
  REQUIRE(queries.size() == 1);
  CHECK(queries[0].calls == 2);
  CHECK(queries[0].mean_ms == doctest::Approx(1.5));
  CHECK(queries[0].p95_ms == doctest::Approx(1.5).epsilon(0.05));
  CHECK(bench.learner().decisions(10).size() == 2);
  CHECK(bench.learner().decisions(1).front().id == 2);
  CHECK(bench.learner().feedback().stored == 2);
}

TEST_CASE("parameters of extended executions are used, in either format and without declared types") {
  if (!server_here()) return;
  Database database("parameters");
  database.run("CREATE TABLE t (id int PRIMARY KEY, name text); INSERT INTO t SELECT i, i FROM generate_series(1, 5000) i; ANALYZE");
  Bench bench("[default]\nmode = \"auto\"\ncache = \"strict\"\n", no_exploring);
  bench.learner().start();
  REQUIRE(bench.wait_for_catalog("parameters"));
  const std::string text = "select * from t where id < $1 and name <> $2";
  auto few = bench.play("parameters", text, 30, {}, bind_section({"3", "x"}));
  REQUIRE(eventually([&] { return bench.knowledge(*few) && bench.knowledge(*few)->judged; }));
  CHECK(bench.knowledge(*few)->plan.index_scans + bench.knowledge(*few)->plan.bitmap_scans == 1);
  CHECK(bench.knowledge(*few)->cache.state == cache::Judgement::State::cacheable);
  // Binary: format codes 1 and 0, int4 4000; most of the table, so the plan is another.
  const std::string other = "select id from t where id < $1 and name <> $2";
  const std::string section = std::string("\0\2\0\1\0\0\0\2\0\0\0\4\0\0\x0f\xa0\0\0\0\1x", 21);
  auto most = bench.play("parameters", other, 30, {23, 25}, section);
  REQUIRE(eventually([&] { return bench.knowledge(*most) && bench.knowledge(*most)->judged; }));
  CHECK(bench.knowledge(*most)->plan.seq_scans == 1);
}

TEST_CASE("a statement the server refuses is looked at once and leaves nothing pending") {
  if (!server_here()) return;
  Database database("refusing");
  Bench bench("[default]\nmode = \"auto\"\ncache = \"strict\"\n");
  bench.learner().start();
  REQUIRE(bench.wait_for_catalog("refusing"));
  auto plan = bench.play("refusing", "select * from nowhere", 50);
  CHECK(eventually([&] { return bench.learner().settled(); }));
  REQUIRE(bench.knowledge(*plan));
  CHECK(bench.knowledge(*plan)->judged);
  CHECK_FALSE(bench.knowledge(*plan)->plan.known);
  CHECK(bench.knowledge(*plan)->cache.state != cache::Judgement::State::cacheable);
}

TEST_CASE("exploration finds the arm that surely wins, and it is served") {
  if (!server_here()) return;
  Database database("winning");
  database.run(kMisestimated);
  Bench bench;
  bench.learner().start();
  REQUIRE(bench.wait_for_catalog("winning"));
  std::shared_ptr<const proxy::Plan> plan;
  for (int a = 1; a <= 4; ++a) plan = bench.play("winning", slow_query(a));
  REQUIRE(eventually([&] { return bench.learner().settled(); }, 120));
  const auto knowledge = bench.knowledge(*plan);
  REQUIRE(knowledge);
  CHECK(knowledge->plan.nested_loops == 1);
  const policies::Evidence* best = nullptr;
  for (const auto& entry : knowledge->evidence)
    if (entry.state == State::approved && (!best || entry.gain() > best->gain())) best = &entry;
  REQUIRE(best);
  CHECK(best->label.starts_with("arm:"));
  CHECK(best->explored >= 3);
  CHECK(best->gain() > 0.5);
  CHECK(best->worst_ratio <= 1.1);
  CHECK(audit_log(bench).find("event=approved") != std::string::npos);
  CHECK(bench.learner().feedback().stored > 8);  // explored executions are training rows too
  // What was learned acts (random 0 is never held back for comparison).
  CHECK(bench.play("winning", slow_query(31), 3)->chosen().label() == best->label);
  bool listed = false;
  for (const auto& row : bench.learner().experiments()) listed = listed || (row.label == best->label && row.state == "approved");
  CHECK(listed);
  for (const auto& [name, state] : bench.learner().health()) {
    CAPTURE(name);
    if (name == "verification") CHECK(state == "ok");
  }
}

TEST_CASE("where no arm helps none is approved, and it ends") {
  if (!server_here()) return;
  Database database("losing");
  database.run("CREATE TABLE t (x int, y int); INSERT INTO t SELECT i, i % 10 FROM generate_series(1, 100000) i; ANALYZE");
  Bench bench;
  bench.learner().start();
  REQUIRE(bench.wait_for_catalog("losing"));
  std::shared_ptr<const proxy::Plan> plan;
  for (int i = 0; i < 3; ++i) plan = bench.play("losing", "select y, count(*), sum(x) from t where x > " + std::to_string(i) + " group by y");
  REQUIRE(eventually([&] { return bench.learner().settled(); }, 120));
  for (const auto& entry : bench.knowledge(*plan)->evidence) CHECK(entry.state != State::approved);
}

TEST_CASE("an arm that is bad is cancelled at the default's time and never approved") {
  if (!server_here()) return;
  Database database("adversary");
  database.run("CREATE TABLE a (k int, v int); CREATE TABLE b (k int, v int);"
               "INSERT INTO a SELECT i, i FROM generate_series(1, 30000) i; INSERT INTO b SELECT i, i FROM generate_series(1, 30000) i; ANALYZE");
  Bench bench("[default]\nmode = \"auto\"\nsteer = { arms = [\"nestloop_only\"], floor = \"1ms\" }\n");
  bench.learner().start();
  REQUIRE(bench.wait_for_catalog("adversary"));
  std::shared_ptr<const proxy::Plan> plan;
  for (int i = 0; i < 4; ++i) plan = bench.play("adversary", "select count(*) from a join b on a.k = b.k where a.v <> " + std::to_string(i));
  const auto start = std::chrono::steady_clock::now();
  REQUIRE(eventually([&] { return bench.learner().settled(); }, 60));
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(30));  // the nested loop itself takes minutes
  const auto* arm = evidence_of(bench.knowledge(*plan), "arm:nestloop_only");
  REQUIRE(arm);
  CHECK(arm->state == State::rejected);
  CHECK(arm->worst_ratio > 1.1);
}

TEST_CASE("what is volatile, secured or below the floor is never explored") {
  if (!server_here()) return;
  Database database("careful");
  database.run("CREATE TABLE seen (n int); CREATE TABLE secret (x int); ALTER TABLE secret ENABLE ROW LEVEL SECURITY;"
               "CREATE FUNCTION mark() RETURNS int LANGUAGE sql AS 'INSERT INTO seen VALUES (1) RETURNING n'");
  Bench bench;
  bench.learner().start();
  REQUIRE(bench.wait_for_catalog("careful"));
  for (int i = 0; i < 5; ++i) {
    bench.play("careful", "select mark()", 500);
    bench.play("careful", "select * from secret", 500);
    bench.play("careful", "select pg_sleep(0)", 500);
    bench.play("careful", "select 1 + 1", 0.2);
  }
  REQUIRE(eventually([&] { return bench.learner().settled(); }));
  CHECK(bench.learner().experiments().empty());
  CHECK(connect("careful")->run("SELECT * FROM seen").rows() == 0);
  CHECK(bench.learner().feedback().stored == 20);
}

TEST_CASE("observe mode probes but never explores") {
  if (!server_here()) return;
  Database database("observing");
  database.run(kMisestimated);
  Bench bench("");
  bench.learner().start();
  REQUIRE(bench.wait_for_catalog("observing"));
  std::shared_ptr<const proxy::Plan> plan;
  for (int a = 1; a <= 4; ++a) plan = bench.play("observing", slow_query(a), 80);
  REQUIRE(eventually([&] { return bench.learner().settled(); }));
  CHECK(bench.knowledge(*plan)->plan.known);
  CHECK(bench.learner().experiments().empty());
  CHECK(bench.learner().feedback().stored == 4);
}

TEST_CASE("stopping while exploring takes less than a second") {
  if (!server_here()) return;
  Database database("stopping");
  database.run("CREATE TABLE a (k int, v int); INSERT INTO a SELECT i, i FROM generate_series(1, 12000) i; ANALYZE");
  Bench bench("[default]\nmode = \"auto\"\nsteer = { arms = [\"no_jit\"] }\n");
  bench.learner().start();
  REQUIRE(bench.wait_for_catalog("stopping"));
  // Takes many seconds in earnest; two sightings make it due.
  const std::string text = "select count(*) from a x, a y where x.v < y.v + ";
  for (int i = 0; i < 2; ++i) bench.play("stopping", text + std::to_string(i), 60000);
  const auto monitor = connect();
  REQUIRE(eventually([&] {
    return monitor->run("SELECT 1 FROM pg_stat_activity WHERE application_name = 'pgsteer probe' AND state = 'active' "
                        "AND query LIKE 'select count(*) from a x%' AND now() - query_start > '200ms'").rows() > 0;
  }));
  const auto start = std::chrono::steady_clock::now();
  bench.learner().stop();
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(1));
  CHECK(eventually([&] {
    return monitor->run("SELECT 1 FROM pg_stat_activity WHERE application_name = 'pgsteer probe' AND datname = 'stopping'").rows() == 0;
  }, 3));
}

TEST_CASE("pins and bans act on knowledge, survive a restart and are undone") {
  if (!server_here()) return;
  Database database("pinning");
  database.run("CREATE TABLE t (x int)");
  Bench bench("[default]\nmode = \"auto\"\n", no_exploring);
  bench.learner().start();
  REQUIRE(bench.wait_for_catalog("pinning"));
  auto plan = bench.play("pinning", "select x from t where x = 1", 30);
  REQUIRE(eventually([&] { return bench.knowledge(*plan) && bench.knowledge(*plan)->judged; }));
  const auto fingerprint = plan->analysis->fingerprint_hex;
  CHECK(bench.learner().pin("0123456789abcdef", "no_nestloop") != "");
  CHECK(bench.learner().pin(fingerprint, "no_nestlop").find("no_nestloop") != std::string::npos);
  CHECK(bench.learner().unpin(fingerprint) != "");
  CHECK(bench.learner().pin(fingerprint, "no_nestloop") == "");
  CHECK(bench.learner().ban(fingerprint, "as-is") != "");
  CHECK(bench.learner().ban(fingerprint, "no_hash") == "");
  CHECK(eventually([&] { return bench.knowledge(*plan)->pinned == "arm:no_nestloop" && bench.knowledge(*plan)->banned == "arm:no_hash"; }));
  CHECK(bench.play("pinning", "select x from t where x = 1", 30)->chosen().label() == "arm:no_nestloop");
  {
    // Another daemon on the same state directory starts with them.
    proxy::Hub hub(bench.hub().snapshot()->config, bench.hub().snapshot()->policies);
    proxy::Learner second(hub, "/bin/false");
    second.start();
    CHECK(second.unpin("0123456789abcdef") != "");
    CHECK(second.unpin(fingerprint) == "");
    second.stop();
  }
  CHECK(bench.learner().ban(fingerprint, "no_nestloop") == "");
  CHECK(eventually([&] { return bench.knowledge(*plan)->pinned.empty(); }));
  const auto log = audit_log(bench);
  for (const char* event : {"event=pinned", "event=banned", "event=unpinned"}) CHECK(log.find(event) != std::string::npos);
}

namespace {

constexpr std::uint64_t kControl = ~std::uint64_t{0};

std::shared_ptr<const proxy::Plan> known(Bench& bench, const char* database, const std::string& text, double ms) {
  std::shared_ptr<const proxy::Plan> plan;
  for (int i = 0; i < 2; ++i) plan = bench.play(database, text, ms);
  REQUIRE(eventually([&] { return bench.knowledge(*plan) && bench.knowledge(*plan)->judged; }));
  return plan;
}

bool served(Bench& bench, const char* database, const std::string& text, double ms) { return bench.play(database, text, ms)->decision.candidate != 0; }

}  // namespace

TEST_CASE("a canary is compared with its control group: promoted, and rolled back once it no longer gains") {
  if (!server_here()) return;
  Database database("comparing");
  database.run("CREATE TABLE t (x int)");
  Bench bench("[default]\nmode = \"canary\"\nrewrite = false\ncanary = { share = \"50%\", control = \"20%\" }\n", no_exploring);
  bench.learner().start();
  REQUIRE(bench.wait_for_catalog("comparing"));
  const std::string text = "select x from t where x = 1";
  auto plan = known(bench, "comparing", text, 100);
  REQUIRE(bench.learner().approve(plan->analysis->fingerprint_hex, "no_nestloop", "", "") == "");
  REQUIRE(eventually([&] { return evidence_of(bench.knowledge(*plan), "arm:no_nestloop") != nullptr; }));
  int values = 1;  // always other ones: nothing but the comparison can tell that times have changed
  const auto pair = [&](double changed_ms) {
    bench.random = 0;
    bench.play("comparing", "select x from t where x = " + std::to_string(++values), changed_ms);
    bench.random = kControl;
    return bench.play("comparing", "select x from t where x = " + std::to_string(++values), 100);
  };
  CHECK(pair(70)->decision.control);
  bench.random = kControl / 10 * 7;  // outside of the canary's share
  CHECK(bench.play("comparing", text, 100)->decision.candidate == 0);
  for (int i = 0; i < 40; ++i) pair(70);
  const auto step = [&] { return evidence_of(bench.knowledge(*plan), "arm:no_nestloop")->trial.step; };
  REQUIRE(eventually([&] { return step() == policies::Trial::Step::promoted; }));
  bench.random = kControl / 10 * 7;
  CHECK(bench.play("comparing", text, 70)->decision.candidate != 0);
  for (int i = 0; i < 110; ++i) pair(112);  // no single execution is a loss
  REQUIRE(eventually([&] { return step() == policies::Trial::Step::rolled_back; }));
  bench.random = 0;
  CHECK(bench.play("comparing", text, 100)->decision.reason == policies::ReasonCode::disabled);
  const auto rows = bench.learner().experiments();
  REQUIRE(rows.size() == 1);
  CHECK(rows[0].trial.pairs >= 20);
  CHECK(rows[0].trial.effect.gain == doctest::Approx(-0.12).epsilon(0.2));
  CHECK(rows[0].trial.effect.high < 0);
  CHECK(rows[0].trial.p_worse <= 0.05);
  CHECK(rows[0].why.find("against the control group") != std::string::npos);
  const auto log = audit_log(bench);
  for (const char* event : {"event=canary", "event=promoted", "event=rolled_back"}) CHECK(log.find(event) != std::string::npos);
}

TEST_CASE("a policy that loses more than its budget observes until it is resumed") {
  if (!server_here()) return;
  Database database("regretting");
  database.run("CREATE TABLE t (x int); CREATE TABLE u (x int)");
  Bench bench("[default]\nmode = \"auto\"\nrewrite = false\nregret = { fingerprint = \"1h\", policy = \"1s\" }\n", no_exploring);
  bench.learner().start();
  REQUIRE(bench.wait_for_catalog("regretting"));
  const std::string bad = "select x from t where x = 1", good = "select x from u where x = 1";
  auto one = known(bench, "regretting", bad, 100), other = known(bench, "regretting", good, 100);
  for (const auto& plan : {one, other}) {
    REQUIRE(bench.learner().approve(plan->analysis->fingerprint_hex, "no_nestloop", "", "") == "");
    REQUIRE(eventually([&] { return evidence_of(bench.knowledge(*plan), "arm:no_nestloop") != nullptr; }));
  }
  REQUIRE(served(bench, "regretting", good, 50));
  CHECK(bench.learner().resume_policy("default") != "");
  bench.play("regretting", bad, 1300);
  std::shared_ptr<const proxy::Plan> held;
  REQUIRE(eventually([&] { return (held = bench.play("regretting", good, 100))->decision.reason == policies::ReasonCode::regret; }));
  CHECK(held->decision.mode == policies::Mode::observe);
  CHECK(held->decision.detail.find("RESUME POLICY 'default'") != std::string::npos);
  const auto rows = bench.learner().policy_records();
  REQUIRE(rows.size() == 2);
  CHECK(rows[0].rule == "default");
  CHECK(rows[0].regret_ms == doctest::Approx(1200).epsilon(0.02));
  CHECK(rows[0].held != "");
  CHECK(rows[1].held == "");  // all together may lose more
  CHECK(bench.learner().resume_policy("other") != "");
  CHECK(bench.learner().resume_policy("default") == "");
  CHECK(eventually([&] { return bench.hub().snapshot()->held_policies.empty(); }));
  CHECK(served(bench, "regretting", good, 50));
  const auto log = audit_log(bench);
  for (const char* event : {"event=policy_held", "event=policy_resumed", "event=serving"}) CHECK(log.find(event) != std::string::npos);
}

TEST_CASE("a statement whose changes lose more than its budget is left alone, the others are not; all together open the breaker of all") {
  if (!server_here()) return;
  Database database("losing_one");
  database.run("CREATE TABLE t (x int); CREATE TABLE u (x int)");
  Bench bench("[default]\nmode = \"auto\"\nrewrite = false\nregret = { fingerprint = \"1s\", policy = \"1h\" }\n", [](proxy::Config& config) {
    config.learning.explore = false;
    config.learning.regret = std::chrono::milliseconds(3000);
  });
  bench.learner().start();
  REQUIRE(bench.wait_for_catalog("losing_one"));
  const std::string bad = "select x from t where x = 1", good = "select x from u where x = 1";
  auto one = known(bench, "losing_one", bad, 100), other = known(bench, "losing_one", good, 100);
  for (const auto& plan : {one, other}) {
    REQUIRE(bench.learner().approve(plan->analysis->fingerprint_hex, "no_nestloop", "", "") == "");
    REQUIRE(eventually([&] { return evidence_of(bench.knowledge(*plan), "arm:no_nestloop") != nullptr; }));
  }
  REQUIRE(served(bench, "losing_one", bad, 1300));
  REQUIRE(eventually([&] { return bench.play("losing_one", bad, 100)->decision.reason == policies::ReasonCode::regret; }));
  CHECK(served(bench, "losing_one", good, 100));
  CHECK(audit_log(bench).find("event=held") != std::string::npos);
  REQUIRE(served(bench, "losing_one", good, 2200));
  REQUIRE(eventually([&] { return bench.play("losing_one", good, 100)->decision.mode == policies::Mode::observe; }));
  CHECK(bench.learner().policy_records().back().held.find("RESUME POLICY ALL") != std::string::npos);
  CHECK(bench.learner().resume_policy("") == "");
}

TEST_CASE("a server that is away is said so, and found again") {
  if (!server_here()) return;
  Bench bench("", [](proxy::Config& config) { config.upstream.url = "postgresql://postgres@127.0.0.1:1"; });
  bench.learner().start();
  bench.hub().catalog_wanted("postgres");
  std::string state;
  CHECK(eventually([&] {
    for (const auto& [name, text] : bench.learner().health())
      if (name == "catalog:postgres") state = text;
    return !state.empty();
  }));
  CHECK(state.find("refused") != std::string::npos);
  bench.hub().update([](proxy::Snapshot& snapshot) {
    auto config = std::make_shared<proxy::Config>(*snapshot.config);
    config->upstream.url = postgres().url();
    snapshot.config = config;
  });
  CHECK(eventually([&] { return bench.hub().snapshot()->catalog("postgres") != nullptr; }, 10));
}

TEST_CASE("training is a child whose failure is reported") {
  if (!server_here()) return;
  Bench bench("");
  bench.learner().start();
  const auto error = bench.learner().train(true);
  CHECK(error.find("exit code 1") != std::string::npos);
  CHECK_FALSE(bench.learner().training());
  for (const auto& [name, state] : bench.learner().health())
    if (name == "training") CHECK(state == error);
  CHECK(bench.learner().rollback_model("") != "");
}
