#include "proxy/learner/book.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace pgsteer::proxy::learning {

namespace {

using std::chrono::milliseconds;

double server_ms(const Execution& execution) {
  return static_cast<double>(execution.last_byte_ns - std::min(execution.sent_ns, execution.last_byte_ns)) / 1e6;
}

double expected_default(const policies::Knowledge& knowledge) {
  return knowledge.history.count > 0 ? std::exp(knowledge.history.ewma_log_ms) : 0;
}

std::uint64_t hash_of(const Execution& execution) {
  return std::hash<std::string>{}(execution.text) * 31 + std::hash<std::string>{}(execution.bind);
}

bool counts_as_statement(sql::StatementKind kind) {
  using enum sql::StatementKind;
  return kind == select || kind == insert || kind == update || kind == delete_ || kind == merge || kind == call;
}

}  // namespace

Book::Statement* Book::statement_of(const std::shared_ptr<const Plan>& shared) {
  if (Statement** known = memo_.find(shared)) return *known;
  const Plan& plan = *shared;
  const sql::Analysis& analysis = *plan.analysis;
  users_[plan.database] = plan.user;
  if (!counts_as_statement(analysis.kind)) return memo_.put(shared, nullptr);
  Key key{analysis.shape, plan.database, plan.search_path};
  auto found = statements_.find(key);
  if (found == statements_.end()) {
    if (statements_.size() >= kMaxShapes) evict();
    found = statements_.try_emplace(key).first;
    Statement& made = found->second;
    made.analysis = plan.analysis;
    made.knowledge.shape = analysis.shape;
    made.knowledge.database = plan.database;
    made.knowledge.search_path = plan.search_path;
    made.knowledge.fingerprint = analysis.fingerprint_hex;
    apply_pin(made);
    made.user = plan.user;
    apply_kept(key, made);
  }
  Statement& statement = found->second;
  statement.user = plan.user;
  statement.application = plan.application;
  statement.policy = plan.policy;
  statement.mode = plan.decision.mode;
  return memo_.put(shared, &statement);
}

constexpr std::uint64_t kWellKnown = 512;  ///< executions

double Book::record(const Outcome& outcome) {
  const Plan& plan = *outcome.plan;
  const Execution& execution = outcome.execution;
  const std::lock_guard lock(mutex_);
  Statement* statement = statement_of(outcome.plan);
  if (!statement) return 0;
  const bool as_it_is = execution.source == Source::server && plan.chosen().kind == rewriter::CandidateKind::as_is;
  const double expected = as_it_is ? 0 : expected_instead(*statement, plan, expected_default(statement->knowledge));
  if (execution.source != Source::server) return expected;
  const double ms = server_ms(execution);
  observed_ms_ += ms;
  ++statement->sightings;
  if (const auto* asked = plan.default_plan.get()) sighted(*statement, {asked->shape, 1, 0, asked->total_cost, asked->total_cost});
  if (plan.chosen().kind == rewriter::CandidateKind::as_is)
    learn_default(*statement, plan, execution, ms);
  else
    learn_served(*statement, plan, execution, ms, expected);
  return expected;
}

/// What the default would have taken: where values differ, what it took on the calls explored under the same plan, more for a dearer one.
double Book::expected_instead(const Statement& statement, const Plan& plan, double usual) {
  if (!plan.default_plan || plan.chosen().arm.empty() || statement.instances.size() <= 1) return usual;
  const auto* entry = statement.knowledge.find(plan.chosen().label(), plan.default_plan->shape);
  if (!entry || entry->plan == 0 || entry->explored == 0 || !(entry->explored_default_ms > 0)) return usual;
  const double mean = entry->explored_default_ms / static_cast<double>(entry->explored), middle = std::sqrt(entry->cost_low * entry->cost_high);
  return mean * (middle > 0 ? std::max(1.0, plan.default_plan->total_cost / middle) : 1.0);
}

