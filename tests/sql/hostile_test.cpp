#include <pthread.h>

#include <doctest/doctest.h>

#include <ctime>
#include <random>
#include <string>
#include <vector>

#include "rewriter/sql/analysis.hpp"
#include "rewriter/sql/tree.hpp"
#include "tests/sql/corpus.hpp"

using namespace pgsteer::sql;

namespace {

std::string repeat(std::string_view text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

/// Everything this folder does with a text; returns what analyse() said.
WhyNot use(std::string_view text, const Limits& limits = {}) {
  const auto analysis = analyse(text, limits);
  WhyNot why = WhyNot::none;
  if (const auto tree = Tree::parse(text, limits, &why)) {
    const auto printed = tree->print_verified(limits);
    if (printed) CHECK(Tree::parse(*printed, Limits{1 << 20, 100000, 2000, 8})->same_as(*tree));
  }
  return analysis->why_not;
}

/// CPU time of this thread, so that a busy machine does not fail the test.
double cpu_milliseconds() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) * 1e3 + static_cast<double>(t.tv_nsec) / 1e6;
}

double milliseconds(const std::string& text, const Limits& limits = {}) {
  const double start = cpu_milliseconds();
  use(text, limits);
  return cpu_milliseconds() - start;
}

struct Nesting {
  const char* name;
  std::string (*text)(int);
};

/// Each kind of recursion of the grammar, n deep.
const Nesting nestings[] = {
    {"operators", [](int n) { return "SELECT 1" + repeat("+1", n); }},
    {"concatenation", [](int n) { return "SELECT a" + repeat(" || a", n); }},
    {"casts", [](int n) { return "SELECT a" + repeat("::int", n); }},
    {"unions", [](int n) { return "SELECT 1, 2" + repeat(" UNION SELECT 1, 2", n); }},
    {"joins", [](int n) { return "SELECT 1 FROM t" + repeat(" JOIN t ON a = b AND c", n); }},
    {"natural joins", [](int n) { return "SELECT 1 FROM t" + repeat(" NATURAL JOIN t", n); }},
    {"collations", [](int n) { return "SELECT a" + repeat(" COLLATE \"C\"", n); }},
    {"time zones", [](int n) { return "SELECT a" + repeat(" AT TIME ZONE 'x'", n); }},
    {"qualified operators", [](int n) { return "SELECT a" + repeat(" OPERATOR(s.+) a", n); }},
    {"brackets", [](int n) { return "SELECT " + repeat("(", n) + "1" + repeat(")", n); }},
    {"not", [](int n) { return "SELECT " + repeat("NOT ", n) + "a"; }},
    {"minus", [](int n) { return "SELECT " + repeat("- ", n) + "a"; }},
    {"case", [](int n) { return "SELECT " + repeat("CASE WHEN a THEN ", n) + "1" + repeat(" END", n); }},
    {"case argument", [](int n) { return "SELECT " + repeat("CASE ", n) + "1" + repeat(" WHEN a THEN b END", n); }},
    {"functions", [](int n) { return "SELECT " + repeat("f(", n) + "1" + repeat(")", n); }},
    {"arrays", [](int n) { return "SELECT " + repeat("ARRAY[", n) + "1" + repeat("]", n); }},
    {"subscripts", [](int n) { return "SELECT " + repeat("a[", n) + "1" + repeat("]", n); }},
    {"scalar subqueries", [](int n) { return "SELECT " + repeat("(SELECT ", n) + "1" + repeat(")", n); }},
    {"subqueries in FROM", [](int n) { return repeat("SELECT 1 FROM (", n) + "SELECT 1" + repeat(") q", n); }},
    {"exists", [](int n) { return "SELECT 1" + repeat(" WHERE a OR b AND NOT EXISTS (SELECT 1", n) + repeat(")", n); }},
    {"with", [](int n) { return repeat("WITH x AS (", n) + "SELECT 1" + repeat(") SELECT 1", n); }},
    {"nested joins", [](int n) { return "SELECT 1 FROM " + repeat("(t JOIN ", n) + "t" + repeat(" ON true)", n); }},
    {"trailing conditions", [](int n) { return "SELECT 1 FROM t" + repeat(" JOIN t", n) + repeat(" ON true", n); }},
    {"nested unions", [](int n) { return repeat("(", n) + "SELECT 1" + repeat(" UNION SELECT 1)", n); }},
    {"rows", [](int n) { return "SELECT " + repeat("(1, ", n) + "1" + repeat(")", n); }},
    {"grouping sets", [](int n) { return "SELECT 1 GROUP BY " + repeat("GROUPING SETS (", n) + "a" + repeat(")", n); }},
    {"explain", [](int n) { return "EXPLAIN " + repeat("(", n) + "SELECT 1" + repeat(")", n); }},
};

