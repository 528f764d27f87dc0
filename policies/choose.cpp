#include "policies/choose.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace pgsteer::policies {
namespace {

using rewriter::Candidate;
using rewriter::CandidateKind;

bool is_rewrite(const Candidate& c) { return !c.rules.empty() || c.kind == CandidateKind::rewritten; }
bool is_arm(const Candidate& c) { return !c.arm.empty() || c.kind == CandidateKind::hinted || c.kind == CandidateKind::settings; }

bool is_banned(std::string_view label, std::string_view banned) {
  while (!banned.empty()) {
    const auto comma = banned.find(',');
    std::string_view entry = banned.substr(0, comma);
    while (!entry.empty() && entry.front() == ' ') entry.remove_prefix(1);
    while (!entry.empty() && entry.back() == ' ') entry.remove_suffix(1);
    if (!entry.empty() && glob_match(entry, label)) return true;
    banned = comma == std::string_view::npos ? std::string_view() : banned.substr(comma + 1);
  }
  return false;
}

bool always_gains(const Candidate& candidate) {
  return !candidate.rules.empty() && std::all_of(candidate.rules.begin(), candidate.rules.end(), [](const auto& name) {
    const auto& rules = rewriter::all_rules();
    const auto rule = std::find_if(rules.begin(), rules.end(), [&](const auto& r) { return r.name == name; });
    return rule != rules.end() && rule->always_gains;
  });
}

double default_ms(const DecideInput& in) {
  const double ms = in.estimates.empty() ? 0 : in.estimates.front().ms;
  return std::isfinite(ms) && ms > 0 ? ms : 0;
}

constexpr double planner_counts_from_ms = 0.5;

/// What is said of one candidate: may act with an expected share of time gained, or the reason why not.
struct Opinion {
  bool may = false;
  double gain = 0;
  ReasonCode reason = ReasonCode::no_candidate;
  std::string detail;
};
Opinion no(ReasonCode reason, std::string detail) { return {false, 0, reason, std::move(detail)}; }

constexpr std::uint64_t kSettledPlan = 20;  ///< sights after which a plan that never changed is not asked for any more
constexpr std::uint64_t kLikelyPlan = 3;    ///< inside a block, where nobody can ask: a failed EXPLAIN would end the transaction
constexpr double kBeyond = 1.5;             ///< of what was explored, by the planner's cost
constexpr std::uint64_t kAudit = 64;        ///< one in so many is asked for nevertheless

/// Inside a transaction block a change runs behind a savepoint of ours; what three more statements of the string cost.
constexpr double kSavepointMs = 0.2;

/// In the extended protocol taking the settings back would take the client's portal with it.
bool settings_would_stay(const DecideInput& in, const Candidate& c) {
  return c.kind == CandidateKind::settings && in.query->extended &&
         in.query->transaction != sql::TransactionStatus::idle;
}

/// How near a refusal was to acting: the nearest one is what people are told.
int nearness(ReasonCode reason) {
  static constexpr ReasonCode order[] = {
      ReasonCode::no_candidate, ReasonCode::unknown_shape,  ReasonCode::not_judged,      ReasonCode::catalog_stale,
      ReasonCode::in_transaction, ReasonCode::below_floor,  ReasonCode::no_evidence,     ReasonCode::gain_too_small,
      ReasonCode::regression_seen, ReasonCode::disabled,    ReasonCode::banned};
  return static_cast<int>(std::find(std::begin(order), std::end(order), reason) - std::begin(order));
}

/// What holds for rewrites and arms alike: the policy switches, the state of what was measured.
std::optional<Opinion> common_refusal(const DecideInput& in, const Candidate& c, const Evidence* evidence) {
  const Effective& policy = *in.policy;
  if (is_rewrite(c)) {
    if (!policy.rewrite_enabled) return no(ReasonCode::no_candidate, "the rule has rewrite = false");
    for (const auto& rule : c.rules) {
      if (!policy.rewrite.allows(rule)) return no(ReasonCode::no_candidate, fmt::format("the rule excludes {}", rule));
    }
  }
  if (is_arm(c)) {
    const auto& arms = policy.steer.arms;
    if (!policy.steer.enabled) return no(ReasonCode::no_candidate, "the rule has steer = false");
    if (!arms.empty() && std::find(arms.begin(), arms.end(), c.arm) == arms.end())
      return no(ReasonCode::no_candidate, fmt::format("the rule does not list arm {}", c.arm));
  }
  if (c.catalog_version != 0 && c.catalog_version != in.catalog->version)
    return no(ReasonCode::catalog_stale, "made under an older picture of the catalog");
  if (!evidence || (evidence->plan != 0 && evidence->plan != plan_of(in))) return std::nullopt;
  if (evidence->state == Evidence::State::disabled) return no(ReasonCode::disabled, evidence->why);
  if (evidence->state == Evidence::State::rejected) return no(ReasonCode::regression_seen, evidence->why);
  return std::nullopt;
}

/// The rewrite is known to have the same result columns; without that no order of anyone lets it act.
std::optional<Opinion> unproved_rewrite(const DecideInput& in, const std::string& label) {
  const RewriteJudgement* judgement = in.knowledge->rewrite(label);
  if (!in.knowledge->judged || !judgement) return no(ReasonCode::not_judged, "PostgreSQL has not been asked about it yet");
  if (in.knowledge->catalog_version != in.catalog->version)
    return no(ReasonCode::catalog_stale, "judged under an older picture of the catalog");
  if (!judgement->columns_equal) return no(ReasonCode::regression_seen, "its result columns differ: " + judgement->why);
  return std::nullopt;
}

Opinion judge_rewrite(const DecideInput& in, const Candidate& c, const std::string& label, const Evidence* evidence) {
  if (auto refused = unproved_rewrite(in, label)) return *refused;
  const RewriteJudgement& judgement = *in.knowledge->rewrite(label);
  if (evidence && evidence->state == Evidence::State::approved)
    return {true, evidence->gain(), ReasonCode::rewrite_measured, evidence->why};
  const double before = judgement.cost_original, after = judgement.cost_rewritten;
  // A planner's promise counts half of a measured gain.
  const double promised = before > 0 && after >= 0 && after < before ? (1 - after / before) / 2 : 0;
  if (always_gains(c)) return {true, std::max(promised, 0.01), ReasonCode::rewrite_always, judgement.why};
  // Planning and start-up decide how long so short a statement takes, and the planner's cost knows nothing of them: a rewrite
  // it called forty times cheaper ran 0.3 times as fast.
  if (const double ms = default_ms(in); judgement.approved && ms > 0 && ms < planner_counts_from_ms)
    return no(ReasonCode::below_floor,
              fmt::format("predicted {:.2f} ms; the planner's cost says nothing below {:.1f} ms", ms, planner_counts_from_ms));
  if (judgement.approved)
    return {true, promised, ReasonCode::rewrite_cost_gate,
            fmt::format("the planner's cost falls from {:.0f} to {:.0f}", before, after)};
  return no(ReasonCode::gain_too_small, judgement.why.empty() ? "the planner sees too little gain" : judgement.why);
}

double floor_of(const SteerAction& bounds) { return static_cast<double>(bounds.floor.count()) / 1000; }

/// What the default takes where an arm would serve: as explored under this plan. Its own history says little of it once the arm serves:
/// what still runs by default are the other plans' executions.
double replaced_ms(const DecideInput& in, const Evidence* evidence) {
  if (!evidence || (evidence->plan == 0 && !evidence->wide) || evidence->explored == 0) return default_ms(in);
  return std::max(default_ms(in), evidence->explored_default_ms / static_cast<double>(evidence->explored));
}

Opinion judge_arm(const DecideInput& in, const Candidate& c, const Evidence* evidence) {
  const SteerAction& bounds = in.policy->steer;
  if (!in.analysis->read_only_select()) return no(ReasonCode::no_candidate, "only plain SELECT is steered");
  if (settings_would_stay(in, c))
    return no(ReasonCode::in_transaction, "planner settings would leak into the rest of the open transaction");
  if (in.knowledge->catalog_version != in.catalog->version)
    return no(ReasonCode::catalog_stale, "explored under an older picture of the catalog");
  const double ms = replaced_ms(in, evidence);
  const double floor_ms = floor_of(bounds);
  if (ms < floor_ms)
    return no(ReasonCode::below_floor, fmt::format("predicted {:.2f} ms, steering starts at {:.2f} ms", ms, floor_ms));
  if (evidence && evidence->plan != 0 && evidence->plan != plan_of(in))
    return no(ReasonCode::no_evidence, plan_of(in) == 0 ? "explored for one of several plans, and this execution's is not known"
                                                        : "explored for another plan than this execution's");
  // The same plan for a hundred times as many rows is another matter: nothing is concluded from what was not explored.
  if (evidence && evidence->cost_high > 0 && in.plan_cost > 0 &&
      (in.plan_cost < evidence->cost_low / kBeyond || in.plan_cost > evidence->cost_high * kBeyond))
    return no(ReasonCode::no_evidence, fmt::format("explored where the plan costs {:.0f} to {:.0f}, this execution's costs {:.0f}",
                                                   evidence->cost_low, evidence->cost_high, in.plan_cost));
  if (evidence && evidence->doubted)
    return no(ReasonCode::holdout, "times have changed: the original runs a few times to see whether it still gains");
  if (!evidence || evidence->explored == 0 || evidence->state != Evidence::State::approved)
    return no(ReasonCode::no_evidence, evidence && !evidence->why.empty() ? evidence->why : "not explored yet");
  const double gain = evidence->gain();
  const double least_ms = static_cast<double>(bounds.min_gain_time.count()) / 1000;
  // The rule that explored may not be the rule that decides: its own bounds count.
  if (!evidence->wide && evidence->worst_ratio > bounds.max_regression)
    return no(ReasonCode::regression_seen, fmt::format("once took {:.2f} times the default", evidence->worst_ratio));
  if (evidence->by_hand) return {true, std::isfinite(gain) ? std::max(gain, bounds.min_gain) : bounds.min_gain, ReasonCode::arm_measured, evidence->why};
  if (!(gain >= bounds.min_gain) || !(gain * ms >= least_ms))
    return no(ReasonCode::gain_too_small, fmt::format("gains {:.0f} % or {:.2f} ms; {:.0f} % and {:.2f} ms asked for",
                                                      gain * 100, gain * ms, bounds.min_gain * 100, least_ms));
  return {true, gain, ReasonCode::arm_measured, evidence->why};
}

Opinion judge(const DecideInput& in, const Candidate& c) {
  const std::string label = c.label();
  if (is_banned(label, in.knowledge->banned)) return no(ReasonCode::banned, fmt::format("{} is banned", label));
  const Evidence* evidence = in.knowledge->find(label, plan_of(in));
  if (auto refused = common_refusal(in, c, evidence)) return *refused;
  // A rewritten text under an arm has to satisfy both.
  Opinion opinion = is_rewrite(c) ? judge_rewrite(in, c, label, evidence) : judge_arm(in, c, evidence);
  if (opinion.may && is_rewrite(c) && is_arm(c)) opinion = judge_arm(in, c, evidence);
  if (opinion.may && in.query->transaction == sql::TransactionStatus::in_block && opinion.gain * replaced_ms(in, is_arm(c) ? evidence : nullptr) < kSavepointMs)
    return no(ReasonCode::in_transaction,
              fmt::format("inside a transaction it needs a savepoint, which takes {:.1f} ms of what it gains", kSavepointMs));
  return opinion;
}

/// Worth asking for: some arm is approved under some plan, and gains more there than what acts without asking. What costs an EXPLAIN is asked only
/// where that plan varies, and of a statement whose values are always others only where what is gained besides, and how often, pay for it.
bool plan_matters(const DecideInput& in, double gained_anyway) {
  if (in.plan != 0 || in.query->transaction != sql::TransactionStatus::idle || !in.policy->steer.enabled) return false;
  if (!in.analysis->read_only_select() || in.knowledge->catalog_version != in.catalog->version) return false;
  if (in.knowledge->only_plan(kSettledPlan) != 0 && in.random % kAudit != 0) return false;
  constexpr double kPays = 2;
  const auto& evidence = in.knowledge->evidence;
  const auto pays = [&](const Evidence& e) {
    double all = 0;
    for (const PlanSight& any : in.knowledge->plans) all += static_cast<double>(any.sightings);
    const PlanSight* seen = in.knowledge->sight(e.plan);
    const double share = seen && all > 0 ? static_cast<double>(seen->sightings) / all : 1;
    return (e.gain() - gained_anyway) * replaced_ms(in, &e) * share >= kPays * in.knowledge->planning_ms;
  };
  return std::any_of(evidence.begin(), evidence.end(), [&](const Evidence& e) {
    return e.plan != 0 && e.state == Evidence::State::approved && !e.doubted && !is_banned(e.label, in.knowledge->banned) && e.gain() > gained_anyway &&
           replaced_ms(in, &e) >= floor_of(in.policy->steer) && (!in.knowledge->varied || pays(e));
  });
}

/// What takes at most this multiple of the best one's time is as good: which of them was measured fastest is chance's choice, and another
/// run's would differ.
constexpr double kTie = 1.05;

/// Rewrites as they come, then arms in the order of their list.
std::size_t rank(const Candidate& c) {
  if (!is_arm(c)) return 0;
  const auto& arms = rewriter::arms();
  return 1 + static_cast<std::size_t>(std::find_if(arms.begin(), arms.end(), [&](const auto& arm) { return arm.name == c.arm; }) - arms.begin());
}

Choice choose_pinned(const DecideInput& in) {
  const std::string& pinned = in.knowledge->pinned;
  Choice choice{0, ReasonCode::pinned, fmt::format("pinned to {}", pinned), true};
  if (pinned == "as-is") return choice;
  for (std::size_t i = 1; i < in.candidates.size(); ++i) {
    const Candidate& c = in.candidates[i];
    if (c.label() != pinned) continue;
    std::optional<Opinion> refused;
    if (is_rewrite(c)) refused = unproved_rewrite(in, pinned);
    if (!refused && settings_would_stay(in, c))
      refused = no(ReasonCode::in_transaction, "planner settings would leak into the rest of the open transaction");
    if (refused) return {0, refused->reason, fmt::format("pinned to {}, but {}", pinned, refused->detail), true};
    choice.index = i;
    return choice;
  }
  choice.detail += ", which this text does not have";
  return choice;
}

}  // namespace

