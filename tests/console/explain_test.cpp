#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>

#include "tests/console/fixture.hpp"

using namespace pgsteer;

namespace {

struct Explained {
  proxy::Plan plan;
  proxy::Snapshot snapshot;
  std::string text = "select a from t where b not in (select c from u)";
  std::shared_ptr<policies::Knowledge> knowledge = std::make_shared<policies::Knowledge>();

  Explained() {
    plan.analysis = sql::analyse(text);
    plan.database = "shop";
    plan.candidates.resize(1);
    plan.estimates.resize(1);
    plan.policy.rule = "monthly report";
    plan.policy.where = "conf/policies/shop.toml:15";
    plan.policy.mode = plan.decision.mode = policies::Mode::canary;
    plan.decision.cache_reason = cache::Reason::stable_function;
    plan.estimates[0].ms = 840;
    plan.estimates[0].ms_low = 410;
    plan.estimates[0].ms_high = 1900;
    knowledge->judged = true;
  }
  void add_rewrite() {
    rewriter::Candidate rewritten;
    rewritten.kind = rewriter::CandidateKind::rewritten;
    rewritten.text = "SELECT a FROM t WHERE NOT EXISTS (SELECT 1 FROM u WHERE u.c = t.b)";
    rewritten.rules = {"not_in_to_not_exists"};
    rewritten.facts = {"u.c is NOT NULL"};
    plan.candidates.push_back(rewritten);
    plan.estimates.push_back(plan.estimates[0]);
    knowledge->rewrites.push_back({rewritten.label(), 1000, 10, true, true, ""});
  }
  std::string explain() {
    plan.knowledge = knowledge;
    std::string all;
    for (const auto& row : explain_plan(plan, snapshot, text)) all += row + "\n";
    return all;
  }
};

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("EXPLAIN (PGSTEER): who decided, on what, and what is sent") {
  Explained e;
  const auto text = e.explain();
  CAPTURE(text);
  CHECK(text.starts_with("pgsteer: rule \"monthly report\" (conf/policies/shop.toml:15)  mode canary"));
  CHECK(contains(text, "fingerprint " + e.plan.analysis->fingerprint_hex));
  CHECK(contains(text, "840 ms (90 %: 410 ms ... 1.9 s)"));
  CHECK(contains(text, "no: stable_function"));
  CHECK(contains(text, "the original, byte for byte"));
  CHECK(contains(text, e.text));
  CHECK(contains(text, "SET pgsteer.mode = off"));
  CHECK_FALSE(contains(text, "Difference"));
}

TEST_CASE("a chosen rewrite shows its evidence, its facts, the difference and the way back") {
  Explained e;
  e.add_rewrite();
  e.plan.decision.candidate = e.plan.decision.suggested = 1;
  e.plan.decision.reason = policies::ReasonCode::rewrite_cost_gate;
  const auto text = e.explain();
  CAPTURE(text);
  const auto label = e.plan.candidates[1].label();
  CHECK(contains(text, "* [1] " + label));
  CHECK(contains(text, "EXPLAIN cost 1000 -> 10"));
  CHECK(contains(text, "relies on: u.c is NOT NULL"));
  CHECK(contains(text, "this execution: treated"));
  CHECK(contains(text, "instead of the original"));
  CHECK(contains(text, "+ "));
  CHECK(contains(text, "- "));
  CHECK(contains(text, fmt::format("BAN '{}' '{}'", e.plan.analysis->fingerprint_hex, label)));
}

TEST_CASE("what is not sent says why") {
  Explained e;
  e.add_rewrite();
  e.plan.decision.suggested = 1;
  e.plan.decision.mode = e.plan.policy.mode = policies::Mode::suggest;
  e.plan.decision.reason = policies::ReasonCode::mode_suggest;
  auto text = e.explain();
  CHECK(contains(text, "would send [1]"));
  CHECK(contains(text, "(not sent)"));
  CHECK(contains(text, "the original, byte for byte"));

  e.plan.decision.suggested = 0;
  e.knowledge->banned = e.plan.candidates[1].label();
  CHECK(contains(e.explain(), "not sent: banned on the console"));
  e.knowledge->banned.clear();
  e.knowledge->rewrites[0].approved = false;
  CHECK(contains(e.explain(), "not sent: the cost gate refused it"));
}

TEST_CASE("a plan that is none, and settings of an arm") {
  proxy::Plan none;
  CHECK(explain_plan(none, {}, "x").size() == 1);
  Explained e;
  rewriter::Candidate arm;
  arm.kind = rewriter::CandidateKind::settings;
  arm.arm = "no_nestloop";
  arm.settings = {{"enable_nestloop", "off"}};
  e.plan.candidates.push_back(arm);
  e.plan.decision.candidate = 1;  // without an estimate of its own
  const auto text = e.explain();
  CHECK(contains(text, "SET LOCAL enable_nestloop = off"));
  CHECK(contains(text, "the original, byte for byte"));
}

TEST_CASE("no row holds a line break") {
  Explained e;
  e.text = "select a\nfrom t\n";
  e.plan.analysis = sql::analyse(e.text);
  e.plan.knowledge = e.knowledge;
  for (const auto& row : explain_plan(e.plan, e.snapshot, e.text)) CHECK(row.find('\n') == std::string::npos);
}
