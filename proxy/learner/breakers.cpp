#include "proxy/learner/breakers.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace pgsteer::proxy::learning {

double Breakers::budget_of_all() const { return std::chrono::duration<double, std::milli>(hub_.snapshot()->config->learning.regret).count(); }

void Breakers::open(Record& record, const std::string& rule, double budget_ms) {
  const std::string name = rule.empty() ? "ALL" : "'" + rule + "'";
  record.held = fmt::format("lost more than {:g} s within an hour; RESUME POLICY {} lets it act again", budget_ms / 1000, name);
  audit_.write("policy_held", "", rule.empty() ? "all policies" : rule, record.held);
}

bool Breakers::charge(const policies::Effective& policy, double lost_ms, double seconds) {
  Record& record = records_[policy.rule];
  ++record.changed;
  (lost_ms > 0 ? record.lost_ms : record.saved_ms) += std::abs(lost_ms);
  record.budget_ms = std::chrono::duration<double, std::milli>(policy.regret.policy).count();
  record.regret.add(lost_ms, record.budget_ms, seconds);
  const double most = budget_of_all();
  all_.regret.add(lost_ms, most, seconds);
  bool opened = false;
  if (record.held.empty() && record.regret.lost_ms_at(record.budget_ms, seconds) > record.budget_ms) {
    open(record, policy.rule, record.budget_ms);
    opened = true;
  }
  if (all_.held.empty() && all_.regret.lost_ms_at(most, seconds) > most) {
    open(all_, "", most);
    opened = true;
  }
  return opened;
}

bool Breakers::resume(const std::string& rule) {
  const auto close = [&](Record& record) {
    if (record.held.empty()) return false;
    record.held.clear();
    record.regret = {};
    return true;
  };
  bool closed = false;
  if (rule.empty()) {
    closed = close(all_);
    for (auto& [name, record] : records_) closed = close(record) || closed;
  } else if (const auto found = records_.find(rule); found != records_.end()) {
    closed = close(found->second);
  }
  if (closed) audit_.write("policy_resumed", "", rule.empty() ? "all policies" : rule, "by hand");
  return closed;
}

std::map<std::string, std::string, std::less<>> Breakers::held() const {
  std::map<std::string, std::string, std::less<>> held;
  if (!all_.held.empty()) held.emplace("", "all policies " + all_.held);
  for (const auto& [rule, record] : records_)
    if (!record.held.empty()) held.emplace(rule, "the policy " + record.held);
  return held;
}

std::vector<PolicyRecord> Breakers::records(double seconds) const {
  std::vector<PolicyRecord> rows;
  const double most = budget_of_all();
  PolicyRecord all;
  for (const auto& [rule, record] : records_) {
    rows.push_back({rule, record.changed, record.saved_ms, record.lost_ms, record.regret.lost_ms_at(record.budget_ms, seconds), record.budget_ms,
                    record.experiment.pairs(), record.experiment.p_better(), record.experiment.effect(policies::trial_alpha), record.held});
    all.changed += record.changed;
    all.saved_ms += record.saved_ms;
    all.lost_ms += record.lost_ms;
  }
  all.regret_ms = all_.regret.lost_ms_at(most, seconds);
  all.budget_ms = most;
  all.held = all_.held;
  rows.push_back(std::move(all));
  return rows;
}

}  // namespace pgsteer::proxy::learning
