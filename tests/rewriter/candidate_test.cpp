#include <doctest/doctest.h>

#include <set>

#include "rewriter/candidate.hpp"
#include "rewriter/comments.hpp"
#include "tests/rewriter/schema.hpp"

using namespace pgsteer;
using namespace pgsteer::rewriter;

TEST_CASE("arms are named once, in the order of trial, and found by name") {
  REQUIRE(arms().size() >= 7);
  CHECK(arms()[0].name == "hash_only");
  CHECK(arms()[1].name == "no_nestloop");
  std::set<std::string> names;
  for (const auto& arm : arms()) {
    CHECK(names.insert(arm.name).second);
    CHECK(!arm.why.empty());
    CHECK(!arm.settings.empty());
    CHECK(find_arm(arm.name) == &arm);
  }
  CHECK(find_arm("no_such_arm") == nullptr);
}

TEST_CASE("an arm steers by settings, or by a hint at byte 0 when the server has pg_hint_plan") {
  const Arm& arm = *find_arm("no_nestloop");
  const auto by_settings = steer("select 1", arm, false);
  CHECK(by_settings.kind == CandidateKind::settings);
  CHECK(by_settings.text.empty());
  CHECK(by_settings.settings == std::vector<Setting>{{"enable_nestloop", "off"}});
  CHECK(by_settings.label() == "arm:no_nestloop");

  const auto hinted = steer("/* app */ select 1", arm, true);
  CHECK(hinted.kind == CandidateKind::hinted);
  CHECK(hinted.text == "/*+ Set(enable_nestloop off) */ /* app */ select 1");
  CHECK(hinted.settings.empty());

  // Someone's own hint is left in force; executor settings are no planner hints.
  CHECK(steer("/*+ SeqScan(t) */ select 1", arm, true).kind == CandidateKind::settings);
  CHECK(steer("select 1", *find_arm("work_mem_64mb"), true).kind == CandidateKind::settings);
}

TEST_CASE("hints found for one statement are an arm by their own name, and only where nothing else can be in them") {
  for (const char* name : {"Leading((a b))", "Leading(((a b) c))", "Rows(a b #5000)", "Rows(a b #5000) Rows(a b c_1 #1) Leading((c_1 (a b)))"}) {
    CAPTURE(name);
    const auto arm = arm_named(name);
    REQUIRE(arm);
    CHECK(can_steer("select 1", *arm, true));
    CHECK_FALSE(can_steer("select 1", *arm, false));
    CHECK_FALSE(can_steer("/*+ SeqScan(t) */ select 1", *arm, true));
    const auto hinted = steer("select 1", *arm, true);
    CHECK(hinted.kind == CandidateKind::hinted);
    CHECK(hinted.text == "/*+ " + std::string(name) + " */ select 1");
    CHECK(hinted.label() == "arm:" + std::string(name));
  }
  for (const char* name : {"", "Leading", "Leading(", "Leading((a b)", "Leading((a b)))", "Leading((a b)) ", "Leading((a b))Rows(a b #5)", "SeqScan(a)", "Rows(a b #5) Set(x y)",
                           "Leading((a b) */ drop table a; /*)", "Rows(a \"b\" #5)", "Rows(a b *0.5)", "leading((a b))", "Leading((a\nb))"}) {
    CAPTURE(name);
    CHECK_FALSE(arm_named(name));
  }
  CHECK_FALSE(arm_named("Leading(" + std::string(3000, 'a') + ")"));
  CHECK(arm_named("no_hash")->settings == find_arm("no_hash")->settings);
  CHECK(can_steer("select 1", *find_arm("no_hash"), false));
}

TEST_CASE("rule switches") {
  RuleSwitches switches;
  CHECK(switches.allows("a"));
  switches.excluded = {"a"};
  CHECK(!switches.allows("a"));
  CHECK(switches.allows("b"));
  switches.all = false;
  switches.only = {"a", "c"};
  CHECK(!switches.allows("a"));
  CHECK(!switches.allows("b"));
  CHECK(switches.allows("c"));
}

