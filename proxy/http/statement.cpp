#include "proxy/http/statement.hpp"

#include <algorithm>
#include <cmath>
#include <deque>
#include <nlohmann/json.hpp>

#include "predictor/window.hpp"
#include "proxy/console/result.hpp"
#include "proxy/console/sql_diff.hpp"
#include "proxy/learner/learner.hpp"
#include "proxy/pipeline.hpp"
#include "proxy/reload.hpp"

namespace pgsteer::proxy::http {
namespace {

using nlohmann::ordered_json;

constexpr std::size_t kBuckets = 120, kDecisions = 200, kExecutions = 500;

ordered_json number(double value) { return std::isfinite(value) ? ordered_json(value) : ordered_json(nullptr); }

double quantile(std::vector<float>& values, double q) {
  if (values.empty()) return 0;
  const auto at = values.begin() + static_cast<std::ptrdiff_t>(q * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), at, values.end());
  return *at;
}

ordered_json totals_of(const QueryStatistics& q) {
  return {{"database", q.database}, {"kind", q.kind}, {"calls", q.calls}, {"errors", q.errors}, {"rows", q.rows},
          {"total_ms", q.total_ms}, {"mean_ms", q.mean_ms}, {"p50_ms", q.p50_ms}, {"p95_ms", q.p95_ms}, {"p99_ms", q.p99_ms},
          {"predicted_ms", q.predicted_ms}, {"q_error_p50", q.q_error_p50}, {"saved_ms", q.saved_ms}, {"cache_hits", q.cache_hits},
          {"rewritten", q.rewritten}, {"steered", q.steered}, {"cacheable", q.cacheable}, {"reason", q.reason}, {"action", q.action}};
}

ordered_json decision_of(const DecisionRecord& d) {
  return {{"id", d.id}, {"time_ms", d.unix_us / 1000}, {"user", d.user}, {"mode", d.mode}, {"rule", d.rule}, {"action", d.action},
          {"reason", d.reason}, {"detail", d.detail}, {"source", d.source}, {"predicted_ms", number(d.predicted_ms)},
          {"low_ms", number(d.low_ms)}, {"high_ms", number(d.high_ms)}, {"actual_ms", d.actual_ms}, {"probability", d.probability}, {"rows", d.rows}};
}

ordered_json execution_of(const predictor::Observation& o) {
  return {{"time_ms", o.unix_us / 1000}, {"actual_ms", o.ms}, {"predicted_ms", o.estimate_ms}, {"low_ms", o.estimate_low_ms},
          {"high_ms", o.estimate_high_ms}, {"candidate", o.candidate}, {"source", o.source}, {"rule", o.policy_rule}, {"reason", o.reason},
          {"user", o.user}, {"application", o.application}, {"rows", o.rows}, {"proxy_us", o.proxy_us}, {"sqlstate", o.sqlstate}};
}

/// One bucket of history: what the clients waited, and what had been predicted.
struct Bucket {
  std::uint64_t calls = 0, errors = 0, cached = 0, changed = 0;
  std::vector<float> ms, predicted, low, high;
};

/// `executions`: single ones, newest last: what was predicted, what came, what was done and why.
ordered_json history_of(const std::string& state, const std::string& fingerprint, std::int64_t from_us, std::int64_t to_us, ordered_json& executions) {
  const std::int64_t width = std::max<std::int64_t>(1000000, (to_us - from_us) / static_cast<std::int64_t>(kBuckets));
  std::map<std::int64_t, Bucket> buckets;
  std::deque<ordered_json> newest;
  std::string error;
  predictor::read_window(state, from_us, to_us, fingerprint, [&](const predictor::Observation& o) {
    Bucket& bucket = buckets[(o.unix_us - from_us) / width];
    ++bucket.calls;
    bucket.errors += o.sqlstate.empty() ? 0 : 1;
    const bool cached = o.source == "cache", changed = !cached && o.candidate != "as-is";
    bucket.cached += cached ? 1 : 0;
    bucket.changed += changed ? 1 : 0;
    bucket.ms.push_back(static_cast<float>(o.ms));
    newest.push_back(execution_of(o));
    if (newest.size() > kExecutions) newest.pop_front();
    if (cached || o.estimate_ms <= 0) return;
    bucket.predicted.push_back(static_cast<float>(o.estimate_ms));
    bucket.low.push_back(static_cast<float>(o.estimate_low_ms));
    bucket.high.push_back(static_cast<float>(o.estimate_high_ms));
  }, &error);
  for (auto& execution : newest) executions.push_back(std::move(execution));
  ordered_json rows = ordered_json::array();
  for (auto& [index, b] : buckets) {
    ordered_json row{{"time_ms", (from_us + index * width) / 1000}, {"calls", b.calls}, {"errors", b.errors}, {"cached", b.cached},
                     {"changed", b.changed}, {"p50_ms", quantile(b.ms, 0.5)}, {"p95_ms", quantile(b.ms, 0.95)},
                     {"max_ms", *std::max_element(b.ms.begin(), b.ms.end())}};
    const bool known = !b.predicted.empty();
    row["predicted_ms"] = known ? ordered_json(quantile(b.predicted, 0.5)) : ordered_json(nullptr);
    row["low_ms"] = known ? ordered_json(quantile(b.low, 0.5)) : ordered_json(nullptr);
    row["high_ms"] = known ? ordered_json(quantile(b.high, 0.5)) : ordered_json(nullptr);
    rows.push_back(std::move(row));
  }
  return {{"from_ms", from_us / 1000}, {"to_ms", to_us / 1000}, {"bucket_ms", width / 1000}, {"error", error}, {"buckets", std::move(rows)}};
}

ordered_json knowledge_of(const policies::Knowledge& k) {
  ordered_json rewrites = ordered_json::array(), evidence = ordered_json::array();
  for (const auto& r : k.rewrites)
    rewrites.push_back({{"label", r.label}, {"cost_original", number(r.cost_original)}, {"cost_rewritten", number(r.cost_rewritten)},
                        {"columns_equal", r.columns_equal}, {"approved", r.approved}, {"why", r.why}});
  for (const auto& e : k.evidence)
    evidence.push_back({{"label", e.label}, {"state", policies::to_string(e.state)}, {"runs", e.runs}, {"explored", e.explored},
                        {"median_ms", number(e.median_ms)}, {"worst_ratio", number(e.worst_ratio)}, {"gain_low", number(e.gain_low)},
                        {"losses", e.losses}, {"why", e.why}});
  return {{"database", k.database}, {"search_path", k.search_path}, {"judged", k.judged}, {"pinned", k.pinned}, {"banned", k.banned},
          {"plan", k.plan.known ? k.plan.text : std::string()}, {"plan_cost", k.plan.known ? number(k.plan.total_cost) : ordered_json(nullptr)},
          {"rewrites", std::move(rewrites)}, {"evidence", std::move(evidence)}};
}

/// What would be done now with the normalized text; values are unknown, so that a decision that hangs on them may differ.
void add_plan(Hub& hub, const std::string& text, const std::string& database, const std::string& user, ordered_json& into) {
  const auto snapshot = hub.snapshot();
  if (!snapshot->config || text.empty()) return;
  Pipeline pipeline(*snapshot->config);
  sql::SessionFacts facts;
  facts.database = database;
  facts.user = user;
  sql::Query query;
  query.text = text;
  query.extended = true;
  query.session = &facts;
  Circumstances now;
  now.random = ~std::uint64_t{0};  // no canary, no hold-out: what most executions get
  const auto plan = pipeline.plan(query, *snapshot, now);
  into["explain"] = explain_plan(*plan, *snapshot, text);
  for (std::size_t i = 0; i < plan->candidates.size(); ++i) {
    const auto& candidate = plan->candidates[i];
    ordered_json row{{"label", candidate.label()}, {"chosen", i == plan->decision.candidate}, {"suggested", i == plan->decision.suggested}};
    row["predicted_ms"] = i < plan->estimates.size() ? number(plan->estimates[i].ms) : ordered_json(nullptr);
    row["low_ms"] = i < plan->estimates.size() ? number(plan->estimates[i].ms_low) : ordered_json(nullptr);
    row["high_ms"] = i < plan->estimates.size() ? number(plan->estimates[i].ms_high) : ordered_json(nullptr);
    row["diff"] = ordered_json::array();
    if (i > 0 && !candidate.text.empty() && candidate.text != text) row["diff"] = console::diff_statements(text, candidate.text);
    row["settings"] = ordered_json::array();
    for (const auto& setting : candidate.settings) row["settings"].push_back(setting.name + " = " + setting.value);
    into["candidates"].push_back(std::move(row));
  }
}

}  // namespace

