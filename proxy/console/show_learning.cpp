// SHOW QUERIES, DECISIONS, MODELS, EXPERIMENTS, FEEDBACK: what was measured and learned.
#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <optional>

#include "predictor/feedback.hpp"
#include "proxy/console/command.hpp"
#include "proxy/console/result.hpp"
#include "proxy/learner/learner.hpp"
#include "proxy/reload.hpp"
#include "proxy/tuning.hpp"

namespace pgsteer::proxy::console {
namespace {

/// `[LIMIT] n`; nullopt when it is something else.
std::optional<std::size_t> limit_of(const Request& request, std::size_t otherwise) {
  auto words = request.arguments;
  if (!words.empty() && words[0].is("LIMIT")) words.erase(words.begin());
  if (request.arguments.empty()) return otherwise;
  std::size_t limit = 0;
  if (words.size() != 1) return std::nullopt;
  const auto& text = words[0].text;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), limit);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return limit;
}

std::int64_t rows_on_disk(const Config& config) {
  std::string error;
  const auto store = predictor::FeedbackStore::open(state_directory(config), true, &error);
  return store ? store->count() : 0;
}

}  // namespace

ConsoleResult queries_table(const std::vector<QueryStatistics>& queries) {
  Table table({{"fingerprint", Type::text}, {"database", Type::text},  {"kind", Type::text},       {"calls", Type::int8},
               {"errors", Type::int8},      {"rows", Type::int8},      {"total_ms", Type::float8}, {"mean_ms", Type::float8},
               {"p50_ms", Type::float8},    {"p95_ms", Type::float8},  {"p99_ms", Type::float8},   {"predicted_ms", Type::float8},
               {"q_error_p50", Type::float8}, {"saved_ms", Type::float8}, {"cache_hits", Type::int8}, {"rewritten", Type::int8},
               {"steered", Type::int8},     {"cacheable", Type::text}, {"reason", Type::text},     {"action", Type::text},
               {"query", Type::text}});
  for (const auto& q : queries)
    table.row(q.fingerprint, q.database, q.kind, q.calls, q.errors, q.rows, q.total_ms, q.mean_ms, q.p50_ms, q.p95_ms, q.p99_ms,
              q.predicted_ms, q.q_error_p50, q.saved_ms, q.cache_hits, q.rewritten, q.steered, q.cacheable, q.reason, q.action,
              q.normalized);
  return table;
}

ConsoleResult show_queries(const Request& request) {
  const auto limit = limit_of(request, 1000);
  if (!limit) return usage("SHOW QUERIES [limit]");
  auto queries = request.hub.learner ? request.hub.learner->queries() : std::vector<QueryStatistics>();
  if (queries.size() > *limit) queries.resize(*limit);
  return queries_table(queries);
}

ConsoleResult decisions_table(const std::vector<DecisionRecord>& records) {
  Table table({{"id", Type::int8},       {"time", Type::timestamptz}, {"database", Type::text},    {"user", Type::text},
               {"fingerprint", Type::text}, {"mode", Type::text},     {"rule", Type::text},        {"action", Type::text},
               {"reason", Type::text},   {"detail", Type::text},      {"source", Type::text},      {"predicted_ms", Type::float8},
               {"low_ms", Type::float8}, {"high_ms", Type::float8},   {"actual_ms", Type::float8}, {"probability", Type::float8},
               {"rows", Type::int8},     {"lane", Type::text},        {"queued_ms", Type::float8}, {"sqlstate", Type::text},
               {"application", Type::text}, {"trace_id", Type::text}, {"route", Type::text}});
  for (const auto& d : records)
    table.row(d.id, timestamp(d.unix_us), d.database, d.user, d.fingerprint, d.mode, d.rule, d.action, d.reason, d.detail, d.source,
              d.predicted_ms, d.low_ms, d.high_ms, d.actual_ms, d.probability, d.rows, d.lane, d.queued_ms, d.sqlstate, d.application,
              d.trace_id, d.route);
  return table;
}

ConsoleResult show_decisions(const Request& request) {
  const auto limit = limit_of(request, 100);
  if (!limit) return usage("SHOW DECISIONS [limit]");
  return decisions_table(request.hub.learner ? request.hub.learner->decisions(*limit) : std::vector<DecisionRecord>());
}

/// What is on disk, whether it is the registered current version, and whether this process predicts with it right now.
ConsoleResult show_models(const Request& request) {
  const auto snapshot = request.hub.snapshot();
  Table table({{"name", Type::text}, {"version", Type::text}, {"current", Type::boolean}, {"in_use", Type::boolean},
               {"pinned", Type::boolean}, {"parent", Type::text}, {"watch", Type::text}, {"interval_factor", Type::float8}, {"metrics", Type::text}, {"directory", Type::text}});
  if (!snapshot->config) return table;
  for (const auto& model : predictor::list_models(state_directory(*snapshot->config))) {
    const bool in_use = snapshot->model && snapshot->model->version() == model.version;
    std::string metrics = model.metrics;
    for (char& c : metrics)
      if (c == '\n') c = ' ';
    table.row(model.name, model.version, model.current, in_use, model.pinned, model.parent,
              in_use && request.hub.learner ? request.hub.learner->model_watch() : std::string(), in_use ? std::exp(snapshot->model->interval_log()) : 0.0, metrics,
              model.directory);
  }
  return table;
}

