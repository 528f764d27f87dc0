#include <doctest/doctest.h>

#include "policies/policy.hpp"

namespace pgsteer::policies {
namespace {

struct Statement {
  sql::Analysis analysis;
  sql::SessionFacts session;
  Statement() {
    analysis.kind = sql::StatementKind::select;
    analysis.fingerprint_hex = "00ff00ff00ff00ff";
    session.database = "shop";
    session.user = "bi_anna";
    session.application = "checkout-7";
    session.client_address = "10.1.2.3";
    analysis.tags["route"] = "/reports/year";
    analysis.tables.resize(2);
    analysis.tables[0].name = "orders";
    analysis.tables[1].schema = "audit";
    analysis.tables[1].name = "log";
  }
};

std::shared_ptr<const PolicySet> parse(const std::string& toml) {
  std::vector<FileError> errors;
  auto set = PolicySet::parse(toml, "p.toml", &errors);
  for (const auto& error : errors) MESSAGE(error.text);
  REQUIRE(set);
  return set;
}

}  // namespace

TEST_CASE("matchers, each alone") {
  const struct {
    std::string match;
    bool expected;
  } table[] = {
      {"", true},
      {"database = \"shop\"", true},
      {"database = \"Shop\"", false},
      {"database = [\"x\", \"sh*\"]", true},
      {"user = \"bi_*\"", true},
      {"user = \"web\"", false},
      {"application = \"checkout*\"", true},
      {"application = \"checkout\"", false},
      {"client_address = \"10.1.*\"", true},
      {"client_address = \"10.2.*\"", false},
      {"fingerprint = \"00ff*\"", true},
      {"fingerprint = \"abcd\"", false},
      {"statement = \"select\"", true},
      {"statement = [\"insert\", \"update\"]", false},
      {"table = \"orders\"", true},
      {"table = \"order\"", false},
      {"table = \"log\"", true},
      {"table = \"audit.*\"", true},
      {"table = \"audit.orders\"", false},
      {"table = \"public.orders\"", true},   // written without a schema: public is on the path
      {"table = \"bi_anna.orders\"", true},  // so is "$user"
      {"table = \"other.orders\"", false},
      {"table = [\"x\", \"orders\"]", true},
      {"tag.route = \"/reports/*\"", true},
      {"tag.route = \"/shop/*\"", false},
      {"tag.controller = \"*\"", false},
      {"tag = { route = \"/reports/*\", controller = \"x\" }", false},
      {"database = \"shop\", user = \"web\"", false},
      {"database = \"shop\", user = \"bi_anna\", table = \"orders\"", true},
  };
  for (const auto& row : table) {
    CAPTURE(row.match);
    const Statement s;
    const auto set = parse("[[rule]]\nname = \"it\"\nmatch = { " + row.match + " }\nmode = \"auto\"\n");
    const Effective e = set->resolve(s.analysis, s.session);
    CHECK((e.rule == "it") == row.expected);
    CHECK(e.mode == (row.expected ? Mode::auto_ : Mode::observe));
    CHECK(e.mode_given == row.expected);
  }
}

TEST_CASE("the search path of the session decides where a bare table may be") {
  Statement s;
  s.session.search_path = "tenant_7, public";
  const auto set = parse("[[rule]]\nmatch = { table = \"tenant_7.*\" }\nmode = \"off\"\n");
  CHECK(set->resolve(s.analysis, s.session).mode == Mode::off);
  s.session.search_path = "public";
  CHECK(set->resolve(s.analysis, s.session).mode == Mode::observe);
}

TEST_CASE("the first match decides; what it leaves out comes from [default], not from later rules") {
  const auto set = parse(R"([default]
mode = "suggest"
lane = "fast"
cache = { mode = "ttl", staleness = "9s" }
[[rule]]
name = "first"
match = { database = "shop" }
steer = false
[[rule]]
name = "second"
match = { user = "bi_anna" }
mode = "auto"
lane = "slow"
route = "replica"
[lanes.fast]
max_predicted = "50ms"
[lanes.slow]
max_predicted = "2s"
[lanes.named]
)");
  Statement s;
  Effective e = set->resolve(s.analysis, s.session);
  CHECK(e.rule == "first");
  CHECK(e.where == "p.toml:5");
  CHECK(e.mode == Mode::suggest);
  CHECK(e.mode_given);
  CHECK_FALSE(e.steer.enabled);
  CHECK(e.lane == "fast");
  CHECK(e.route.empty());
  CHECK(e.cache.staleness == std::chrono::seconds(9));
  s.session.database = "other";
  e = set->resolve(s.analysis, s.session);
  CHECK(e.rule == "second");
  CHECK(e.mode == Mode::auto_);
  CHECK(e.lane == "slow");
  CHECK(e.cache.mode == cache::Consistency::ttl);
  s.session.user = "web";
  e = set->resolve(s.analysis, s.session);
  CHECK(e.rule == "default");
  CHECK(e.where == "p.toml:1");

  CHECK(set->lane_for("named", 1e9)->name == "named");
  CHECK(set->lane_for("gone", 1) == nullptr);
  CHECK(set->lane_for("", 50)->name == "fast");
  CHECK(set->lane_for("", 51)->name == "slow");
  CHECK(set->lane_for("", 2001) == nullptr);
}

TEST_CASE("caching is seen wherever it is turned on") {
  CHECK_FALSE(parse("[[rule]]\ncache = \"off\"\n")->any_cache());
  CHECK(parse("[[rule]]\n[[rule]]\ncache = \"auto\"\n")->any_cache());
  CHECK(parse("[default]\ncache = \"strict\"\n")->any_cache());
}

TEST_CASE("explained in plain words") {
  const auto set = parse(R"([[rule]]
name = "checkout"
match = { database = "shop", statement = ["insert", "update"] }
mode = "off"
[[rule]]
name = "reports"
match = { user = "bi_*", tag.route = "/reports/*" }
mode = "canary"
rewrite = false
steer = { floor = "1s", explore = "off" }
cache = { mode = "bounded", staleness = "2s", max_result = 1000 }
lane = "slow"
route = "replica"
regret = { fingerprint = "5s" }
limits = { max_predicted = "10min", on_exceed = "reject" }
[[rule]]
name = "rest"
mode = "auto"
steer = false
cache = "auto"
[lanes.slow]
concurrency = 4
queue_timeout = "30s"
)");
  CHECK(set->explain() ==
        "1. checkout (p.toml:1): for statement kind insert or update, database shop: off: the bytes are relayed, nothing "
        "is looked at.\n"
        "2. reports (p.toml:5): for user bi_*, tag route /reports/*: canary: acts on 5 % of the executions, 5 % are the "
        "control group; rewrites nothing; steers the planner with the default arms from 1 s on, by at most 1.2 times the "
        "default's time, never trying arms out; leaves a statement alone that has lost 5 s within an hour, and observes once all have lost 2 min; caches (bounded) answers up to 2 s old (results up to 1000 bytes); runs in "
        "lane slow; goes to the replica; what is predicted to take more than 10 min is rejected.\n"
        "3. rest (p.toml:16): for every statement (no later rule is ever reached): auto: acts wherever the evidence "
        "allows; rewrites with all rules; verifies 0.1 % of the rewritten executions; does not steer the planner; leaves a statement alone that has lost 30 s within an hour, and observes once all have lost 2 min; caches with strict consistency where it has been "
        "seen to pay (results up to 1048576 bytes).\n"
        "Everything else (built-in): observe: measured and predicted, nothing is changed.\n"
        "Lane slow: 4 statements at once, waiting at most 30 s.\n");
  CHECK(parse("")->explain() == "Every statement (built-in): observe: measured and predicted, nothing is changed.\n");
}

}  // namespace pgsteer::policies