struct OnSmallStack {
  int deepest = 0;
};

/// All nestings at every depth up to the limit, on a stack an eighth of what a thread gets by default.
void* run_on_small_stack(void* result) {
  const Limits limits;
  for (const Nesting& nesting : nestings) {
    for (int n : {1, limits.max_depth / 2, limits.max_depth - 8, limits.max_depth, limits.max_depth + 8, 1500}) {
      const auto why = use(nesting.text(n), limits);
      if (why == WhyNot::none) static_cast<OnSmallStack*>(result)->deepest = n;
    }
  }
  return nullptr;
}

}  // namespace

TEST_CASE("hostile: deep nesting of each kind is refused at the limit and safe below it") {
  const Limits limits;
  for (const Nesting& nesting : nestings) {
    CAPTURE(nesting.name);
    CHECK(analyse(nesting.text(10))->why_not == WhyNot::none);
    CHECK(analyse(nesting.text(limits.max_depth + 5))->why_not == WhyNot::too_deep);
    const Limits wide{1 << 24, 1 << 24, limits.max_depth, 8};
    CHECK(analyse(nesting.text(100000), wide)->why_not == WhyNot::too_deep);
  }
  // Flat lists are not deep.
  CHECK(analyse("SELECT 1 WHERE a = 1" + repeat(" AND a = 1", 1000))->why_not == WhyNot::none);
  CHECK(analyse("SELECT 1 WHERE a = 1" + repeat(" OR a = 1 AND NOT b", 500))->why_not == WhyNot::none);
  CHECK(analyse("SELECT 1" + repeat(", a + 1 - f(1)", 500))->why_not == WhyNot::none);
  CHECK(analyse("INSERT INTO t VALUES (-1)" + repeat(", (-1)", 1000))->why_not == WhyNot::none);
  CHECK(analyse(repeat("SELECT 1 + 1; ", 500))->why_not == WhyNot::none);
  CHECK(analyse("SELECT 1 AS \"case\"" + repeat(", t.end", 500))->why_not == WhyNot::none);
}

TEST_CASE("hostile: nestings within the limits run on an eighth of the usual stack") {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  const std::size_t stack = 8 << 20;  // its frames are several times larger
#else
  const std::size_t stack = 1 << 20;
#endif
  OnSmallStack result;
  pthread_attr_t attributes;
  REQUIRE(pthread_attr_init(&attributes) == 0);
  REQUIRE(pthread_attr_setstacksize(&attributes, stack) == 0);
  pthread_t thread{};
  REQUIRE(pthread_create(&thread, &attributes, run_on_small_stack, &result) == 0);
  REQUIRE(pthread_join(thread, nullptr) == 0);
  pthread_attr_destroy(&attributes);
  CHECK(result.deepest > 0);
}

TEST_CASE("hostile: every truncation of every statement") {
  for (const std::string_view statement : test::statements())
    for (std::size_t length = 0; length < statement.size(); ++length) use(statement.substr(0, length));
}

TEST_CASE("hostile: every byte of some statements changed") {
  std::mt19937_64 random(42);
  const auto statements = test::statements();
  for (int i = 0; i < 20000; ++i) {
    std::string text(statements[random() % statements.size()]);
    for (std::size_t changes = 1 + random() % 3; changes > 0; --changes) {
      const char bytes[] = "'\"$/*-;()[]\\\0\xff:e. \n1";
      text[random() % text.size()] = bytes[random() % (sizeof(bytes) - 1)];
    }
    use(text);
  }
}

