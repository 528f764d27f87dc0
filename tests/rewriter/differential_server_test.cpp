#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <pqxx/pqxx>

#include "rewriter/candidate.hpp"
#include "tests/rewriter/generator.hpp"
#include "tests/rewriter/generator_wide.hpp"
#include "tests/rewriter/pair_runner.hpp"
#include "tests/rewriter/schema.hpp"
#include "tests/support/servers.hpp"

// Original and rewritten statement against the same rows of a real server: the answers must be the same multiset, in the
// same order where ORDER BY fixes it, with the same columns. PGSTEER_DIFFERENTIAL=n sets the statements per rule,
// PGSTEER_SECONDS when to stop, PGSTEER_SEED where to begin, PGSTEER_RULE the one generator to use.
namespace {

using namespace pgsteer;

int from_environment(const char* name, int otherwise) {
  const char* text = std::getenv(name);
  return text ? std::atoi(text) : otherwise;
}

}  // namespace

TEST_CASE("rewritten statements give the original's answer on a real server") {
  if (!test::have_postgres()) {
    MESSAGE("SKIPPED: no PostgreSQL server binaries");
    CHECK_MESSAGE(std::getenv("CI") == nullptr, "a missing server fails in CI");
    return;
  }
  test::Postgres server;
  {
    pqxx::connection connection(server.url());
    pqxx::work tx(connection);
    tx.exec(test::shop_ddl());
    tx.exec(test::odd_ddl());
    tx.commit();
  }
  test::PairRunner runner(server.url());
  const int wanted = from_environment("PGSTEER_DIFFERENTIAL", 300);
  const std::string only = std::getenv("PGSTEER_RULE") ? std::getenv("PGSTEER_RULE") : "";
  const char* zones[] = {"UTC", "America/Havana", "Asia/Kolkata", "Pacific/Apia", "Europe/Berlin", "Asia/Kathmandu"};
  constexpr int per_data_set = 40;
  const auto first = static_cast<std::uint64_t>(from_environment("PGSTEER_SEED", 0));
  const std::chrono::seconds most(from_environment("PGSTEER_SECONDS", 3600));
  const auto start = std::chrono::steady_clock::now();
  const auto &aimed = test::generators(), wide = test::wide_generators(), joins = test::join_generators(), guards = test::guard_generators();
  std::uint64_t set = 0;
  for (int made = 0; made < wanted && std::chrono::steady_clock::now() - start < most; made += per_data_set, ++set) {
    runner.next_rows(first + set, zones[set % std::size(zones)]);
    for (const auto* list : {&aimed, &wide, &joins, &guards})
      for (const auto& generator : *list) {
        if (!only.empty() && generator.rule != only) continue;
        test::Random random((first + set) * 7919 + std::hash<std::string>{}(generator.rule) + (list == &aimed ? 0 : list == &guards ? 2 : 1));
        for (int i = list == &joins ? -per_data_set / 2 : list == &guards ? per_data_set / 4 : 0; i < per_data_set / 2; ++i) runner.add(generator.make(random), generator.rule);
      }
    if (runner.differences().size() >= static_cast<std::size_t>(from_environment("PGSTEER_DIFFERENCES", 20))) break;
  }
  runner.finish();
  for (const auto& difference : runner.differences())
    FAIL_CHECK(difference.label << ", " << difference.where << "\noriginal:  " << difference.original
                                << "\nrewritten: " << difference.rewritten << "\n" << difference.what);
  std::cout << set << " data sets, " << runner.distinct_pairs() << " distinct pairs of an original and a rewritten text compared, "
            << runner.errors_compared() << " of failing originals besides\n";
  for (const auto& rule : rewriter::all_rules()) {
    if (!only.empty() && rule.name != only) continue;
    CAPTURE(rule.name);
    const auto& tally = runner.tallies()[rule.name];
    std::printf("%-28s %6zu pairs; own statements: %6d, %6d rewritten, %6d with rows, %5d failed in the original\n",
                rule.name.c_str(), tally.pairs.size(), tally.generated, tally.fired, tally.nonempty, tally.original_failed);
    CHECK(tally.fired * 20 >= tally.generated);  // the generator still reaches the rule
    CHECK(tally.nonempty * 10 >= tally.fired);   // and answers are not all empty
    CHECK(tally.fired < tally.generated);        // and its guards
  }
}

TEST_CASE("the hand-built catalogue of the golden tests is what a server says") {
  if (!test::have_postgres()) {
    MESSAGE("SKIPPED: no PostgreSQL server binaries");
    return;
  }
  test::Postgres server;
  {
    pqxx::connection connection(server.url());
    pqxx::work tx(connection);
    tx.exec(test::shop_ddl());
    tx.commit();
  }
  const auto real = test::load_catalog(server.url());
  const auto by_hand = test::shop_catalog();
  for (const auto& [oid, mine] : by_hand.relations()) {
    CAPTURE(mine.name);
    const auto* theirs = real.find("public", mine.name, "", "postgres");
    REQUIRE(theirs);
    CHECK(theirs->kind == mine.kind);
    CHECK(theirs->has_children == mine.has_children);
    if (mine.kind == 'v') continue;
    REQUIRE(theirs->columns.size() == mine.columns.size());
    for (std::size_t i = 0; i < mine.columns.size(); ++i) {
      CAPTURE(mine.columns[i].name);
      CHECK(theirs->columns[i].name == mine.columns[i].name);
      CHECK(theirs->columns[i].type == mine.columns[i].type);
      CHECK(theirs->columns[i].type_modifier == mine.columns[i].type_modifier);
      CHECK(theirs->columns[i].collation == mine.columns[i].collation);
      CHECK(theirs->columns[i].not_null == mine.columns[i].not_null);
    }
    const auto keys = [](const sql::Relation& relation) {
      std::vector<std::pair<std::vector<std::int16_t>, bool>> list;
      for (const auto& index : relation.indexes)
        if (index.unique) list.emplace_back(index.columns, index.immediate);
      std::sort(list.begin(), list.end());
      return list;
    };
    CHECK(keys(*theirs) == keys(mine));
    CHECK(theirs->foreign_keys.size() == mine.foreign_keys.size());
  }
}
