#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "policies/decision.hpp"
#include "predictor/feedback.hpp"
#include "proxy/hub.hpp"

namespace pgsteer::proxy {

/// One statement as SHOW QUERIES prints it (all of its shapes' executions since start).
struct QueryStatistics {
  std::string fingerprint, normalized, database, kind;
  std::uint64_t calls = 0, errors = 0, rows = 0, cache_hits = 0, rewritten = 0, steered = 0;
  double total_ms = 0, mean_ms = 0, p50_ms = 0, p95_ms = 0, p99_ms = 0, saved_ms = 0;
  double predicted_ms = 0, q_error_p50 = 0;
  std::string cacheable, reason, action;  ///< yes/no/pending + reason; last action label
};

/// One decision as SHOW DECISIONS prints it: the newest ones, kept in a ring.
struct DecisionRecord {
  std::uint64_t id = 0;
  std::int64_t unix_us = 0;
  std::string database, user, fingerprint, mode, rule, action, reason, detail, source;
  double predicted_ms = 0, low_ms = 0, high_ms = 0, actual_ms = 0, probability = 1;
  std::int64_t rows = 0;
};

struct ExperimentRecord {
  std::string fingerprint, database, label, state, why;
  std::uint64_t runs = 0, explored = 0;
  double median_ms = 0, default_ms = 0, worst_ratio = 0, gain_low = 0;
};

/// The background: one thread that drains feedback, keeps statistics and knowledge, writes the store, loads catalogs,
/// probes statements (EXPLAIN, judgement) and explores arms on connections of its own (libpqxx), starts training as a
/// child process and loads what it made. Nothing here is on a client's path. Query methods are thread-safe.
class Learner {
 public:
  Learner(Hub& hub, std::string executable);
  ~Learner();  ///< stops the threads, flushes the store
  void start();
  void stop();

  std::vector<QueryStatistics> queries() const;          ///< by total time, descending
  std::vector<DecisionRecord> decisions(std::size_t limit) const;  ///< newest first
  std::vector<ExperimentRecord> experiments() const;
  std::vector<std::pair<std::string, std::string>> health() const;  ///< check name -> "ok" or what is wrong
  struct FeedbackState {
    std::uint64_t received = 0, stored = 0, dropped = 0, spooled = 0;
    std::int64_t rows = 0;
    std::string error;
  };
  FeedbackState feedback() const;

  /// Console commands; empty = done, else the error text.
  std::string train(bool wait);
  std::string rollback_model(const std::string& name);
  std::string pin_model(const std::string& version);  ///< "" unpins
  std::string model_watch() const;                    ///< how the model in use holds, in words
  std::string pin(const std::string& fingerprint, const std::string& label);    ///< label: arm or rewrite label
  std::string unpin(const std::string& fingerprint);
  std::string ban(const std::string& fingerprint, const std::string& label);
  bool training() const;
  /// True when nothing is waiting: feedback drained and stored, probes and exploration have nothing left to do.
  /// For the demonstration and tests ("SHOW HEALTH" row `settled`).
  bool settled() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace pgsteer::proxy
