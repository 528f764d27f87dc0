// Each form a policy file may have, and each wrong form with its exact message.
#include <filesystem>
#include <fstream>

#include <doctest/doctest.h>

#include "policies/policy.hpp"
#include "tests/support/servers.hpp"

namespace pgsteer::policies {
namespace {

std::shared_ptr<const PolicySet> accept(const std::string& toml) {
  std::vector<FileError> errors;
  auto set = PolicySet::parse(toml, "p.toml", &errors);
  for (const auto& error : errors) MESSAGE(error.text);
  REQUIRE(errors.empty());
  REQUIRE(set);
  return set;
}

std::vector<std::string> refuse(const std::string& toml) {
  std::vector<FileError> errors;
  CHECK_FALSE(PolicySet::parse(toml, "p.toml", &errors));
  std::vector<std::string> texts;
  for (const auto& error : errors) texts.push_back(error.text);
  return texts;
}

Actions only_rule(const std::string& keys, const std::string& before = "") {
  return accept(before + "\n[[rule]]\n" + keys + "\n")->rules().at(0).actions;
}

std::string rule_name() { return rewriter::all_rules().front().name; }
std::string arm_name() { return rewriter::arms().front().name; }

}  // namespace

TEST_CASE("the sample of the manual loads") {
  const auto set = accept(R"(
[default]
mode = "observe"

[[rule]]
name = "checkout stays untouched"
match = { database = "shop", application = "checkout*", statement = ["insert", "update", "delete"] }
mode = "off"

[[rule]]
name = "reports"
match = { database = "shop", user = "bi_*", tag.route = "/reports/*" }
mode = "auto"
rewrite = ["all", "-)" + rule_name() + R"("]
steer = { arms = "default", max_regression = 1.2, explore = "offline", budget = "2%" }
cache = { mode = "bounded", staleness = "2s", max_result = "8MB" }
lane = "slow"
limits = { max_predicted = "10min", rate_per_user = "50/s", rate_per_tag = { route = "90/min" }, on_exceed = "reject" }
route = "replica"

[[rule]]
name = "product pages"
match = { database = "shop", table = ["products", "prices"], statement = "select" }
mode = "canary"
canary = { share = 0.05, control = 0.05, promote_at = "95%" }
cache = { mode = "strict" }

[lanes.fast]
max_predicted = "50ms"
concurrency = 64
[lanes.slow]
concurrency = 4
queue_timeout = "30s"
)");
  REQUIRE(set->rules().size() == 3);
  CHECK(set->defaults().mode == Mode::observe);
  const Rule& reports = set->rules()[1];
  CHECK(reports.name == "reports");
  CHECK(reports.where == "p.toml:10");
  CHECK(reports.match.user == Globs{"bi_*"});
  CHECK(reports.match.tag.at("route") == Globs{"/reports/*"});
  CHECK(reports.actions.mode == Mode::auto_);
  CHECK(reports.actions.rewrite->all);
  CHECK_FALSE(reports.actions.rewrite->allows(rule_name()));
  CHECK(reports.actions.steer->max_regression == 1.2);
  CHECK(reports.actions.steer->explore_budget == doctest::Approx(0.02));
  CHECK(reports.actions.cache->mode == cache::Consistency::bounded);
  CHECK(reports.actions.cache->staleness == std::chrono::seconds(2));
  CHECK(reports.actions.cache->max_result == 8u << 20);
  CHECK(reports.actions.lane == "slow");
  CHECK(reports.actions.route == "replica");
  CHECK(reports.actions.limits->max_predicted == std::chrono::minutes(10));
  CHECK(reports.actions.limits->rate_per_user == 50);
  CHECK(reports.actions.limits->rate_per_tag.at("route") == 1.5);
  CHECK(reports.actions.limits->on_exceed == LimitAction::OnExceed::reject);
  CHECK(set->rules()[2].actions.canary->promote_at == doctest::Approx(0.95));
  CHECK(set->rules()[0].match.statement.size() == 3);
  REQUIRE(set->lanes().size() == 2);
  CHECK(set->lanes()[0].name == "fast");
  CHECK(set->lanes()[0].concurrency == 64);
  CHECK(set->lanes()[1].queue_timeout == std::chrono::seconds(30));
  CHECK(set->any_cache());
}

TEST_CASE("nothing is a policy: the built-in one") {
  for (const auto& set : {accept(""), PolicySet::load("", nullptr), PolicySet::load("/no/such/directory", nullptr)}) {
    REQUIRE(set);
    CHECK(set->rules().empty());
    const Effective e = set->resolve({}, {});
    CHECK(e.rule == "default");
    CHECK(e.where.empty());
    CHECK(e.mode == Mode::observe);
    CHECK_FALSE(e.mode_given);
    CHECK_FALSE(set->any_cache());
  }
}

TEST_CASE("reuse: off unless it is asked for") {
  CHECK_FALSE(accept("")->resolve({}, {}).reuse);
  CHECK(only_rule("reuse = true").reuse);
  CHECK(only_rule("reuse = \"on\"").reuse);
  CHECK_FALSE(accept("[default]\nreuse = true\n[[rule]]\nreuse = \"off\"")->resolve({}, {}).reuse);
}

TEST_CASE("verify: a share, off, and one execution in a thousand when nothing is said") {
  CHECK(accept("")->resolve({}, {}).verify == doctest::Approx(0.001));
  CHECK(only_rule("verify = \"1%\"").verify == doctest::Approx(0.01));
  CHECK(only_rule("verify = 1").verify == 1);
  CHECK(only_rule("verify = \"off\"").verify == 0);
  CHECK(only_rule("verify = false").verify == 0);
  CHECK(accept("[default]\nverify = 0.5\n[[rule]]\nmode = \"auto\"")->resolve({}, {}).verify == 0.5);
}

TEST_CASE("short forms") {
  CHECK(only_rule("steer = false").steer->enabled == false);
  CHECK(only_rule("steer = \"off\"").steer->enabled == false);
  CHECK(only_rule("steer = true").steer->enabled);
  CHECK(only_rule("rewrite = false").rewrite_enabled == false);
  CHECK(only_rule("rewrite = \"off\"").rewrite_enabled == false);
  CHECK(only_rule("rewrite = true").rewrite_enabled == true);
  CHECK(only_rule("rewrite = \"all\"").rewrite->all);
  CHECK(only_rule("cache = \"off\"").cache->mode == cache::Consistency::off);
  CHECK(only_rule("cache = false").cache->mode == cache::Consistency::off);
  CHECK(only_rule("cache = \"strict\"").cache->mode == cache::Consistency::strict);
  CHECK_FALSE(only_rule("cache = \"strict\"").cache->learn);
  CHECK(only_rule("cache = \"auto\"").cache->mode == cache::Consistency::strict);
  CHECK(only_rule("cache = \"auto\"").cache->learn);
  CHECK(only_rule("cache.mode = \"ttl\"").cache->mode == cache::Consistency::ttl);
  CHECK(only_rule("mode = false").mode == Mode::off);
}

TEST_CASE("lists of rules and arms") {
  const Actions only = only_rule("rewrite = [\"" + rule_name() + "\"]");
  CHECK_FALSE(only.rewrite->all);
  CHECK(only.rewrite->allows(rule_name()));
  CHECK_FALSE(only.rewrite->allows(rewriter::all_rules().back().name));
  const Actions without = only_rule("rewrite = [\"-" + rule_name() + "\"]");
  CHECK(without.rewrite->all);
  CHECK_FALSE(without.rewrite->allows(rule_name()));
  CHECK(only_rule("steer.arms = \"default\"").steer->arms.empty());
  CHECK(only_rule("steer.arms = [\"" + arm_name() + "\"]").steer->arms == std::vector<std::string>{arm_name()});
  const auto rest = only_rule("steer.arms = [\"default\", \"-" + arm_name() + "\"]").steer->arms;
  CHECK(rest.size() == rewriter::arms().size() - 1);
  CHECK(std::find(rest.begin(), rest.end(), arm_name()) == rest.end());
}

TEST_CASE("a table that sets some keys keeps [default]'s values for the others, wherever [default] stands") {
  const std::string defaults =
      "[default]\nsteer = { floor = \"1s\", min_gain = \"50%\" }\ncache = { mode = \"ttl\", staleness = \"9s\" }\n";
  for (const bool first : {true, false}) {
    const std::string rule = "[[rule]]\nsteer = { floor = \"2s\" }\ncache = { max_result = 10 }\n";
    const auto set = accept(first ? defaults + rule : rule + defaults);
    const Actions& actions = set->rules().at(0).actions;
    CHECK(actions.steer->floor == std::chrono::seconds(2));
    CHECK(actions.steer->min_gain == 0.5);
    CHECK(actions.cache->mode == cache::Consistency::ttl);
    CHECK(actions.cache->staleness == std::chrono::seconds(9));
    CHECK(actions.cache->max_result == 10);
  }
  // Switching off and on again in a narrower rule does not lose the bounds either.
  CHECK(only_rule("steer = true", defaults).steer->min_gain == 0.5);
}

TEST_CASE("wrong forms, each with its message") {
  const struct {
    std::string name, toml, message;
  } table[] = {
      {"key of a rule", "[[rule]]\nmdoe = \"off\"", "p.toml:2: unknown key 'mdoe' in [[rule]]: did you mean 'mode'?"},
      {"key far from all", "[default]\nzzzzzz = 1",
       "p.toml:2: unknown key 'zzzzzz' in [default]: expected mode, rewrite, steer, cache, canary, regret, limits, verify, reuse, lane or route"},
      {"top level", "[defualt]\n", "p.toml:1: unknown key 'defualt' in the file: did you mean 'default'?"},
      {"match in default", "[default]\nmatch = { user = \"x\" }",
       "p.toml:2: unknown key 'match' in [default]: expected mode, rewrite, steer, cache, canary, regret, limits, verify, reuse, lane or route"},
      {"mode", "[[rule]]\nmode = \"atuo\"",
       "p.toml:2: [[rule]] mode: expected off, observe, suggest, canary or auto, got 'atuo': did you mean 'auto'?"},
      {"mode by number", "[default]\nmode = 3",
       "p.toml:2: [default] mode: expected off, observe, suggest, canary or auto, got the number 3"},
      {"steer number", "[[rule]]\nsteer = 1",
       "p.toml:2: [[rule]] steer: expected true, false, \"off\" or a table, got the number 1"},
      {"steer key", "[[rule]]\nsteer = { max_regresion = 2 }",
       "p.toml:2: unknown key 'max_regresion' in [[rule]] steer: did you mean 'max_regression'?"},
      {"regression", "[[rule]]\nsteer = { max_regression = 0.5 }",
       "p.toml:2: [[rule]] steer.max_regression: expected a number from 1 to 100, got the number 0.5"},
      {"regression nan", "[[rule]]\nsteer = { max_regression = nan }",
       "p.toml:2: [[rule]] steer.max_regression: expected a number from 1 to 100, got the number nan"},
      {"budget", "[[rule]]\nsteer = { budget = \"200%\" }",
       "p.toml:2: [[rule]] steer.budget: expected a share from 0 to 1, as 0.05 or \"5%\", got '200%'"},
      {"explore", "[[rule]]\nsteer = { explore = \"ofline\" }",
       "p.toml:2: [[rule]] steer.explore: expected offline or off, got 'ofline': did you mean 'offline'?"},
      {"floor without unit", "[[rule]]\nsteer = { floor = 5 }",
       "p.toml:2: [[rule]] steer.floor: expected a duration such as \"250ms\", \"2s\" or \"10min\", got the number 5"},
      {"arms emptied", "[[rule]]\nsteer = { arms = [] }", "p.toml:2: [[rule]] steer.arms: expected at least one name, got a list"},
      {"cache word", "[[rule]]\ncache = \"strikt\"",
       "p.toml:2: [[rule]] cache: expected off, auto, strict, strict+wal, bounded or ttl, got 'strikt': did you mean 'strict'?"},
      {"cache true", "[[rule]]\ncache = true",
       "p.toml:2: [[rule]] cache: expected false, off, auto, strict, strict+wal, bounded or ttl, or a table, got true"},
      {"staleness", "[[rule]]\ncache = { staleness = \"soon\" }",
       "p.toml:2: [[rule]] cache.staleness: expected a duration such as \"250ms\", \"2s\" or \"10min\", got 'soon'"},
      {"staleness too fine", "[[rule]]\ncache = { staleness = \"80us\" }",
       "p.toml:2: [[rule]] cache.staleness: expected whole milliseconds, got '80us'"},
      {"size", "[[rule]]\ncache = { max_result = \"8mb\" }",
       "p.toml:2: [[rule]] cache.max_result: expected a size such as \"64kB\" or \"8MB\", got '8mb'"},
      {"canary share", "[[rule]]\ncanary = { share = 1.5 }",
       "p.toml:2: [[rule]] canary.share: expected a share from 0 to 1, as 0.05 or \"5%\", got the number 1.5"},
      {"canary sum", "[[rule]]\ncanary = { share = 0.8, control = 0.3 }",
       "p.toml:2: [[rule]] canary: expected share and control to be at most 1 together, got 0.8 and 0.3"},
      {"regret", "[[rule]]\nregret = { fingerprint = \"much\" }",
       "p.toml:2: [[rule]] regret.fingerprint: expected a duration such as \"250ms\", \"2s\" or \"10min\", got 'much'"},
      {"canary form", "[[rule]]\ncanary = 0.1", "p.toml:2: [[rule]] canary: expected a table, got the number 0.1"},
      {"reuse", "[[rule]]\nreuse = 2", "p.toml:2: [[rule]] reuse: expected true, false, \"on\" or \"off\", got the number 2"},
      {"verify", "[[rule]]\nverify = \"2x\"",
       "p.toml:2: [[rule]] verify: expected a share from 0 to 1, as 0.05 or \"5%\", got '2x'"},
      {"limits", "[[rule]]\nlimits = { on_exceed = \"abort\" }",
       "p.toml:2: [[rule]] limits.on_exceed: expected warn, reject or queue, got 'abort'"},
      {"rate", "[[rule]]\nlimits = { rate_per_user = \"50\" }",
       "p.toml:2: [[rule]] limits.rate_per_user: expected a rate such as \"50/s\", \"600/min\" or \"10/h\", got '50'"},
      {"rate of nothing", "[[rule]]\nlimits = { rate_per_tag = { route = \"0/s\" } }",
       "p.toml:2: [[rule]] limits.rate_per_tag.route: expected a rate such as \"50/s\", \"600/min\" or \"10/h\", got '0/s'"},
      {"rate of tags", "[[rule]]\nlimits = { rate_per_tag = \"1/s\" }",
       "p.toml:2: [[rule]] limits.rate_per_tag: expected a table such as { route = \"10/s\" }, got '1/s'"},
      {"route", "[[rule]]\nroute = \"standby\"", "p.toml:2: [[rule]] route: expected primary, replica or any, got 'standby'"},
      {"lane without lanes", "[[rule]]\nlane = \"slow\"",
       "p.toml:2: [[rule]] lane: expected a lane of some [lanes.<name>], got 'slow' and there are none"},
      {"lane misspelt", "[[rule]]\nlane = \"slwo\"\n[lanes.slow]",
       "p.toml:2: [[rule]] lane: unknown lane 'slwo': did you mean 'slow'?"},
      {"lane of default", "[default]\nlane = \"slow\"",
       "p.toml:2: [default] lane: expected a lane of some [lanes.<name>], got 'slow' and there are none"},
      {"lane key", "[lanes.slow]\nconcurency = 3",
       "p.toml:2: unknown key 'concurency' in [lanes.slow]: did you mean 'concurrency'?"},
      {"lane concurrency", "[lanes.slow]\nconcurrency = -1",
       "p.toml:2: [lanes.slow] concurrency: expected a number from 0 to 100000, got the number -1"},
      {"lanes form", "lanes = 3", "p.toml:1: lanes: expected tables such as [lanes.slow], got the number 3"},
      {"match key", "[[rule]]\nmatch = { databse = \"x\" }",
       "p.toml:2: unknown key 'databse' in [[rule]] match: did you mean 'database'?"},
      {"match number", "[[rule]]\nmatch = { user = 3 }",
       "p.toml:2: [[rule]] match.user: expected a name or a list of names, got the number 3"},
      {"match empty name", "[[rule]]\nmatch = { user = [\"\"] }", "p.toml:2: [[rule]] match.user: expected a name, got ''"},
      {"match empty list", "[[rule]]\nmatch = { user = [] }",
       "p.toml:2: [[rule]] match.user: expected at least one name, got a list"},
      {"match form", "[[rule]]\nmatch = \"shop\"", "p.toml:2: [[rule]] match: expected a table, got 'shop'"},
      {"statement kind", "[[rule]]\nmatch = { statement = \"selct\" }",
       "p.toml:2: [[rule]] match.statement: unknown statement kind 'selct': did you mean 'select'?"},
      {"tag form", "[[rule]]\nmatch = { tag = \"x\" }",
       "p.toml:2: [[rule]] match.tag: expected a table such as tag.route = \"/reports/*\", got 'x'"},
      {"network mask", "[[rule]]\nmatch = { client_address = \"10.0.0.0/8\" }",
       "p.toml:2: [[rule]] match.client_address: expected an address or a glob such as \"10.1.*\" (network masks are not "
       "supported), got '10.0.0.0/8'"},
      {"rule with one bracket", "[rule]\nmode = \"off\"",
       "p.toml:1: rule: expected [[rule]] with two brackets, one for each rule, got a table"},
      {"rule name", "[[rule]]\nname = 7", "p.toml:2: [[rule]] name: expected a name, got the number 7"},
      {"same name", "[[rule]]\nname = \"a\"\n[[rule]]\nname = \"a\"",
       "p.toml:3: rule 'a' is given twice, first at p.toml:1"},
      {"date", "[default]\nmode = 2026-01-01",
       "p.toml:2: [default] mode: expected off, observe, suggest, canary or auto, got a date or time"},
  };
  for (const auto& row : table) {
    CAPTURE(row.name);
    const auto errors = refuse(row.toml);
    REQUIRE(errors.size() == 1);
    CHECK(errors[0] == row.message);
  }
}

TEST_CASE("rules and arms that do not exist are named with the nearest one") {
  const std::string rule = rule_name(), arm = arm_name();
  auto errors = refuse("[[rule]]\nrewrite = [\n  \"all\",\n  \"-" + rule + "x\"]");
  REQUIRE(errors.size() == 1);
  CHECK(errors[0] == "p.toml:4: [[rule]] rewrite: unknown rewrite rule '" + rule + "x': did you mean '" + rule + "'?");
  errors = refuse("[[rule]]\nsteer.arms = \"" + arm + "x\"");
  REQUIRE(errors.size() == 1);
  CHECK(errors[0] == "p.toml:2: [[rule]] steer.arms: unknown arm '" + arm + "x': did you mean '" + arm + "'?");
}

TEST_CASE("a syntax error has its line") {
  const auto errors = refuse("[default]\nmode = \"off\"\n[[rule]\n");
  REQUIRE(errors.size() == 1);
  CHECK(errors[0].starts_with("p.toml:3: "));
}

TEST_CASE("all errors are collected, in the order of the file") {
  const auto errors = refuse(
      "[[rule]]\nmode = \"x\"\nlane = \"y\"\ncache = 3\n[default]\nmode = \"z\"\n[lanes.a]\nb = 1\n[[rule]]\nq = 1\n");
  REQUIRE(errors.size() == 6);
  const char* starts[] = {"p.toml:2: ", "p.toml:3: ", "p.toml:4: ", "p.toml:6: ", "p.toml:8: ", "p.toml:10: "};
  for (std::size_t i = 0; i < errors.size(); ++i) CHECK(errors[i].starts_with(starts[i]));
}

TEST_CASE("a directory is read in the order of names, and is one policy") {
  const test::TempDir dir;
  const auto write = [&](const std::string& name, const std::string& text) {
    std::ofstream(dir.path() + "/" + name) << text;
  };
  write("20-b.toml", "[[rule]]\nname = \"second\"\nlane = \"slow\"\n");
  write("10-a.toml", "[[rule]]\nname = \"first\"\n[default]\nmode = \"suggest\"\n");
  write("30-c.toml", "[lanes.slow]\n");
  write("note.txt", "not a policy");
  std::vector<FileError> errors;
  auto set = PolicySet::load(dir.path(), &errors);
  REQUIRE(set);
  REQUIRE(set->rules().size() == 2);
  CHECK(set->rules()[0].name == "first");
  CHECK(set->rules()[1].where == dir.path() + "/20-b.toml:1");
  CHECK(set->resolve({}, {}).mode == Mode::suggest);

  write("40-d.toml", "[default]\n");
  write("50-e.toml", "[[rule]]\nname = \"first\"\n[lanes.slow]\n");
  CHECK_FALSE(PolicySet::load(dir.path(), &errors));
  REQUIRE(errors.size() == 3);
  CHECK(errors[0].text == dir.path() + "/40-d.toml:1: [default] is given twice, first at " + dir.path() + "/10-a.toml:3");
  CHECK(errors[1].text == dir.path() + "/50-e.toml:1: rule 'first' is given twice, first at " + dir.path() + "/10-a.toml:1");
  CHECK(errors[2].text ==
        dir.path() + "/50-e.toml:3: [lanes.slow] is given twice, first at " + dir.path() + "/30-c.toml:1");
}

TEST_CASE("what cannot be read is an error, not an empty policy") {
  const test::TempDir dir;
  std::filesystem::create_directory(dir.path() + "/x.toml");
  std::ofstream(dir.path() + "/file") << "";
  std::vector<FileError> errors;
  CHECK_FALSE(PolicySet::load(dir.path(), &errors));
  REQUIRE(errors.size() == 1);
  CHECK(errors[0].text == dir.path() + "/x.toml:1: expected a readable file: not a regular file");
  errors.clear();
  CHECK_FALSE(PolicySet::load(dir.path() + "/file", &errors));
  REQUIRE(errors.size() == 1);
  CHECK(errors[0].text.starts_with(dir.path() + "/file:1: expected a directory of policy files"));
}

}  // namespace pgsteer::policies
