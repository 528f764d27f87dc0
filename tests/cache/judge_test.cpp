#include <doctest/doctest.h>

#include <set>

#include "tests/cache/picture.hpp"

using namespace pgsteer::cache;
using pgsteer::sql::StatementKind;
using pgsteer::test::statement;
namespace sql = pgsteer::sql;

TEST_CASE("judge: every reason and mode has its own name") {
  std::set<std::string_view> names;
  for (int i = 0; i <= static_cast<int>(Reason::directive_off); ++i) names.insert(to_string(static_cast<Reason>(i)));
  CHECK(names.size() == static_cast<std::size_t>(Reason::directive_off) + 1);
  CHECK(names.count("unknown") == 0);
  CHECK(to_string(static_cast<Reason>(200)) == "unknown");
  for (const auto mode : {Consistency::off, Consistency::ttl, Consistency::bounded, Consistency::strict})
    CHECK(parse_consistency(to_string(mode)) == mode);
  CHECK_FALSE(parse_consistency("Strict"));
  CHECK_FALSE(parse_consistency(""));
}

TEST_CASE("judge_syntax: only a plain select passes") {
  for (int i = 0; i <= static_cast<int>(StatementKind::ddl); ++i) {
    const auto kind = static_cast<StatementKind>(i);
    CAPTURE(i);
    const Reason expected = kind == StatementKind::select     ? Reason::none
                            : kind == StatementKind::unparsed ? Reason::syntax_unknown
                                                              : Reason::not_select;
    CHECK(judge_syntax(statement(kind, "accounts")) == expected);
  }
}

TEST_CASE("judge_syntax: each flag refuses with its own reason") {
  struct Case {
    bool sql::Flags::*flag;
    Reason reason;
  };
  const Case cases[] = {
      {&sql::Flags::locking_clause, Reason::locking_clause},
      {&sql::Flags::into, Reason::into},
      {&sql::Flags::creates_temporary, Reason::into},
      {&sql::Flags::data_modifying_cte, Reason::data_modifying_cte},
      {&sql::Flags::tablesample, Reason::tablesample},
      {&sql::Flags::sql_value_function, Reason::sql_value_function},
      {&sql::Flags::time_literal, Reason::time_literal},
      {&sql::Flags::function_in_from, Reason::function_in_from},
      {&sql::Flags::current_of, Reason::locking_clause},
      {&sql::Flags::hint_comment, Reason::none},
  };
  for (const Case& one : cases) {
    auto analysis = statement(StatementKind::select, "accounts");
    analysis.flags.*one.flag = true;
    CHECK(std::string(to_string(judge_syntax(analysis))) == std::string(to_string(one.reason)));
  }
  auto two = statement(StatementKind::select);
  two.statements = 2;
  CHECK(judge_syntax(two) == Reason::not_select);
  CHECK(judge_syntax(statement(StatementKind::select, "+accounts")) == Reason::data_modifying_cte);
  CHECK(judge_syntax(statement(StatementKind::select, "@generate_series(2)")) == Reason::none);
  CHECK(judge_syntax(statement(StatementKind::select, "@generate_series(2) @writes()")) == Reason::function_in_from);
  auto constant = statement(StatementKind::select);
  constant.string_constants = {"today12:00"};  // a word boundary to PostgreSQL, not to a \b
  CHECK(judge_syntax(constant) == Reason::time_literal);
}

TEST_CASE("mentions_current_time: words of letters, any case, anywhere") {
  for (const char* yes : {"now", "NOW", "Today", "tomorrow ", " yesterday", "today12:00", "12:00today", "1now1", "_now_",
                          "{\"d\":\"now\"}"}) {
    INFO(std::string(yes));
    CHECK(mentions_current_time(yes));
  }
  CHECK(mentions_current_time(std::string_view("\0\x01\0\0\0\x03now", 9)));  // as in Bind: the length before it
  for (const char* no : {"", "know", "nowhere", "snow", "todays", "no w", "n", "yester day", "noon", "nOwx"}) {
    INFO(std::string(no));
    CHECK_FALSE(mentions_current_time(no));
  }
}

