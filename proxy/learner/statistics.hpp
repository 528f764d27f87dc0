#pragma once
#include <array>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "proxy/learner/histogram.hpp"
#include "proxy/learner/learner.hpp"
#include "proxy/learner/plan_memo.hpp"

namespace pgsteer::proxy::learning {

/// Per-fingerprint statistics and the ring of the newest decisions. Bounded; thread-safe.
class Statistics {
 public:
  static constexpr std::size_t kMaxQueries = 12000, kMaxDecisions = 10000, kMaxMinutes = 180;

  /// `expected_ms`: what this statement takes as it is, 0 when unknown (for `saved_ms`).
  void record(const Outcome& outcome, std::int64_t unix_us, double expected_ms);
  std::vector<QueryStatistics> queries() const;
  std::vector<DecisionRecord> decisions(std::size_t limit, const DecisionFilter& filter) const;
  std::optional<StatementRecord> statement(const std::string& fingerprint, const std::string& database) const;
  bool knows(const std::string& fingerprint) const;
  std::map<std::string, Learner::Gain> gains() const;
  std::map<Learner::DecisionCount, std::uint64_t> decision_counts() const;
  std::map<std::string, std::uint64_t> rewrites_by_rule() const;
  std::map<std::string, std::uint64_t> executions_by_arm() const;
  std::map<std::string, PredictionAccuracy> accuracy() const;

 private:
  struct Decision {
    std::shared_ptr<const DecisionRecord> decision;
    std::uint64_t id = 0;
    std::int64_t unix_us = 0, rows = 0;
    double actual_ms = 0, queued_ms = 0;
    Source source = Source::server;
    std::array<char, 6> sqlstate{};  ///< "" on success
    std::string route;
  };
  struct Minute {
    MinuteRecord sums;
    Decision slowest;
  };
  struct Entry {
    QueryStatistics totals;  ///< without what quantiles and the last plan say: queries() adds it
    Histogram microseconds, q_error_permille;
    std::shared_ptr<const DecisionRecord> last;
    bool last_cached = false;
    std::deque<Minute> minutes;
  };
  /// What all executions of one plan share.
  struct Known {
    Entry* entry = nullptr;
    std::shared_ptr<const DecisionRecord> decision;  ///< without what differs from one execution to the next
    std::uint64_t *acted = nullptr, *answered = nullptr;  ///< into decision_counts_: by the server, from the cache
    PredictionAccuracy* accuracy = nullptr;  ///< into accuracy_
  };
  static QueryStatistics finished(const Entry& entry);
  static void add_minute(Entry& entry, const MinuteRecord& one, const Decision& decision);
  static DecisionRecord record_of(const Decision& decision);
  Known& known(const std::shared_ptr<const Plan>& plan);
  void evict();
  mutable std::mutex mutex_;
  std::map<std::pair<std::string, std::string>, Entry> entries_;  ///< by database, fingerprint
  PlanMemo<Known> memo_;
  std::deque<Decision> decisions_;
  std::uint64_t next_id_ = 1;
  std::map<std::string, Learner::Gain> gains_;  ///< by what was done
  std::map<Learner::DecisionCount, std::uint64_t> decision_counts_;  ///< as many as policy rules x modes x reasons
  std::map<std::string, std::uint64_t> rewrites_, arms_;
  std::map<std::string, PredictionAccuracy> accuracy_;
};

}  // namespace pgsteer::proxy::learning