Choice choose(const DecideInput& in) {
  Choice best;
  if (in.candidates.size() <= 1) return best;
  if (!in.knowledge) return {0, ReasonCode::unknown_shape, "first sight of this statement", false};
  if (!in.catalog || in.query->session->catalog_uncertain)
    return {0, ReasonCode::catalog_stale, "the session may see another catalog than we know", false};
  if (in.query->session->has_temporary_objects)
    return {0, ReasonCode::catalog_stale, "temporary objects of the session may hide tables", false};
  if (in.query->transaction == sql::TransactionStatus::failed)
    return {0, ReasonCode::in_transaction, "the transaction has failed", false};
  if (!in.knowledge->pinned.empty()) return choose_pinned(in);
  if (!in.knowledge->held.empty()) return {0, ReasonCode::regret, in.knowledge->held, false};
  std::vector<Opinion> opinions(in.candidates.size());
  double most = -1;
  for (std::size_t i = 1; i < in.candidates.size(); ++i) {
    if (in.candidates[i].kind == CandidateKind::as_is) continue;
    opinions[i] = judge(in, in.candidates[i]);
    if (opinions[i].may) most = std::max(most, opinions[i].gain);
  }
  for (std::size_t i = 1; i < in.candidates.size(); ++i) {
    Opinion& opinion = opinions[i];
    const bool tied = opinion.may && 1 - opinion.gain <= (1 - most) * kTie;
    if (tied && (best.index == 0 || rank(in.candidates[i]) < rank(in.candidates[best.index]))) best = {i, opinion.reason, std::move(opinion.detail), false};
    else if (!opinion.may && best.index == 0 && in.candidates[i].kind != CandidateKind::as_is && nearness(opinion.reason) >= nearness(best.reason)) {
      best.reason = opinion.reason;
      best.detail = std::move(opinion.detail);
    }
  }
  const Evidence* chosen = best.index == 0 ? nullptr : in.knowledge->find(in.candidates[best.index].label(), plan_of(in));
  const bool whatever_plan = best.index != 0 && !(chosen && chosen->plan != 0);
  best.wants_plan = !(chosen && chosen->wide) && plan_matters(in, whatever_plan ? opinions[best.index].gain : 0);
  return best;
}

std::uint64_t plan_of(const DecideInput& in) {
  if (in.plan != 0) return in.plan;
  return in.knowledge->only_plan(in.query->transaction == sql::TransactionStatus::idle ? kSettledPlan : kLikelyPlan);
}

}  // namespace pgsteer::policies