TEST_CASE("hostile: random bytes") {
  std::mt19937_64 random(7);
  for (int i = 0; i < 3000; ++i) {
    std::string text(random() % 300, '\0');
    for (char& c : text) c = static_cast<char>(random() % (i % 2 == 0 ? 256 : 96) + (i % 2 == 0 ? 0 : 32));
    use(text);
  }
}

TEST_CASE("hostile: size, comments and NUL are refused by name") {
  CHECK(analyse("SELECT '" + std::string(5 << 20, 'x') + "'")->why_not == WhyNot::too_long);
  CHECK(analyse(std::string("SELECT 1\0", 9))->why_not == WhyNot::nul_byte);
  CHECK(analyse("SELECT 1" + repeat(",1", 5000))->why_not == WhyNot::too_many_tokens);
  CHECK(analyse(repeat("/*", 9) + repeat("*/", 9) + "SELECT 1")->why_not == WhyNot::nested_comments);
  CHECK(analyse(repeat("/*", 8) + repeat("*/", 8) + "SELECT 1")->why_not == WhyNot::none);
  CHECK(analyse(repeat("/*", 10000))->why_not == WhyNot::nested_comments);
  CHECK(analyse(repeat("/**/", 4000))->why_not == WhyNot::nested_comments);
  CHECK(analyse(repeat("/*" + std::string(76, '*') + "*/\n", 100) + "SELECT 1")->why_not == WhyNot::none);
  CHECK(analyse("SELECT 1 /*")->why_not == WhyNot::syntax);
  CHECK(analyse("SELECT 'x")->why_not == WhyNot::syntax);
  CHECK(analyse("SELECT $a$ x")->why_not == WhyNot::syntax);
  CHECK(analyse("SELECT '\xff'")->why_not == WhyNot::syntax);
}

TEST_CASE("hostile: bounded time") {
  // Whatever comes, less than this; the texts are at the limits or far beyond.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  const double most = 2000;
#else
  const double most = 200;
#endif
  const Limits limits;
  const std::string texts[] = {
      "SELECT 1 WHERE a IN (1" + repeat(",1", 2900) + ")",
      "SELECT 1 FROM t" + repeat(",t", 2900),
      "SELECT a0" + [] { std::string s; for (int i = 1; i < 1500; ++i) s += ",t" + std::to_string(i) + ".a"; return s; }(),
      "SELECT 1 FROM t0" + [] { std::string s; for (int i = 1; i < 2500; ++i) s += ",t" + std::to_string(i); return s; }(),
      "WITH a AS (SELECT 1)" + [] { std::string s; for (int i = 1; i < 700; ++i) s += ",a" + std::to_string(i) + " AS (TABLE a)"; return s; }() + "TABLE a",
      repeat("SELECT 1;", 1500),
      repeat("/*/**/*/", 4000),
      repeat("/**/", 8000),
      repeat("/**/", 40) + " SELECT 1",
      repeat("+/**/", 6000),
      "SELECT 1" + repeat("/*", 150) + "+" + repeat("*/", 150),
      "SELECT " + repeat("+-", 15000) + "1",
      "SELECT 1 /" + repeat("*", 30000) + "/",
      repeat("/*" + std::string(60, '*') + "*/\n", 450) + "SELECT 1",
      "SELECT 1 /*" + repeat("a='b',", 5000) + "*/",
      "SELECT 1 /* pgsteer:{" + repeat("mode=a,", 4000) + "} */",
      "SELECT " + repeat("$a$x", 7000),
      repeat("'", 32000),
      repeat("$", 32000),
      repeat("U&\"", 10000),
      repeat("\n--", 10000),
      "SELECT 'a'" + repeat("\n--\n", 8000) + "'b'",
      repeat("'a' \n --x\n", 3000),
      std::string(20 << 20, 'a'),
      repeat("/*", 5 << 20),
      std::string(10 << 20, '('),
  };
  for (const std::string& text : texts) {
    CAPTURE(text.substr(0, 40));
    CHECK(milliseconds(text, limits) < most);
  }
}
