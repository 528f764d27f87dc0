#include <doctest/doctest.h>

#include "tests/cache/picture.hpp"

using namespace pgsteer::cache;
using namespace pgsteer::test;
using pgsteer::sql::StatementKind;
namespace sql = pgsteer::sql;
using Oids = std::vector<sql::Oid>;
using K = StatementKind;

namespace {

struct Expected {
  enum class What { nothing, everything, these } what;
  Oids relations;
};
const Expected nothing{Expected::What::nothing, {}}, everything{Expected::What::everything, {}};
Expected these(Oids oids) { return {Expected::What::these, std::move(oids)}; }

void check(const WriteSet& found, const Expected& expected) {
  CHECK(found.writes == (expected.what != Expected::What::nothing));
  CHECK(found.everything == (expected.what == Expected::What::everything));
  CHECK(found.relations == expected.relations);
}

}  // namespace

TEST_CASE("write_set: by statement") {
  struct Case {
    K kind;
    const char* words;
    Expected expected;
  };
  const Case cases[] = {
      // plain reads
      {K::select, "", nothing},
      {K::select, "accounts events totals", nothing},
      {K::select, "pg_class information_schema.tables", nothing},
      {K::select, "accounts sum(1) now() to_char(2) random()", nothing},
      {K::select, "nextval(1) set_config(3) pg_advisory_lock(1)", nothing},
      {K::select, "pure(1) looks(1)", nothing},
      // reads that may write
      {K::select, "writes()", everything},
      {K::select, "mystery()", everything},
      {K::select, "lo_put(3)", everything},
      {K::select, "query_to_xml(4)", everything},
      {K::select, "table_to_xml(4)", everything},
      {K::select, "gen_random_uuid()", everything},  // a user's overload
      {K::select, "summary", everything},            // a view may call anything
      {K::select, "gone", everything},
      {K::select, "+notes accounts", these({notes})},  // WITH x AS (INSERT ...) SELECT
      // the closure
      {K::insert, "+accounts", these({accounts})},
      {K::insert, "+accounts nextval(1)", these({accounts})},
      {K::update, "+notes", these({notes})},
      {K::update, "+quiet accounts", these({quiet})},
      {K::update, "+accounts", these({accounts, orders, lines})},
      {K::delete_, "+accounts", these({accounts, orders, lines})},
      {K::delete_, "+orders", these({orders, lines})},
      {K::delete_, "+staff", these({staff})},
      {K::insert, "+orders", these({orders, lines})},  // ON CONFLICT DO UPDATE cascades by its key
      {K::copy_from, "+orders", these({orders})},
      {K::merge, "+notes accounts", these({notes})},
      {K::truncate, "+accounts", these({accounts, orders, lines, notes})},  // CASCADE follows every key
      {K::insert, "+events", these({events, events_1, events_2})},
      {K::insert, "+events_1", these({events, events_1})},
      {K::update, "+base", these({base, child, other_base})},
      {K::update, "+child", these({base, child, other_base})},
      {K::delete_, "+fast", these({fast})},
      {K::insert, "+other.accounts", these({other_accounts})},
      {K::insert, "+accounts +notes", these({accounts, notes})},
      // opaque targets
      {K::insert, "+logged", everything},
      {K::insert, "+ruled", everything},
      {K::update, "+summary", everything},
      {K::insert, "+remote", everything},
      {K::insert, "+gone", everything},
      {K::insert, "+pg_class", everything},
      {K::insert, "", everything},
      {K::delete_, "+top", everything},  // cascades into a trigger
      {K::insert, "+top", these({parent_of_trigger})},
      {K::insert, "+notes writes()", everything},
      {K::insert, "+notes summary", everything},
      {K::update, "+notes mystery()", everything},
      // the rest
      {K::copy_to, "accounts", nothing},
      {K::copy_to, "+notes", these({notes})},
      {K::copy_to, "writes()", everything},
      {K::declare_cursor, "accounts", nothing},
      {K::declare_cursor, "writes()", everything},
      {K::do_block, "", everything},
      {K::call, "", everything},
      {K::execute, "", everything},
      {K::ddl, "", everything},
      {K::refresh_view, "+totals", everything},
      {K::multiple, "", everything},
      {K::unparsed, "", everything},
      {K::commit_prepared, "", everything},
      {K::empty, "", nothing},
      {K::begin, "", nothing},
      {K::commit, "", nothing},
      {K::rollback, "", nothing},
      {K::savepoint, "", nothing},
      {K::prepare_transaction, "", nothing},
      {K::rollback_prepared, "", nothing},
      {K::set, "", nothing},
      {K::show, "", nothing},
      {K::prepare, "+accounts", nothing},
      {K::deallocate, "", nothing},
      {K::discard, "", nothing},
      {K::fetch, "", nothing},
      {K::close_cursor, "", nothing},
      {K::listen, "", nothing},
      {K::lock, "accounts", nothing},
      {K::vacuum, "accounts", nothing},
      {K::explain, "+accounts", nothing},
  };
  const auto catalog = picture();
  for (const Case& one : cases) {
    INFO(std::string(to_string(one.kind)));
    INFO(std::string(one.words));
    check(write_set(statement(one.kind, one.words), &catalog, session()), one.expected);
  }
}

