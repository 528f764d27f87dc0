#include "proxy/learner/statistics.hpp"

#include <algorithm>

namespace pgsteer::proxy::learning {

namespace {

bool from_cache(Source source) { return source == Source::cache_memory || source == Source::cache_redis; }

double milliseconds(const Execution& execution) {
  if (from_cache(execution.source)) return static_cast<double>(execution.last_byte_ns) / 1e6;
  return static_cast<double>(execution.last_byte_ns - std::min(execution.sent_ns, execution.last_byte_ns)) / 1e6;
}

/// What every execution of the plan says alike.
std::shared_ptr<const DecisionRecord> decision_record(const Plan& plan) {
  auto record = std::make_shared<DecisionRecord>();
  record->database = plan.database;
  record->user = plan.user;
  record->fingerprint = plan.analysis->fingerprint_hex;
  record->mode = policies::to_string(plan.decision.mode);
  record->rule = plan.decision.rule;
  record->action = plan.chosen().label();
  record->reason = policies::to_string(plan.decision.reason);
  record->detail = plan.decision.detail;
  record->probability = plan.decision.probability;
  record->application = plan.application;
  record->lane = plan.decision.lane;
  record->trace_id = trace_id_of(*plan.analysis);
  if (plan.decision.candidate < plan.estimates.size()) {
    const auto& estimate = plan.estimates[plan.decision.candidate];
    record->predicted_ms = estimate.ms;
    record->low_ms = estimate.ms_low;
    record->high_ms = estimate.ms_high;
  }
  return record;
}

void describe_cacheability(const Plan& plan, QueryStatistics& row) {
  const auto reason = plan.decision.cache_reason;
  row.cacheable = reason == cache::Reason::none ? "yes" : reason == cache::Reason::not_judged_yet ? "pending" : "no";
  row.reason = reason == cache::Reason::none ? "" : std::string(cache::to_string(reason));
  if (plan.knowledge && reason == plan.knowledge->cache.reason && !plan.knowledge->cache.detail.empty())
    row.reason += ": " + plan.knowledge->cache.detail;
}

}  // namespace

Statistics::Known& Statistics::known(const std::shared_ptr<const Plan>& plan) {
  if (Known* found = memo_.find(plan)) return *found;
  if (entries_.size() > kMaxQueries) evict();
  Entry& entry = entries_[{plan->database, plan->analysis->fingerprint_hex}];
  QueryStatistics& row = entry.totals;
  if (row.calls == 0) {
    row.fingerprint = plan->analysis->fingerprint_hex;
    row.normalized = plan->analysis->normalized();
    row.database = plan->database;
    row.kind = sql::to_string(plan->analysis->kind);
  }
  describe_cacheability(*plan, row);
  PredictionAccuracy* accuracy = nullptr;
  if (plan->decision.candidate < plan->estimates.size())
    accuracy = &accuracy_[std::string(predictor::to_string(plan->estimates[plan->decision.candidate].source))];
  return memo_.put(plan, {&entry, decision_record(*plan), nullptr, nullptr, accuracy});
}

void Statistics::record(const Outcome& outcome, std::int64_t unix_us, double expected_ms) {
  const Execution& execution = outcome.execution;
  const std::lock_guard lock(mutex_);
  Known& plan = known(outcome.plan);
  Entry& entry = *plan.entry;
  QueryStatistics& row = entry.totals;
  const double ms = milliseconds(execution);
  ++row.calls;
  row.errors += execution.sqlstate.empty() ? 0 : 1;
  row.rows += static_cast<std::uint64_t>(std::max<std::int64_t>(0, execution.rows));
  row.total_ms += ms;
  const auto kind = outcome.plan->chosen().kind;
  const bool cached = from_cache(execution.source);
  row.cache_hits += cached ? 1 : 0;
  row.rewritten += !cached && kind == rewriter::CandidateKind::rewritten ? 1 : 0;
  const bool steered = kind == rewriter::CandidateKind::hinted || kind == rewriter::CandidateKind::settings;
  row.steered += !cached && steered ? 1 : 0;
  if (expected_ms > 0 && execution.sqlstate.empty() && (cached || kind != rewriter::CandidateKind::as_is)) {
    row.saved_ms += expected_ms - ms;
    auto& gain = gains_[cached ? "cache" : steered ? "steer" : "rewrite"];
    (ms < expected_ms ? gain.saved_ms : gain.lost_ms) += std::abs(expected_ms - ms);
  }
  entry.microseconds.add(ms * 1000);
  const double predicted = plan.decision->predicted_ms;
  if (!cached && execution.source != Source::standby && execution.sqlstate.empty() && predicted > 0 && ms > 0) {
    row.predicted_ms = predicted;
    entry.q_error_permille.add(1000 * std::max(predicted / ms, ms / predicted));
    if (plan.accuracy) plan.accuracy->add(predicted, plan.decision->low_ms, plan.decision->high_ms, ms);
  }
  entry.last = plan.decision;
  entry.last_cached = cached;
  std::uint64_t*& count = cached ? plan.answered : plan.acted;
  if (!count) {
    const char* acted = execution.source == Source::local ? "refused" : cached ? "cache_hit" : kind == rewriter::CandidateKind::rewritten ? "rewritten" : steered ? "hinted" : "pass";
    count = &decision_counts_[{plan.decision->rule, plan.decision->mode, acted, plan.decision->reason}];
  }
  ++*count;
  if (!cached)
    for (const auto& rule : outcome.plan->chosen().rules) ++rewrites_[rule];
  if (!cached && steered) ++arms_[rewriter::find_arm(outcome.plan->chosen().arm) ? outcome.plan->chosen().arm : "hints"];
  const bool failed = !execution.sqlstate.empty();
  decisions_.push_back({plan.decision, next_id_++, unix_us, execution.rows, ms, static_cast<double>(execution.queued_ns) / 1e6,
                        execution.source, {}, execution.route});
  execution.sqlstate.copy(decisions_.back().sqlstate.data(), 5);
  add_minute(entry, {unix_us / 60'000'000 * 60, 1, failed ? 1u : 0u, cached ? 1u : 0u, !cached && kind != rewriter::CandidateKind::as_is ? 1u : 0u,
                     ms, ms, predicted, plan.decision->low_ms, plan.decision->high_ms}, decisions_.back());
  if (decisions_.size() > kMaxDecisions) decisions_.pop_front();
}

void Statistics::add_minute(Entry& entry, const MinuteRecord& one, const Decision& decision) {
  if (entry.minutes.empty() || entry.minutes.back().sums.unix_seconds != one.unix_seconds) {
    entry.minutes.push_back({one, decision});
    if (entry.minutes.size() > kMaxMinutes) entry.minutes.pop_front();
    return;
  }
  MinuteRecord& minute = entry.minutes.back().sums;
  Decision& slowest = entry.minutes.back().slowest;
  if (decision.actual_ms + decision.queued_ms > slowest.actual_ms + slowest.queued_ms) slowest = decision;
  minute.calls += one.calls;
  minute.errors += one.errors;
  minute.cache_hits += one.cache_hits;
  minute.changed += one.changed;
  minute.total_ms += one.total_ms;
  minute.max_ms = std::max(minute.max_ms, one.max_ms);
  minute.predicted_ms = one.predicted_ms;
  minute.low_ms = one.low_ms;
  minute.high_ms = one.high_ms;
}

// Drops the tenth that costs least, so that the walk is paid once per many new statements.
void Statistics::evict() {
  memo_.clear();  // it points into what goes
  std::vector<double> totals;
  for (const auto& [key, entry] : entries_) totals.push_back(entry.totals.total_ms);
  const auto tenth = totals.begin() + static_cast<std::ptrdiff_t>(totals.size() / 10);
  std::nth_element(totals.begin(), tenth, totals.end());
  const double limit = *tenth;
  std::size_t left = totals.size() / 10 + 1;
  for (auto at = entries_.begin(); at != entries_.end() && left > 0;) {
    if (at->second.totals.total_ms <= limit) {
      at = entries_.erase(at);
      --left;
    } else {
      ++at;
    }
  }
}

QueryStatistics Statistics::finished(const Entry& entry) {
  QueryStatistics row = entry.totals;
  row.mean_ms = row.total_ms / static_cast<double>(row.calls);
  row.p50_ms = entry.microseconds.quantile(0.50) / 1000;
  row.p95_ms = entry.microseconds.quantile(0.95) / 1000;
  row.p99_ms = entry.microseconds.quantile(0.99) / 1000;
  row.action = entry.last_cached ? "cache" : entry.last->action;
  row.q_error_p50 = entry.q_error_permille.quantile(0.50) / 1000;
  return row;
}

std::optional<StatementRecord> Statistics::statement(const std::string& fingerprint, const std::string& database) const {
  const std::lock_guard lock(mutex_);
  const Entry* best = nullptr;
  for (const auto& [key, entry] : entries_) {
    if (key.second != fingerprint || entry.totals.calls == 0 || (!database.empty() && key.first != database)) continue;
    if (!best || entry.totals.total_ms > best->totals.total_ms) best = &entry;
  }
  if (!best) return std::nullopt;
  StatementRecord record;
  record.totals = finished(*best);
  for (const auto& minute : best->minutes) {
    record.minutes.push_back(minute.sums);
    record.slowest.push_back(record_of(minute.slowest));
  }
  return record;
}

std::vector<QueryStatistics> Statistics::queries() const {
  std::vector<QueryStatistics> rows;
  {
    const std::lock_guard lock(mutex_);
    rows.reserve(entries_.size());
    for (const auto& [key, entry] : entries_) {
      if (entry.totals.calls > 0) rows.push_back(finished(entry));
    }
  }
  std::sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) { return a.total_ms > b.total_ms; });
  return rows;
}