void Book::learn_default(Statement& statement, const Plan& plan, const Execution& execution, double ms) {
  if (!execution.sqlstate.empty() || execution.cancelled || !(ms > 0)) return;
  policies::Knowledge& knowledge = statement.knowledge;
  knowledge.history.add(ms, static_cast<double>(execution.rows), static_cast<double>(execution.bytes),
                        plan.default_plan ? plan.default_plan.get() : &knowledge.plan);
  knowledge.history.last_unix_seconds = static_cast<double>(unix_us()) / 1e6;
  statement.mean_ms = knowledge.history.count <= 1 ? ms : statement.mean_ms + (ms - statement.mean_ms) / static_cast<double>(std::min<std::uint64_t>(knowledge.history.count, 32));
  if (plan.decision.control && plan.decision.suggested != 0)
    compare(statement, plan, plan.candidates[plan.decision.suggested].label(), policies::Experiment::Side::control, ms);
  release(statement, plan.policy.regret);
  doubt_arms(statement, ms);
  statement.total_ms += ms;
  remember(statement, execution);
  // What follows sorts windows: one in sixteen of a well-known statement's executions says as much.
  if (knowledge.history.count > kWellKnown && knowledge.history.count % 16 != 0) return;
  auto& entry = evidence(statement, "as-is");
  policies::learn(entry, ms, 0, false, plan.policy.steer);
  statement.slowest_ms = std::max(statement.slowest_ms, ms);
  calibration_.add(knowledge.plan.known ? knowledge.plan.total_cost : -1, plan.analysis->kind, ms);
  calibration_dirty_ = true;
  touch({knowledge.shape, knowledge.database, knowledge.search_path}, statement, knowledge.history.count <= 2);
}

void Book::learn_served(Statement& statement, const Plan& plan, const Execution& execution, double ms,
                        double expected) {
  const std::string label = plan.chosen().label();
  auto& entry = served_evidence(statement, plan, label);
  const auto before = entry.state;
  const bool strange = unusual(entry, ms);
  const bool stopped = execution.cancelled || execution.sqlstate == "57014";
  const bool by_chance = entry.state != policies::Evidence::State::pinned;  // a person's word is nobody's experiment
  const double mean = expected_instead(statement, plan, statement.mean_ms);
  if (by_chance && policies::enter_trial(entry, plan.decision.mode))
    audit_.write(std::string(policies::to_string(entry.trial.step)), statement.knowledge.fingerprint, label, entry.why);
  if (!execution.sqlstate.empty() && !stopped) {
    // What the server takes as it came must not fail by our doing; whether it was ours is not worth finding out.
    ++entry.runs;
    if (entry.state != policies::Evidence::State::pinned) entry.state = policies::Evidence::State::disabled;
    entry.why = "failed with " + execution.sqlstate;
    at_once_ = true;
    if (before != entry.state) audit_.write("disabled", statement.knowledge.fingerprint, label, entry.why);
  } else if (expected > 0 && (!stopped || ms > expected * plan.policy.steer.max_regression)) {
    judge_again(statement, entry, ms, expected, false);
  }
  // What was given up was in vain, and the original came on top.
  if (by_chance && mean > 0 && (execution.sqlstate.empty() || stopped)) {
    charge(statement, plan, stopped ? ms : ms - mean);
    compare(statement, plan, label, policies::Experiment::Side::changed, stopped ? ms + mean : ms);
  }
  judge_trial(statement, plan, entry);
  // Its own time has changed: the default's may have, too.
  constexpr int kNoChance = 3;
  statement.out_of_line = strange && !stopped ? statement.out_of_line + 1 : 0;
  if (statement.out_of_line >= kNoChance) doubt(statement, entry);
  remember(statement, execution);
  const auto& knowledge = statement.knowledge;
  touch({knowledge.shape, knowledge.database, knowledge.search_path}, statement, entry.state != before);
}

/// The entry that let the arm serve: of its plan, else the only one there is.
policies::Evidence& Book::served_evidence(Statement& statement, const Plan& plan, const std::string& label) {
  const auto& knowledge = statement.knowledge;
  const std::uint64_t shape = plan.default_plan ? plan.default_plan->shape : knowledge.only_plan(1);
  const auto* found = label.starts_with("arm:") ? knowledge.find(label, shape) : nullptr;
  return evidence(statement, label, found ? found->plan : 0);
}

