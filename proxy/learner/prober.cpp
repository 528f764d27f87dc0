#include "proxy/learner/prober.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>

#include "proxy/learner/judge.hpp"
#include "proxy/quote.hpp"

namespace pgsteer::proxy::learning {

namespace {

constexpr auto kRetry = std::chrono::milliseconds(500);

const rewriter::RuleInfo* rule_named(const std::string& name) {
  for (const auto& rule : rewriter::all_rules())
    if (rule.name == name) return &rule;
  return nullptr;
}

}  // namespace

std::string session_search_path(const std::string& search_path, const sql::Catalog& catalog, const std::string& user) {
  const std::string& text = search_path.empty() ? catalog.default_search_path : search_path;
  std::string list;
  for (const auto& schema : sql::split_search_path(text, user)) list += (list.empty() ? "" : ", ") + quote_identifier(schema);
  return list.empty() ? "''" : list;
}

predictor::PlanFacts explain(Connection& connection, const std::string& text, const Parameters& parameters, double* took_ms) {
  const auto asked = Clock::now();
  const Rows rows = connection.run("EXPLAIN (FORMAT JSON) " + text, parameters);
  if (took_ms) *took_ms = std::chrono::duration<double, std::milli>(Clock::now() - asked).count();
  if (!rows.ok() || rows.rows() != 1) return {};
  return predictor::parse_plan(rows.text(0, 0));
}

bool Prober::step() {
  auto task = book_.next_probe();
  if (!task) return false;
  const auto snapshot = hub_.snapshot();
  const auto catalog = snapshot->catalogs.find(task->key.database);
  Connection* connection = links_.get(*snapshot->config, task->key.database);
  ProbeResult result;
  if (catalog == snapshot->catalogs.end() || !connection ||
      !look(*task, *connection, *catalog->second, result)) {
    book_.postpone_probe(task->key, kRetry);
    return connection != nullptr;
  }
  if (!result.error.empty())
    spdlog::debug("probe fingerprint={} error=\"{}\"", task->analysis->fingerprint_hex, result.error);
  book_.finish_probe(task->key, result);
  return true;
}

/// False: the connection failed or we are stopping, nothing was learned.
bool Prober::look(const ProbeTask& task, Connection& connection, const sql::Catalog& catalog, ProbeResult& result) {
  result.catalog_version = catalog.version;
  auto parameters = parse_bind(task.instance.types, task.instance.bind);
  if (!parameters) {
    result.error = "parameters of the call cannot be read";
    result.judged = task.judge;
    return true;
  }
  const std::string path = session_search_path(task.key.search_path, catalog, task.user);
  if (!connection.run("BEGIN READ ONLY; SET LOCAL statement_timeout = '5s'; SET LOCAL lock_timeout = '500ms'; "
                      "SET LOCAL search_path = " + path).ok()) {
    connection.run("ROLLBACK");
    return false;
  }
  const Rows original = connection.describe(task.instance.text, parameters->types);
  if (original.ok()) {
    parameters->types = original.parameter_types();
    result.plan = explain(connection, task.instance.text, *parameters, &result.planning_ms);
  }
  if (!original.ok() || !result.plan.known) {
    connection.run("ROLLBACK");
    if (connection.broken() || connection.interrupted()) return false;
    result.error = original.ok() ? "no plan" : original.message();
    result.judged = task.judge;
    return true;
  }
  sql::SessionFacts session;
  session.database = task.key.database;
  session.user = task.user;
  session.application = task.application;
  session.search_path = task.key.search_path;
  sql::Query query{task.instance.text, task.instance.types, !task.instance.bind.empty(), sql::TransactionStatus::idle, &session};
  // All rules, whatever this session's policy switches: another session's policy may differ, and it chooses again.
  for (const auto& candidate : rewriter::rewrite(query, *task.analysis, catalog, rewriter::RuleSwitches{}))
    result.rewrites.push_back(compare(candidate, original, result.plan, *parameters, connection));
  connection.run("ROLLBACK");
  if (task.judge && !connection.broken()) {
    GateB gate = judge(connection, task.instance.text, parameters->types, path);
    gate.judgement.catalog_version = catalog.version;
    result.judged = gate.judgement.state != cache::Judgement::State::pending;
    result.explorable = gate.explorable;
    result.cache = std::move(gate.judgement);
    if (!result.judged) return false;
  }
  return !connection.broken() && !connection.interrupted();
}

policies::RewriteJudgement Prober::compare(const rewriter::Candidate& candidate, const Rows& original,
                                           const predictor::PlanFacts& plan, const Parameters& parameters,
                                           Connection& connection) {
  policies::RewriteJudgement judgement;
  judgement.label = candidate.label();
  judgement.cost_original = plan.total_cost;
  connection.run("SAVEPOINT candidate");
  const Rows described = connection.describe(candidate.text, parameters.types);
  if (!described.ok()) {
    judgement.why = "PostgreSQL refuses it: " + described.message();
  } else if (described.row_description() != original.row_description()) {
    judgement.why = "its result columns are not the original's";
  } else {
    judgement.columns_equal = true;
    const auto rewritten = explain(connection, candidate.text, parameters);
    judgement.cost_rewritten = rewritten.total_cost;
    bool always = true;
    double threshold = 1.15;  // the highest any rule asks for
    for (const auto& name : candidate.rules) {
      const auto* rule = rule_named(name);
      if (rule && rule->always_gains) continue;
      always = false;
      threshold = std::min(threshold, rule ? rule->cost_threshold : 0.9);
    }
    if (!rewritten.known) {
      judgement.why = "no plan";
    } else if (always) {
      judgement.approved = true;
      judgement.why = "always gains";
    } else {
      judgement.approved = rewritten.total_cost < threshold * plan.total_cost;
      judgement.why = fmt::format("cost {:.0f} against {:.0f}, {:.2f} of it allowed", rewritten.total_cost,
                                  plan.total_cost, threshold);
    }
  }
  connection.run("ROLLBACK TO candidate; RELEASE candidate");
  return judgement;
}

}  // namespace pgsteer::proxy::learning
