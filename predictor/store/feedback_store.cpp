// feedback.db: one row per execution, one row per statement text. Order matters in open(): nothing is written, not even
// the journal mode (it is kept in the file), before the file is known to be ours and of a version we know.
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "predictor/rows.hpp"
#include "predictor/store/embedded.hpp"
#include "predictor/store/sqlite.hpp"

namespace pgsteer::predictor {
namespace {

constexpr int store_version = 2;  // 2 has trace_id; a file of version 1 gets it when it is opened for writing

constexpr const char* create_sql = R"(
PRAGMA auto_vacuum = INCREMENTAL;
PRAGMA journal_mode = WAL;
BEGIN IMMEDIATE;
CREATE TABLE statements(fingerprint TEXT PRIMARY KEY, kind TEXT NOT NULL, normalized TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE feedback(
  id INTEGER PRIMARY KEY, unix_us INTEGER NOT NULL, database TEXT NOT NULL, user TEXT NOT NULL, application TEXT NOT NULL,
  fingerprint TEXT NOT NULL, shape TEXT NOT NULL, feature_schema INTEGER NOT NULL, features BLOB NOT NULL,
  candidate TEXT NOT NULL, candidates TEXT NOT NULL, estimate_ms REAL, estimate_low_ms REAL, estimate_high_ms REAL,
  estimate_source TEXT NOT NULL, model_version TEXT NOT NULL, source TEXT NOT NULL, mode TEXT NOT NULL,
  policy_rule TEXT NOT NULL, reason TEXT NOT NULL, probability REAL, server_ms REAL, total_ms REAL, proxy_us REAL,
  rows INTEGER NOT NULL, bytes INTEGER NOT NULL, sqlstate TEXT NOT NULL, censored INTEGER NOT NULL, plan_cost REAL,
  trace_id TEXT NOT NULL DEFAULT '');
CREATE INDEX feedback_time ON feedback(unix_us);
PRAGMA user_version = 2;
COMMIT;
)";

constexpr const char* insert_sql = R"(
INSERT INTO feedback(unix_us, database, user, application, fingerprint, shape, feature_schema, features, candidate,
  candidates, estimate_ms, estimate_low_ms, estimate_high_ms, estimate_source, model_version, source, mode, policy_rule,
  reason, probability, server_ms, total_ms, proxy_us, rows, bytes, sqlstate, censored, plan_cost, trace_id)
VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?))";

constexpr const char* select_sql = R"(
SELECT f.unix_us, f.database, f.user, f.application, f.fingerprint, f.shape, f.feature_schema, f.features, f.candidate,
  f.candidates, f.estimate_ms, f.estimate_low_ms, f.estimate_high_ms, f.estimate_source, f.model_version, f.source, f.mode,
  f.policy_rule, f.reason, f.probability, f.server_ms, f.total_ms, f.proxy_us, f.rows, f.bytes, f.sqlstate, f.censored,
  f.plan_cost, coalesce(s.kind, ''), coalesce(s.normalized, '')
FROM feedback f LEFT JOIN statements s ON s.fingerprint = f.fingerprint
WHERE f.feature_schema = ?1 ORDER BY f.unix_us, f.id)";

using namespace sqlite;

bool fail(std::string* error, std::string text) {
  if (error) *error = std::move(text);
  return false;
}
bool fail(std::string* error, const std::string& path, sqlite3* db) {
  return fail(error, fmt::format("{}: {}", path, db ? sqlite3_errmsg(db) : "out of memory"));
}

Db open_db(const std::string& path, int flags, std::string* error) {
  sqlite3* raw = nullptr;
  const int code = sqlite3_open_v2(path.c_str(), &raw, flags | SQLITE_OPEN_FULLMUTEX, nullptr);
  Db db(raw);
  if (code != SQLITE_OK) {
    fail(error, path, raw);
    return nullptr;
  }
  sqlite3_busy_timeout(raw, busy_ms);
  return db;
}

bool query_int(sqlite3* db, const char* sql, std::int64_t& out) {
  const Statement statement = prepare(db, sql);
  if (!statement || sqlite3_step(statement.get()) != SQLITE_ROW) return false;
  out = sqlite3_column_int64(statement.get(), 0);
  return true;
}

bool execute(sqlite3* db, const char* sql) { return sqlite3_exec(db, sql, nullptr, nullptr, nullptr) == SQLITE_OK; }