void Book::complete(StatementRecord& record) const {
  const std::lock_guard lock(mutex_);
  for (const auto& [key, statement] : statements_) {
    if (statement.knowledge.fingerprint != record.totals.fingerprint || key.database != record.totals.database) continue;
    record.user = statement.user;
    record.application = statement.application;
    if (statement.instances.empty()) continue;
    record.example = statement.instances.back().text;
    record.example_types = statement.instances.back().types;
    return;
  }
}

void Book::remember(Statement& statement, const Execution& execution) {
  if (execution.text.empty() || !statement.analysis->read_only_select()) return;
  const auto hash = hash_of(execution);
  const auto known = std::find_if(statement.instances.begin(), statement.instances.end(),
                                  [&](const Instance& instance) { return instance.hash == hash; });
  if (known != statement.instances.end()) return;
  statement.instances.push_back({execution.text, execution.parameter_types, execution.bind, hash});
  if (statement.instances.size() > kMaxInstances) statement.instances.pop_front();
  statement.knowledge.varied = statement.knowledge.varied || statement.instances.size() >= policies::Knowledge::varied_from;
}

policies::Evidence& Book::evidence(Statement& statement, const std::string& label, std::uint64_t plan) {
  auto& list = statement.knowledge.evidence;
  for (auto& entry : list)
    if (entry.label == label && entry.plan == plan) return entry;
  list.emplace_back();
  list.back().label = label;
  list.back().plan = plan;
  return list.back();
}

void Book::sighted(Statement& statement, policies::PlanSight sight) {
  constexpr std::size_t kMostPlans = 32;
  auto& plans = statement.knowledge.plans;
  const auto found = std::find_if(plans.begin(), plans.end(), [&](const auto& seen) { return seen.shape == sight.shape; });
  if (found == plans.end()) {
    if (plans.size() < kMostPlans) plans.push_back(sight);
    return;
  }
  found->sightings += sight.sightings;
  found->worst_ms = std::max(found->worst_ms, sight.worst_ms);
  found->cost_low = std::min(found->cost_low, sight.cost_low);
  found->cost_high = std::max(found->cost_high, sight.cost_high);
}

void Book::judge_again(Statement& statement, policies::Evidence& entry, double ms, double default_ms, bool explored) {
  using State = policies::Evidence::State;
  const auto before = entry.state;
  const std::string why_before = entry.why;
  policies::learn(entry, ms, default_ms, explored, statement.policy.steer);
  if (before == State::pinned) entry.state = before;  // a person's word stands until a person takes it back
  if (statement.never.contains(entry.label)) {
    entry.state = State::rejected;
    entry.why = why_before;
  }
  at_once_ = at_once_ || (before == State::approved && entry.state != before);
  if (entry.state != before)
    audit_.write(std::string(policies::to_string(entry.state)), statement.knowledge.fingerprint, entry.label,
                 entry.why);
}

void Book::touch(const Key& key, Statement& statement, bool urgent) {
  urgent_ = urgent_ || urgent;
  if (statement.dirty) return;
  statement.dirty = true;
  dirty_.push_back(key);
}

void Book::publish(bool everything) {
  std::shared_ptr<const policies::KnowledgeMap> knowledge;
  std::shared_ptr<const predictor::Calibration> calibration;
  std::map<std::string, std::string, std::less<>> held;
  {
    const std::lock_guard lock(mutex_);
    // Every publication makes the loops plan again: what only refines an average can wait.
    const auto age = Clock::now() - last_publish_;
    if (dirty_.empty() && !calibration_dirty_ && !evicted_ && !held_changed_) return;
    if (!everything && !at_once_ && age < (urgent_ ? milliseconds(200) : milliseconds(1000))) return;
    for (const auto& key : dirty_) {
      const auto found = statements_.find(key);
      if (found == statements_.end()) continue;
      found->second.dirty = false;
      published_[key] = std::make_shared<const policies::Knowledge>(found->second.knowledge);
    }
    dirty_.clear();
    at_once_ = urgent_ = calibration_dirty_ = evicted_ = held_changed_ = false;
    held = breakers_.held();
    last_publish_ = Clock::now();
    knowledge = std::make_shared<const policies::KnowledgeMap>(published_);
    calibration = std::make_shared<const predictor::Calibration>(calibration_);
  }
  hub_.update([&](Snapshot& snapshot) {
    snapshot.knowledge = knowledge;
    snapshot.calibration = calibration;
    snapshot.held_policies = held;
  });
}

