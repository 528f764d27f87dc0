#pragma once
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "policies/decision.hpp"
#include "predictor/estimate.hpp"
#include "proxy/clock.hpp"
#include "rewriter/candidate.hpp"
#include "rewriter/sql/analysis.hpp"

namespace pgsteer::proxy {

/// What a policy's lane and limits mean for a statement: `observed` counts what they would have done (mode observe, suggest).
enum class Restraint : std::uint8_t { none, observed, enforced };

/// What to do with one statement: made by pipeline.cpp, kept until the reply ends (or as long as a prepared statement).
struct Plan {
  std::shared_ptr<const sql::Analysis> analysis;
  std::string database, user, application, search_path;
  std::vector<rewriter::Candidate> candidates;   ///< [0] is as_is
  std::vector<predictor::Estimate> estimates;    ///< one per candidate
  std::vector<predictor::FeatureVector> features;
  cache::Reason cache_reason = cache::Reason::none;  ///< why the cache may not answer it, whatever chance decides
  policies::Decision decision;
  policies::Effective policy;
  std::shared_ptr<const policies::Knowledge> knowledge;  ///< may be null
  std::shared_ptr<const predictor::PlanFacts> default_plan;  ///< PostgreSQL's own for this execution, where it was asked for
  std::uint64_t snapshot_version = 0;
  cache::WriteSet writes;    ///< by the catalog of that snapshot and what was known of the session
  Restraint restraint = Restraint::none;
  std::optional<policies::Lane> lane;  ///< where it stands in line
  std::string primary_because;  ///< why a standby may not answer it; "" = it may (with several hosts only)
  bool changes_settings_unseen = false;  ///< by a function it calls
  bool redraw = false;       ///< chance has a say in the decision: it is taken anew for every execution
  mutable std::uint32_t executions = 0;  ///< counted by the event loop that made it
  const rewriter::Candidate& chosen() const { return candidates[decision.candidate]; }
};

/// Whether a prepared statement of ours may stand for the statement: it is sent as it came, to the server, and analysing it anew each
/// time would give the same while names and settings mean the same.
bool reusable(const Plan& plan);

/// The trace id of a W3C traceparent tag ("00-<32 hex digits>-<16>-<2>"); "" without one.
std::string trace_id_of(const sql::Analysis& analysis);

enum class Source : std::uint8_t { server, cache_memory, cache_redis, local, standby };
std::string_view to_string(Source source);

/// How it went, in numbers. Times are nanoseconds since `arrival`.
struct Figures {
  Clock::time_point arrival;
  std::uint64_t sent_ns = 0, first_byte_ns = 0, last_byte_ns = 0, proxy_ns = 0;
  std::uint64_t queued_ns = 0;  ///< in a lane; not part of proxy_ns
  std::int64_t rows = 0, bytes = 0;
  Source source = Source::server;
  bool cancelled = false;
  Clock::time_point end() const { return arrival + std::chrono::nanoseconds(last_byte_ns); }
};

/// The same, with what is to be said of some executions only.
struct Execution : Figures {
  std::string route;         ///< where it went and why, in words, where a policy has a say in it
  std::string sqlstate;      ///< "" on success
  std::string text;          ///< original text of this execution (simple protocol, or Parse), for the learner's probes; of those that
                             ///< wanted_as_example(), and empty when longer than max_analysed_bytes
  std::vector<std::uint32_t> parameter_types;
  std::string bind;          ///< raw Bind parameter section of an extended execution, for probes
};

/// What the learner is told after every execution (OutcomeQueue).
struct Outcome {
  std::shared_ptr<const Plan> plan;
  Execution execution;
};

/// Whether the text and the values of this execution of the plan are worth keeping: of a statement that is well known, one in sixteen. On the
/// plan's own event loop.
bool wanted_as_example(const Plan& plan);

}  // namespace pgsteer::proxy
