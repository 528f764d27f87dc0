#include "proxy/learner/fleet_schema.hpp"

#include <fmt/format.h>

#include <array>
#include <pqxx/pqxx>

namespace pgsteer::proxy::learning {

namespace {

using std::chrono::milliseconds;
constexpr milliseconds kPatience{15000};  // an index on a large table takes longer, but there is none to be made on one

// The columns of the embedded store (predictor/store), and who wrote a row. Times are microseconds, as there.
constexpr const char* kCreate = R"(
CREATE TABLE pgsteer.store_version(version int NOT NULL);
CREATE TABLE pgsteer.statements(fingerprint text PRIMARY KEY, kind text NOT NULL, normalized text NOT NULL);
CREATE TABLE pgsteer.feedback(
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, unix_us bigint NOT NULL, database text NOT NULL, "user" text NOT NULL,
  application text NOT NULL, fingerprint text NOT NULL, shape text NOT NULL, feature_schema bigint NOT NULL, features bytea NOT NULL,
  candidate text NOT NULL, candidates text NOT NULL, estimate_ms float8, estimate_low_ms float8, estimate_high_ms float8,
  estimate_source text NOT NULL, model_version text NOT NULL, source text NOT NULL, mode text NOT NULL,
  policy_rule text NOT NULL, reason text NOT NULL, probability float8, server_ms float8, total_ms float8, proxy_us float8,
  rows bigint NOT NULL, bytes bigint NOT NULL, sqlstate text NOT NULL, censored bool NOT NULL, plan_cost float8,
  trace_id text NOT NULL DEFAULT '', instance text NOT NULL DEFAULT '');
CREATE INDEX feedback_time ON pgsteer.feedback(unix_us, id);
CREATE INDEX feedback_fingerprint ON pgsteer.feedback(fingerprint);
COMMENT ON SCHEMA pgsteer IS 'feedback store of pgsteer';
)";

/// What makes version n + 1 of version n, n being the index and 1 the first there was.
constexpr std::array<const char*, kFleetVersion - 1> kMigrations{
    "ALTER TABLE pgsteer.feedback ADD COLUMN trace_id text NOT NULL DEFAULT ''",
};

struct Found {
  bool schema = false;
  int version = 0;  ///< 0: there is no table
};

Found inspect(pqxx::transaction_base& transaction, const std::string& place) {
  const auto row = transaction.exec1(
      "SELECT current_setting('server_encoding'), to_regnamespace('pgsteer') IS NOT NULL, "
      "(SELECT count(*) FROM pg_class WHERE relnamespace = to_regnamespace('pgsteer')), "
      "(SELECT count(*) FROM pg_attribute WHERE attrelid = to_regclass('pgsteer.store_version') AND attname = 'version' "
      "AND atttypid = 'int4'::regtype)");
  const std::string encoding = row[0].c_str();
  if (encoding != "UTF8" && encoding != "SQL_ASCII")
    throw std::runtime_error(fmt::format("{}: the database has encoding {}, expected UTF8", place, encoding));
  Found found;
  found.schema = row[1].as<bool>();
  if (row[2].as<int>() == 0) return found;
  const auto refuse = [&](const std::string& why) {
    return std::runtime_error(fmt::format("{}, schema pgsteer: {}; it is left as it is", place, why));
  };
  if (row[3].as<int>() == 0) throw refuse("somebody else's tables, or a store_version is missing");
  const auto versions = transaction.exec("SELECT version FROM pgsteer.store_version");
  if (versions.size() != 1) throw refuse(fmt::format("{} rows in store_version, expected one", versions.size()));
  found.version = versions[0][0].as<int>();
  if (found.version < 1 || found.version > kFleetVersion)
    throw refuse(fmt::format("schema version {}, this build knows {}", found.version, kFleetVersion));
  return found;
}

}  // namespace

std::string lock_numbers(FleetLock lock) { return fmt::format("({}, {})", kFleetLocks, static_cast<int>(lock)); }

void prepare_fleet_schema(FleetLink& link, bool create) {
  const FleetLink::Turn turn(link, kPatience);
  {
    pqxx::work transaction(link.connection());
    transaction.exec(kFleetSettings);
    const Found found = inspect(transaction, link.place());
    if (found.version == kFleetVersion || (found.version > 0 && !create)) return;
    if (!create) throw std::runtime_error(fmt::format("{}: no feedback store there, nothing was recorded yet", link.place()));
  }
  pqxx::work transaction(link.connection());
  transaction.exec(kFleetSettings);
  transaction.exec("SELECT pg_advisory_xact_lock" + lock_numbers(FleetLock::schema));
  const Found found = inspect(transaction, link.place());  // another may have been quicker
  if (found.version == 0) {
    if (!found.schema) transaction.exec("CREATE SCHEMA pgsteer");
    transaction.exec(kCreate);
    transaction.exec(fmt::format("INSERT INTO pgsteer.store_version VALUES ({})", kFleetVersion));
  } else if (found.version < kFleetVersion) {
    for (int version = found.version; version < kFleetVersion; ++version) transaction.exec(kMigrations[static_cast<std::size_t>(version - 1)]);
    transaction.exec(fmt::format("UPDATE pgsteer.store_version SET version = {}", kFleetVersion));
  }
  transaction.commit();
}

}  // namespace pgsteer::proxy::learning
