#include <array>

#include "policies/decision.hpp"

namespace pgsteer::policies {

std::string_view to_string(ReasonCode reason) {
  static constexpr std::array<std::string_view, 33> names{
      "mode_off",        "mode_observe",    "mode_suggest",     "panic",          "directive",
      "not_analysed",    "no_candidate",    "unknown_shape",    "not_judged",     "below_floor",
      "no_evidence",     "gain_too_small",  "regression_seen",  "disabled",       "settings_uncertain",
      "catalog_stale",   "in_transaction",  "pipeline",         "canary_control", "canary_treated",
      "rewrite_always",  "rewrite_cost_gate", "rewrite_measured", "arm_measured", "pinned",
      "banned",          "cache_hit",       "holdout",          "refused_predicted", "refused_rate",
      "refused_queue",   "queue_cancelled", "regret"};
  static_assert(names.size() == static_cast<std::size_t>(ReasonCode::regret) + 1);
  const auto index = static_cast<std::size_t>(reason);
  return index < names.size() ? names[index] : std::string_view("unknown");
}

const Evidence* Knowledge::find(std::string_view label) const {
  for (const Evidence& e : evidence) {
    if (e.label == label) return &e;
  }
  return nullptr;
}

const Evidence* Knowledge::find(std::string_view label, std::uint64_t plan_shape) const {
  const Evidence *here = nullptr, *any = nullptr;
  for (const Evidence& entry : evidence) {
    if (entry.label != label) continue;
    if (entry.plan == 0) any = &entry;
    else if (entry.plan == plan_shape) here = &entry;
  }
  if (here && any && here->state == Evidence::State::trial) return any;
  if (here || any) return here ? here : any;
  return plan_shape == 0 ? find(label) : nullptr;
}

const PlanSight* Knowledge::sight(std::uint64_t plan_shape) const {
  for (const PlanSight& seen : plans) {
    if (seen.shape == plan_shape) return &seen;
  }
  return nullptr;
}

std::uint64_t Knowledge::only_plan(std::uint64_t sights) const {
  constexpr double steady = 2;
  if (plans.size() != 1) return 0;
  const PlanSight& seen = plans.front();
  return seen.sightings >= sights && seen.cost_high <= steady * seen.cost_low ? seen.shape : 0;
}

const RewriteJudgement* Knowledge::rewrite(std::string_view label) const {
  for (const RewriteJudgement& judgement : rewrites) {
    if (judgement.label == label) return &judgement;
  }
  return nullptr;
}

std::size_t KnowledgeKeyHash::operator()(const KnowledgeKey& k) const {
  std::size_t hash = sql::ShapeHash{}(k.shape);
  for (const std::string* text : {&k.database, &k.search_path})
    hash = (hash ^ std::hash<std::string>{}(*text)) * 0x9E3779B97F4A7C15ull;
  return hash;
}

}  // namespace pgsteer::policies
