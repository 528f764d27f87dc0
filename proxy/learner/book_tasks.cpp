// The part of Book that hands statements to the prober and the explorer and takes their findings.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "proxy/learner/book.hpp"

namespace pgsteer::proxy::learning {

namespace {
constexpr double kSlowAtFirstSightMs = 20;
constexpr std::uint64_t kMinDefaultRuns = 2;
}  // namespace

bool Book::wants_judgement(const Statement& statement) const {
  const auto& policy = statement.policy;
  const bool explores = policy.steer.enabled && policy.steer.explore_offline && statement.mode >= policies::Mode::suggest;
  return policy.cache.mode != cache::Consistency::off || policy.cache.learn || explores;
}

bool Book::wants_probe(const Statement& statement, const Snapshot& snapshot) const {
  if (!snapshot.config->upstream.probe || snapshot.panic) return false;
  if (!statement.analysis->read_only_select() || statement.instances.empty()) return false;
  if (statement.sightings < 2 && statement.slowest_ms < kSlowAtFirstSightMs) return false;
  const auto* catalog = snapshot.catalog(statement.knowledge.database);
  const bool current = statement.knowledge.judged && catalog &&
                       statement.knowledge.catalog_version == catalog->version;
  return !current || (wants_judgement(statement) && !statement.gate_b_asked);
}

std::optional<ProbeTask> Book::next_probe() {
  const auto snapshot = hub_.snapshot();
  const std::lock_guard lock(mutex_);
  const auto now = Clock::now();
  std::pair<const Key, Statement>* best = nullptr;
  for (auto& item : statements_) {
    Statement& statement = item.second;
    if (statement.probing || now < statement.not_before || !wants_probe(statement, *snapshot)) continue;
    if (!snapshot->catalog(item.first.database)) continue;
    if (!best || statement.total_ms > best->second.total_ms) best = &item;
  }
  if (!best) return std::nullopt;
  Statement& statement = best->second;
  statement.probing = true;
  ProbeTask task;
  task.key = best->first;
  task.analysis = statement.analysis;
  if (statement.probed.text.empty()) statement.probed = statement.instances.back();
  task.instance = statement.probed;
  task.user = statement.user;
  task.application = statement.application;
  task.policy = statement.policy;
  task.judge = wants_judgement(statement);
  return task;
}

void Book::finish_probe(const Key& key, const ProbeResult& result) {
  const std::lock_guard lock(mutex_);
  const auto found = statements_.find(key);
  if (found == statements_.end()) return;
  Statement& statement = found->second;
  policies::Knowledge& knowledge = statement.knowledge;
  // Measurements hold for the plan they were made against and for what the planner knew then; another makes them hearsay. The cost that
  // it sees in one and the same call is the sum of the statistics that matter to it.
  constexpr double kOtherStatistics = 0.1;
  if (knowledge.plan.known && result.plan.known && knowledge.catalog_version != result.catalog_version) {
    const double before = knowledge.plan.total_cost, after = result.plan.total_cost;
    if (knowledge.plan.shape != result.plan.shape) void_evidence(statement, "the default plan changed after DDL or ANALYZE");
    else if (std::abs(after - before) > kOtherStatistics * before)
      void_evidence(statement, fmt::format("statistics changed: the plan's cost went from {:.0f} to {:.0f}", before, after));
  }
  const auto* catalog = hub_.snapshot()->catalog(key.database);
  if (catalog && !statistics_hold(statement, *catalog)) void_evidence(statement, "statistics have changed since it was explored, before this start");
  knowledge.catalog_version = result.catalog_version;
  if (result.planning_ms > 0) knowledge.planning_ms = result.planning_ms;
  if (result.plan.known) knowledge.plan = result.plan;
  else statement.probed = {};  // another call may be one that the server takes
  knowledge.rewrites = result.rewrites;
  for (auto& rewrite : knowledge.rewrites) {
    if (!statement.never.contains(rewrite.label)) continue;
    rewrite.approved = false;
    rewrite.why = "its answer differed from the original's once";
  }
  knowledge.cache = result.cache;
  knowledge.judged = true;
  statement.gate_b_asked = result.judged;
  statement.explorable = result.explorable;
  statement.probing = false;
  touch(key, statement, true);
}

void Book::postpone_probe(const Key& key, std::chrono::milliseconds delay) {
  const std::lock_guard lock(mutex_);
  const auto found = statements_.find(key);
  if (found == statements_.end()) return;
  found->second.probing = false;
  found->second.not_before = Clock::now() + delay;
}

bool Book::probes_pending() const {
  const auto snapshot = hub_.snapshot();
  const std::lock_guard lock(mutex_);
  return std::any_of(statements_.begin(), statements_.end(), [&](const auto& item) {
    return item.second.probing || wants_probe(item.second, *snapshot);
  });
}

bool Book::wants_exploration(const Statement& statement, const Snapshot& snapshot) const {
  const auto& steer = statement.policy.steer;
  if (!snapshot.config->learning.explore || !snapshot.config->upstream.probe || snapshot.panic) return false;
  if (!steer.enabled || !steer.explore_offline || statement.mode < policies::Mode::suggest) return false;
  if (statement.exploration_over || !statement.explorable || statement.instances.empty()) return false;
  const auto& knowledge = statement.knowledge;
  const auto* catalog = snapshot.catalog(knowledge.database);
  if (!knowledge.judged || !catalog || knowledge.catalog_version != catalog->version) return false;
  if (knowledge.history.count < kMinDefaultRuns) return false;
  const double floor_ms = std::chrono::duration<double, std::milli>(steer.floor).count();
  if (std::exp(knowledge.history.ewma_log_ms) < floor_ms) return false;
  if (statement.explored.size() >= kMaxInstances) return false;
  return std::any_of(statement.instances.begin(), statement.instances.end(),
                     [&](const Instance& instance) { return !statement.explored.contains(instance.hash); });
}

std::optional<ExploreTask> Book::next_exploration() {
  using State = policies::Evidence::State;
  const auto snapshot = hub_.snapshot();
  const std::lock_guard lock(mutex_);
  std::pair<const Key, Statement>* best = nullptr;
  for (auto& item : statements_) {
    if (item.second.exploring || !wants_exploration(item.second, *snapshot)) continue;
    if (!best || item.second.total_ms > best->second.total_ms) best = &item;
  }
  if (!best) return std::nullopt;
  Statement& statement = best->second;
  statement.exploring = true;
  const policies::Knowledge& knowledge = statement.knowledge;
  ExploreTask task;
  task.key = best->first;
  task.analysis = statement.analysis;
  task.user = statement.user;
  task.application = statement.application;
  task.fingerprint = knowledge.fingerprint;
  task.policy = statement.policy;
  task.plan = knowledge.plan;
  task.history = knowledge.history;
  task.default_ms = std::exp(knowledge.history.ewma_log_ms);
  task.catalog_version = knowledge.catalog_version;
  task.first = statement.explored.empty();
  task.varied = knowledge.varied;
  task.planning_ms = knowledge.planning_ms;
  for (const auto& entry : knowledge.evidence)
    if (entry.wide) task.wide.emplace(entry.label, entry);
  for (const auto& instance : statement.instances)
    if (!statement.explored.contains(instance.hash)) task.instances.push_back(instance);
  for (const auto& rewrite : knowledge.rewrites)
    if (rewrite.columns_equal) task.rewrites.push_back(rewrite.label);
  for (const auto& entry : knowledge.evidence)
    if (!entry.wide && (entry.state == State::rejected || entry.state == State::disabled)) task.out.emplace(entry.label, entry.plan);
  for (const auto& entry : knowledge.evidence)
    if (entry.label.starts_with("arm:") && !rewriter::find_arm(std::string_view(entry.label).substr(4))) task.hinted.emplace(entry.label, entry.plan);
  if (const auto pin = pins_.find(knowledge.fingerprint); pin != pins_.end())
    for (const auto& label : pin->second.banned) task.out.emplace(label, 0);
  for (const auto& label : statement.never) task.out.emplace(label, 0);
  return task;
}

void Book::finish_exploration(const Key& key, const std::vector<std::uint64_t>& instances, bool complete) {
  using State = policies::Evidence::State;
  const std::lock_guard lock(mutex_);
  const auto found = statements_.find(key);
  if (found == statements_.end()) return;
  Statement& statement = found->second;
  statement.exploring = false;
  statement.explored.insert(instances.begin(), instances.end());
  const bool hope = std::any_of(
      statement.knowledge.evidence.begin(), statement.knowledge.evidence.end(), [](const policies::Evidence& entry) {
        return entry.label != "as-is" && entry.explored > 0 &&
               (entry.state == State::trial || entry.state == State::approved || entry.state == State::pinned);
      });
  // A new instance is worth running only while some candidate is still in the race.
  if (complete && !hope && statement.explored.size() >= 3) statement.exploration_over = true;
}

void Book::measured(const Key& key, const Measurement& measurement) {
  const std::lock_guard lock(mutex_);
  const auto found = statements_.find(key);
  if (found == statements_.end()) return;
  Statement& statement = found->second;
  auto& entry = evidence(statement, measurement.label, measurement.plan);
  entry.wide = measurement.wide;
  if (measurement.plan != 0) {
    entry.cost_low = entry.cost_high > 0 ? std::min(entry.cost_low, measurement.cost) : measurement.cost;
    entry.cost_high = std::max(entry.cost_high, measurement.cost);
  }
  judge_again(statement, entry, measurement.ms, measurement.default_ms, true);
  touch(key, statement, true);
}

void Book::default_measured(const Key& key, const predictor::PlanFacts& plan, double ms) {
  const std::lock_guard lock(mutex_);
  const auto found = statements_.find(key);
  if (found == statements_.end()) return;
  sighted(found->second, {plan.shape, 1, ms, plan.total_cost, plan.total_cost});
  touch(key, found->second, false);
}

void Book::planned(const Key& key, double ms) {
  const std::lock_guard lock(mutex_);
  const auto found = statements_.find(key);
  if (found == statements_.end()) return;
  double& least = found->second.knowledge.planning_ms;
  least = least > 0 ? std::min(least, ms) : ms;
}

void Book::refuse_for_good(const Key& key, const std::string& label, const std::string& why) {
  const std::lock_guard lock(mutex_);
  if (!label.starts_with("rewrite:")) ++mismatches_;  // of a rewrite RuleBans keeps the record
  const auto found = statements_.find(key);
  if (found == statements_.end()) return;
  Statement& statement = found->second;
  statement.never.insert(label);
  evidence(statement, label);
  for (auto& entry : statement.knowledge.evidence) {
    if (entry.label != label) continue;
    entry.state = policies::Evidence::State::rejected;
    entry.why = why;
  }
  for (auto& rewrite : statement.knowledge.rewrites) {
    if (rewrite.label != label) continue;
    rewrite.approved = false;
    rewrite.why = why;
  }
  if (!label.starts_with("rewrite:")) audit_.write("mismatch", statement.knowledge.fingerprint, label, why);
  touch(key, statement, true);
}

bool Book::explorations_pending() const {
  const auto snapshot = hub_.snapshot();
  const std::lock_guard lock(mutex_);
  return std::any_of(statements_.begin(), statements_.end(), [&](const auto& item) {
    return item.second.exploring || wants_exploration(item.second, *snapshot);
  });
}

}  // namespace pgsteer::proxy::learning
