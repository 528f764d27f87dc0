#include "report.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include <fmt/format.h>

#include "predictor/context.hpp"
#include "predictor/models/booster.hpp"
#include "predictor/train/baseline.hpp"
#include "predictor/train/dataset.hpp"
#include "predictor/train/metrics.hpp"
#include "tests/predictor/synthetic.hpp"

using namespace pgsteer::predictor;

namespace {

struct Rows {
  std::vector<float> values, target, weight;
  std::vector<std::size_t> index;
  void add(const Dataset& data, std::size_t i, bool forget) {
    values.insert(values.end(), data.row(i), data.row(i) + data.width);
    if (forget) forget_history(values.data() + values.size() - data.width);
    target.push_back(data.log_ms[i]);
    weight.push_back(data.censored[i] ? 0.5f : 1.0f);
    index.push_back(i);
  }
  TrainingRows view() const { return {values, target, weight, index.size()}; }
};

struct Parts {
  Rows train, stop, seen, unseen;
};

Parts parts_of(const Dataset& data) {
  Parts out;
  std::mt19937_64 random(1);
  for (std::size_t i = 0; i < data.rows(); ++i) {
    const bool forget = random() % 100 < 15;
    const Part part = data.parts[i];
    if (part == Part::fit || part == Part::calibrate) out.train.add(data, i, forget);
    if (part == Part::stop) out.stop.add(data, i, false);
    if (part == Part::test_seen) out.seen.add(data, i, false);
    if (part == Part::unseen_test || (part == Part::unseen_calibrate && !data.censored[i])) out.unseen.add(data, i, true);
  }
  return out;
}

std::vector<float> model_predictions(const Parts& parts, std::size_t width, const Rows& rows, const std::string& objective) {
  BoostOptions options;
  options.objective = objective;
  const BoostResult made = boost(parts.train.view(), parts.stop.view(), width, options);
  std::string error = made.error;
  const auto booster = error.empty() ? Booster::load(made.model, width, &error) : nullptr;
  std::vector<float> out(rows.index.size());
  if (!booster || !booster->predict(rows.values.data(), out.size(), out.data(), &error)) {
    fmt::print(stderr, "{}: {}\n", objective, error);
    out.clear();
  }
  return out;
}

/// The predictors of the table: name -> log(ms) of each row (NaN: has no answer).
using Predictions = std::vector<std::pair<std::string, std::vector<double>>>;

Predictions predictors(const Dataset& data, const Parts& parts, const Rows& rows) {
  Predictions out;
  const auto model = model_predictions(parts, data.width, rows, "reg:squarederror");
  out.emplace_back("model", std::vector<double>(model.begin(), model.end()));
  std::vector<std::pair<double, double>> costs;
  std::map<std::uint32_t, std::vector<double>> by_template;
  std::vector<double> logs;
  for (const Rows* part : {&parts.train, &parts.stop})
    for (const std::size_t i : part->index) {
      costs.emplace_back(data.cost[i], data.log_ms[i]);
      by_template[data.templates[i]].push_back(data.log_ms[i]);
      logs.push_back(data.log_ms[i]);
    }
  const CostBaseline isotonic(costs);
  for (auto& [id, list] : by_template) std::sort(list.begin(), list.end());
  std::sort(logs.begin(), logs.end());
  const auto last = static_cast<std::size_t>(std::max(0, feature_index("history_last")));
  const auto ewma = static_cast<std::size_t>(std::max(0, feature_index("history_ewma")));
  std::vector<double> by_cost, by_median, by_ewma, by_last, constant;
  for (std::size_t k = 0; k < rows.index.size(); ++k) {
    const std::size_t i = rows.index[k];
    by_cost.push_back(isotonic.predict(data.cost[i]));
    const auto found = by_template.find(data.templates[i]);
    by_median.push_back(found == by_template.end() ? std::nan("") : found->second[found->second.size() / 2]);
    by_ewma.push_back(rows.values[k * data.width + ewma]);
    by_last.push_back(rows.values[k * data.width + last]);
    constant.push_back(logs.empty() ? std::nan("") : logs[logs.size() / 2]);
  }
  out.emplace_back("planner cost, isotonic", by_cost);
  out.emplace_back("template median", by_median);
  out.emplace_back("template running mean", by_ewma);
  out.emplace_back("last run", by_last);
  out.emplace_back("one median for all", constant);
  return out;
}

void print_header() { fmt::print("{:<14} {:<24} {:>7} {:>8} {:>8} {:>8} {:>9}\n", "class", "predictor", "rows", "median", "p90", "p99", "within 2x"); }

void print_class(const std::string& name, const Dataset& data, const Rows& rows, const Predictions& predictions, auto&& wanted) {
  for (const auto& [predictor, values] : predictions) {
    std::vector<double> errors;
    for (std::size_t k = 0; k < values.size(); ++k)
      if (wanted(rows.index[k]) && !std::isnan(values[k])) errors.push_back(std::abs(values[k] - double(data.log_ms[rows.index[k]])));
    if (errors.empty()) continue;
    const QErrors q = q_errors(errors);
    fmt::print("{:<14} {:<24} {:>7} {:>8.2f} {:>8.2f} {:>8.1f} {:>8.0f}%\n", name, predictor, q.rows, q.median, q.p90, q.p99, 100 * q.within_2x);
  }
}

}  // namespace

