#include "tests/rewriter/pair_runner.hpp"

#include <libpq-fe.h>

#include <algorithm>
#include <stdexcept>

#include "tests/rewriter/schema.hpp"

namespace pgsteer::test {
namespace {

std::uint64_t hash_of(const std::string& text) { return std::hash<std::string>{}(text); }

struct Answer {
  std::string state;  ///< SQLSTATE; "" when it succeeded
  std::string error;
  std::vector<std::string> columns, rows;
};

/// One statement's results out of the pipeline, up to its sync.
Answer next_answer(PGconn* connection) {
  Answer answer;
  for (;;) {
    PGresult* result = PQgetResult(connection);
    if (!result) {
      if (PQstatus(connection) != CONNECTION_OK) throw std::runtime_error(PQerrorMessage(connection));
      continue;  // end of one statement; its sync follows
    }
    const auto status = PQresultStatus(result);
    if (status == PGRES_TUPLES_OK) {
      const int columns = PQnfields(result);
      for (int c = 0; c < columns; ++c)
        answer.columns.push_back(std::string(PQfname(result, c)) + " type " + std::to_string(PQftype(result, c)) + "/" +
                                 std::to_string(PQfmod(result, c)) + " of " + std::to_string(PQftable(result, c)) + "." +
                                 std::to_string(PQftablecol(result, c)));
      for (int row = 0; row < PQntuples(result); ++row) {
        std::string text;
        for (int c = 0; c < columns; ++c) {
          if (PQgetisnull(result, row, c)) {
            text += "\\N|";
          } else {
            text.append(PQgetvalue(result, row, c), static_cast<std::size_t>(PQgetlength(result, row, c)));
            text += '|';
          }
        }
        answer.rows.push_back(std::move(text));
      }
    } else if (status == PGRES_FATAL_ERROR) {
      const char* state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
      answer.state = state ? state : "?????";
      answer.error = PQresultErrorMessage(result);
    }
    PQclear(result);
    if (status == PGRES_PIPELINE_SYNC) return answer;
  }
}

void send(PGconn* connection, const std::string& sql) {
  if (!PQsendQueryParams(connection, sql.c_str(), 0, nullptr, nullptr, nullptr, nullptr, 0) || !PQpipelineSync(connection))
    throw std::runtime_error(PQerrorMessage(connection));
}

void run(PGconn* connection, const std::string& sql) {
  PGresult* result = PQexec(connection, sql.c_str());
  const bool good = PQresultStatus(result) == PGRES_COMMAND_OK || PQresultStatus(result) == PGRES_TUPLES_OK;
  PQclear(result);
  if (!good) throw std::runtime_error(PQerrorMessage(connection) + sql.substr(0, 2000));
}

PGconn* open(const std::string& url) {
  PGconn* connection = PQconnectdb(url.c_str());
  if (PQstatus(connection) != CONNECTION_OK) throw std::runtime_error(PQerrorMessage(connection));
  run(connection, "SET statement_timeout = '5s'; SET jit = off; SET max_parallel_workers_per_gather = 0");
  return connection;
}

std::string list(const std::vector<std::string>& lines) {
  std::string text;
  for (std::size_t i = 0; i < lines.size() && i < 12; ++i) text += "    " + lines[i] + "\n";
  return text + "    (" + std::to_string(lines.size()) + ")\n";
}

}  // namespace

PairRunner::PairRunner(const std::string& url) : catalog_(load_catalog(url, true)) {
  session_.user = "postgres";
  {
    PGconn* maker = open(url);
    run(maker, "DROP DATABASE IF EXISTS second");
    PQfinish(maker);
  }
  const auto database = url.rfind("/postgres");
  PGconn* elsewhere = open(url.substr(0, database) + "/template1");
  run(elsewhere, "CREATE DATABASE second TEMPLATE postgres");
  PQfinish(elsewhere);
  lanes_[0].connection = open(url);
  lanes_[1].connection = open(url.substr(0, database) + "/second");
}

PairRunner::~PairRunner() {
  for (auto& lane : lanes_) PQfinish(lane.connection);
}

void PairRunner::next_rows(std::uint64_t seed, const std::string& timezone) {
  current_ = 1 - current_;
  Lane& lane = lanes_[current_];
  collect(lane);
  run(lane.connection, "SET client_min_messages = warning; SET timezone = '" + timezone + "'; SET synchronous_commit = off");
  run(lane.connection, random_rows(seed) + odd_rows(seed));
  lane.rows = "rows of seed " + std::to_string(seed) + ", time zone " + timezone;
  PQenterPipelineMode(lane.connection);
}

bool PairRunner::add(const Statement& statement, const std::string& rule) {
  if (!seen_.insert(hash_of(statement.sql)).second) return false;
  auto& tally = tallies_[rule];
  ++tally.generated;
  sql::Query query;
  query.text = statement.sql;
  query.session = &session_;
  auto candidates = rewriter::rewrite(query, *sql::analyse(statement.sql), catalog_, {});
  if (candidates.empty()) return true;
  Lane& lane = lanes_[current_];
  send(lane.connection, statement.sql);
  for (const auto& candidate : candidates) send(lane.connection, candidate.text);
  lane.pending.push_back({statement, rule, std::move(candidates)});
  if (lane.pending.size() % 16 == 0) PQflush(lane.connection);
  return true;
}

void PairRunner::finish() {
  for (auto& lane : lanes_) collect(lane);
}

void PairRunner::collect(Lane& lane) {
  for (const auto& one : lane.pending) compare(lane, one);
  lane.pending.clear();
  PQexitPipelineMode(lane.connection);
}

void PairRunner::compare(Lane& lane, const Pending& one) {
  auto original = next_answer(lane.connection);
  if (!one.statement.ordered) std::sort(original.rows.begin(), original.rows.end());
  bool took_part = false;
  for (const auto& candidate : one.candidates) {
    auto rewritten = next_answer(lane.connection);
    took_part = took_part || std::find(candidate.rules.begin(), candidate.rules.end(), one.rule) != candidate.rules.end();
    if (original.state == "57014" || rewritten.state == "57014") continue;  // the test's own timeout
    if (original.state.compare(0, 2, "42") == 0) continue;  // no valid statement
    if (!original.state.empty()) {
      // A rewrite may be spared an error of the original, by evaluating less. If it fails it is for the same reason.
      ++errors_compared_;
      if (!rewritten.state.empty() && rewritten.state != original.state)
        differs(lane, one, candidate, "errors: " + original.error + " / " + rewritten.error);
      continue;
    }
    const auto pair = hash_of(one.statement.sql + '\0' + candidate.text);
    pairs_.insert(pair);
    for (const auto& name : candidate.rules) tallies_[name].pairs.insert(pair);
    if (!one.statement.ordered) std::sort(rewritten.rows.begin(), rewritten.rows.end());
    if (!rewritten.state.empty()) {
      differs(lane, one, candidate, "a new error: " + rewritten.error);
    } else if (rewritten.columns != original.columns) {
      differs(lane, one, candidate, "columns:\n" + list(original.columns) + list(rewritten.columns));
    } else if (rewritten.rows != original.rows) {
      differs(lane, one, candidate, "rows:\n" + list(original.rows) + list(rewritten.rows));
    }
  }
  if (!took_part) return;
  auto& tally = tallies_[one.rule];
  ++tally.fired;
  tally.nonempty += original.rows.empty() ? 0 : 1;
  tally.original_failed += original.state.empty() ? 0 : 1;
}

void PairRunner::differs(const Lane& lane, const Pending& one, const rewriter::Candidate& candidate, std::string what) {
  if (reported_[candidate.label()]++ < 2)
    differences_.push_back({candidate.label(), one.statement.sql, candidate.text, std::move(what), lane.rows});
}

}  // namespace pgsteer::test