std::string statement_json(Hub& hub, const std::string& fingerprint, std::int64_t from_us, std::int64_t to_us) {
  const auto snapshot = hub.snapshot();
  ordered_json document{{"fingerprint", fingerprint}, {"query", ""}, {"totals", ordered_json::array()}, {"history", ordered_json::object()},
                        {"executions", ordered_json::array()}, {"decisions", ordered_json::array()}, {"knowledge", ordered_json::array()},
                        {"candidates", ordered_json::array()}, {"explain", ordered_json::array()}};
  std::string text, database, user, error;
  if (hub.learner) {
    for (const auto& q : hub.learner->queries()) {
      if (q.fingerprint != fingerprint) continue;
      if (text.empty()) text = q.normalized, database = q.database;
      document["totals"].push_back(totals_of(q));
    }
    for (const auto& d : hub.learner->decisions(100000)) {
      if (d.fingerprint != fingerprint || document["decisions"].size() >= kDecisions) continue;
      if (user.empty()) user = d.user;
      document["decisions"].push_back(decision_of(d));
    }
  }
  const auto state = snapshot->config ? state_directory(*snapshot->config) : std::string();
  if (text.empty()) {  // before this process started
    const auto stored = predictor::read_statements(state, &error);
    if (const auto found = stored.find(fingerprint); found != stored.end()) text = found->second.normalized;
    if (text.empty()) return {};
  }
  document["query"] = text;
  document["formatted"] = console::break_clauses(text);
  document["history"] = history_of(state, fingerprint, from_us, to_us, document["executions"]);
  if (snapshot->knowledge)
    for (const auto& [key, knowledge] : *snapshot->knowledge)
      if (knowledge && knowledge->fingerprint == fingerprint) document["knowledge"].push_back(knowledge_of(*knowledge));
  add_plan(hub, text, database, user, document);
  return document.dump(-1, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace pgsteer::proxy::http
