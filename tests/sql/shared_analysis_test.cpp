// The second level of AnalysisCache: texts that differ in literals share an Analysis, and never one that would be wrong.
#include <doctest.h>

#include <string>
#include <vector>

#include "rewriter/sql/analysis.hpp"

using namespace pgsteer::sql;

namespace {

/// Everything analyse() says that anybody acts on.
std::string told(const Analysis& a) {
  std::string s(to_string(a.kind));
  s += '|' + std::string(to_string(a.why_not)) + '|' + a.fingerprint_hex + '|' + a.shape.hex() + '|';
  for (const auto& t : a.tables) s += t.schema + '.' + t.name + (t.read ? "r" : "") + (t.written ? "w," : ",");
  for (const auto& c : a.columns) s += c.qualifier + '.' + c.name + (c.in_predicate ? "p," : ",");
  for (const auto& f : a.functions) s += f.name + std::to_string(f.arguments) + ',';
  for (const auto& c : a.settings) s += c.name + '=' + c.value.value_or("-") + ',';
  for (const auto& [key, value] : a.tags) s += key + '=' + value + ',';
  const Flags& f = a.flags;
  for (const bool flag : {f.locking_clause, f.into, f.data_modifying_cte, f.tablesample, f.sql_value_function, f.time_literal,
                          f.function_in_from, f.hint_comment, f.explain_pgsteer})
    s += flag ? '1' : '0';
  s += '|' + std::to_string(a.features.limit_value) + '|' + std::to_string(a.features.constants) + '|' +
       std::to_string(a.features.in_list_items) + '|' + a.directive.mode.value_or("") + '|' + a.name;
  return s;
}

}  // namespace

TEST_CASE("what is shared says what analyse() would") {
  const std::vector<std::vector<std::string>> families = {
      {"SELECT abalance FROM accounts WHERE aid = 1;", "SELECT abalance FROM accounts WHERE aid = 22", "select abalance from accounts where aid=999999999999"},
      {"SELECT * FROM t WHERE d > 'monday'", "SELECT * FROM t WHERE d > 'now'", "SELECT * FROM t WHERE d > 'ToDay 12:00'",
       "SELECT * FROM t WHERE d > E'n\\x6fw'", "SELECT * FROM t WHERE d > U&'n\\006fw'", "SELECT * FROM t WHERE d > $$tomorrow$$",
       "SELECT * FROM t WHERE d > 'a' -- pgsteer:off", "SELECT * FROM t WHERE d > 'b' /* pgsteer:off */",
       "SELECT * FROM t WHERE d > 'c' /*route='%2Fx'*/", "/*+ SeqScan(t) */ SELECT * FROM t WHERE d > 'c'"},
      {"SELECT a FROM t LIMIT 5", "SELECT a FROM t LIMIT 50", "SELECT a FROM t LIMIT 5"},
      {"SELECT a FROM t FETCH FIRST 3 ROWS ONLY", "SELECT a FROM t FETCH FIRST 4 ROWS ONLY"},
      {"SELECT set_config('work_mem', '4MB', false)", "SELECT set_config('search_path', 'x', false)"},
      {"SET work_mem = 1", "SET work_mem = 2"},
      {"SELECT a FROM t WHERE a IN (1,2)", "SELECT a FROM t WHERE a IN (1,2,3)", "SELECT a FROM t WHERE a IN (7,8)"},
      {"INSERT INTO t VALUES (1, 'x')", "INSERT INTO t VALUES (2, 'yesterday')", "INSERT INTO t VALUES (3, 'y')"},
      {"EXECUTE p(1)", "EXECUTE p(2)"},
      {"SELECT 1; SELECT 2", "SELECT 1; SELECT 3"},
      {"SELECT -1", "SELECT - 1", "SELECT 1"},
      {"SELECT x FROM t WHERE b = B'01'", "SELECT x FROM t WHERE b = B'11'"},
  };
  for (const bool backwards : {false, true}) {
    AnalysisCache cache;
    for (const auto& family : families) {
      for (std::size_t i = 0; i < family.size(); ++i) {
        const std::string& text = family[backwards ? family.size() - 1 - i : i];
        CAPTURE(text);
        CHECK(told(*cache.get(text)) == told(*analyse(text)));
      }
    }
  }
}

TEST_CASE("literals nobody reads are shared, others are not") {
  AnalysisCache cache;
  const auto first = cache.get("SELECT abalance FROM accounts WHERE aid = 1");
  CHECK(cache.get("SELECT abalance FROM accounts WHERE aid = 2") == first);
  CHECK(cache.get("SELECT abalance FROM accounts WHERE aid = 'x'") != first);
  CHECK(cache.get("SELECT abalance FROM accounts WHERE bid = 2") != first);
  CHECK(cache.get("SELECT a FROM t LIMIT 1") != cache.get("SELECT a FROM t LIMIT 2"));
  CHECK(cache.get("SELECT a FROM t WHERE d = 'a'") != cache.get("SELECT a FROM t WHERE d = 'now'"));
}