// The cheapest tenth goes: it costs most to keep and least to learn again.
void Book::evict() {
  memo_.clear();  // it points into what goes
  std::vector<std::pair<double, Key>> order;
  for (const auto& [key, statement] : statements_)
    if (!statement.probing && !statement.exploring) order.emplace_back(statement.total_ms, key);
  const auto tenth = std::min(order.size(), kMaxShapes / 10);
  std::nth_element(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(tenth), order.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  for (std::size_t i = 0; i < tenth; ++i) {
    statements_.erase(order[i].second);
    published_.erase(order[i].second);
  }
  evicted_ = true;
}

// --- pins ------------------------------------------------------------------------------------------------------------

void Book::apply_pin(Statement& statement) {
  using State = policies::Evidence::State;
  policies::Knowledge& knowledge = statement.knowledge;
  const auto found = pins_.find(knowledge.fingerprint);
  const Pin pin = found == pins_.end() ? Pin{} : found->second;
  for (auto& entry : knowledge.evidence) {
    if (entry.state != State::pinned || entry.label == pin.pinned) continue;
    entry.state = State::trial;
    entry.why = "unpinned";
  }
  knowledge.pinned = pin.pinned;
  knowledge.banned = pin.banned_text();
  if (pin.pinned.empty() || pin.pinned == "as-is") return;
  auto& entry = evidence(statement, pin.pinned);
  entry.state = State::pinned;
  entry.why = "pinned by hand";
}

void Book::set_pins(std::map<std::string, Pin> pins) {
  const std::lock_guard lock(mutex_);
  pins_ = std::move(pins);
  for (auto& [key, statement] : statements_) {
    apply_pin(statement);
    touch(key, statement, true);
  }
}

// --- looking out -----------------------------------------------------------------------------------------------------

std::vector<ExperimentRecord> Book::experiments() const {
  std::vector<ExperimentRecord> rows;
  const std::lock_guard lock(mutex_);
  for (const auto& [key, statement] : statements_) {
    for (const auto& entry : statement.knowledge.evidence) {
      if (entry.label == "as-is") continue;
      auto trial = entry.trial;
      if (const auto found = statement.experiments.find({entry.label, entry.plan}); found != statement.experiments.end() && found->second.pairs() > 0)
        trial.effect = found->second.effect(policies::trial_alpha);
      rows.push_back({statement.knowledge.fingerprint, key.database, entry.label, plan_words(entry.plan),
                      std::string(policies::to_string(entry.state)), entry.why, entry.runs, entry.explored,
                      entry.median_ms, expected_default(statement.knowledge), entry.worst_ratio, entry.gain_low(), trial});
    }
  }
  std::sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) {
    return std::tie(a.database, a.fingerprint, a.label, a.plan) < std::tie(b.database, b.fingerprint, b.label, b.plan);
  });
  return rows;
}

std::string Book::user_of(const std::string& database) const {
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = users_.find(database); found != users_.end()) return found->second;
  }
  for (const auto& client : hub_.clients())
    if (client.database == database && !client.user.empty() && !client.is_console) return client.user;
  return {};
}

bool Book::knows_fingerprint(const std::string& fingerprint) const {
  const std::lock_guard lock(mutex_);
  return pins_.contains(fingerprint) ||
         std::any_of(statements_.begin(), statements_.end(),
                     [&](const auto& item) { return item.second.knowledge.fingerprint == fingerprint; });
}

bool Book::unpublished() const {
  const std::lock_guard lock(mutex_);
  return !dirty_.empty() || calibration_dirty_ || evicted_ || held_changed_;
}

double Book::observed_ms() const {
  const std::lock_guard lock(mutex_);
  return observed_ms_;
}

std::uint64_t Book::mismatches() const {
  const std::lock_guard lock(mutex_);
  return mismatches_;
}

}  // namespace pgsteer::proxy::learning
