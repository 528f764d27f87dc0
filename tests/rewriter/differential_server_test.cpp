#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <map>
#include <pqxx/pqxx>
#include <unordered_set>

#include "rewriter/candidate.hpp"
#include "tests/rewriter/generator.hpp"
#include "tests/rewriter/schema.hpp"
#include "tests/support/servers.hpp"

// Original and rewritten statement against the same rows of a real server: the answers must be the same multiset, in the
// same order where ORDER BY fixes it, with the same columns. PGSTEER_DIFFERENTIAL=n sets the statements per rule.
namespace {

using namespace pgsteer;

struct Answer {
  std::string error;
  std::vector<std::string> columns, rows;
};

Answer ask(pqxx::work& tx, const std::string& sql) {
  Answer answer;
  try {
    pqxx::subtransaction inner(tx, "one");
    const auto result = inner.exec(sql);
    for (pqxx::row_size_type c = 0; c < static_cast<pqxx::row_size_type>(result.columns()); ++c)
      answer.columns.push_back(std::string(result.column_name(c)) + ":" + std::to_string(result.column_type(c)) + ":" +
                               std::to_string(result.column_table(c)));
    for (const auto& row : result) {
      std::string text;
      for (const auto& value : row) text += value.is_null() ? "\\N|" : std::string(value.c_str()) + "|";
      answer.rows.push_back(std::move(text));
    }
    inner.commit();
  } catch (const pqxx::sql_error& error) {
    answer.error = error.what();
  }
  return answer;
}

struct Tally {
  int generated = 0, fired = 0, original_failed = 0, rows = 0, nonempty = 0;
};

class Differential {
 public:
  explicit Differential(const std::string& url) : connection_(url), catalog_(test::load_catalog(url)) {
    session_.user = "postgres";
  }

  void fill(std::uint64_t seed) {
    pqxx::work tx(connection_);
    tx.exec(test::random_rows(seed));
    tx.commit();
  }

  /// Every candidate for `sql` that `rule` took part in, against the original.
  void check(const std::string& sql, bool ordered, const std::string& rule, Tally& tally) {
    ++tally.generated;
    sql::Query query;
    query.text = sql;
    query.session = &session_;
    const auto candidates = rewriter::rewrite(query, *sql::analyse(sql), catalog_, {});
    const bool took_part = std::any_of(candidates.begin(), candidates.end(), [&](const auto& c) {
      return std::find(c.rules.begin(), c.rules.end(), rule) != c.rules.end();
    });
    if (!took_part) return;
    ++tally.fired;
    pqxx::work tx(connection_);
    auto original = ask(tx, sql);
    if (!original.error.empty()) {
      // A rewrite may be spared an error of the original, by evaluating less; it never has to be compared then.
      ++tally.original_failed;
      return;
    }
    tally.rows += static_cast<int>(original.rows.size());
    tally.nonempty += original.rows.empty() ? 0 : 1;
    if (!ordered) std::sort(original.rows.begin(), original.rows.end());
    for (const auto& candidate : candidates) {
      auto rewritten = ask(tx, candidate.text);
      ++compared_;
      pairs_.insert(std::hash<std::string>{}(sql + '\0' + candidate.text));
      if (!ordered) std::sort(rewritten.rows.begin(), rewritten.rows.end());
      INFO("original:  " << sql);
      INFO("rewritten: " << candidate.text);
      INFO("label: " << candidate.label());
      REQUIRE(rewritten.error == "");
      REQUIRE(rewritten.columns == original.columns);
      REQUIRE(rewritten.rows == original.rows);
    }
  }

  /// The server's own zone list goes through the sessions: time rules must hold in each.
  void timezone(const std::string& zone) {
    pqxx::work tx(connection_);
    tx.exec("SET timezone = " + tx.quote(zone));
    tx.commit();
  }

  std::size_t compared() const { return compared_; }
  std::size_t distinct() const { return pairs_.size(); }

 private:
  std::size_t compared_ = 0;
  std::unordered_set<std::size_t> pairs_;
  pqxx::connection connection_;
  sql::Catalog catalog_;
  sql::SessionFacts session_;
};

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
    tx.commit();
  }
  Differential differential(server.url());
  const int wanted = from_environment("PGSTEER_DIFFERENTIAL", 600);
  const char* zones[] = {"UTC", "America/Havana", "Asia/Kolkata", "Pacific/Apia", "Europe/Berlin"};
  std::map<std::string, Tally> tallies;
  constexpr int per_data_set = 50;
  const auto first = static_cast<std::uint64_t>(from_environment("PGSTEER_SEED", 0));
  const std::chrono::seconds most(from_environment("PGSTEER_SECONDS", 3600));
  const auto start = std::chrono::steady_clock::now();
  int sets = 0;
  for (int i = 0; i < wanted && std::chrono::steady_clock::now() - start < most; i += per_data_set, ++sets) {
    differential.fill(first + static_cast<std::uint64_t>(i));
    differential.timezone(zones[sets % 5]);
    for (const auto& generator : test::generators())
      for (int k = i; k < std::min(i + per_data_set, wanted); ++k) {
        test::Random random((first + static_cast<std::uint64_t>(k)) * 7919 + std::hash<std::string>{}(generator.rule));
        const auto statement = generator.make(random);
        differential.check(statement.sql, statement.ordered, generator.rule, tallies[generator.rule]);
      }
  }
  std::cout << sets << " data sets, " << differential.compared() << " comparisons, " << differential.distinct()
            << " distinct pairs of an original and a rewritten text\n";
  for (const auto& rule : rewriter::all_rules()) {
    CAPTURE(rule.name);
    const auto& tally = tallies[rule.name];
    std::cout << rule.name << ": " << tally.generated << " statements, " << tally.fired << " rewritten, "
              << tally.nonempty << " with rows, " << tally.original_failed << " failed in the original\n";
    CHECK(tally.fired * 10 >= tally.generated);  // the generator still reaches the rule
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
