#include "bench/workload/compare.hpp"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <chrono>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <thread>

#include <fmt/format.h>

#include "bench/workload/statistics.hpp"

namespace pgsteer::workload {
namespace {

constexpr int hop_statements = 100;
constexpr std::size_t longest_attribution = 20;  ///< statements asked once more for SHOW DECISIONS

struct Series {
  std::vector<double> all, round_mean, round;
  std::vector<double> ratios, round_ratio;  ///< ln(this / baseline), pair by pair
  void end_round(const std::vector<double>& baseline) {
    std::vector<double> round_ratios;
    for (std::size_t i = 0; i < round.size(); ++i) {
      round_ratios.push_back(std::log(std::max(round[i], 1e-6) / std::max(baseline[i], 1e-6)));
    }
    round_ratio.push_back(quantile(round_ratios, 0.5));
    ratios.insert(ratios.end(), round_ratios.begin(), round_ratios.end());
    double sum = 0;
    for (const double value : round) sum += value;
    round_mean.push_back(sum / static_cast<double>(std::max<std::size_t>(round.size(), 1)));
    all.insert(all.end(), round.begin(), round.end());
    round.clear();
  }
};

class Run {
 public:
  Run(const std::vector<StatementClass>& classes, const CompareOptions& options) : options_(options) {
    for (const Target& target : options.targets) connections_.push_back(std::make_unique<Connection>(target.url));
    StatementClass hop{"hop", "SELECT 1: what the way costs", [](Random&) { return Statement{{{"SELECT 1", {}, Protocol::simple}}, true, {}}; }, hop_statements, 0, 0, false};
    add_class(hop, 0);
    for (std::size_t i = 0; i < classes.size(); ++i) add_class(classes[i], i + 1);
  }

  Comparison all() {
    for (int round = -1; round < options_.rounds; ++round) {
      for (std::size_t c = 0; c < results_.size(); ++c) {
        progress(round, results_[c].name);
        one_class(c, round);
      }
    }
    for (std::size_t c = 0; c < results_.size(); ++c) finish_class(c);
    if (!options_.console_url.empty()) attribute();
    if (isatty(2) == 1) fmt::print(stderr, "\r{:70}\r", "");
    Comparison comparison;
    comparison.seed = options_.seed;
    comparison.rounds = options_.rounds;
    comparison.hop_ms = std::max(0.0, results_[0].measured.back().p50 - results_[0].measured.front().p50);
    comparison.classes = std::move(results_);
    return comparison;
  }

 private:
  void add_class(const StatementClass& source, std::size_t number) {
    ClassResult result;
    result.name = source.name;
    result.what = source.what;
    result.statements = source.per_round;
    result.comparable = source.comparable;
    for (const Target& target : options_.targets) result.measured.emplace_back().label = target.label;
    results_.push_back(std::move(result));
    Random random(derive_seed(options_.seed, 1000 + number));
    std::vector<Statement> statements;
    for (int i = 0; i < source.per_round; ++i) statements.push_back(source.draw(random));
    for (const Statement& statement : statements) results_.back().round_trips = std::max(results_.back().round_trips, static_cast<int>(statement.steps.size()));
    statements_.push_back(std::move(statements));
    series_.emplace_back(options_.targets.size());
  }

  void progress(int round, const std::string& name) {
    if (isatty(2) != 1) return;
    fmt::print(stderr, "\r  round {:2} of {} {:30}", std::max(round, 0) + (round < 0 ? 0 : 1), options_.rounds, round < 0 ? name + " (warming up)" : name);
    std::fflush(stderr);
  }

  void one_class(std::size_t c, int round) {
    const std::size_t n = connections_.size();
    for (std::size_t i = 0; i < statements_[c].size(); ++i) {
      const Statement& statement = statements_[c][i];
      for (const std::string& sql : statement.before) connections_.back()->execute(sql);
      std::vector<Answer> answers(n);
      for (std::size_t k = 0; k < n; ++k) {
        const std::size_t target = (k + i + static_cast<std::size_t>(round + 1)) % n;
        answers[target] = connections_[target]->run(statement.steps, statement.ordered);
      }
      check(results_[c], statement, answers, round >= 0);
      if (round < 0) continue;
      for (std::size_t k = 0; k < n; ++k) series_[c][k].round.push_back(answers[k].milliseconds);
    }
    if (round < 0) return;
    const std::vector<double> baseline = series_[c].front().round;
    for (Series& series : series_[c]) series.end_round(baseline);
  }

  // Warm-up answers count too: a wrong answer is wrong whenever it comes.
  void check(ClassResult& result, const Statement& statement, const std::vector<Answer>& answers, bool count_rows) {
    for (std::size_t k = 0; k < answers.size(); ++k) {
      Measured& measured = result.measured[k];
      if (count_rows) measured.rows += answers[k].rows;
      if (!answers[k].error.empty()) {
        ++measured.errors;
        if (measured.first_error.empty()) measured.first_error = answers[k].error;
        if (answers[k].error.rfind("connection:", 0) == 0) connections_[k]->reconnect();
      }
      if (k == 0) continue;
      ++result.compared;
      const bool same = !result.comparable || answers[k].checksum == answers[0].checksum;
      if (answers[k].rows == answers[0].rows && same && answers[k].error == answers[0].error) continue;
      ++result.unequal;
      if (result.first_unequal.empty()) {
        result.first_unequal = fmt::format("{}: {} rows {}, {}: {} rows {}: {}", options_.targets[0].label, answers[0].rows, answers[0].error,
                                           options_.targets[k].label, answers[k].rows, answers[k].error, statement.steps.back().sql.substr(0, 300));
      }
    }
  }

