#pragma once
#include <array>
#include <cstdint>
#include <map>
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
  std::string application, lane, route, trace_id;  ///< trace_id: of the sqlcommenter tag traceparent
  std::string sqlstate;
  double predicted_ms = 0, low_ms = 0, high_ms = 0, actual_ms = 0, probability = 1;
  double queued_ms = 0;
  std::int64_t rows = 0;
};

/// Which decisions are wanted; "" and 0 = any.
struct DecisionFilter {
  std::string fingerprint, database, reason, trace_id;
  std::uint64_t after = 0;  ///< only with a higher id
};

/// One minute of one statement in which it ran.
struct MinuteRecord {
  std::int64_t unix_seconds = 0;
  std::uint64_t calls = 0, errors = 0, cache_hits = 0, changed = 0;  ///< changed: rewritten or steered
  double total_ms = 0, max_ms = 0;
  double predicted_ms = 0, low_ms = 0, high_ms = 0;  ///< of the last prediction in it
};

/// One statement as its page shows it.
struct StatementRecord {
  QueryStatistics totals;
  std::vector<MinuteRecord> minutes;  ///< oldest first, at most three hours of activity
  std::vector<DecisionRecord> slowest;  ///< execution of each of these minutes: known when the ring of the newest has forgotten it
  std::string example;                ///< a text as it came, of a SELECT; "" when none was kept
  std::vector<std::uint32_t> example_types;
  std::string user, application;
};

/// An arm that may serve, or what a person said of one.
struct SteeringRecord {
  std::string fingerprint, database, label, plan;  ///< plan: of the default's that it holds for, "" = any
  std::string word;                                ///< explored, approved, pinned, banned
  std::uint64_t explored = 0;
  double gain = 0, worst_ratio = 0;
  std::string query;
};

struct ExperimentRecord {
  std::string fingerprint, database, label, plan, state, why;
  std::uint64_t runs = 0, explored = 0;
  double median_ms = 0, default_ms = 0, worst_ratio = 0, gain_low = 0;
  policies::Trial trial;  ///< with the effect as it is now
};

/// What one policy rule's changed executions came to; rule "": all of them together.
struct PolicyRecord {
  std::string rule;
  std::uint64_t changed = 0;
  double saved_ms = 0, lost_ms = 0;       ///< since start
  double regret_ms = 0, budget_ms = 0;    ///< lost within an hour and not paid for, and what may be
  std::uint64_t pairs = 0;                ///< with control groups
  double p_value = 1;
  policies::Experiment::Effect effect;
  std::string held;                       ///< why it only observes; "" = it does what it says
};

/// How far predictions were from what executions took, since start. q-error: the larger of the two over the smaller.
struct PredictionAccuracy {
  static constexpr std::array<double, 9> q_bounds{1.1, 1.25, 1.5, 2, 3, 5, 10, 30, 100};
  std::array<std::uint64_t, q_bounds.size() + 1> by_q_error{};  ///< up to and including that bound; the last one above all
  double q_error_sum = 0;
  std::uint64_t inside = 0, outside = 0;  ///< of the 90 % interval
  void add(double predicted_ms, double low_ms, double high_ms, double actual_ms);
};

/// Two forms of a statement that did not answer alike, as SHOW MISMATCHES prints it.
struct MismatchRecord {
  std::int64_t unix_us = 0;
  std::string database, fingerprint;
  std::vector<std::string> rules;  ///< that made the rewritten form; all of them are banned
  std::string why, found_by;       ///< found_by: verification, exploration
  std::string original, rewritten;
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
  std::vector<DecisionRecord> decisions(std::size_t limit, const DecisionFilter& filter = {}) const;  ///< newest first
  double saved_ms() const;  ///< by everything that was done, since start; what was lost is taken off
  /// `database` "" = the one where it takes most time; nullopt: no such statement was seen.
  std::optional<StatementRecord> statement(const std::string& fingerprint, const std::string& database) const;
  std::vector<ExperimentRecord> experiments() const;
  std::vector<PolicyRecord> policy_records() const;    ///< those that have changed something, and all together last
  /// Lets a rule act again that has lost too much; "" = all. "" or what is wrong.
  std::string resume_policy(const std::string& rule);
  std::vector<SteeringRecord> steering() const;  ///< every decision to steer, measured or by hand
  std::vector<std::pair<std::string, std::string>> health() const;  ///< check name -> "ok" or what is wrong
  struct FeedbackState {
    std::uint64_t received = 0, stored = 0, dropped = 0, spooled = 0;
    std::int64_t rows = 0;
    std::string error;
  };
  FeedbackState feedback() const;
  void explore(double ms);      ///< so much more may be spent on it
  /// Lets an arm serve, for one plan of the default's ("" = any) and in one database ("" = all), under the usual guard. "" or what is wrong.
  std::string approve(const std::string& fingerprint, const std::string& label, const std::string& plan, const std::string& database);
  double explored_ms() const;  ///< what exploring has cost the server since start
  struct DecisionCount {
    std::string rule, mode, action, reason;  ///< policy rule, mode, pass | rewritten | hinted | cache_hit, reason code
    auto operator<=>(const DecisionCount&) const = default;
  };
  std::map<DecisionCount, std::uint64_t> decision_counts() const;
  std::map<std::string, std::uint64_t> rewrites_by_rule() const;  ///< executions each rule had a part in
  std::map<std::string, std::uint64_t> executions_by_arm() const;  ///< by the arm that steered them, without "arm:"
  /// Against what the statement takes as it is, over all executions that differed: those that were quicker, those that were slower.
  struct Gain {
    double saved_ms = 0, lost_ms = 0;
  };
  std::map<std::string, Gain> gains() const;  ///< by what was done: "cache", "rewrite", "steer"
  std::map<std::string, PredictionAccuracy> accuracy() const;     ///< by where predictions came from: cold_start, history, model

  /// Console commands; empty = done, else the error text.
  std::string train(bool wait);
  std::string rollback_model(const std::string& name);
  std::string pin_model(const std::string& version);  ///< "" unpins
  std::string model_watch() const;                    ///< how the model in use holds, in words
  struct ModelFigures {
    std::uint64_t rows = 0;                ///< executions the version in use was watched over
    double covered = 0, log_error = 0;     ///< share inside of its 90 % intervals; mean |ln(predicted / actual)|
    std::uint64_t drifts = 0, rollbacks = 0;  ///< since start, of any version
  };
  ModelFigures model_figures() const;
  std::string pin(const std::string& fingerprint, const std::string& label);    ///< label: arm or rewrite label
  std::string unpin(const std::string& fingerprint);
  std::string ban(const std::string& fingerprint, const std::string& label);
  /// Rewrite rules by name, for every statement of every database.
  std::string ban_rule(const std::string& rule);
  std::string unban_rule(const std::string& rule);
  std::map<std::string, std::string> banned_rules() const;  ///< rule -> why
  std::vector<MismatchRecord> mismatches() const;           ///< newest first
  struct VerificationState {
    std::uint64_t sampled = 0, equal = 0, different = 0;
    std::uint64_t untold = 0;    ///< a form could not be run to its end, or the catalog had moved
    std::uint64_t excluded = 0;  ///< PostgreSQL itself may vary the answer
    std::uint64_t dropped = 0;   ///< too many were waiting
    std::uint64_t waiting = 0;
  };
  VerificationState verification() const;
  bool training() const;
  /// True when nothing is waiting: feedback drained and stored, probes and exploration have nothing left to do.
  /// For the demonstration and tests ("SHOW HEALTH" row `settled`).
  bool settled() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace pgsteer::proxy
