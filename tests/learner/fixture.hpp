#pragma once
#include <doctest/doctest.h>

#include <chrono>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "policies/policy.hpp"
#include "predictor/time_of_week.hpp"
#include "proxy/hub.hpp"
#include "proxy/learner/connection.hpp"
#include "proxy/learner/learner.hpp"
#include "proxy/pipeline.hpp"
#include "tests/support/one_server.hpp"

namespace pgsteer::test {

inline std::unique_ptr<proxy::learning::Connection> connect(const std::string& database = "postgres") {
  std::string error;
  auto connection = proxy::learning::Connection::open({{"host", "127.0.0.1"},
                                                       {"port", std::to_string(postgres().port())},
                                                       {"user", "postgres"},
                                                       {"dbname", database}},
                                                      std::chrono::seconds(5), {}, &error);
  REQUIRE_MESSAGE(connection != nullptr, error);
  return connection;
}

inline void execute(const std::string& sql, const std::string& database = "postgres") {
  const auto rows = connect(database)->run(sql);
  REQUIRE_MESSAGE(rows.ok(), rows.message());
}

/// A database of its own, dropped at the end.
class Database {
 public:
  explicit Database(std::string name) : name_(std::move(name)) { execute("CREATE DATABASE " + name_); }
  ~Database() { connect()->run("DROP DATABASE " + name_ + " WITH (FORCE)"); }
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;
  const std::string& name() const { return name_; }
  void run(const std::string& sql) const { execute(sql, name_); }

 private:
  std::string name_;
};

/// A hub with a learner on the shared server, and a client that plays sessions: plans by the real pipeline, runs the
/// original text on the server and reports what it took.
class Bench {
 public:
  explicit Bench(const std::string& policies_toml = "[default]\nmode = \"auto\"\n",
                 const std::function<void(proxy::Config&)>& change = {}) {
    auto config = std::make_shared<proxy::Config>();
    config->upstream.url = postgres().url();
    config->state_dir = state_.path();
    config->learning.explore_idle = std::chrono::milliseconds(0);
    config->learning.flush_interval = std::chrono::milliseconds(20);
    config->catalog.refresh_interval = std::chrono::milliseconds(200);
    if (change) change(*config);
    std::vector<policies::FileError> errors;
    auto policies = policies::PolicySet::parse(policies_toml, "test.toml", &errors);
    for (const auto& error : errors) MESSAGE(error.text);
    REQUIRE(policies);
    hub_ = std::make_unique<proxy::Hub>(config, policies);
    pipeline_ = std::make_unique<proxy::Pipeline>(*config);
    learner_ = std::make_unique<proxy::Learner>(*hub_, "/bin/false");
    hub_->learner = learner_.get();
  }
  ~Bench() { learner_->stop(); }

  proxy::Hub& hub() { return *hub_; }
  proxy::Learner& learner() { return *learner_; }
  const std::string& state_dir() const { return state_.path(); }

  bool wait_for_catalog(const std::string& database) {
    hub_->catalog_wanted(database);
    return eventually([&] { return hub_->snapshot()->catalog(database) != nullptr; });
  }

  /// Plans, executes on the server (unless `ms` says what it took) and reports.
  std::shared_ptr<const proxy::Plan> play(const std::string& database, const std::string& text, double ms = -1,
                                          const std::vector<std::uint32_t>& types = {}, const std::string& bind = {},
                                          const std::string& search_path = {}) {
    sql::SessionFacts session;
    session.database = database;
    session.user = "postgres";
    session.search_path = search_path;
    const sql::Query query{text, types, !bind.empty(), sql::TransactionStatus::idle, &session};
    proxy::Circumstances now;
    now.random = random;
    now.unix_seconds = static_cast<double>(std::time(nullptr));
    const auto time = predictor::time_of_week(static_cast<std::int64_t>(now.unix_seconds));
    now.hour_of_day = time.hour;
    now.day_of_week = time.day;
    auto plan = pipeline_->plan(query, *hub_->snapshot(), now);
    if (plan->decision.wants_plan) {
      const auto values = proxy::learning::parse_bind(types, bind);
      REQUIRE(values);
      const auto explained = connect(database)->run("EXPLAIN (FORMAT JSON) " + text, *values);
      REQUIRE_MESSAGE(explained.ok(), explained.message());
      now.default_plan = std::make_shared<predictor::PlanFacts>(predictor::parse_plan(explained.text(0, 0)));
      plan = pipeline_->plan(query, *hub_->snapshot(), now);
    }
    proxy::Outcome outcome;
    outcome.plan = plan;
    auto& execution = outcome.execution;
    execution.arrival = proxy::Clock::now();
    if (ms < 0) {
      const auto parameters = proxy::learning::parse_bind(types, bind);
      REQUIRE(parameters);
      const auto answer = connect(database)->stream(text, *parameters);
      REQUIRE_MESSAGE(answer.ok, answer.message);
      ms = answer.ms;
      execution.rows = static_cast<std::int64_t>(answer.rows);
    }
    execution.sent_ns = 1000;
    execution.last_byte_ns = 1000 + static_cast<std::uint64_t>(ms * 1e6);
    execution.text = text;
    execution.parameter_types = types;
    execution.bind = bind;
    hub_->outcomes(0).add(plan, std::move(outcome.execution));
    return plan;
  }

  std::uint64_t random = 0;  ///< chance of the executions played from now on; 0 is never held back for comparison

  std::shared_ptr<const policies::Knowledge> knowledge(const proxy::Plan& plan) {
    const auto snapshot = hub_->snapshot();
    const auto found = snapshot->knowledge->find({plan.analysis->shape, plan.database, plan.search_path});
    return found == snapshot->knowledge->end() ? nullptr : found->second;
  }

 private:
  TempDir state_;
  std::unique_ptr<proxy::Hub> hub_;
  std::unique_ptr<proxy::Pipeline> pipeline_;
  std::unique_ptr<proxy::Learner> learner_;
};

/// The parameter section of a Bind message with text values.
inline std::string bind_section(const std::vector<std::string>& values) {
  std::string out("\0\0", 2);
  const auto put = [&](std::uint32_t value, int bytes) {
    for (int i = bytes - 1; i >= 0; --i) out += static_cast<char>(value >> (8 * i) & 0xff);
  };
  put(static_cast<std::uint32_t>(values.size()), 2);
  for (const auto& value : values) {
    put(static_cast<std::uint32_t>(value.size()), 4);
    out += value;
  }
  return out;
}

}  // namespace pgsteer::test
