// The part of Book that takes back what does not pay: experiments against the control group, regret, doubts.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "proxy/learner/book.hpp"

namespace pgsteer::proxy::learning {

namespace {
using State = policies::Evidence::State;
constexpr double kClearly = 0.95;  ///< of an arm's time: what the default must stay below to be called faster
double seconds_now() { return std::chrono::duration<double>(Clock::now().time_since_epoch()).count(); }
double in_ms(std::chrono::microseconds time) { return std::chrono::duration<double, std::milli>(time).count(); }
}  // namespace

/// An execution that was changed, or one of the control group that would have been.
void Book::compare(Statement& statement, const Plan& plan, const std::string& label, policies::Experiment::Side side, double ms) {
  auto& entry = served_evidence(statement, plan, label);
  auto& experiment = statement.experiments[{entry.label, entry.plan}];
  const auto pair = experiment.add(side, ms);
  if (!pair) return;
  breakers_.pair(plan.decision.rule, *pair);
  judge_trial(statement, plan, entry);
}

void Book::judge_trial(Statement& statement, const Plan& plan, policies::Evidence& entry) {
  if (!policies::judge_trial(entry, statement.experiments[{entry.label, entry.plan}], plan.policy.canary)) return;
  audit_.write(std::string(policies::to_string(entry.trial.step)), statement.knowledge.fingerprint, entry.label, entry.why);
  at_once_ = true;
  const auto& knowledge = statement.knowledge;
  touch({knowledge.shape, knowledge.database, knowledge.search_path}, statement, true);
}

void Book::charge(Statement& statement, const Plan& plan, double lost_ms) {
  auto& knowledge = statement.knowledge;
  const double budget = in_ms(plan.policy.regret.fingerprint), now = seconds_now();
  statement.regret.add(lost_ms, budget, now);
  if (knowledge.held.empty() && statement.regret.lost_ms_at(budget, now) > budget) {
    knowledge.held = fmt::format("its changes have lost more than {:g} s within an hour: the original runs until half of that has drained away", budget / 1000);
    audit_.write("held", knowledge.fingerprint, "", knowledge.held);
    at_once_ = true;
    touch({knowledge.shape, knowledge.database, knowledge.search_path}, statement, true);
  }
  if (!breakers_.charge(plan.policy, lost_ms, now)) return;
  at_once_ = held_changed_ = true;
}

void Book::release(Statement& statement, const policies::RegretAction& regret) {
  auto& knowledge = statement.knowledge;
  const double budget = in_ms(regret.fingerprint);
  if (knowledge.held.empty() || statement.regret.lost_ms_at(budget, seconds_now()) > budget / 2) return;
  knowledge.held.clear();
  audit_.write("released", knowledge.fingerprint, "", "its regret budget has recovered");
  touch({knowledge.shape, knowledge.database, knowledge.search_path}, statement, true);
}

std::vector<PolicyRecord> Book::policy_records() const {
  const std::lock_guard lock(mutex_);
  return breakers_.records(seconds_now());
}

bool Book::resume_policy(const std::string& rule) {
  const std::lock_guard lock(mutex_);
  const bool resumed = breakers_.resume(rule);
  at_once_ = held_changed_ = held_changed_ || resumed;
  return resumed;
}

// --- doubts ----------------------------------------------------------------------------------------------------------
// Nobody tells when data change, and under an arm nobody sees what the default would take. Where a statement always comes with the
// same values, times speak: what is out of line makes the default run three times in a row, and what it takes then decides.

/// Beyond what its own times vary by.
bool Book::unusual(const policies::Evidence& entry, double ms) {
  constexpr std::size_t kKnown = 5;
  constexpr double kOutOfLine = 0.15, kSpread = 4;
  if (entry.recent_ms.size() < kKnown) return false;
  std::vector<double> off;
  for (const float one : entry.recent_ms) off.push_back(std::abs(one - entry.median_ms));
  std::nth_element(off.begin(), off.begin() + static_cast<std::ptrdiff_t>(off.size() / 2), off.end());
  return std::abs(ms - entry.median_ms) > std::max(kOutOfLine * entry.median_ms, kSpread * off[off.size() / 2]);
}

/// A held-back execution was faster than what an arm usually takes.
void Book::doubt_arms(Statement& statement, double default_ms) {
  auto& list = statement.knowledge.evidence;
  if (std::any_of(list.begin(), list.end(), [](const auto& entry) { return entry.doubted; })) return settle_doubt(statement, default_ms);
  for (auto& entry : list) {
    if (!entry.label.starts_with("arm:") || entry.state != State::approved || entry.served_gains.empty()) continue;
    if (default_ms < kClearly * entry.median_ms) doubt(statement, entry);
  }
}

void Book::doubt(Statement& statement, policies::Evidence& entry) {
  if (statement.instances.size() != 1 || entry.doubted || entry.state != State::approved) return;
  if (statement.sightings < statement.certain_until) return;
  entry.doubted = true;
  constexpr std::uint64_t kLongestPeace = 2048;
  statement.certain_until = statement.sightings + statement.peace;
  statement.peace = std::min(2 * statement.peace, kLongestPeace);
  statement.out_of_line = 0;
  statement.doubt_ms.clear();
  at_once_ = true;
  const auto& knowledge = statement.knowledge;
  touch({knowledge.shape, knowledge.database, knowledge.search_path}, statement, true);
}

void Book::settle_doubt(Statement& statement, double default_ms) {
  constexpr std::size_t kRuns = 3;
  statement.doubt_ms.push_back(default_ms);
  if (statement.doubt_ms.size() < kRuns) return;
  std::sort(statement.doubt_ms.begin(), statement.doubt_ms.end());
  const double now = statement.doubt_ms[kRuns / 2];
  statement.doubt_ms.clear();
  auto& knowledge = statement.knowledge;
  knowledge.history.ewma_log_ms = std::log(std::max(now, 1e-3));  // what an arm is measured by from here on
  statement.mean_ms = now;
  for (auto& entry : knowledge.evidence) {
    if (!std::exchange(entry.doubted, false)) continue;
    const auto recent = std::min<std::size_t>(5, entry.recent_ms.size());
    std::vector<float> last(entry.recent_ms.end() - static_cast<std::ptrdiff_t>(recent), entry.recent_ms.end());
    std::sort(last.begin(), last.end());
    if (last.empty() || now >= kClearly * last[recent / 2]) continue;
    return void_evidence(statement, fmt::format("PostgreSQL's own plan takes {:.2f} ms now, {} {:.2f} ms", now, entry.label, last[recent / 2]));
  }
  touch({knowledge.shape, knowledge.database, knowledge.search_path}, statement, true);
}

/// What was measured does not hold any more: everything of it is on trial again.
void Book::void_evidence(Statement& statement, const std::string& why) {
  auto& knowledge = statement.knowledge;
  const auto dropped = std::erase_if(knowledge.evidence, [&](const policies::Evidence& entry) {
    return entry.label != "as-is" && entry.state != State::pinned && !statement.never.contains(entry.label);
  });
  if (dropped > 0) audit_.write("evidence_void", knowledge.fingerprint, "", why);
  knowledge.plans.clear();
  statement.experiments.clear();
  statement.peace = 32;
  at_once_ = true;
  statement.explored.clear();
  statement.exploration_over = false;
  touch({knowledge.shape, knowledge.database, knowledge.search_path}, statement, true);
}

}  // namespace pgsteer::proxy::learning