int report_store(const std::string& state_dir) {
  Dataset data;
  std::string error;
  if (!load_dataset(embedded_feedback(state_dir), 200'000, &data, &error)) {
    fmt::print(stderr, "{}\n", error);
    return 1;
  }
  if (data.rows() < 100) {
    fmt::print(stderr, "{} usable rows of this feature schema: too few\n", data.rows());
    return 1;
  }
  split(data, 1, 0.15);
  const Parts parts = parts_of(data);
  const Predictions seen = predictors(data, parts, parts.seen), unseen = predictors(data, parts, parts.unseen);
  fmt::print("{} rows, {} templates; trained on {}. q-error = max(predicted/actual, actual/predicted)\n\n", data.rows(), data.fingerprints.size(),
             parts.train.index.size() + parts.stop.index.size());
  print_header();
  print_class("known", data, parts.seen, seen, [](std::size_t) { return true; });
  const auto between = [&data](double low, double high) {
    return [&data, low, high](std::size_t i) { return data.log_ms[i] >= std::log(low) && data.log_ms[i] < std::log(high); };
  };
  print_class("known <1ms", data, parts.seen, seen, between(1e-9, 1));
  print_class("known 1-10ms", data, parts.seen, seen, between(1, 10));
  print_class("known 10-100ms", data, parts.seen, seen, between(10, 100));
  print_class("known >=100ms", data, parts.seen, seen, between(100, 1e12));
  print_class("unseen", data, parts.unseen, unseen, [](std::size_t) { return true; });
  return 0;
}

int report_objectives() {
  pgsteer::test::ScratchDir dir;
  std::string error;
  auto rows = pgsteer::test::synthetic_feedback({.rows = 10'000, .noise = 0.25});
  std::mt19937_64 random(5);
  for (auto& row : rows)
    if (random() % 20 == 0) row.server_ms *= std::exp(1 + 3 * double(random() % 1000) / 1000);  // 5 % wait for something
  Dataset data;
  const auto store = FeedbackStore::open(dir.path(), false, &error);
  if (!store || !store->append(rows, &error) || !load_dataset(embedded_feedback(dir.path()), 200'000, &data, &error)) {
    fmt::print(stderr, "{}\n", error);
    return 1;
  }
  split(data, 1, 0.15);
  const Parts parts = parts_of(data);
  print_header();
  for (const char* objective : {"reg:squarederror", "reg:pseudohubererror", "reg:absoluteerror"}) {
    const auto values = model_predictions(parts, data.width, parts.seen, objective);
    print_class("known", data, parts.seen, {{objective, std::vector<double>(values.begin(), values.end())}}, [](std::size_t) { return true; });
  }
  return 0;
}