DecisionRecord Statistics::record_of(const Decision& decision) {
  DecisionRecord record = *decision.decision;
  record.id = decision.id;
  record.unix_us = decision.unix_us;
  record.rows = decision.rows;
  record.actual_ms = decision.actual_ms;
  record.source = to_string(decision.source);
  record.queued_ms = decision.queued_ms;
  record.sqlstate = decision.sqlstate.data();
  record.route = decision.route;
  if (decision.source == Source::local) record.action = "refused";
  if (from_cache(decision.source)) record.action = "cache";
  return record;
}

std::vector<DecisionRecord> Statistics::decisions(std::size_t limit, const DecisionFilter& filter) const {
  const std::lock_guard lock(mutex_);
  std::vector<DecisionRecord> records;
  records.reserve(std::min(limit, decisions_.size()));
  const auto differs = [](const std::string& wanted, const std::string& is) { return !wanted.empty() && wanted != is; };
  for (auto at = decisions_.rbegin(); at != decisions_.rend() && records.size() < limit && at->id > filter.after; ++at) {
    const DecisionRecord& d = *at->decision;
    if (differs(filter.fingerprint, d.fingerprint) || differs(filter.database, d.database) || differs(filter.reason, d.reason) ||
        differs(filter.trace_id, d.trace_id)) {
      continue;
    }
    records.push_back(record_of(*at));
  }
  return records;
}

