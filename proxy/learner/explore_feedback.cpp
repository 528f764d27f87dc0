#include "proxy/learner/explore_feedback.hpp"

#include "predictor/time_of_week.hpp"

namespace pgsteer::proxy::learning {

predictor::Feedback explore_feedback(const ExploreTask& task, const Instance& instance, const sql::Catalog& catalog, const std::string& label,
                                     const Answer& answer, const predictor::PlanFacts& plan) {
  const auto now = std::chrono::system_clock::now();
  const std::int64_t seconds = std::chrono::system_clock::to_time_t(now);
  const auto time = predictor::time_of_week(seconds);
  predictor::FeatureInput input;
  input.analysis = task.analysis.get();
  input.catalog = &catalog;
  input.plan = &plan;
  input.history = task.history.count > 0 ? &task.history : nullptr;
  input.unix_seconds = static_cast<double>(seconds);
  input.hour_of_day = time.hour;
  input.day_of_week = time.day;
  input.extended = !instance.bind.empty();
  input.search_path = task.key.search_path;
  input.user = task.user;

  predictor::Feedback row;
  row.unix_microseconds = std::chrono::duration_cast<std::chrono::microseconds>(now.time_since_epoch()).count();
  row.database = task.key.database;
  row.user = task.user;
  row.application = task.application;
  row.fingerprint = task.fingerprint;
  row.shape = task.key.shape.hex();
  row.kind = sql::to_string(task.analysis->kind);
  row.normalized = task.analysis->normalized();
  row.feature_schema = predictor::feature_schema();
  row.features = predictor::extract(input);
  row.candidate = label;
  row.candidates = {label};
  row.source = "explore";
  row.mode = policies::to_string(task.policy.mode);
  row.policy_rule = task.policy.rule;
  row.reason = "explore";
  row.server_ms = row.total_ms = answer.ms;
  row.rows = static_cast<std::int64_t>(answer.rows);
  row.bytes = static_cast<std::int64_t>(answer.bytes);
  row.sqlstate = answer.timed_out() ? "" : answer.sqlstate;
  row.censored = answer.timed_out();
  row.plan_cost = plan.total_cost;
  return row;
}

}  // namespace pgsteer::proxy::learning
