// The part of Book that outlives it: arms that may serve, as files have them.
#include <algorithm>

#include "proxy/learner/book.hpp"

namespace pgsteer::proxy::learning {

using State = policies::Evidence::State;

std::vector<KeptArm> Book::kept() const {
  const std::lock_guard lock(mutex_);
  std::vector<KeptArm> list;
  std::set<std::string> seen;
  for (const auto& [key, statement] : statements_) {
    const auto& knowledge = statement.knowledge;
    seen.insert(knowledge.fingerprint + key.database + key.search_path);
    for (const auto& entry : knowledge.evidence) {
      if (entry.state != State::approved || entry.by_hand || !entry.label.starts_with("arm:")) continue;
      const auto* sight = knowledge.sight(entry.plan);
      list.push_back({knowledge.fingerprint, entry.label, key.database, key.search_path, entry.plan, entry.explored, entry.explored_ms,
                      entry.explored_default_ms, entry.worst_ratio, sight ? sight->worst_ms : 0, entry.cost_low, entry.cost_high, statement.statistics, false});
    }
  }
  // What no statement has come for yet stays, and a person's word.
  for (const auto& [fingerprint, arm] : kept_)
    if (arm.by_hand || !seen.contains(fingerprint + arm.database + arm.search_path)) list.push_back(arm);
  std::sort(list.begin(), list.end(), [](const KeptArm& a, const KeptArm& b) {
    return std::tie(a.database, a.fingerprint, a.search_path, a.label, a.plan) < std::tie(b.database, b.fingerprint, b.search_path, b.label, b.plan);
  });
  return list;
}

void Book::keep(std::vector<KeptArm> arms) {
  const std::lock_guard lock(mutex_);
  for (auto& arm : arms) kept_.emplace(arm.fingerprint, std::move(arm));
}

void Book::approve(const KeptArm& arm) {
  const std::lock_guard lock(mutex_);
  std::erase_if(kept_, [&](const auto& item) {
    const KeptArm& one = item.second;
    return one.by_hand && std::tie(one.fingerprint, one.label, one.plan, one.database) == std::tie(arm.fingerprint, arm.label, arm.plan, arm.database);
  });
  kept_.emplace(arm.fingerprint, arm);
  for (auto& [key, statement] : statements_) {
    if (statement.knowledge.fingerprint != arm.fingerprint || !concerns(arm, key)) continue;
    take_over(statement, arm);
    touch(key, statement, true);
  }
}

bool Book::withdraw(const std::string& fingerprint) {
  const std::lock_guard lock(mutex_);
  const auto gone = std::erase_if(kept_, [&](const auto& item) { return item.second.by_hand && item.first == fingerprint; });
  for (auto& [key, statement] : statements_) {
    if (statement.knowledge.fingerprint != fingerprint) continue;
    const auto dropped = std::erase_if(statement.knowledge.evidence, [](const auto& entry) { return entry.by_hand; });
    if (dropped > 0) touch(key, statement, true);
  }
  return gone > 0;
}

bool Book::concerns(const KeptArm& arm, const Key& key) {
  return arm.by_hand ? arm.database.empty() || arm.database == key.database : arm.database == key.database && arm.search_path == key.search_path;
}

/// Of a statement that has just been met: what is known of it from before.
void Book::apply_kept(const Key& key, Statement& statement) {
  const auto [first, last] = kept_.equal_range(statement.knowledge.fingerprint);
  for (auto it = first; it != last; ++it)
    if (concerns(it->second, key)) take_over(statement, it->second);
}

void Book::take_over(Statement& statement, const KeptArm& arm) {
  auto& entry = evidence(statement, arm.label, arm.plan);
  if (entry.state == State::pinned || statement.never.contains(arm.label)) return;
  entry.state = State::approved;
  entry.by_hand = arm.by_hand;
  entry.wide = !arm.by_hand && arm.plan == 0;
  if (entry.explored == 0) {
    entry.explored = std::max<std::uint64_t>(arm.explored, 1);
    entry.explored_ms = arm.explored_ms;
    entry.explored_default_ms = arm.explored_default_ms;
    entry.worst_ratio = arm.worst_ratio;
    entry.cost_low = arm.cost_low;
    entry.cost_high = arm.cost_high;
  }
  entry.why = arm.by_hand ? "approved by hand" : "explored before this start";
  entry.served_gains.clear();
  if (arm.plan != 0) sighted(statement, {arm.plan, 1, arm.worst_default_ms, arm.cost_low, arm.cost_high});
  if (!arm.by_hand) statement.kept_statistics = arm.statistics;
}

/// At the first look at a statement, and after each change of the catalog. False: what was kept of it is void.
bool Book::statistics_hold(Statement& statement, const sql::Catalog& catalog) {
  const auto& knowledge = statement.knowledge;
  statement.statistics = statistics_digest(*statement.analysis, catalog, knowledge.search_path, statement.user);
  const auto kept = std::exchange(statement.kept_statistics, 0);
  return kept == 0 || kept == statement.statistics;
}

}  // namespace pgsteer::proxy::learning