TEST_CASE("labels") {
  CHECK(Candidate{}.label() == "as-is");
  Candidate c;
  c.kind = CandidateKind::rewritten;
  c.rules = {"x", "y"};
  CHECK(c.label() == "rewrite:x+y");
  c.arm = "no_hash";
  CHECK(c.label() == "rewrite:x+y+arm:no_hash");
}

TEST_CASE("comments around a statement are found word for word") {
  struct Case {
    const char *text, *leading, *trailing;
  };
  for (const auto& c : {
           Case{"select 1", "", ""},
           Case{"  /* a /* b */ c */ -- d\n select 1 ; /* t='1' */ ", "  /* a /* b */ c */ -- d\n ", " ; /* t='1' */ "},
           Case{"select '-- no', \"/* no\", $$ -- no $$, $x$ $$ /* $x$ -- yes", "", " -- yes"},
           Case{"select E'it\\'s -- no' /* yes */", "", " /* yes */"},
           Case{"select 'it''s -- no' /* yes */", "", " /* yes */"},
           Case{"select $1 + a$b -- yes", "", " -- yes"},
       }) {
    CAPTURE(c.text);
    CHECK(comments_around(c.text).leading == c.leading);
    CHECK(comments_around(c.text).trailing == c.trailing);
  }
}

namespace {

struct Answer {
  std::vector<Candidate> candidates;
  std::string why;
};

const sql::Catalog& shop() {
  static const sql::Catalog catalog = test::shop_catalog();
  return catalog;
}

Answer ask(const std::string& sql, sql::SessionFacts session = {}, RuleSwitches switches = {}, const sql::Catalog& catalog = shop()) {
  session.user = "app";
  sql::Query query;
  query.text = sql;
  query.session = &session;
  Answer answer;
  answer.candidates = rewrite(query, *sql::analyse(sql), catalog, switches, &answer.why);
  return answer;
}

const std::string fires = "select id from orders where id::text = '5'";

}  // namespace

TEST_CASE("a rewrite names its rules, its facts and the catalogue version, and keeps the comments") {
  const auto answer = ask("/*controller='x'*/ " + fires + " -- tail");
  REQUIRE(answer.candidates.size() == 1);
  const auto& c = answer.candidates[0];
  CHECK(c.kind == CandidateKind::rewritten);
  CHECK(c.label() == "rewrite:literal_cast");
  CHECK(c.facts == std::vector<std::string>{"orders.id is an integer"});
  CHECK(c.catalog_version == 7);
  CHECK(c.text.rfind("/*controller='x'*/ ", 0) == 0);
  CHECK(c.text.find(" -- tail") != std::string::npos);
  CHECK(answer.why.empty());
}

TEST_CASE("negative literals come through a rewrite") {
  const auto answer = ask("select id, -5, total::numeric(5, -2) from orders where id::text = '-7' and customer_id > - ( 3 )");
  REQUIRE(answer.candidates.size() == 1);
  CHECK(answer.candidates[0].text ==
        "SELECT id, -5, total::pg_catalog.\"numeric\"(5, -2) FROM orders WHERE (id = (-7)) AND (customer_id > (-3))");
}

TEST_CASE("two rules stack, and each is offered alone as well") {
  const auto answer = ask("select id from customers where id not in (select customer_id from orders where id::text = '5')");
  REQUIRE(answer.candidates.size() == 3);
  CHECK(answer.candidates[0].label() == "rewrite:literal_cast+not_in_to_not_exists");
  CHECK(answer.candidates[1].label() == "rewrite:literal_cast");
  CHECK(answer.candidates[2].label() == "rewrite:not_in_to_not_exists");
}

TEST_CASE("switches reach the rules") {
  RuleSwitches off;
  off.excluded = {"literal_cast"};
  CHECK(ask(fires, {}, off).candidates.empty());
}

