#include "proxy/pipeline.hpp"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <list>
#include <unordered_map>

#include "cache/cache.hpp"
#include "predictor/predictor.hpp"
#include "proxy/hosts/read_only.hpp"

namespace pgsteer::proxy {
namespace {

/// Everything but the text that a remembered plan depends on.
void write_identity(std::string& id, const sql::Query& query, const Circumstances& now) {
  const sql::SessionFacts& s = *query.session;
  id.clear();
  for (const std::string* part : {&s.database, &s.user, &s.application, &s.client_address, &s.search_path}) {
    id.append(*part).push_back('\0');
  }
  id.push_back(static_cast<char>(query.transaction));
  id.push_back(query.extended ? 'e' : 's');
  id.push_back(static_cast<char>('0' + (s.settings_uncertain ? 1 : 0) + (s.has_temporary_objects ? 2 : 0) +
                                 (s.catalog_uncertain ? 4 : 0) + (s.objects_uncertain ? 8 : 0)));
  id.push_back(now.session_mode ? static_cast<char>('a' + static_cast<int>(*now.session_mode)) : '-');
  for (const auto type : query.parameter_types) id.append(reinterpret_cast<const char*>(&type), sizeof type);
  if (!now.default_plan) return;
  id.append(reinterpret_cast<const char*>(&now.default_plan->shape), sizeof now.default_plan->shape);
  id.append(reinterpret_cast<const char*>(&now.default_plan->total_cost), sizeof now.default_plan->total_cost);
}

cache::Reason judge_cache(const sql::Query& query, const sql::Analysis& analysis, const sql::Catalog* catalog,
                          const policies::Knowledge* knowledge, const policies::Effective& policy) {
  if (policy.cache.mode == cache::Consistency::off) return cache::Reason::rule_off;
  if (const auto reason = cache::judge_syntax(analysis); reason != cache::Reason::none) return reason;
  if (query.session->has_temporary_objects) return cache::Reason::session_temp_objects;
  if (query.session->settings_uncertain) return cache::Reason::settings_unknown;
  if (!catalog) return cache::Reason::not_judged_yet;
  if (const auto reason = cache::judge_catalog(analysis, *catalog, *query.session); reason != cache::Reason::none) {
    return reason;
  }
  if (!knowledge || knowledge->cache.state == cache::Judgement::State::pending ||
      knowledge->cache.catalog_version != catalog->version) {
    return cache::Reason::not_judged_yet;
  }
  if (knowledge->cache.state == cache::Judgement::State::refused) return knowledge->cache.reason;
  // Knowledge is shared by all users: "$user" may lead this one to other tables than those that were judged.
  for (const auto& use : analysis.tables) {
    const auto* relation = catalog->find(use.schema, use.name, query.session->search_path, query.session->user);
    const auto& judged = knowledge->cache.relations;
    if (!relation || std::find(judged.begin(), judged.end(), relation->oid) == judged.end()) {
      return cache::Reason::unknown_relation;
    }
  }
  return cache::Reason::none;
}

/// The rules behind the rewrites that were judged worth having for this shape; new literals then cost the matching of
/// these few rules only (a one-table SELECT whose cast is rewritten went from 0.55 to 0.35 ms end to end).
rewriter::RuleSwitches wanted_rules(const policies::Knowledge& knowledge, const rewriter::RuleSwitches& allowed) {
  rewriter::RuleSwitches switches;
  switches.all = false;
  for (const auto& judged : knowledge.rewrites) {
    const auto* evidence = knowledge.find(judged.label);
    const bool wanted = judged.approved || judged.label == knowledge.pinned ||
                        (evidence && evidence->state == policies::Evidence::State::approved);
    if (!wanted || !judged.label.starts_with("rewrite:")) continue;
    std::string_view rest = std::string_view(judged.label).substr(8);
    while (!rest.empty()) {
      const auto plus = rest.find('+');
      const auto rule = rest.substr(0, plus);
      if (allowed.allows(rule)) switches.only.emplace_back(rule);
      rest = plus == std::string_view::npos ? std::string_view() : rest.substr(plus + 1);
    }
  }
  return switches;
}

/// Working out a rewrite takes about half a millisecond for a text not seen before: not worth it for what takes little longer or where
/// little more was measured to be gained, and where nothing will be done (observe) only where it does not show.
bool worth_rewriting(const policies::Knowledge& knowledge, const policies::Effective& policy, policies::Mode mode) {
  using std::chrono::microseconds;
  if (knowledge.pinned.starts_with("rewrite:") || knowledge.history.count == 0) return true;
  const microseconds least = mode >= policies::Mode::suggest ? microseconds(2000) : microseconds(10000);
  const double usual_us = std::exp(knowledge.history.ewma_log_ms) * 1000;
  constexpr double kUsualGain = 0.5;
  double measured = 0;
  for (const auto& evidence : knowledge.evidence)
    if (evidence.label.starts_with("rewrite:") && evidence.state == policies::Evidence::State::approved) measured = std::max(measured, evidence.gain());
  return usual_us * (measured > 0 ? measured : kUsualGain) >= kUsualGain * static_cast<double>(std::min(least, policy.steer.floor).count());
}

/// As it came first; then what the background found worth having for this shape: rewrites whose plan or outcome was
/// judged, arms that were explored.
std::vector<rewriter::Candidate> collect_candidates(const sql::Query& query, const sql::Analysis& analysis,
                                                    const sql::Catalog* catalog,
                                                    const policies::Knowledge* knowledge,
                                                    const policies::Effective& policy, policies::Mode mode,
                                                    const std::vector<std::string>& banned_rules) {
  std::vector<rewriter::Candidate> candidates(1);
  if (!catalog || !knowledge || knowledge->catalog_version != catalog->version || !analysis.read_only_select()) {
    return candidates;
  }
  rewriter::RuleSwitches allowed = policy.rewrite;
  allowed.excluded.insert(allowed.excluded.end(), banned_rules.begin(), banned_rules.end());
  rewriter::RuleSwitches rules{.all = false, .only = {}, .excluded = {}};
  if (policy.rewrite_enabled && worth_rewriting(*knowledge, policy, mode)) rules = wanted_rules(*knowledge, allowed);
  if (!rules.only.empty()) {
    for (auto& rewritten : rewriter::rewrite(query, analysis, *catalog, rules)) {
      rewritten.catalog_version = catalog->version;
      if (knowledge->rewrite(rewritten.label())) candidates.push_back(std::move(rewritten));
    }
  }
  if (policy.steer.enabled) {
    for (const auto& evidence : knowledge->evidence) {
      if (!evidence.label.starts_with("arm:")) continue;
      const std::string_view name = std::string_view(evidence.label).substr(4);
      if (std::any_of(candidates.begin(), candidates.end(), [&](const auto& c) { return c.arm == name; })) continue;  // there is evidence for several plans
      const auto arm = rewriter::arm_named(name);
      const bool hint_plan = catalog->hint_plan && !analysis.flags.hint_comment;
      if (!arm || !rewriter::can_steer(query.text, *arm, hint_plan)) continue;
      candidates.push_back(rewriter::steer(query.text, *arm, hint_plan));
      candidates.back().catalog_version = catalog->version;
    }
  }
  return candidates;
}

/// A function of the user's, even one declared stable, may set something; set_config may have computed arguments.
bool calls_user_code(const sql::Analysis& analysis, const sql::Catalog* catalog) {
  return std::any_of(analysis.functions.begin(), analysis.functions.end(), [&](const auto& use) {
    const auto* group = catalog ? catalog->function(use.schema, use.name) : nullptr;
    return use.name == "set_config" || !group || group->any_user_defined;
  });
}

bool random_matters(const Plan& plan) {
  if (plan.decision.mode == policies::Mode::canary) {
    return plan.candidates.size() > 1 || plan.policy.cache.mode != cache::Consistency::off;
  }
  return plan.decision.mode == policies::Mode::auto_ && plan.candidates.size() > 1;
}

/// What starts, ends or only looks at a session must get through whatever else is going on.
bool can_be_restrained(sql::StatementKind kind) {
  using sql::StatementKind;
  switch (kind) {
    case StatementKind::multiple: case StatementKind::select: case StatementKind::insert: case StatementKind::update:
    case StatementKind::delete_: case StatementKind::merge: case StatementKind::copy_to: case StatementKind::call:
    case StatementKind::do_block: case StatementKind::execute: case StatementKind::explain: case StatementKind::refresh_view:
      return true;
    default:
      return false;
  }
}

/// Lane and limits. They protect the server from what sends statements: neither a comment nor SET pgsteer.mode lifts them.
void restrain(Plan& plan, const Snapshot& snapshot) {
  plan.restraint = Restraint::none;
  plan.lane.reset();
  const bool possible = !snapshot.policies->lanes().empty() || plan.policy.limits.any();
  if (!possible || snapshot.panic || plan.analysis->why_not != sql::WhyNot::none || !can_be_restrained(plan.analysis->kind)) return;
  const double ms = plan.estimates.empty() ? 0 : plan.estimates[plan.decision.candidate].ms;
  if (const auto* lane = snapshot.policies->lane_for(plan.policy.lane, ms)) {
    plan.lane = *lane;
    plan.decision.lane = lane->name;
  }
  if (!plan.lane && !plan.policy.limits.any()) return;
  const auto mode = policies::effective_mode(plan.policy.mode, snapshot.console_mode, std::nullopt, std::nullopt);
  if (mode != policies::Mode::off) plan.restraint = mode >= policies::Mode::canary ? Restraint::enforced : Restraint::observed;
}

}  // namespace

/// Plans, valid for one snapshot version. A plan with nothing but the original to send is the same for every text of one
/// Analysis (texts that differ in literals share it); the others hold texts of their own and are kept by exact text, LRU.
struct Pipeline::Memory {
  struct Shared {
    std::shared_ptr<const sql::Analysis> analysis;
    std::string identity;
    std::shared_ptr<const Plan> plan;
  };
  std::unordered_map<std::uint64_t, Shared> shared;

