#include "proxy/learner/verifier.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "proxy/learner/explorer.hpp"
#include "proxy/learner/prober.hpp"

namespace pgsteer::proxy::learning {

namespace {

constexpr std::chrono::milliseconds kLimit{60000};  // a form that takes longer than that tells nothing

/// Says nothing about the text: connection, resources, operator intervention, locks, rollback, privileges.
bool is_circumstance(std::string_view sqlstate) {
  for (const std::string_view state_class : {"08", "53", "57", "58", "55", "40", "XX"})
    if (sqlstate.starts_with(state_class)) return true;
  return sqlstate == "42501" || sqlstate.empty();
}

Comparison untold(Comparison c, std::string why) {
  c.result = Comparison::Result::untold;
  c.why = std::move(why);
  return c;
}

Comparison different(Comparison c, std::string why) {
  c.result = Comparison::Result::different;
  c.why = std::move(why);
  return c;
}

Answer run_form(Connection& connection, const std::string& text, const Parameters& parameters) {
  connection.run("SAVEPOINT form");
  Answer answer = connection.stream(text, parameters);
  if (!connection.broken()) connection.run("ROLLBACK TO form");
  return answer;
}

Comparison judge_forms(Connection& connection, const std::string& original, const std::string& rewritten,
                       Parameters parameters) {
  Comparison c;
  const Rows columns = connection.describe(original, parameters.types);
  if (!columns.ok()) return untold(std::move(c), "the original: " + columns.message());
  parameters.types = columns.parameter_types();
  c.original = run_form(connection, original, parameters);
  if (!c.original.ok) return untold(std::move(c), "the original: " + c.original.message);
  connection.run("SAVEPOINT described");
  const Rows other = connection.describe(rewritten, parameters.types);
  if (!other.ok()) {
    const std::string why = fmt::format("the rewritten form is refused: {} ({})", other.message(), other.sqlstate());
    return is_circumstance(other.sqlstate()) ? untold(std::move(c), why) : different(std::move(c), why);
  }
  if (other.row_description() != columns.row_description())
    return different(std::move(c), "the columns of the result are not described alike");
  c.rewritten = run_form(connection, rewritten, parameters);
  if (!c.rewritten.ok) {
    const std::string why = fmt::format("the rewritten form fails: {} ({})", c.rewritten.message, c.rewritten.sqlstate);
    return is_circumstance(c.rewritten.sqlstate) ? untold(std::move(c), why) : different(std::move(c), why);
  }
  if (c.original.rows != c.rewritten.rows) {
    const auto why = fmt::format("{} rows instead of {}", c.rewritten.rows, c.original.rows);
    return different(std::move(c), why);
  }
  if (!same_answer(c.rewritten, c.original, true)) return different(std::move(c), fmt::format("other values in {} rows", c.original.rows));
  c.result = Comparison::Result::equal;
  return c;
}

}  // namespace

Comparison compare_forms(Connection& connection, const std::string& original, const std::string& rewritten,
                         Parameters parameters, const std::string& search_path, std::chrono::milliseconds limit) {
  std::string begin = fmt::format("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL lock_timeout = '500ms'; "
                                  "SET LOCAL statement_timeout = '{}ms'", limit.count());
  if (!search_path.empty()) begin += "; SET LOCAL search_path = " + search_path;
  const Rows begun = connection.run(begin);
  Comparison c;
  if (begun.ok()) c = judge_forms(connection, original, rewritten, std::move(parameters));
  else c.why = begun.message();
  if (!connection.broken()) connection.run("ROLLBACK");
  return c;
}

void Verifier::offer(const Outcome& outcome) {
  const Plan& plan = *outcome.plan;
  const Execution& execution = outcome.execution;
  if (plan.chosen().kind != rewriter::CandidateKind::rewritten || plan.chosen().text.empty()) return;
  if (execution.source != Source::server || !execution.sqlstate.empty() || execution.cancelled || execution.text.empty()) return;
  if (!(plan.policy.verify > 0)) return;
  if (std::uniform_real_distribution<double>(0, 1)(random_) >= plan.policy.verify) return;
  const std::lock_guard lock(mutex_);
  ++state_.sampled;
  if (waiting_.size() >= kMaxWaiting) {
    ++state_.dropped;
    return;
  }
  waiting_.push_back({outcome.plan, {execution.text, execution.parameter_types, execution.bind, 0}});
}

bool Verifier::step() {
  const auto snapshot = hub_.snapshot();
  Task task;
  {
    const std::lock_guard lock(mutex_);
    if (!snapshot->config->upstream.probe) waiting_.clear();
    if (waiting_.empty()) return false;
    task = waiting_.front();
  }
  Connection* connection = links_.get(*snapshot->config, task.plan->database);
  if (!connection) return false;  // it waits; the queue is bounded
  {
    const std::lock_guard lock(mutex_);
    waiting_.pop_front();
    working_ = true;
  }
  const bool went_on = check(task, *connection);
  const std::lock_guard lock(mutex_);
  working_ = false;
  return went_on;
}

bool Verifier::check(const Task& task, Connection& connection) {
  const auto snapshot = hub_.snapshot();
  const Plan& plan = *task.plan;
  const auto catalog = snapshot->catalogs.find(plan.database);
  const auto count = [this](std::uint64_t Learner::VerificationState::*which) {
    const std::lock_guard lock(mutex_);
    ++(state_.*which);
  };
  const auto parameters = parse_bind(task.instance.types, task.instance.bind);
  // Planned under another catalog, it would not be sent today: nothing to learn about the rule of now.
  if (!parameters || catalog == snapshot->catalogs.end() || catalog->second->version != plan.chosen().catalog_version) {
    count(&Learner::VerificationState::untold);
    return true;
  }
  sql::SessionFacts session;
  session.database = plan.database;
  session.user = plan.user;
  session.search_path = plan.search_path;
  const sql::Query query{task.instance.text, task.instance.types, !task.instance.bind.empty(), sql::TransactionStatus::idle, &session};
  if (!rewriter::determined(query, *plan.analysis, *catalog->second)) {
    count(&Learner::VerificationState::excluded);
    return true;
  }
  const Comparison c = compare_forms(connection, task.instance.text, plan.chosen().text, *parameters,
                                     session_search_path(plan.search_path, *catalog->second, plan.user), kLimit);
  if (c.result == Comparison::Result::untold) {
    spdlog::debug("verify fingerprint={} result=untold why=\"{}\"", plan.analysis->fingerprint_hex, c.why);
    count(&Learner::VerificationState::untold);
  } else if (c.result == Comparison::Result::equal) {
    count(&Learner::VerificationState::equal);
  } else {
    count(&Learner::VerificationState::different);
    bans_.mismatch({unix_us(), plan.database, plan.analysis->fingerprint_hex, plan.chosen().rules, c.why, "verification",
                    task.instance.text, plan.chosen().text});
  }
  return !connection.broken();
}

bool Verifier::pending() const {
  const bool possible = hub_.snapshot()->config->upstream.probe;
  const std::lock_guard lock(mutex_);
  return working_ || (possible && !waiting_.empty());
}

Learner::VerificationState Verifier::state() const {
  const std::lock_guard lock(mutex_);
  Learner::VerificationState state = state_;
  state.waiting = waiting_.size();
  return state;
}

}  // namespace pgsteer::proxy::learning