  void finish_class(std::size_t c) {
    for (std::size_t k = 0; k < connections_.size(); ++k) {
      const Series& series = series_[c][k];
      Measured& measured = results_[c].measured[k];
      measured.p50 = quantile(series.all, 0.5);
      measured.p95 = quantile(series.all, 0.95);
      measured.mean = quantile(series.round_mean, 0.5);
      measured.log_ratio = quantile(series.ratios, 0.5);
      measured.log_ratio_spread = spread95(series.round_ratio);
      measured.rows /= static_cast<std::uint64_t>(std::max(options_.rounds, 1));
    }
  }

  // SHOW DECISIONS names no class, so each class is asked once more with nobody else asking, and the new records are its.
  void attribute() {
    std::unique_ptr<Connection> console;
    try {
      console = std::make_unique<Connection>(options_.console_url, "pgsteer-workload");
    } catch (const ConnectionError& error) {
      fmt::print(stderr, "console: {}", error.what());
      return;
    }
    for (std::size_t c = 1; c < results_.size(); ++c) {
      progress(options_.rounds - 1, results_[c].name + " (asking why)");
      try {
        const auto records = [&] { return console->query("SHOW DECISIONS LIMIT 200"); };
        const long long last = newest(records());
        const std::size_t count = std::min(statements_[c].size(), longest_attribution);
        for (std::size_t i = 0; i < count; ++i) connections_.back()->run(statements_[c][i].steps, statements_[c][i].ordered);
        std::this_thread::sleep_for(std::chrono::milliseconds(700));  // the learner flushes every 200 ms
        results_[c].decided = summarize(records(), last);
      } catch (const std::runtime_error& error) {
        fmt::print(stderr, "console: {}\n", error.what());
        return;
      }
    }
  }

  using Rows = std::vector<std::vector<std::string>>;
  static std::size_t column(const Rows& rows, const std::string& name) {
    const auto found = std::find(rows[0].begin(), rows[0].end(), name);
    if (found == rows[0].end()) throw std::runtime_error("SHOW DECISIONS has no column " + name);
    return static_cast<std::size_t>(found - rows[0].begin());
  }
  static long long number(const std::string& text) { return text.empty() ? 0 : std::stoll(text); }
  static long long newest(const Rows& rows) {
    const std::size_t id = column(rows, "id");
    long long last = -1;
    for (std::size_t i = 1; i < rows.size(); ++i) last = std::max(last, number(rows[i][id]));
    return last;
  }
  static Decided summarize(const Rows& rows, long long after) {
    Decided decided;
    const std::size_t id = column(rows, "id"), action = column(rows, "action"), source = column(rows, "source"),
                      reason = column(rows, "reason"), predicted = column(rows, "predicted_ms"), actual = column(rows, "actual_ms");
    std::vector<double> predictions, actuals, errors;
    for (std::size_t i = 1; i < rows.size(); ++i) {
      if (number(rows[i][id]) <= after) continue;
      const bool cached = rows[i][source].find("cache") != std::string::npos;
      ++decided.actions[cached ? "cache" : rows[i][action]];
      ++decided.reasons[rows[i][reason]];
      const double p = rows[i][predicted].empty() ? 0 : std::stod(rows[i][predicted]), a = rows[i][actual].empty() ? 0 : std::stod(rows[i][actual]);
      if (cached || p <= 0 || a <= 0) continue;  // a prediction is about the server
      predictions.push_back(p);
      actuals.push_back(a);
      errors.push_back(std::max(p / a, a / p));
    }
    decided.known = !decided.actions.empty();
    decided.predicted_ms = quantile(predictions, 0.5);
    decided.actual_ms = quantile(actuals, 0.5);
    decided.q_error = quantile(errors, 0.5);
    return decided;
  }

  const CompareOptions& options_;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::vector<ClassResult> results_;
  std::vector<std::vector<Statement>> statements_;
  std::vector<std::vector<Series>> series_;  ///< class, target
};

}  // namespace

Target parse_target(const std::string& text) {
  const auto equals = text.find('=');
  const bool labelled = equals != std::string::npos && text.substr(0, equals).find_first_of(":/ ") == std::string::npos && text.substr(0, equals) != "host";
  if (labelled) return {text.substr(0, equals), text.substr(equals + 1)};
  throw std::invalid_argument("expected LABEL=URL, got '" + text + "'");
}

Comparison compare(const std::vector<StatementClass>& classes, const CompareOptions& options) {
  if (options.targets.empty()) throw std::invalid_argument("compare: no target");
  return Run(classes, options).all();
}

}  // namespace pgsteer::workload