/// Binds in order; the views must live until the statement is stepped.
class Binder {
 public:
  explicit Binder(sqlite3_stmt* statement) : statement_(statement) {}
  Binder& text(std::string_view value) {
    sqlite3_bind_text64(statement_, ++at_, value.data() ? value.data() : "", value.size(), SQLITE_STATIC, SQLITE_UTF8);
    return *this;
  }
  Binder& integer(std::int64_t value) {
    sqlite3_bind_int64(statement_, ++at_, value);
    return *this;
  }
  Binder& real(double value) {
    sqlite3_bind_double(statement_, ++at_, value);
    return *this;
  }
  Binder& boolean(bool value) { return integer(value ? 1 : 0); }
  Binder& features(const FeatureVector& value) {
    sqlite3_bind_blob64(statement_, ++at_, value.empty() ? "" : static_cast<const void*>(value.data()), value.size() * sizeof(float), SQLITE_STATIC);
    return *this;
  }

 private:
  sqlite3_stmt* statement_;
  int at_ = 0;
};

bool insert(sqlite3* db, sqlite3_stmt* statement, const Feedback& f) {
  const std::string labels = labels_text(f.candidates);
  Binder binder(statement);
  write_feedback(binder, f, labels);
  const bool done = sqlite3_step(statement) == SQLITE_DONE;
  if (done) sqlite3_reset(statement);  // on failure the caller reads errmsg first
  return done && sqlite3_errcode(db) != SQLITE_FULL;
}

Feedback read_row(sqlite3_stmt* statement) {
  Columns c(statement);
  Feedback f = read_feedback(c);
  f.kind = c.view();
  f.normalized = c.view();
  return f;
}

/// Ours and known, empty (to be created), or refused.
enum class Content { known, old, empty, refused };
Content inspect(sqlite3* db, const std::string& path, std::string* error) {
  std::int64_t version = 0, objects = 0;
  if (!query_int(db, "PRAGMA user_version", version) || !query_int(db, "SELECT count(*) FROM sqlite_master", objects)) {
    fail(error, path, db);
    return Content::refused;
  }
  if (version == store_version) return Content::known;
  if (version == 1) return Content::old;
  if (version == 0 && objects == 0) return Content::empty;
  fail(error, fmt::format("{}: schema version {}, this build knows {}; the file is left as it is", path, version, store_version));
  return Content::refused;
}

class EmbeddedStore : public FeedbackStore {
 public:
  bool append(const std::vector<Feedback>& batch, std::string* error) override;
  bool compact(std::int64_t max_rows, std::string* error) override;
  std::int64_t count() const override;
  bool read(std::uint64_t schema, const std::function<void(const Feedback&)>& row, std::string* error) const override;
  bool read_window(std::int64_t from_us, std::int64_t to_us, const std::string& fingerprint,
                   const std::function<void(const Observation&)>& row, std::string* error) const override {
    return embedded::read_window(path_, from_us, to_us, fingerprint, row, error);
  }
  bool read_outcomes(std::int64_t from_us, std::int64_t to_us, const std::function<void(const Outcome&)>& row, std::string* error) const override {
    return embedded::read_outcomes(path_, from_us, to_us, row, error);
  }
  StoreSpan read_span(std::string* error) const override { return embedded::read_span(path_, error); }
  std::map<std::string, StatementText> read_statements(std::string* error) const override { return embedded::read_statements(path_, error); }
  std::string place() const override { return path_; }

  std::string path_;
  bool read_only_ = false;
  Db db_;
};

}  // namespace

std::string labels_text(const std::vector<std::string>& labels) {
  return nlohmann::json(labels).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}
std::vector<std::string> labels_of(const std::string& text) {
  std::vector<std::string> out;
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_array()) return out;
  for (const auto& item : json)
    if (item.is_string()) out.push_back(item.get<std::string>());
  return out;
}

std::unique_ptr<FeedbackStore> FeedbackStore::open(const std::string& state_dir, bool read_only, std::string* error) {
  auto store = std::make_unique<EmbeddedStore>();
  EmbeddedStore& impl = *store;
  impl.path_ = state_dir + "/feedback.db";
  impl.read_only_ = read_only;
  if (!read_only) {
    std::error_code code;
    std::filesystem::create_directories(state_dir, code);
    if (code) {
      fail(error, fmt::format("{}: {}", state_dir, code.message()));
      return nullptr;
    }
  }
  impl.db_ = open_db(impl.path_, read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, error);
  if (!impl.db_) return nullptr;
  sqlite3* db = impl.db_.get();
  const Content content = inspect(db, impl.path_, error);
  if (content == Content::refused) return nullptr;
  if (content == Content::empty && read_only) {
    fail(error, fmt::format("{}: empty, nothing was recorded yet", impl.path_));
    return nullptr;
  }
  constexpr const char* upgrade_sql =
      "BEGIN IMMEDIATE; ALTER TABLE feedback ADD COLUMN trace_id TEXT NOT NULL DEFAULT ''; PRAGMA user_version = 2; COMMIT";
  if (content == Content::old && !read_only && !execute(db, upgrade_sql)) {
    fail(error, impl.path_, db);
    execute(db, "ROLLBACK");
    return nullptr;
  }
  if (content == Content::empty) ::chmod(impl.path_.c_str(), 0600);  // statement texts are the owner's business
  if (content == Content::empty && !execute(db, create_sql)) {
    fail(error, impl.path_, db);
    return nullptr;
  }
  if (!read_only && (!execute(db, "PRAGMA journal_mode = WAL") || !execute(db, "PRAGMA synchronous = NORMAL") ||
                     sqlite3_db_readonly(db, "main") == 1)) {
    if (sqlite3_db_readonly(db, "main") == 1) fail(error, fmt::format("{}: read-only", impl.path_));
    else fail(error, impl.path_, db);
    return nullptr;
  }
  return store;
}