TEST_CASE("what is in doubt is left alone, with the reason") {
  struct Case {
    const char *sql, *why;
  };
  const std::string tail = " where id::text = '5'";
  for (const auto& c : {
           Case{"select id from orders where id::text = '5' for update", "locks, writes or SELECT INTO"},
           Case{"select id into x from orders where id::text = '5'", "locks, writes or SELECT INTO"},
           Case{"delete from orders where id::text = '5'", "not a SELECT"},
           Case{"select 1; select 2", "not a SELECT"},
           Case{"/*+ SeqScan(orders) */ select id from orders where id::text = '5'", "carries a hint"},
           Case{"select id from nowhere where id::text = '5'", "table nowhere is not in the catalogue"},
           Case{"select id from cheap where id::text = '5'", "cheap is not a plain table"},
           Case{"select random() from orders where id::text = '5'", "function random is volatile"},
           Case{"select my_function(id) from orders where id::text = '5'", "function my_function is not in the catalogue"},
           Case{"select unnest(array[1, 2]) from orders where id::text = '5'", "function unnest returns sets"},
           Case{"select ctid from orders where id::text = '5'", "system column ctid"},
           Case{"select o from orders o where id::text = '5'", "column o is not bound"},
           Case{"select id from only orders where id::text = '5'", "ONLY"},
           Case{"select id from orders where id::text = '5' limit 1", "LIMIT or DISTINCT ON without a total order"},
           Case{"select array_agg(id) from orders where id::text = '5'",
                "aggregate array_agg may depend on the order of its input"},
           Case{"select sum(weight) from items where id::text = '5'",
                "aggregate sum may depend on the order of its input"},
           Case{"select max(price) from items where id::text = '5'",
                "aggregate max may depend on the order of its input"},
           Case{"select row_number() over (order by status) from orders where id::text = '5'", "window function row_number may depend on the order of equal rows"},
           Case{"select id from orders where id = 5", "no rule fires"},
           Case{"with recursive r as (select 1) select id from orders where id::text = '5'", "WITH RECURSIVE"},
       }) {
    CAPTURE(c.sql);
    const auto answer = ask(c.sql);
    CHECK(answer.candidates.empty());
    CHECK(answer.why == c.why);
  }
}

TEST_CASE("columns of two collations are compared by nobody: an error wherever a row meets that condition") {
  sql::Catalog catalog = shop();
  sql::Relation odd = *catalog.find("public", "customers", "", "");
  odd.oid = 99999;
  odd.name = "odd";
  for (auto& column : odd.columns) {
    if (column.name == "name") column.collation = 12345;
    if (column.name == "email") column.collation = 950;
  }
  catalog.add(odd);
  const auto why = [&](const std::string& condition) {
    const std::string text = "select a.id from odd a join odd b on a.id = b.id where " + condition;
    return ask(text, {}, {}, catalog).why;
  };
  const std::string refused = "a condition could raise an error, and another plan could show it other rows";
  CHECK(why("a.name = b.email") == refused);
  CHECK(why("a.city = 'x' or a.name in (select c.email from odd c)") == refused);
  CHECK(why("a.name = 'x' and b.email = 'y'").empty());
  CHECK(why("a.name = b.city").empty());  // the database's own gives way
  CHECK(why("a.name = b.email collate \"C\"").empty());
}

TEST_CASE("what the session says counts too") {
  CHECK(ask(fires).candidates.size() == 1);
  const auto refused = [](auto change) {
    sql::SessionFacts session;
    change(session);
    return ask(fires, session).why;
  };
  CHECK(refused([](auto& s) { s.settings_uncertain = true; }) == "session settings uncertain");
  CHECK(refused([](auto& s) { s.has_temporary_objects = true; }) == "session has temporary objects");
  CHECK(refused([](auto& s) { s.catalog_uncertain = true; }) == "catalogue uncertain in this transaction");
  CHECK(refused([](auto& s) { s.search_path = "public, pg_catalog"; }) == "pg_catalog is not first in search_path");
  CHECK(refused([](auto& s) { s.search_path = "elsewhere"; }) == "table orders is not in the catalogue");
  CHECK(refused([](auto& s) { s.settings["standard_conforming_strings"] = "off"; }) ==
        "standard_conforming_strings is off");
  CHECK(refused([](auto& s) { s.settings["client_encoding"] = "LATIN1"; }) == "client_encoding LATIN1");
}