  struct Item {
    std::uint64_t hash;
    std::string text, identity;
    std::shared_ptr<const Plan> plan;
  };
  std::list<Item> order;  ///< most recent first
  std::unordered_map<std::uint64_t, std::list<Item>::iterator> index;
  struct KnownPlan {
    std::uint64_t catalog_version = 0;
    std::shared_ptr<const predictor::PlanFacts> facts;
  };
  std::unordered_map<std::uint64_t, KnownPlan> plans;  ///< by text and values

  std::size_t max_items;
  std::string identity;  ///< of the query at hand; a member for its capacity
};

Pipeline::Pipeline(const Config& config)
    : analyses_(static_cast<std::size_t>(std::max(1, config.limits.analysis_cache_entries)), 32u << 20,
                sql::Limits{.max_bytes = config.limits.max_analysed_bytes}),
      memory_(std::make_unique<Memory>()) {
  memory_->max_items = static_cast<std::size_t>(std::max(1, config.limits.analysis_cache_entries));
}

Pipeline::~Pipeline() = default;

std::shared_ptr<const Plan> Pipeline::plan(const sql::Query& query, const Snapshot& snapshot,
                                           const Circumstances& now) {
  std::string& identity = memory_->identity;
  write_identity(identity, query, now);
  auto analysis = analyses_.get(query.text);
  const std::uint64_t identity_hash = XXH3_64bits_withSeed(identity.data(), identity.size(), 1);
  const std::uint64_t shared_hash = identity_hash ^ (reinterpret_cast<std::uintptr_t>(analysis.get()) * 0x9E3779B97F4A7C15ull);
  if (const auto known = memory_->shared.find(shared_hash); known != memory_->shared.end()) {
    const auto& item = known->second;
    if (item.analysis == analysis && item.identity == identity && item.plan->snapshot_version == snapshot.version) {
      return item.plan;
    }
    memory_->shared.erase(known);
  }
  const std::uint64_t hash = XXH3_64bits(query.text.data(), query.text.size()) ^ identity_hash;
  const auto found = memory_->index.find(hash);
  if (found != memory_->index.end()) {
    auto& item = *found->second;
    if (item.text == query.text && item.identity == identity && item.plan->snapshot_version == snapshot.version) {
      memory_->order.splice(memory_->order.begin(), memory_->order, found->second);
      if (!item.plan->redraw) return item.plan;
      auto again = std::make_shared<Plan>(*item.plan);
      decide_again(*again, query, snapshot, now);
      return again;
    }
    memory_->order.erase(found->second);
    memory_->index.erase(found);
  }
  auto made = make(query, std::move(analysis), snapshot, now);
  if (made->candidates.size() == 1 && !made->redraw) {
    if (memory_->shared.size() >= memory_->max_items) memory_->shared.clear();
    memory_->shared[shared_hash] = {made->analysis, identity, made};
    return made;
  }
  memory_->order.push_front({hash, std::string(query.text), identity, made});
  memory_->index[hash] = memory_->order.begin();
  if (memory_->order.size() > memory_->max_items) {
    memory_->index.erase(memory_->order.back().hash);
    memory_->order.pop_back();
  }
  return made;
}

std::shared_ptr<const Plan> Pipeline::make(const sql::Query& query, std::shared_ptr<const sql::Analysis> analysis,
                                           const Snapshot& snapshot, const Circumstances& now) const {
  auto plan = std::make_shared<Plan>();
  const sql::SessionFacts& session = *query.session;
  plan->database = session.database;
  plan->user = session.user;
  plan->application = session.application;
  plan->search_path = session.search_path;
  plan->snapshot_version = snapshot.version;

  // 1. Analyse the text (remembered by exact text and by shape: plan()).
  plan->analysis = std::move(analysis);
  plan->policy = snapshot.policies->resolve(*plan->analysis, session);
  if (!plan->policy.mode_given) plan->policy.mode = snapshot.config->mode.initial;
  if (!snapshot.held_policies.empty()) plan->policy.held = snapshot.held(plan->policy.rule);
  const sql::Catalog* catalog = session.catalog_uncertain ? nullptr : snapshot.catalog(session.database);
  const auto known = snapshot.knowledge->find({plan->analysis->shape, session.database, session.search_path});
  if (known != snapshot.knowledge->end()) plan->knowledge = known->second;

  // 2. May the cache answer it?
  plan->cache_reason =
      judge_cache(query, *plan->analysis, catalog, plan->knowledge.get(), plan->policy);

  // 3. In which ways could it be run?
  plan->candidates = collect_candidates(query, *plan->analysis, catalog, plan->knowledge.get(), plan->policy,
                                        policies::effective_mode(plan->policy.mode, snapshot.console_mode, now.session_mode, std::nullopt),
                                        snapshot.banned_rules);

  // 4. What would each cost? One batch.
  predictor::FeatureInput input;
  input.analysis = plan->analysis.get();
  input.catalog = catalog;
  plan->default_plan = now.default_plan;
  input.plan = plan->default_plan ? plan->default_plan.get() : plan->knowledge ? &plan->knowledge->plan : nullptr;
  input.history = plan->knowledge ? &plan->knowledge->history : nullptr;
  input.load = now.load;
  input.unix_seconds = now.unix_seconds;
  input.hour_of_day = now.hour_of_day;
  input.day_of_week = now.day_of_week;
  input.extended = query.extended;
  input.search_path = session.search_path;
  input.user = session.user;
  const std::vector<predictor::FeatureInput> inputs(plan->candidates.size(), input);
  plan->estimates = predictor::estimate(inputs, snapshot.model.get(), *snapshot.calibration);
  plan->features.push_back(predictor::extract(input));

  // 5. Decide.
  decide_again(*plan, query, snapshot, now);
  plan->redraw = random_matters(*plan);
  plan->changes_settings_unseen = calls_user_code(*plan->analysis, catalog);
  plan->writes = cache::write_set(*plan->analysis, catalog, session, plan->knowledge ? &plan->knowledge->cache : nullptr);

  if (snapshot.config->several_hosts) plan->primary_because = why_primary(*plan->analysis, catalog, session, plan->knowledge ? &plan->knowledge->cache : nullptr);

  // 6. The plan is the value; the session turns it into bytes.
  return plan;
}

void Pipeline::decide_again(Plan& plan, const sql::Query& query, const Snapshot& snapshot,
                            const Circumstances& now) const {
  policies::DecideInput input;
  input.query = &query;
  input.analysis = plan.analysis.get();
  input.candidates = plan.candidates;
  input.estimates = plan.estimates;
  input.knowledge = plan.knowledge.get();
  input.policy = &plan.policy;
  input.cache_reason = plan.cache_reason;
  input.catalog = snapshot.catalog(query.session->database);
  input.session_mode = now.session_mode;
  input.console_mode = snapshot.console_mode;
  input.panic = snapshot.panic;
  input.random = now.random;
  input.plan = plan.default_plan ? plan.default_plan->shape : 0;
  input.plan_cost = plan.default_plan ? plan.default_plan->total_cost : 0;
  plan.decision = policies::decide(input);
  restrain(plan, snapshot);
}

std::shared_ptr<const predictor::PlanFacts> Pipeline::default_plan(std::uint64_t text_and_values, std::uint64_t catalog_version) const {
  const auto found = memory_->plans.find(text_and_values);
  if (found == memory_->plans.end() || found->second.catalog_version != catalog_version) return nullptr;
  return found->second.facts;
}

void Pipeline::remember_plan(std::uint64_t text_and_values, std::uint64_t catalog_version, std::shared_ptr<const predictor::PlanFacts> facts) {
  if (memory_->plans.size() >= memory_->max_items) memory_->plans.clear();
  memory_->plans.insert_or_assign(text_and_values, Memory::KnownPlan{catalog_version, std::move(facts)});
}

predictor::Feedback Pipeline::learn(const Plan& plan, const Execution& execution, std::int64_t unix_microseconds) {
  predictor::Feedback f;
  const sql::Analysis& a = *plan.analysis;
  f.unix_microseconds = unix_microseconds;
  f.database = plan.database;
  f.user = plan.user;
  f.application = plan.application;
  f.fingerprint = a.fingerprint_hex;
  f.shape = a.shape.hex();
  f.kind = sql::to_string(a.kind);
  f.normalized = a.normalized();
  f.feature_schema = predictor::feature_schema();
  if (!plan.features.empty()) f.features = plan.features.front();
  f.candidate = plan.chosen().label();
  for (const auto& candidate : plan.candidates) f.candidates.push_back(candidate.label());
  if (plan.decision.candidate < plan.estimates.size()) {
    const auto& estimate = plan.estimates[plan.decision.candidate];
    f.estimate_ms = estimate.ms;
    f.estimate_low_ms = estimate.ms_low;
    f.estimate_high_ms = estimate.ms_high;
    f.estimate_source = predictor::to_string(estimate.source);
    f.model_version = estimate.model_version;
  }
  const bool cached = execution.source == Source::cache_memory || execution.source == Source::cache_redis;
  f.source = !execution.sqlstate.empty() ? "error" : cached ? "cache" : "server";
  f.mode = policies::to_string(plan.decision.mode);
  f.policy_rule = plan.decision.rule;
  f.reason = policies::to_string(plan.decision.reason);
  f.probability = plan.decision.probability;
  f.server_ms = cached ? 0 : static_cast<double>(execution.last_byte_ns - execution.sent_ns) / 1e6;
  f.total_ms = static_cast<double>(execution.last_byte_ns) / 1e6;
  f.proxy_us = static_cast<double>(execution.proxy_ns) / 1e3;
  f.rows = execution.rows;
  f.bytes = execution.bytes;
  f.sqlstate = execution.sqlstate;
  f.censored = execution.cancelled;
  f.trace_id = trace_id_of(a);
  if (plan.default_plan) f.plan_cost = plan.default_plan->total_cost;
  else if (plan.knowledge && plan.knowledge->plan.known) f.plan_cost = plan.knowledge->plan.total_cost;
  return f;
}

std::string trace_id_of(const sql::Analysis& analysis) {
  const auto tag = analysis.tags.find("traceparent");
  if (tag == analysis.tags.end()) return {};
  const std::string& text = tag->second;
  const bool well_formed = text.size() >= 55 && text[2] == '-' && text[35] == '-' &&
                           text.find_first_not_of("0123456789abcdef", 3) == 35;
  return well_formed ? text.substr(3, 32) : std::string();
}

std::string_view to_string(Source source) {
  switch (source) {
    case Source::server: return "server";
    case Source::cache_memory: return "cache (memory)";
    case Source::cache_redis: return "cache (redis)";
    case Source::local: return "pgsteer";
    case Source::standby: return "standby";
  }
  return "?";
}

}  // namespace pgsteer::proxy