TEST_CASE("judge_catalog: relations and functions") {
  struct Case {
    const char* words;
    Reason reason;
    const char* detail;
  };
  const Case cases[] = {
      {"", Reason::none, ""},
      {"accounts orders", Reason::none, ""},
      {"public.accounts", Reason::none, ""},
      {"events", Reason::none, ""},
      {"summary", Reason::none, ""},
      {"totals", Reason::none, ""},
      {"fast", Reason::unlogged_table, "fast"},
      {"accounts gone", Reason::unknown_relation, "gone"},
      {"nowhere.accounts", Reason::unknown_relation, "nowhere.accounts"},
      {"shape", Reason::unknown_relation, "shape"},
      {"remote", Reason::foreign_table, "remote"},
      {"secret", Reason::row_security, "secret"},
      {"scratch", Reason::temporary_table, "scratch"},
      {"pg_temp.accounts", Reason::temporary_table, "pg_temp.accounts"},
      {"pg_temp_3.accounts", Reason::temporary_table, "pg_temp_3.accounts"},
      {"counter", Reason::sequence, "counter"},
      {"pg_class", Reason::catalog_relation, "pg_class"},
      {"pg_stat_activity", Reason::catalog_relation, "pg_stat_activity"},
      {"pg_catalog.pg_class", Reason::catalog_relation, "pg_catalog.pg_class"},
      {"information_schema.tables", Reason::catalog_relation, "information_schema.tables"},
      {"accounts sum(1) lower(1)", Reason::none, ""},
      {"to_char(2) date_trunc(2)", Reason::none, ""},
      {"pg_catalog.to_char(2)", Reason::none, ""},
      {"now()", Reason::stable_function, "now"},
      {"current_setting(1)", Reason::stable_function, "current_setting"},
      {"json_populate_record(2)", Reason::stable_function, "json_populate_record"},
      {"age(1)", Reason::stable_function, "age"},
      {"age(2)", Reason::none, ""},
      {"random()", Reason::volatile_function, "random"},
      {"pg_advisory_lock(1)", Reason::volatile_function, "pg_advisory_lock"},
      {"table_to_xml(4)", Reason::volatile_function, "table_to_xml"},
      {"pure(1)", Reason::user_function, "pure"},
      {"public.looks(1)", Reason::user_function, "public.looks"},
      {"writes()", Reason::user_function, "writes"},
      {"gen_random_uuid()", Reason::user_function, "gen_random_uuid"},
      {"mystery()", Reason::unknown_function, "mystery"},
      {"@generate_series(2)", Reason::none, ""},
      {"@sum(1)", Reason::function_in_from, "sum"},
  };
  const auto catalog = pgsteer::test::picture();
  for (const Case& one : cases) {
    std::string detail;
    const auto reason = judge_catalog(statement(StatementKind::select, one.words), catalog, pgsteer::test::session(), &detail);
    INFO(std::string(one.words));
    CHECK(std::string(to_string(reason)) == std::string(to_string(one.reason)));
    CHECK(detail == one.detail);
  }
}

TEST_CASE("judge_catalog: what the session hides") {
  const auto catalog = pgsteer::test::picture();
  const auto select = statement(StatementKind::select, "accounts");
  const auto judge = [&](auto change) {
    auto facts = pgsteer::test::session();
    change(facts);
    return judge_catalog(select, catalog, facts);
  };
  CHECK(judge([](auto&) {}) == Reason::none);
  CHECK(judge([](auto& s) { s.settings_uncertain = true; }) == Reason::settings_unknown);
  CHECK(judge([](auto& s) { s.has_temporary_objects = true; }) == Reason::session_temp_objects);
  CHECK(judge([](auto& s) { s.catalog_uncertain = true; }) == Reason::in_transaction_after_write);
  CHECK(judge([](auto& s) { s.search_path = "nowhere"; }) == Reason::unknown_relation);
  CHECK(judge([](auto& s) { s.search_path = "other"; }) == Reason::none);
}
