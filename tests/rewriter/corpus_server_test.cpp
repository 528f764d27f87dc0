#include <doctest/doctest.h>
#include <libpq-fe.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <pqxx/pqxx>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "rewriter/candidate.hpp"
#include "tests/rewriter/schema.hpp"

// Statements that others wrote, from the file PGSTEER_CORPUS (each ends with a line ";;"), on the database PGSTEER_CORPUS_URL:
// every rewrite of each must give the original's multiset of rows and its columns. tests/e2e/long/rewrite_corpora.sh
// makes the files and the databases.
namespace {

using namespace pgsteer;

struct Answer {
  std::string state;
  std::vector<std::string> columns, rows;
  bool operator==(const Answer&) const = default;
};

class Server {
 public:
  explicit Server(const std::string& url) : connection_(PQconnectdb(url.c_str()), PQfinish) {
    REQUIRE_MESSAGE(PQstatus(connection_.get()) == CONNECTION_OK, PQerrorMessage(connection_.get()));
    ask("SET default_transaction_read_only = on");
    ask("SET statement_timeout = '2s'");
    ask("SET client_min_messages = error");
    ask("SET jit = off");
  }

  Answer ask(const std::string& sql) {
    const std::unique_ptr<PGresult, void (*)(PGresult*)> result(
        PQexecParams(connection_.get(), sql.c_str(), 0, nullptr, nullptr, nullptr, nullptr, 0), PQclear);
    Answer answer;
    if (PQresultStatus(result.get()) == PGRES_FATAL_ERROR) {
      const char* state = PQresultErrorField(result.get(), PG_DIAG_SQLSTATE);
      answer.state = state ? state : "?????";
      return answer;
    }
    const int columns = PQnfields(result.get());
    for (int c = 0; c < columns; ++c)
      answer.columns.push_back(std::string(PQfname(result.get(), c)) + " " + std::to_string(PQftype(result.get(), c)) + "/" +
                               std::to_string(PQfmod(result.get(), c)) + "/" + std::to_string(PQftable(result.get(), c)));
    for (int row = 0; row < PQntuples(result.get()); ++row) {
      std::string text;
      for (int c = 0; c < columns; ++c)
        text += PQgetisnull(result.get(), row, c) ? std::string("\\N|") : std::string(PQgetvalue(result.get(), row, c)) + "|";
      answer.rows.push_back(std::move(text));
    }
    std::sort(answer.rows.begin(), answer.rows.end());
    return answer;
  }

  /// The answer by other plans: where it differs from the first the statement does not fix its answer.
  Answer ask_otherwise(const std::string& sql) {
    const char* others[] = {"enable_seqscan", "enable_hashjoin", "enable_hashagg", "enable_sort"};
    for (const char* name : others) ask(std::string("SET ") + name + " = off");
    auto answer = ask(sql);
    for (const char* name : others) ask(std::string("RESET ") + name);
    return answer;
  }

 private:
  std::unique_ptr<PGconn, void (*)(PGconn*)> connection_;
};

std::vector<std::string> statements_of(const std::string& path) {
  std::ifstream in(path);
  std::vector<std::string> list;
  std::string line, text;
  while (std::getline(in, line)) {
    if (line == ";;") {
      list.push_back(std::move(text));
      text.clear();
    } else {
      text += line + "\n";
    }
  }
  return list;
}

}  // namespace

TEST_CASE("corpus: statements that others wrote keep their answers") {
  const char *path = std::getenv("PGSTEER_CORPUS"), *url = std::getenv("PGSTEER_CORPUS_URL");
  if (url && std::getenv("PGSTEER_CORPUS_SCHEMA")) {  // only make the tables
    pqxx::connection connection(url);
    pqxx::nontransaction(connection).exec(test::shop_ddl() + test::odd_ddl() + test::random_rows(1) + test::odd_rows(1));
    return;
  }
  if (!path || !url) {
    MESSAGE("no PGSTEER_CORPUS and PGSTEER_CORPUS_URL given: see tests/e2e/long/rewrite_corpora.sh");
    return;
  }
  const auto catalog = test::load_catalog(url);
  Server server(url);
  sql::SessionFacts session;
  session.user = "postgres";
  std::map<std::string, int> fired;
  std::set<std::string> seen;
  int looked_at = 0, rewritten = 0, pairs = 0, failed = 0, unsteady = 0, slow = 0;
  for (const auto& text : statements_of(path)) {
    if (!seen.insert(text).second) continue;
    sql::Query query;
    query.text = text;
    query.session = &session;
    const auto analysis = sql::analyse(text);
    looked_at += analysis->why_not == sql::WhyNot::none && analysis->read_only_select() ? 1 : 0;
    const auto candidates = rewriter::rewrite(query, *analysis, catalog, {});
    if (candidates.empty()) continue;
    ++rewritten;
    const auto original = server.ask(text);
    if (original.state == "57014") { ++slow; continue; }
    if (!original.state.empty()) { ++failed; continue; }
    for (const auto& candidate : candidates) {
      const auto answer = server.ask(candidate.text);
      if (answer == original) {
        ++pairs;
        for (const auto& rule : candidate.rules) ++fired[rule];
        continue;
      }
      if (answer.state == "57014") { ++slow; continue; }
      if (server.ask_otherwise(text).rows != original.rows) { ++unsteady; continue; }
      FAIL_CHECK(candidate.label() << " " << answer.state << "\noriginal (" << original.rows.size() << " rows):\n" << text
                                   << "\nrewritten (" << answer.rows.size() << " rows):\n" << candidate.text);
    }
  }
  std::cout << path << ": " << seen.size() << " distinct statements, " << looked_at << " of them read-only SELECTs within the limits, " << rewritten << " rewritten; " << pairs << " pairs equal, "
            << unsteady << " of statements that do not fix their answer, " << failed << " originals failed, " << slow << " ran out of time\n";
  for (const auto& [rule, count] : fired) std::cout << "  " << rule << " " << count << "\n";
  CHECK(looked_at * 2 > static_cast<int>(seen.size()));
}
