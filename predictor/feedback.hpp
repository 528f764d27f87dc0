#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "predictor/estimate.hpp"
#include "predictor/window.hpp"

namespace pgsteer::predictor {

/// One execution as it is learned from: features, candidates, estimates, the choice, its probability, the outcome and
/// the versions of everything. A row of the store's table `feedback`.
struct Feedback {
  std::int64_t unix_microseconds = 0;
  std::string database, user, application;
  std::string fingerprint;  ///< hex
  std::string shape;        ///< hex of sql::Shape
  std::string kind;
  std::string normalized;   ///< stored once per fingerprint
  std::uint64_t feature_schema = 0;
  FeatureVector features;   ///< of the statement as it came
  std::string candidate;    ///< label of the chosen one: "as-is", "rewrite:...", "arm:..."
  std::vector<std::string> candidates;  ///< labels of all
  double estimate_ms = 0, estimate_low_ms = 0, estimate_high_ms = 0;
  std::string estimate_source, model_version;
  std::string source;       ///< server | cache | explore | error
  std::string mode, policy_rule, reason;
  double probability = 1;   ///< of the choice under the policy
  double server_ms = 0;     ///< first byte sent to last byte of the reply, without our own time
  double total_ms = 0;      ///< arrival to the reply's end
  double proxy_us = 0;      ///< our own processing time
  std::int64_t rows = 0, bytes = 0;
  std::string sqlstate;     ///< "" on success
  bool censored = false;    ///< cancelled or timed out: server_ms is a lower bound
  double plan_cost = -1;
  std::string trace_id;     ///< of the sqlcommenter tag traceparent; "" without one
};

/// Candidate labels as a store keeps them: a JSON list.
std::string labels_text(const std::vector<std::string>& labels);
std::vector<std::string> labels_of(const std::string& text);

/// Rows of one feature schema in time order; false with *error when they cannot be read (to the end).
using FeedbackReader = std::function<bool(std::uint64_t schema, const std::function<void(const Feedback&)>& row, std::string* error)>;

/// Where feedback is kept: embedded (SQLite, open() below) or shared by a fleet (PostgreSQL, proxy/learner/fleet_store.hpp).
/// One writer thread, which also counts and compacts; reading is for any thread. All errors come back as text; the caller spools and counts.
class FeedbackStore {
 public:
  virtual ~FeedbackStore() = default;
  FeedbackStore(const FeedbackStore&) = delete;
  FeedbackStore& operator=(const FeedbackStore&) = delete;
  /// The embedded one: opens or creates state_dir/feedback.db; refuses a schema version it does not know (never overwrites it).
  static std::unique_ptr<FeedbackStore> open(const std::string& state_dir, bool read_only, std::string* error);

  /// Appends a batch in one transaction; false with *error when the disk is full etc.
  virtual bool append(const std::vector<Feedback>& batch, std::string* error) = 0;
  /// Deletes the oldest rows beyond `max_rows`, and texts without rows.
  virtual bool compact(std::int64_t max_rows, std::string* error) = 0;
  virtual std::int64_t count() const = 0;  ///< -1: unknown
  /// Streams rows of the given feature schema in time order.
  virtual bool read(std::uint64_t schema, const std::function<void(const Feedback&)>& row, std::string* error) const = 0;
  /// Executions recorded in [from_us, to_us) by time. `fingerprint` "" means all; explorations, which no client waited for, are left out.
  /// The store holds a share of very frequent statements (20 a second each), so what is counted here is recorded executions.
  virtual bool read_window(std::int64_t from_us, std::int64_t to_us, const std::string& fingerprint,
                           const std::function<void(const Observation&)>& row, std::string* error) const = 0;
  /// Outcomes in [from_us, to_us) under the same terms.
  virtual bool read_outcomes(std::int64_t from_us, std::int64_t to_us, const std::function<void(const Outcome&)>& row, std::string* error) const = 0;
  virtual StoreSpan read_span(std::string* error) const = 0;
  /// Texts by fingerprint.
  virtual std::map<std::string, StatementText> read_statements(std::string* error) const = 0;
  virtual std::string place() const = 0;  ///< for people: a path, or host and database

 protected:
  FeedbackStore() = default;
};

/// Of the embedded store, which is opened when it is asked.
FeedbackReader embedded_feedback(std::string state_dir);

struct TrainOptions {
  std::string state_dir;                          ///< of the model registry
  FeedbackReader feedback;                        ///< what is learned from
  std::string name = "latency";
  std::uint64_t seed = 1;
  int max_trees = 200, max_depth = 6;
  double time_budget_seconds = 120;
  int min_rows = 200;
  int keep_versions = 5;
  bool force = false;                             ///< register even when it does not beat the current version
  std::function<void(double, const std::string&)> progress;  ///< share done 0..1, message
};

struct TrainResult {
  bool registered = false;
  std::string version, directory, message;
  std::int64_t rows_train = 0, rows_test_seen = 0, rows_test_unseen = 0;
  double seen_median_q = 0, seen_p90_q = 0, unseen_median_q = 0, unseen_p90_q = 0;  ///< q-errors on held-out data
  double baseline_median_q = 0, baseline_p90_q = 0;  ///< planner cost, fitted on the same training rows
  double coverage = 0;  ///< of the 90 % interval on held-out rows
};

/// Reads the feedback, splits by time and by template, trains, validates, registers under models/<name>/<version>/ and
/// points models/<name>/current at it. Never trains on a foreign schema. Runs in a process of its own (`pgsteer train`).
TrainResult train(const TrainOptions& options);

struct ModelVersion {
  std::string name, version, directory, metrics;  ///< metrics: metrics.json text
  bool current = false, pinned = false;
  std::string parent;  ///< what was current when it was made
};
std::vector<ModelVersion> list_models(const std::string& state_dir);
/// Directory of the current version, "" when there is none.
std::string current_model(const std::string& state_dir, const std::string& name = "latency");
/// Points `current` at the version it was made to replace (when that is gone, at the one before it in number); false with
/// *error when there is none or the current one is pinned.
bool rollback_model(const std::string& state_dir, const std::string& name, std::string* error);
/// Makes a version current and keeps it so: training registers beside it, nothing replaces or rolls it back. "" unpins.
bool pin_model(const std::string& state_dir, const std::string& name, const std::string& version, std::string* error);

}  // namespace pgsteer::predictor
