// What people read of feedback.db: time windows. A connection of its own, read-only, so that nobody waits for the writer.
#include "predictor/store/embedded.hpp"

#include <sqlite3.h>

#include <cstring>
#include <memory>
#include <vector>

#include <fmt/format.h>

#include "predictor/estimate.hpp"

namespace pgsteer::predictor::embedded {
namespace {

constexpr int oldest_version = 1, newest_version = 2;  // 2 has trace_id besides, which nobody reads here
constexpr int busy_ms = 3000;

constexpr const char* window_sql = R"(
SELECT unix_us, database, user, application, fingerprint, candidate, source, policy_rule, reason, sqlstate, total_ms, server_ms,
  proxy_us, estimate_ms, estimate_low_ms, estimate_high_ms, rows
FROM feedback WHERE unix_us >= ?1 AND unix_us < ?2 AND source <> 'explore' AND (?3 = '' OR fingerprint = ?3) ORDER BY unix_us)";

constexpr const char* outcomes_sql = R"(
SELECT unix_us, fingerprint, source, sqlstate, estimate_source, model_version, censored, server_ms, estimate_ms, estimate_low_ms,
  estimate_high_ms, CASE feature_schema WHEN ?3 THEN features END
FROM feedback WHERE unix_us >= ?1 AND unix_us < ?2 AND source <> 'explore' ORDER BY unix_us, id)";

struct CloseDb {
  void operator()(sqlite3* db) const { sqlite3_close_v2(db); }
};
struct Finalize {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using Db = std::unique_ptr<sqlite3, CloseDb>;
using Statement = std::unique_ptr<sqlite3_stmt, Finalize>;

bool fail(std::string* error, const std::string& path, const char* why) {
  if (error) *error = fmt::format("{}: {}", path, why);
  return false;
}

Statement prepare(sqlite3* db, const char* sql) {
  sqlite3_stmt* raw = nullptr;
  sqlite3_prepare_v2(db, sql, -1, &raw, nullptr);
  return Statement(raw);
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

std::string_view text(sqlite3_stmt* statement, int column) {
  const auto* bytes = reinterpret_cast<const char*>(sqlite3_column_text(statement, column));
  return bytes ? std::string_view(bytes, static_cast<std::size_t>(sqlite3_column_bytes(statement, column))) : std::string_view();
}

}  // namespace

bool read_window(const std::string& path, std::int64_t from_us, std::int64_t to_us, const std::string& fingerprint,
                 const std::function<void(const Observation&)>& row, std::string* error) {
  const Db db = open(path, error);
  if (!db) return false;
  const auto statement = prepare(db.get(), window_sql);
  if (!statement) return fail(error, path, sqlite3_errmsg(db.get()));
  sqlite3_stmt* at = statement.get();
  sqlite3_bind_int64(at, 1, from_us);
  sqlite3_bind_int64(at, 2, to_us);
  sqlite3_bind_text(at, 3, fingerprint.c_str(), static_cast<int>(fingerprint.size()), SQLITE_STATIC);
  int code = SQLITE_ROW;
  while ((code = sqlite3_step(at)) == SQLITE_ROW) {
    Observation o;
    o.unix_us = sqlite3_column_int64(at, 0);
    o.database = text(at, 1);
    o.user = text(at, 2);
    o.application = text(at, 3);
    o.fingerprint = text(at, 4);
    o.candidate = text(at, 5);
    o.source = text(at, 6);
    o.policy_rule = text(at, 7);
    o.reason = text(at, 8);
    o.sqlstate = text(at, 9);
    o.ms = sqlite3_column_double(at, 10);
    if (o.ms <= 0) o.ms = sqlite3_column_double(at, 11);
    o.proxy_us = sqlite3_column_double(at, 12);
    o.estimate_ms = sqlite3_column_double(at, 13);
    o.estimate_low_ms = sqlite3_column_double(at, 14);
    o.estimate_high_ms = sqlite3_column_double(at, 15);
    o.rows = sqlite3_column_int64(at, 16);
    row(o);
  }
  return code == SQLITE_DONE || fail(error, path, sqlite3_errmsg(db.get()));
}

bool read_outcomes(const std::string& path, std::int64_t from_us, std::int64_t to_us, const std::function<void(const Outcome&)>& row,
                   std::string* error) {
  const Db db = open(path, error);
  if (!db) return false;
  const auto statement = prepare(db.get(), outcomes_sql);
  if (!statement) return fail(error, path, sqlite3_errmsg(db.get()));
  sqlite3_stmt* at = statement.get();
  sqlite3_bind_int64(at, 1, from_us);
  sqlite3_bind_int64(at, 2, to_us);
  sqlite3_bind_int64(at, 3, static_cast<std::int64_t>(feature_schema()));
  FeatureVector features(feature_names().size());
  int code = SQLITE_ROW;
  while ((code = sqlite3_step(at)) == SQLITE_ROW) {
    Outcome o;
    o.unix_us = sqlite3_column_int64(at, 0);
    o.fingerprint = text(at, 1);
    o.source = text(at, 2);
    o.sqlstate = text(at, 3);
    o.estimate_source = text(at, 4);
    o.model_version = text(at, 5);
    o.censored = sqlite3_column_int(at, 6) != 0;
    o.server_ms = sqlite3_column_double(at, 7);
    o.estimate_ms = sqlite3_column_double(at, 8);
    o.estimate_low_ms = sqlite3_column_double(at, 9);
    o.estimate_high_ms = sqlite3_column_double(at, 10);
    const void* blob = sqlite3_column_blob(at, 11);
    if (blob && static_cast<std::size_t>(sqlite3_column_bytes(at, 11)) == features.size() * sizeof(float)) {
      std::memcpy(features.data(), blob, features.size() * sizeof(float));  // a blob is not aligned
      o.features = features;
    }
    row(o);
  }
  return code == SQLITE_DONE || fail(error, path, sqlite3_errmsg(db.get()));
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
  while (statement && sqlite3_step(statement.get()) == SQLITE_ROW)
    statements[std::string(text(statement.get(), 0))] = {std::string(text(statement.get(), 1)), std::string(text(statement.get(), 2))};
  return statements;
}

}  // namespace pgsteer::predictor::embedded
