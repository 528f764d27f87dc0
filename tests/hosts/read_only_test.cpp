// Which statements only the primary may answer.
#include <doctest/doctest.h>

#include "proxy/hosts/read_only.hpp"

namespace pgsteer::proxy {
namespace {

sql::Relation relation(sql::Oid oid, const char* name, char kind = 'r', char persistence = 'p') {
  sql::Relation one;
  one.oid = oid;
  one.schema = "public";
  one.name = name;
  one.kind = kind;
  one.persistence = persistence;
  return one;
}

sql::FunctionGroup function(const char* schema, const char* name, char volatility, bool own = false) {
  sql::FunctionGroup one;
  one.schema = schema;
  one.name = name;
  one.worst_volatility = volatility;
  one.any_user_defined = own;
  return one;
}

sql::Catalog catalog() {
  sql::Catalog all;
  all.version = 3;
  all.add(relation(20000, "t"));
  all.add(relation(20001, "u", 'r', 'u'));
  all.add(relation(20002, "v", 'v'));
  all.add(relation(20003, "m", 'm'));
  all.add(relation(20004, "f", 'f'));
  all.add(relation(20005, "s", 'S'));
  all.add(relation(20006, "p", 'p'));
  for (const char* name : {"lower", "count", "pg_typeof"}) all.add(function("pg_catalog", name, 'i'));
  for (const char* name : {"now", "pg_is_in_recovery", "current_setting", "lastval", "query_to_xml"}) all.add(function("pg_catalog", name, 's'));
  for (const char* name : {"random", "nextval", "pg_advisory_lock"}) all.add(function("pg_catalog", name, 'v'));
  all.add(function("public", "mine", 'i', true));
  return all;
}

}  // namespace

TEST_CASE("why_primary") {
  const struct {
    const char *text, *why;
  } table[] = {
      {"select * from t where i = $1", ""},
      {"select lower(a), count(*) from t, p, m group by 1", ""},
      {"with x as (select 1 from t) select * from x union all values (1)", ""},
      {"select now(), current_timestamp, current_user, pg_typeof(1)", ""},
      {"select 1 from t tablesample system (10)", ""},
      {"select * from t for update", "it locks rows"},
      {"select * from (select * from t for share) x", "it locks rows"},
      {"select * into x from t", "it makes a table"},
      {"with x as (delete from t returning 1) select * from x", "it writes"},
      {"update t set i = 1", "not a single SELECT"},
      {"explain analyze select 1", "not a single SELECT"},
      {"show work_mem", "not a single SELECT"},
      {"begin read only", "not a single SELECT"},
      {"select 1; select 2", "not a single SELECT"},
      {"select from where", "not analysed: syntax"},
      {"select random() from t", "volatile function random()"},
      {"select 1 from t order by random()", "volatile function random()"},
      {"select nextval('s')", "volatile function nextval()"},
      {"select pg_advisory_lock(1)", "function pg_advisory_lock() tells of the server"},
      {"select pg_is_in_recovery()", "function pg_is_in_recovery() tells of the server"},
      {"select current_setting('work_mem')", "function current_setting() tells of the server"},
      {"select lastval()", "function lastval() tells of the server"},
      {"select query_to_xml('select 1', true, true, '')", "volatile function query_to_xml()"},
      {"select mine(1)", "user-defined function mine()"},
      {"select * from public.mine(1)", "user-defined function mine()"},
      {"select unheard(1)", "unknown function unheard()"},
      {"select * from u", "unlogged table u"},
      {"select * from v", "view v, not looked into yet"},
      {"select * from f", "foreign table f"},
      {"select last_value from s", "sequence s"},
      {"select * from pg_class", "system catalog pg_class"},
      {"select * from information_schema.tables", "system catalog information_schema.tables"},
      {"select * from pg_temp.t", "temporary table pg_temp.t"},
      {"select * from nowhere", "unknown table nowhere"},
      {"select * from t where i in (select i from u)", "unlogged table u"},
  };
  const sql::Catalog known = catalog();
  const sql::SessionFacts session;
  for (const auto& one : table) {
    CAPTURE(one.text);
    CHECK(why_primary(*sql::analyse(one.text), &known, session, nullptr) == one.why);
  }
}

TEST_CASE("why_primary: what is not certain") {
  const sql::Catalog known = catalog();
  const auto plain = sql::analyse("select * from t"), view = sql::analyse("select * from v");
  sql::SessionFacts session;
  CHECK(why_primary(*plain, nullptr, session, nullptr) == "the catalog is not known");
  session.has_temporary_objects = true;
  CHECK(why_primary(*plain, &known, session, nullptr) == "the session may have temporary objects");
  session = {};
  session.objects_uncertain = true;
  CHECK(why_primary(*plain, &known, session, nullptr) == "the session may have temporary objects");
  session = {};
  session.search_path = "pg_catalog";
  CHECK(why_primary(*plain, &known, session, nullptr) == "unknown table t");
  session = {};
  cache::Judgement judgement;
  judgement.state = cache::Judgement::State::cacheable;
  judgement.catalog_version = 3;
  CHECK(why_primary(*view, &known, session, &judgement).empty());
  judgement.catalog_version = 2;
  CHECK(why_primary(*view, &known, session, &judgement) == "view v, not looked into yet");
  judgement.catalog_version = 3;
  judgement.state = cache::Judgement::State::refused;
  CHECK(why_primary(*view, &known, session, &judgement) == "view v, not looked into yet");
}

TEST_CASE("nothing is said of the primary that a statement could be told by") {
  const sql::Catalog known = catalog();
  CHECK(why_primary(*sql::analyse("select pg_sleep(1)"), &known, {}, nullptr) != "");
  CHECK(why_primary(*sql::analyse("select txid_current()"), &known, {}, nullptr) != "");
  CHECK(why_primary(*sql::analyse("select inet_server_port()"), &known, {}, nullptr) != "");
}

}  // namespace pgsteer::proxy
