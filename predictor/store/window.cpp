// What people read of feedback.db: time windows. A connection of its own, read-only, so that nobody waits for the writer.
#include "predictor/store/embedded.hpp"

#include <fmt/format.h>

#include "predictor/rows.hpp"
#include "predictor/store/sqlite.hpp"

namespace pgsteer::predictor::embedded {
namespace {

constexpr int oldest_version = 1, newest_version = 2;  // 2 has trace_id besides, which nobody reads here

constexpr const char* window_sql = R"(
SELECT unix_us, database, user, application, fingerprint, candidate, source, policy_rule, reason, sqlstate, total_ms, server_ms,
  proxy_us, estimate_ms, estimate_low_ms, estimate_high_ms, rows
FROM feedback WHERE unix_us >= ?1 AND unix_us < ?2 AND source <> 'explore' AND (?3 = '' OR fingerprint = ?3) ORDER BY unix_us)";

constexpr const char* outcomes_sql = R"(
SELECT unix_us, fingerprint, source, sqlstate, estimate_source, model_version, censored, server_ms, estimate_ms, estimate_low_ms,
  estimate_high_ms, CASE feature_schema WHEN ?3 THEN features END
FROM feedback WHERE unix_us >= ?1 AND unix_us < ?2 AND source <> 'explore' ORDER BY unix_us, id)";

using namespace sqlite;

bool fail(std::string* error, const std::string& path, const char* why) {
  if (error) *error = fmt::format("{}: {}", path, why);
  return false;
}

Db open(const std::string& path, std::string* error) {
  sqlite3* raw = nullptr;
  const int code = sqlite3_open_v2(path.c_str(), &raw, SQLITE_OPEN_READONLY | SQLITE_OPEN_FULLMUTEX, nullptr);
  Db db(raw);
  if (code != SQLITE_OK) {
    fail(error, path, raw ? sqlite3_errmsg(raw) : "out of memory");
    return nullptr;
  }
  sqlite3_busy_timeout(raw, busy_ms);
  const auto version = prepare(raw, "PRAGMA user_version");
  const int found = version && sqlite3_step(version.get()) == SQLITE_ROW ? sqlite3_column_int(version.get(), 0) : 0;
  if (found < oldest_version || found > newest_version) {
    fail(error, path, "no feedback store of a version this build knows");
    return nullptr;
  }
  return db;
}

/// Rows of a query whose first two parameters are the window; `bind` gives the others.
bool read_rows(const std::string& path, const char* sql, std::int64_t from_us, std::int64_t to_us, const std::function<void(sqlite3_stmt*)>& bind,
               const std::function<void(Columns&)>& take, std::string* error) {
  const Db db = open(path, error);
  if (!db) return false;
  const auto statement = prepare(db.get(), sql);
  if (!statement) return fail(error, path, sqlite3_errmsg(db.get()));
  sqlite3_bind_int64(statement.get(), 1, from_us);
  sqlite3_bind_int64(statement.get(), 2, to_us);
  bind(statement.get());
  int code = SQLITE_ROW;
  while ((code = sqlite3_step(statement.get())) == SQLITE_ROW) {
    Columns columns(statement.get());
    take(columns);
  }
  return code == SQLITE_DONE || fail(error, path, sqlite3_errmsg(db.get()));
}

}  // namespace

bool read_window(const std::string& path, std::int64_t from_us, std::int64_t to_us, const std::string& fingerprint,
                 const std::function<void(const Observation&)>& row, std::string* error) {
  const auto bind = [&](sqlite3_stmt* at) { sqlite3_bind_text(at, 3, fingerprint.c_str(), static_cast<int>(fingerprint.size()), SQLITE_STATIC); };
  return read_rows(path, window_sql, from_us, to_us, bind, [&](Columns& c) { row(read_observation(c)); }, error);
}

bool read_outcomes(const std::string& path, std::int64_t from_us, std::int64_t to_us, const std::function<void(const Outcome&)>& row,
                   std::string* error) {
  FeatureVector features;
  const auto bind = [](sqlite3_stmt* at) { sqlite3_bind_int64(at, 3, static_cast<std::int64_t>(feature_schema())); };
  return read_rows(path, outcomes_sql, from_us, to_us, bind, [&](Columns& c) { row(read_outcome(c, features)); }, error);
}

StoreSpan read_span(const std::string& path, std::string* error) {
  StoreSpan span;
  const Db db = open(path, error);
  if (!db) return span;
  const auto statement = prepare(db.get(), "SELECT count(*), min(unix_us), max(unix_us) FROM feedback WHERE source <> 'explore'");
  if (!statement || sqlite3_step(statement.get()) != SQLITE_ROW) {
    fail(error, path, sqlite3_errmsg(db.get()));
    return span;
  }
  return {sqlite3_column_int64(statement.get(), 0), sqlite3_column_int64(statement.get(), 1), sqlite3_column_int64(statement.get(), 2)};
}

std::map<std::string, StatementText> read_statements(const std::string& path, std::string* error) {
  std::map<std::string, StatementText> statements;
  const Db db = open(path, error);
  if (!db) return statements;
  const auto statement = prepare(db.get(), "SELECT fingerprint, kind, normalized FROM statements");
  while (statement && sqlite3_step(statement.get()) == SQLITE_ROW) {
    Columns c(statement.get());
    std::string fingerprint(c.view()), kind(c.view());
    statements[std::move(fingerprint)] = {std::move(kind), std::string(c.view())};
  }
  return statements;
}

}  // namespace pgsteer::predictor::embedded
