#include "proxy/learner/book.hpp"

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
    found = statements_.emplace(key, Statement{}).first;
    Statement& made = found->second;
    made.analysis = plan.analysis;
    made.knowledge.shape = analysis.shape;
    made.knowledge.database = plan.database;
    made.knowledge.search_path = plan.search_path;
    made.knowledge.fingerprint = analysis.fingerprint_hex;
    apply_pin(made);
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
  const double expected = expected_default(statement->knowledge);
  if (execution.source != Source::server) return expected;
  const double ms = server_ms(execution);
  observed_ms_ += ms;
  ++statement->sightings;
  if (plan.chosen().kind == rewriter::CandidateKind::as_is)
    learn_default(*statement, plan, execution, ms);
  else
    learn_served(*statement, plan, execution, ms, expected);
  return expected;
}

void Book::learn_default(Statement& statement, const Plan& plan, const Execution& execution, double ms) {
  if (!execution.sqlstate.empty() || execution.cancelled || !(ms > 0)) return;
  policies::Knowledge& knowledge = statement.knowledge;
  knowledge.history.add(ms, static_cast<double>(execution.rows), static_cast<double>(execution.bytes), &knowledge.plan);
  statement.total_ms += ms;
  // What follows sorts windows and keeps instances: one in sixteen of a well-known statement's executions says as much.
  if (knowledge.history.count > kWellKnown && knowledge.history.count % 16 != 0) return;
  auto& entry = evidence(statement, "as-is");
  policies::learn(entry, ms, 0, false, plan.policy.steer);
  statement.slowest_ms = std::max(statement.slowest_ms, ms);
  remember(statement, execution);
  calibration_.add(knowledge.plan.known ? knowledge.plan.total_cost : -1, plan.analysis->kind, ms);
  calibration_dirty_ = true;
  touch({knowledge.shape, knowledge.database, knowledge.search_path}, statement, knowledge.history.count <= 2);
}

void Book::learn_served(Statement& statement, const Plan& plan, const Execution& execution, double ms,
                        double expected) {
  const std::string label = plan.chosen().label();
  auto& entry = evidence(statement, label);
  const auto before = entry.state;
  const bool stopped = execution.cancelled || execution.sqlstate == "57014";
  if (!execution.sqlstate.empty() && !stopped) {
    // What the server takes as it came must not fail by our doing; whether it was ours is not worth finding out.
    ++entry.runs;
    if (entry.state != policies::Evidence::State::pinned) entry.state = policies::Evidence::State::disabled;
    entry.why = "failed with " + execution.sqlstate;
    if (before != entry.state) audit_.write("disabled", statement.knowledge.fingerprint, label, entry.why);
  } else if (expected > 0 && (!stopped || ms > expected * plan.policy.steer.max_regression)) {
    judge_again(statement, entry, ms, expected, false);
  }
  remember(statement, execution);
  const auto& knowledge = statement.knowledge;
  touch({knowledge.shape, knowledge.database, knowledge.search_path}, statement, entry.state != before);
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
}

policies::Evidence& Book::evidence(Statement& statement, const std::string& label) {
  auto& list = statement.knowledge.evidence;
  for (auto& entry : list)
    if (entry.label == label) return entry;
  list.emplace_back();
  list.back().label = label;
  return list.back();
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
  {
    const std::lock_guard lock(mutex_);
    // Every publication makes the loops plan again: what only refines an average can wait.
    const auto age = Clock::now() - last_publish_;
    if (dirty_.empty() && !calibration_dirty_ && !evicted_) return;
    if (!everything && age < (urgent_ ? milliseconds(200) : milliseconds(1000))) return;
    for (const auto& key : dirty_) {
      const auto found = statements_.find(key);
      if (found == statements_.end()) continue;
      found->second.dirty = false;
      published_[key] = std::make_shared<const policies::Knowledge>(found->second.knowledge);
    }
    dirty_.clear();
    urgent_ = calibration_dirty_ = evicted_ = false;
    last_publish_ = Clock::now();
    knowledge = std::make_shared<const policies::KnowledgeMap>(published_);
    calibration = std::make_shared<const predictor::Calibration>(calibration_);
  }
  hub_.update([&](Snapshot& snapshot) {
    snapshot.knowledge = knowledge;
    snapshot.calibration = calibration;
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
      rows.push_back({statement.knowledge.fingerprint, key.database, entry.label,
                      std::string(policies::to_string(entry.state)), entry.why, entry.runs, entry.explored,
                      entry.median_ms, expected_default(statement.knowledge), entry.worst_ratio, entry.gain_low});
    }
  }
  std::sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) {
    return std::tie(a.database, a.fingerprint, a.label) < std::tie(b.database, b.fingerprint, b.label);
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
  return !dirty_.empty() || calibration_dirty_ || evicted_;
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
