#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "predictor/feedback.hpp"
#include "proxy/execution.hpp"
#include "proxy/snapshot.hpp"
#include "rewriter/sql/analysis.hpp"
#include "rewriter/sql/query.hpp"

namespace pgsteer::proxy {

/// What differs from one execution to the next, given by the caller: the pipeline reads no clock and draws no lots.
struct Circumstances {
  predictor::Load load;
  double unix_seconds = 0, hour_of_day = 0;
  int day_of_week = 0;
  std::uint64_t random = 0;  ///< uniform; decides canary membership
  std::optional<policies::Mode> session_mode;
  std::shared_ptr<const predictor::PlanFacts> default_plan;  ///< PostgreSQL's own for this execution; null: not asked for
};

/// plan(query, snapshot) -> Plan: the six steps, synchronous, total, deterministic. One per thread, not synchronised.
/// Plans are remembered by exact text and session identity for as long as the snapshot does not change.
class Pipeline {
 public:
  explicit Pipeline(const Config& config);
  ~Pipeline();

  std::shared_ptr<const Plan> plan(const sql::Query& query, const Snapshot& snapshot, const Circumstances& now);

  /// Analysis alone, for callers that only need to know what a text is.
  std::shared_ptr<const sql::Analysis> analyse(std::string_view text) { return analyses_.get(text); }

  /// PostgreSQL's own plan for a text with its values, as it was when the session's server was asked under the same catalog; or null.
  std::shared_ptr<const predictor::PlanFacts> default_plan(std::uint64_t text_and_values, std::uint64_t catalog_version) const;
  void remember_plan(std::uint64_t text_and_values, std::uint64_t catalog_version, std::shared_ptr<const predictor::PlanFacts> facts);

  /// learn(plan, execution) -> Feedback: the training record of one execution.
  static predictor::Feedback learn(const Plan& plan, const Execution& execution, std::int64_t unix_microseconds);

 private:
  struct Memory;
  std::shared_ptr<const Plan> make(const sql::Query& query, std::shared_ptr<const sql::Analysis> analysis,
                                   const Snapshot& snapshot, const Circumstances& now) const;
  void decide_again(Plan& plan, const sql::Query& query, const Snapshot& snapshot, const Circumstances& now) const;

  sql::AnalysisCache analyses_;
  std::unique_ptr<Memory> memory_;
};

}  // namespace pgsteer::proxy