TEST_CASE("write_set: without a catalog every possible writer is everything") {
  for (const K kind : {K::insert, K::update, K::delete_, K::merge, K::copy_from, K::truncate})
    check(write_set(statement(kind, "+accounts"), nullptr, session()), everything);
  check(write_set(statement(K::select, "accounts"), nullptr, session()), everything);
  check(write_set(statement(K::select, "sum(1)"), nullptr, session()), everything);
  check(write_set(statement(K::select), nullptr, session()), nothing);
  check(write_set(statement(K::show), nullptr, session()), nothing);
}

TEST_CASE("write_set: a name that may mean something else in this session") {
  const auto catalog = picture();
  const auto judged = [&](const char* words, auto change) {
    auto facts = session();
    change(facts);
    return write_set(statement(K::insert, words), &catalog, facts);
  };
  check(judged("+notes", [](auto& s) { s.has_temporary_objects = true; }), everything);
  check(judged("+public.notes", [](auto& s) { s.has_temporary_objects = true; }), these({notes}));
  check(judged("+notes", [](auto& s) { s.objects_uncertain = true; }), everything);
  check(judged("+notes", [](auto& s) { s.settings_uncertain = true; }), these({notes}));
  check(judged("+accounts", [](auto& s) { s.settings_uncertain = true; }), these({accounts, other_accounts}));
  check(judged("+nowhere", [](auto& s) { s.settings_uncertain = true; }), everything);
  check(judged("+notes", [](auto& s) { s.settings_uncertain = s.has_temporary_objects = true; }), everything);
  check(judged("+public.notes", [](auto& s) { s.catalog_uncertain = true; }), everything);
  check(judged("+accounts", [](auto& s) { s.search_path = "other, public"; }), these({other_accounts}));
}

TEST_CASE("write_set: SELECT INTO, CREATE TEMP, data-modifying CTE") {
  const auto catalog = picture();
  auto into = statement(K::select, "accounts");
  into.flags.into = true;
  check(write_set(into, &catalog, session()), everything);
  into.flags.creates_temporary = true;
  check(write_set(into, &catalog, session()), nothing);
  auto temporary = statement(K::ddl, "accounts");
  temporary.flags.creates_temporary = true;
  check(write_set(temporary, &catalog, session()), nothing);
  auto calls = statement(K::ddl, "writes()");
  calls.flags.creates_temporary = true;
  check(write_set(calls, &catalog, session()), everything);
  auto cte = statement(K::insert, "+quiet +accounts");  // WITH d AS (DELETE FROM accounts ...) INSERT INTO quiet
  cte.flags.data_modifying_cte = true;
  check(write_set(cte, &catalog, session()), these({accounts, orders, lines, quiet}));
  auto unseen = statement(K::select, "accounts");
  unseen.flags.data_modifying_cte = true;
  check(write_set(unseen, &catalog, session()), everything);
}

TEST_CASE("write_set: PostgreSQL's own judgement frees a view, and only of this catalog version") {
  const auto catalog = picture();
  const auto select = statement(K::select, "summary");
  Judgement judgement;
  judgement.catalog_version = catalog.version;
  check(write_set(select, &catalog, session(), &judgement), everything);
  judgement.state = Judgement::State::refused;
  check(write_set(select, &catalog, session(), &judgement), everything);
  judgement.state = Judgement::State::cacheable;
  check(write_set(select, &catalog, session(), &judgement), nothing);
  ++judgement.catalog_version;
  check(write_set(select, &catalog, session(), &judgement), everything);
}