ConsoleResult show_experiments(const Request& request) {
  Table table({{"fingerprint", Type::text}, {"database", Type::text}, {"candidate", Type::text}, {"state", Type::text},
               {"runs", Type::int8}, {"explored", Type::int8}, {"median_ms", Type::float8}, {"default_ms", Type::float8},
               {"worst_ratio", Type::float8}, {"gain_low", Type::float8}, {"why", Type::text}, {"plan", Type::text}, {"step", Type::text},
               {"pairs", Type::int8}, {"effect", Type::float8}, {"effect_low", Type::float8}, {"effect_high", Type::float8}, {"p_value", Type::float8},
               {"p_loss", Type::float8}});
  if (!request.hub.learner) return table;
  for (const auto& e : request.hub.learner->experiments())
    table.row(e.fingerprint, e.database, e.label, e.state, e.runs, e.explored, e.median_ms, e.default_ms, e.worst_ratio, e.gain_low,
              e.why, e.plan, std::string(policies::to_string(e.trial.step)), e.trial.pairs, e.trial.effect.gain, e.trial.effect.low, e.trial.effect.high,
              e.trial.p_better, e.trial.p_worse);
  return table;
}

ConsoleResult show_policies(const Request& request) {
  Table table({{"rule", Type::text}, {"state", Type::text}, {"changed", Type::int8}, {"saved_ms", Type::float8}, {"lost_ms", Type::float8},
               {"regret_ms", Type::float8}, {"budget_ms", Type::float8}, {"pairs", Type::int8}, {"effect", Type::float8}, {"effect_low", Type::float8},
               {"effect_high", Type::float8}, {"p_value", Type::float8}, {"why", Type::text}});
  if (!request.hub.learner) return table;
  for (const auto& p : request.hub.learner->policy_records())
    table.row(p.rule.empty() ? std::string("(all)") : p.rule, p.held.empty() ? "acting" : "held", p.changed, p.saved_ms, p.lost_ms, p.regret_ms, p.budget_ms,
              p.pairs, p.effect.gain, p.effect.low, p.effect.high, p.p_value, p.held);
  return table;
}

ConsoleResult show_tuning(const Request& request) {
  Table table({{"settings", Type::text}, {"ratio", Type::float8}, {"ratio_low", Type::float8}, {"ratio_high", Type::float8}, {"against", Type::float8},
               {"against_low", Type::float8}, {"against_high", Type::float8}, {"explored_ms", Type::float8}, {"supported", Type::float8},
               {"steered", Type::int8}, {"worse", Type::int8}, {"better", Type::boolean}, {"rule", Type::text}, {"time", Type::timestamptz}});
  const auto snapshot = request.hub.snapshot();
  if (!snapshot->config) return table;
  const auto tuning = read_tuning(state_directory(*snapshot->config));
  for (const auto& e : tuning.evaluations)
    table.row(e.name, e.ratio, e.low, e.high, e.against, e.against_low, e.against_high, e.explored_ms, e.supported, e.steered, e.worse, e.better, tuning.rule,
              tuning.when);
  return table;
}

ConsoleResult show_steering(const Request& request) {
  Table table({{"fingerprint", Type::text}, {"database", Type::text}, {"candidate", Type::text}, {"plan", Type::text}, {"word", Type::text},
               {"explored", Type::int8}, {"gain", Type::float8}, {"worst_ratio", Type::float8}, {"query", Type::text}});
  if (!request.hub.learner) return table;
  for (const auto& s : request.hub.learner->steering())
    table.row(s.fingerprint, s.database, s.label, s.plan, s.word, s.explored, s.gain, s.worst_ratio, s.query);
  return table;
}

ConsoleResult show_feedback(const Request& request) {
  Table table({{"name", Type::text}, {"value", Type::text}});
  table.row("enabled", request.hub.learner ? "yes" : "no");
  if (!request.hub.learner) return table;
  auto state = request.hub.learner->feedback();
  // The learner opens the embedded store with the first row, a shared one at once: nobody waits for a server here.
  if (const auto config = request.hub.snapshot()->config; state.stored == 0 && config && config->learning.store_url.empty()) state.rows = rows_on_disk(*config);
  table.row("received", std::to_string(state.received));
  table.row("stored", std::to_string(state.stored));
  table.row("dropped", std::to_string(state.dropped));
  table.row("dropped_before_learner", std::to_string(request.hub.totals().feedback_dropped));
  table.row("spooled", std::to_string(state.spooled));
  table.row("rows_in_store", std::to_string(state.rows));
  table.row("training", request.hub.learner->training() ? "yes" : "no");
  table.row("settled", request.hub.learner->settled() ? "yes" : "no");
  table.row("explored_ms", fmt::format("{:.0f}", request.hub.learner->explored_ms()));
  table.row("error", state.error.empty() ? "none" : state.error);
  return table;
}

}  // namespace pgsteer::proxy::console