std::map<Learner::DecisionCount, std::uint64_t> Statistics::decision_counts() const {
  const std::lock_guard lock(mutex_);
  return decision_counts_;
}

std::map<std::string, std::uint64_t> Statistics::rewrites_by_rule() const {
  const std::lock_guard lock(mutex_);
  return rewrites_;
}

std::map<std::string, PredictionAccuracy> Statistics::accuracy() const {
  const std::lock_guard lock(mutex_);
  return accuracy_;
}

std::map<std::string, Learner::Gain> Statistics::gains() const {
  const std::lock_guard lock(mutex_);
  return gains_;
}

std::map<std::string, std::uint64_t> Statistics::executions_by_arm() const {
  const std::lock_guard lock(mutex_);
  return arms_;
}

bool Statistics::knows(const std::string& fingerprint) const {
  const std::lock_guard lock(mutex_);
  return std::any_of(entries_.begin(), entries_.end(),
                     [&](const auto& item) { return item.first.second == fingerprint; });
}

}  // namespace pgsteer::proxy::learning

namespace pgsteer::proxy {

void PredictionAccuracy::add(double predicted_ms, double low_ms, double high_ms, double actual_ms) {
  const double q_error = std::max(predicted_ms / actual_ms, actual_ms / predicted_ms);
  const auto bound = std::lower_bound(q_bounds.begin(), q_bounds.end(), q_error);
  ++by_q_error[static_cast<std::size_t>(bound - q_bounds.begin())];
  q_error_sum += q_error;
  ++(actual_ms >= low_ms && actual_ms <= high_ms ? inside : outside);
}

}  // namespace pgsteer::proxy
