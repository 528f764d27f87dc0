#pragma once
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "cache/cache.hpp"
#include "policies/experiment.hpp"
#include "policies/policy.hpp"
#include "predictor/estimate.hpp"
#include "rewriter/candidate.hpp"

namespace pgsteer::policies {

/// How far a candidate has got in being served, and what the comparison with the control group says by now.
struct Trial {
  enum class Step : std::uint8_t { none, canary, promoted, serving, stopped, rolled_back } step = Step::none;  ///< serving: by mode auto
  std::uint64_t pairs = 0;          ///< of a served execution and one of the control group
  double p_better = 1, p_worse = 1; ///< valid however often one looks
  Experiment::Effect effect{0, -std::numeric_limits<double>::infinity(), 1};
};
std::string_view to_string(Trial::Step step);

/// Outcome statistics of one candidate label on one statement shape (server time, log milliseconds, recent window).
struct Evidence {
  std::string label;             ///< "as-is", "rewrite:...", "arm:..."
  std::uint64_t plan = 0;        ///< shape of the default's plan that an arm was measured against; 0: whatever it is
  bool wide = false;             ///< of an arm: measured on calls of different values, whatever plan the default had for each
  double cost_low = 0, cost_high = 0;  ///< of that plan on the explored instances; 0: any
  std::uint64_t runs = 0;        ///< served executions
  std::uint64_t explored = 0;    ///< offline executions
  double median_ms = 0, p95_ms = 0, worst_ratio = 0;  ///< worst_ratio: worst (this / default) on one explored instance
  int losses = 0;                ///< recent served executions beyond the allowed regression
  enum class State : std::uint8_t { trial, approved, rejected, disabled, pinned } state = State::trial;
  std::string why;               ///< reason of the state, in words
  // What learn() keeps to judge by.
  double explored_ms = 0, explored_default_ms = 0;  ///< sums over the explored instances
  double lost_ms = 0;                               ///< in sum over those of them where it was slower
  std::vector<double> served_gains;                 ///< of the last 10 served executions, newest last
  std::vector<float> recent_ms;                     ///< newest last, at most 32
  bool by_hand = false;                             ///< approved by a person: acts without a measured gain, but under guard
  bool doubted = false;                             ///< the default runs for a while, to see whether the arm still gains
  Trial trial;
  /// Share of the default's time gained on the explored instances in sum; what the control group says when none is at hand.
  double gain() const;
  /// At least so much was gained: by the interval against the control group, before that on every explored instance; -inf when unknown.
  double gain_low() const;
};
std::string_view to_string(Evidence::State state);

/// How a rewrite compares by EXPLAIN in the session's settings, found in the background.
struct RewriteJudgement {
  std::string label;             ///< Candidate::label()
  double cost_original = 0, cost_rewritten = 0;
  bool columns_equal = false;    ///< names, types, typmods, table OIDs of the result are identical
  bool approved = false;         ///< by the cost gate (rule's threshold) and columns_equal
  std::string why;
};

/// A plan that PostgreSQL by itself chose for some parameters of a statement: they decide which one, and with it which arm is right.
struct PlanSight {
  std::uint64_t shape = 0;
  std::uint64_t sightings = 0;
  double worst_ms = 0;  ///< of the default under it
  double cost_low = 0, cost_high = 0;
};

/// Everything learned about one statement shape in one database under one search_path. Immutable snapshots; built by
/// the learner in the background, read by the pipeline.
struct Knowledge {
  static constexpr std::size_t varied_from = 6;  ///< calls of different values: so many are needed to judge an arm for all values
  sql::Shape shape;
  std::string database, search_path;
  std::string fingerprint;
  std::uint64_t catalog_version = 0;   ///< everything below was found under this version; another version voids it
  cache::Judgement cache;
  predictor::PlanFacts plan;           ///< of a recent instance, default settings
  predictor::History history;          ///< as-is executions
  std::vector<RewriteJudgement> rewrites;
  std::vector<Evidence> evidence;      ///< by label and plan
  std::vector<PlanSight> plans;
  std::string pinned, banned;          ///< label set by PIN; comma-separated labels set by BAN
  bool varied = false;                 ///< comes with many values: what is known of one call says nothing of the next
  double planning_ms = 0;              ///< what an EXPLAIN of it takes at least; 0: not known
  std::string held;                    ///< why nothing is done to it for a while: its regret budget is spent; "" = nothing is in the way
  bool judged = false;                 ///< the background probe has looked at it
  const Evidence* find(std::string_view label) const;
  /// Of an arm where the default has this plan; `plan` 0, and what is not bound to a plan: as above.
  const Evidence* find(std::string_view label, std::uint64_t plan) const;
  const PlanSight* sight(std::uint64_t shape) const;
  /// The plan's shape, when it was the same at all of at least so many sights, and its cost nearly so; else 0.
  std::uint64_t only_plan(std::uint64_t sights) const;
  const RewriteJudgement* rewrite(std::string_view label) const;
};

struct KnowledgeKey {
  sql::Shape shape;
  std::string database, search_path;
  bool operator==(const KnowledgeKey&) const = default;
};
struct KnowledgeKeyHash {
  std::size_t operator()(const KnowledgeKey& k) const;
};
using KnowledgeMap = std::unordered_map<KnowledgeKey, std::shared_ptr<const Knowledge>, KnowledgeKeyHash>;

enum class ReasonCode : std::uint8_t {
  mode_off, mode_observe, mode_suggest, panic, directive, not_analysed, no_candidate, unknown_shape, not_judged,
  below_floor, no_evidence, gain_too_small, regression_seen, disabled, settings_uncertain, catalog_stale, in_transaction,
  pipeline, canary_control, canary_treated, rewrite_always, rewrite_cost_gate, rewrite_measured, arm_measured, pinned,
  banned, cache_hit, holdout, refused_predicted, refused_rate, refused_queue, queue_cancelled, regret,
};
std::string_view to_string(ReasonCode reason);

enum class CacheDirective : std::uint8_t { none, look_up };

/// A decision is a value: what, why, by whom, at which version, with which probability.
struct Decision {
  std::size_t candidate = 0;    ///< index into the candidates
  std::size_t suggested = 0;    ///< what it would do if allowed (suggest, canary control)
  CacheDirective cache = CacheDirective::none;
  cache::Reason cache_reason = cache::Reason::none;  ///< why not, when cache == none
  ReasonCode reason = ReasonCode::no_candidate;
  std::string detail;           ///< in words
  Mode mode = Mode::observe;    ///< effective
  std::string rule;             ///< policy rule
  double probability = 1;
  bool control = false;         ///< member of a canary's or hold-out's control group
  bool wants_plan = false;      ///< an arm may be right: that depends on the plan PostgreSQL would choose, which is not known
  double patience_ms = 0;       ///< an arm that takes longer is given up and the original run; 0: no limit
  std::string lane, route;
};

struct DecideInput {
  const sql::Query* query = nullptr;
  const sql::Analysis* analysis = nullptr;
  std::span<const rewriter::Candidate> candidates;   ///< [0] is as_is
  std::span<const predictor::Estimate> estimates;    ///< one per candidate
  const Knowledge* knowledge = nullptr;              ///< null: shape unknown
  const Effective* policy = nullptr;
  cache::Reason cache_reason = cache::Reason::none;  ///< of judge_syntax/judge_catalog/session
  const sql::Catalog* catalog = nullptr;
  std::optional<Mode> session_mode;                  ///< SET pgsteer.mode
  std::optional<Mode> console_mode;                  ///< SET MODE
  bool panic = false;
  std::uint64_t random = 0;                          ///< uniform 64 bits for this execution: the only source of chance
  std::uint64_t plan = 0;                            ///< shape of the plan PostgreSQL has for this execution; 0: not known
  double plan_cost = 0;                              ///< and its cost
};

/// Pure, total, deterministic.
Decision decide(const DecideInput& input);

/// Effective mode: a narrower scope (statement comment, session) may only make it safer than the policy says. The console
/// is no narrower scope: its mode takes the policy's place in both directions, but what a policy has `off` stays off.
Mode effective_mode(Mode policy, std::optional<Mode> console, std::optional<Mode> session, std::optional<Mode> directive);

/// The longest that an arm for all values may take on one of them.
double tolerated_ms(double default_ms);

/// Updates evidence with one served or explored execution and re-judges its state by the policy's bounds:
/// approval needs >= 3 explored instances, none above 1.1 x default, and min_gain in sum; of an arm for all values
/// >= Knowledge::varied_from, none above tolerated_ms() and what it lost on some at most a fifth of what it won on others. Two losses among
/// the last ten served executions disable it when the ten gained nothing together.
/// `default_ms` is the default's time on the same instance when explored, else the expected one.
void learn(Evidence& evidence, double ms, double default_ms, bool explored, const SteerAction& bounds);

/// It is served from now on, in this mode. True when that is another step.
bool enter_trial(Evidence& evidence, Mode mode);
/// Takes the next step where the comparison with the control group allows it: promoted from canary once a gain is certain by `promote_at`,
/// stopped or rolled back once a loss is certain by 95 %. True when it did; a promoted one is compared afresh.
bool judge_trial(Evidence& evidence, Experiment& experiment, const CanaryAction& bounds);
constexpr double trial_alpha = 0.05;  ///< of the shown intervals, and of stopping

}  // namespace pgsteer::policies