bool EmbeddedStore::append(const std::vector<Feedback>& batch, std::string* error) {
  sqlite3* db = db_.get();
  if (read_only_) return fail(error, fmt::format("{}: opened read-only", path_));
  if (batch.empty()) return true;
  const auto abandon = [&](const std::string& reason) {
    execute(db, "ROLLBACK");
    return fail(error, fmt::format("{}: {}", path_, reason));
  };
  if (!execute(db, "BEGIN IMMEDIATE")) return fail(error, path_, db);
  const Statement row = prepare(db, insert_sql);
  const Statement text = prepare(db, "INSERT OR IGNORE INTO statements(fingerprint, kind, normalized) VALUES(?,?,?)");
  if (!row || !text) return abandon(sqlite3_errmsg(db));
  const std::string* last = nullptr;
  for (const Feedback& f : batch) {
    if (!last || *last != f.fingerprint) {
      Binder(text.get()).text(f.fingerprint).text(f.kind).text(f.normalized);
      if (sqlite3_step(text.get()) != SQLITE_DONE) return abandon(sqlite3_errmsg(db));
      sqlite3_reset(text.get());
      last = &f.fingerprint;
    }
    if (!insert(db, row.get(), f)) return abandon(sqlite3_errmsg(db));
  }
  if (!execute(db, "COMMIT")) return abandon(sqlite3_errmsg(db));
  return true;
}

bool EmbeddedStore::compact(std::int64_t max_rows, std::string* error) {
  sqlite3* db = db_.get();
  if (read_only_) return fail(error, fmt::format("{}: opened read-only", path_));
  const std::int64_t excess = count() - std::max<std::int64_t>(max_rows, 0);
  if (excess <= 0) return true;
  const auto abandon = [&] {
    fail(error, path_, db);
    execute(db, "ROLLBACK");
    return false;
  };
  if (!execute(db, "BEGIN IMMEDIATE")) return fail(error, path_, db);
  {
    const Statement drop = prepare(db, "DELETE FROM feedback WHERE id IN (SELECT id FROM feedback ORDER BY unix_us, id LIMIT ?)");
    if (!drop) return abandon();
    sqlite3_bind_int64(drop.get(), 1, excess);
    if (sqlite3_step(drop.get()) != SQLITE_DONE) return abandon();
  }
  if (!execute(db, "DELETE FROM statements WHERE fingerprint NOT IN (SELECT fingerprint FROM feedback)") || !execute(db, "COMMIT"))
    return abandon();
  if (!execute(db, "PRAGMA incremental_vacuum") || !execute(db, "PRAGMA wal_checkpoint(TRUNCATE)")) return fail(error, path_, db);
  return true;
}

std::int64_t EmbeddedStore::count() const {
  std::int64_t rows = 0;
  return query_int(db_.get(), "SELECT count(*) FROM feedback", rows) ? rows : -1;
}

bool EmbeddedStore::read(std::uint64_t schema, const std::function<void(const Feedback&)>& row, std::string* error) const {
  // A connection of its own: a reader on another thread must not see the writer's open transaction.
  const Db reader = open_db(path_, SQLITE_OPEN_READONLY, error);
  if (!reader) return false;
  const Statement statement = prepare(reader.get(), select_sql);
  if (!statement) return fail(error, path_, reader.get());
  sqlite3_bind_int64(statement.get(), 1, static_cast<std::int64_t>(schema));
  int code = SQLITE_ROW;
  while ((code = sqlite3_step(statement.get())) == SQLITE_ROW) row(read_row(statement.get()));
  return code == SQLITE_DONE || fail(error, path_, reader.get());
}

FeedbackReader embedded_feedback(std::string state_dir) {
  return [state_dir = std::move(state_dir)](std::uint64_t schema, const std::function<void(const Feedback&)>& row, std::string* error) {
    const auto store = FeedbackStore::open(state_dir, /*read_only=*/true, error);
    return store && store->read(schema, row, error);
  };
}

}  // namespace pgsteer::predictor
