#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <vector>

#include "rewriter/candidate.hpp"
#include "tests/rewriter/schema.hpp"

// golden/<rule>.txt holds blocks: "=== title", the SQL, then "expect=" and the rewritten text, or "expect-not=" and the
// reason. PGSTEER_REGENERATE=1 writes the texts anew (never the keyword: whether a rule may fire is decided by people);
// the change is then reviewed in the diff.
namespace {

using namespace pgsteer;

struct Case {
  std::string title, sql, expected;
  bool fires = false;
};

std::vector<Case> read_cases(const std::string& path) {
  std::vector<Case> cases;
  std::ifstream in(path);
  std::string* target = nullptr;
  for (std::string line; std::getline(in, line);) {
    if (line.rfind("=== ", 0) == 0) {
      cases.push_back({line.substr(4), {}, {}, false});
      target = &cases.back().sql;
    } else if (line == "expect=" || line == "expect-not=") {
      cases.back().fires = line == "expect=";
      target = &cases.back().expected;
    } else if (target && !line.empty()) {
      *target += (target->empty() ? "" : "\n") + line;
    }
  }
  return cases;
}

void write_cases(const std::string& path, const std::vector<Case>& cases) {
  std::ofstream out(path);
  for (const auto& c : cases)
    out << "=== " << c.title << "\n" << c.sql << "\n" << (c.fires ? "expect=" : "expect-not=") << "\n" << c.expected << "\n\n";
}

struct Outcome {
  bool fired = false;
  std::string text;
};

Outcome run(const std::string& sql, const std::string& rule) {
  static const sql::Catalog catalog = test::shop_catalog();
  sql::SessionFacts session;
  session.user = "app";
  sql::Query query;
  query.text = sql;
  query.session = &session;
  rewriter::RuleSwitches switches;
  switches.all = false;
  switches.only = {rule};
  std::string why;
  const auto found = rewriter::rewrite(query, *sql::analyse(sql), catalog, switches, &why);
  if (found.empty()) return {false, why};
  CHECK(found.front().label() == "rewrite:" + rule);
  CHECK(!found.front().facts.empty());
  return {true, found.front().text};
}

}  // namespace

TEST_CASE("every rule has golden cases of both kinds, and they hold") {
  const bool regenerate = std::getenv("PGSTEER_REGENERATE") != nullptr;
  const std::string folder = PGSTEER_SOURCE_DIR "/tests/rewriter/golden/";
  for (const auto& rule : rewriter::all_rules()) {
    CAPTURE(rule.name);
    const std::string path = folder + rule.name + ".txt";
    auto cases = read_cases(path);
    int fires = 0, refuses = 0;
    for (auto& c : cases) {
      CAPTURE(c.title);
      CAPTURE(c.sql);
      (c.fires ? fires : refuses)++;
      const auto outcome = run(c.sql, rule.name);
      CHECK_MESSAGE(outcome.fired == c.fires, outcome.text);
      if (regenerate) c.expected = outcome.text;
      CHECK(outcome.text == c.expected);
    }
    CHECK(fires > 0);
    CHECK(refuses > 0);
    if (regenerate) write_cases(path, cases);
  }
}
