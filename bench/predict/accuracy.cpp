// One honest run of the product's own path: features -> store -> train() -> Model::load -> estimate(). The judged executions
// are in no store the training reads.
#include "bench/predict/accuracy.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

#include <fmt/format.h>

#include "bench/predict/executions.hpp"
#include "predictor/feedback.hpp"
#include "predictor/hash.hpp"
#include "predictor/predictor.hpp"
#include "predictor/train/baseline.hpp"
#include "tests/predictor/synthetic.hpp"

using namespace pgsteer;
using namespace pgsteer::predictor;
using bench::Execution;

namespace {

constexpr double unseen_share = 0.2, newest_share = 0.2;

struct Judged {
  const Execution* execution = nullptr;
  std::string group;
  Estimate estimate;
  std::map<std::string, double> others;  ///< baseline -> ms
};

/// Replays the recording in its order, as the proxy would have met it.
class Replay {
 public:
  Replay(const bench::Recording& recording, std::uint64_t seed) : all_(recording.executions) {
    for (std::size_t i = 0; i < all_.size(); ++i) by_template_[all_[i].statement()].push_back(i);
    for (const auto& [name, list] : by_template_)
      if (double(StableHash().add(name).add(fmt::to_string(seed)).value() % 10'000) < unseen_share * 10'000) unseen_.insert(name);
    first_judged_ = static_cast<std::size_t>(double(all_.size()) * (1 - newest_share));
  }

  bool trained_on(std::size_t i) const { return i < first_judged_ && !unseen_.contains(all_[i].statement()); }
  std::size_t templates() const { return by_template_.size(); }
  std::size_t unseen_templates() const { return unseen_.size(); }

  FeatureInput input(const Execution& e, const History* history) const {
    FeatureInput in;
    in.analysis = e.analysis.get();
    in.catalog = e.catalog;
    in.plan = &e.plan;
    in.history = history;
    in.search_path = "public";
    in.user = "postgres";
    return in;
  }

  /// Rows for the store, and the calibration that the same executions would have left.
  std::vector<Feedback> rows(Calibration* calibration) {
    std::vector<Feedback> out;
    std::map<std::string, History> histories;
    for (std::size_t i = 0; i < all_.size(); ++i) {
      const Execution& e = all_[i];
      if (!trained_on(i)) continue;
      History& history = histories[e.statement()];
      Feedback f;
      f.unix_microseconds = 1'700'000'000'000'000 + static_cast<std::int64_t>(i) * 1'000'000;
      f.database = e.database;
      f.fingerprint = e.database.substr(0, 1) + e.analysis->fingerprint_hex;
      f.shape = e.analysis->shape.hex();
      f.kind = sql::to_string(e.analysis->kind);
      f.normalized = e.analysis->normalized();
      f.feature_schema = feature_schema();
      f.features = extract(input(e, &history));
      f.candidate = "as-is";
      f.source = e.cut_off ? "error" : "server";
      f.sqlstate = e.cut_off ? "57014" : "";
      f.censored = e.cut_off;
      f.server_ms = f.total_ms = e.ms;
      f.rows = static_cast<std::int64_t>(e.rows);
      f.bytes = static_cast<std::int64_t>(e.bytes);
      f.plan_cost = e.plan.known ? e.plan.total_cost : -1;
      out.push_back(std::move(f));
      if (e.cut_off) continue;
      history.add(e.ms, e.rows, e.bytes, &e.plan);
      calibration->add(e.plan.total_cost, e.analysis->kind, e.ms);
    }
    histories_ = std::move(histories);
    return out;
  }

  /// Estimates of the executions that were kept back, each before it is learned from.
  std::vector<Judged> judge(const Model* model, const Calibration& calibration) {
    std::vector<Judged> out;
    fit_baselines();
    for (std::size_t i = 0; i < all_.size(); ++i) {
      const Execution& e = all_[i];
      const bool unseen = unseen_.contains(e.statement());
      if (trained_on(i) || e.cut_off || (!unseen && !medians_.contains(e.statement()))) continue;
      History* history = unseen ? nullptr : &histories_[e.statement()];
      const FeatureInput in = input(e, history);
      Judged judged{&e, unseen ? "unseen" : "seen", estimate({&in, 1}, model, calibration).front(), {}};
      judged.others["planner cost, isotonic"] = std::exp(isotonic_->predict(e.plan.total_cost));
      if (!unseen) judged.others["fingerprint median"] = medians_[e.statement()];
      if (!unseen) judged.others["fingerprint x planner cost"] = scales_[e.statement()] * (1 + e.plan.total_cost);
      out.push_back(std::move(judged));
      if (history) history->add(e.ms, e.rows, e.bytes, &e.plan);
    }
    return out;
  }

 private:
  void fit_baselines() {
    std::vector<std::pair<double, double>> costs;
    std::map<std::string, std::vector<double>> times, ratios;
    for (std::size_t i = 0; i < all_.size(); ++i) {
      if (!trained_on(i) || all_[i].cut_off) continue;
      costs.emplace_back(all_[i].plan.total_cost, std::log(all_[i].ms));
      times[all_[i].statement()].push_back(all_[i].ms);
      ratios[all_[i].statement()].push_back(all_[i].ms / (1 + all_[i].plan.total_cost));
    }
    isotonic_ = std::make_unique<CostBaseline>(std::move(costs));
    const auto middle = [](std::vector<double> list) {
      std::nth_element(list.begin(), list.begin() + static_cast<std::ptrdiff_t>(list.size() / 2), list.end());
      return list[list.size() / 2];
    };
    for (const auto& [name, list] : times) medians_[name] = middle(list);
    for (const auto& [name, list] : ratios) scales_[name] = middle(list);
  }

  const std::vector<Execution>& all_;
  std::map<std::string, std::vector<std::size_t>> by_template_;
  std::set<std::string> unseen_;
  std::size_t first_judged_ = 0;
  std::map<std::string, History> histories_;
  std::unique_ptr<CostBaseline> isotonic_;
  std::map<std::string, double> medians_, scales_;
};

struct Figures {
  std::size_t rows = 0;
  double p50 = 0, p90 = 0, p99 = 0, within_1_5 = 0, within_2 = 0, r2 = 0, mae_share = 0;
};

/// From (predicted, actual) milliseconds.
Figures figures(const std::vector<std::pair<double, double>>& pairs) {
  Figures out;
  out.rows = pairs.size();
  if (pairs.empty()) return out;
  std::vector<double> errors;
  double mean_log = 0, mean = 0, absolute = 0, residual = 0, spread = 0;
  for (const auto& [predicted, actual] : pairs) {
    errors.push_back(std::abs(std::log(predicted / actual)));
    mean_log += std::log(actual) / double(pairs.size());
    mean += actual / double(pairs.size());
    absolute += std::abs(predicted - actual) / double(pairs.size());
  }
  for (const auto& [predicted, actual] : pairs) {
    residual += std::pow(std::log(predicted / actual), 2);
    spread += std::pow(std::log(actual) - mean_log, 2);
  }
  std::sort(errors.begin(), errors.end());
  const auto at = [&errors](double share) { return std::exp(errors[std::min(errors.size() - 1, static_cast<std::size_t>(share * double(errors.size())))]); };
  const auto within = [&errors](double factor) {
    return double(std::upper_bound(errors.begin(), errors.end(), std::log(factor)) - errors.begin()) / double(errors.size());
  };
  out.p50 = at(0.5);
  out.p90 = at(0.9);
  out.p99 = at(0.99);
  out.within_1_5 = within(1.5);
  out.within_2 = within(2);
  out.r2 = spread > 0 ? 1 - residual / spread : 0;
  out.mae_share = absolute / mean;
  return out;
}

void print_line(const std::string& name, const Figures& f) {
  if (f.rows == 0) return;
  fmt::print("  {:<28} {:>6} {:>7.2f} {:>7.2f} {:>8.1f} {:>7.0f}% {:>6.0f}% {:>8.2f} {:>8.0f}%\n", name, f.rows, f.p50, f.p90, f.p99, 100 * f.within_1_5,
             100 * f.within_2, f.r2, 100 * f.mae_share);
}

Figures of(const std::vector<Judged>& judged, const std::string& name, auto&& wanted) {
  std::vector<std::pair<double, double>> pairs;
  for (const Judged& j : judged) {
    if (!wanted(j)) continue;
    if (name == "model") pairs.emplace_back(j.estimate.ms, j.execution->ms);
    else if (const auto found = j.others.find(name); found != j.others.end()) pairs.emplace_back(found->second, j.execution->ms);
  }
  return figures(pairs);
}

void print_table(const std::string& title, const std::vector<Judged>& judged, auto&& wanted) {
  fmt::print("\n{}\n  {:<28} {:>6} {:>7} {:>7} {:>8} {:>8} {:>7} {:>8} {:>9}\n", title, "", "rows", "q p50", "q p90", "q p99", "<1.5x", "<2x", "R2(log)", "MAE/mean");
  for (const char* name : {"model", "planner cost, isotonic", "fingerprint median", "fingerprint x planner cost"}) print_line(name, of(judged, name, wanted));
}

/// No model can do better than the same statement asked again.
void print_noise(const bench::Recording& recording) {
  std::vector<std::pair<double, double>> one, three, passes;
  for (const Execution& e : recording.executions) {
    if (e.cut_off) continue;
    if (e.runs.size() >= 2) one.emplace_back(std::max(e.runs[0], 1e-2), std::max(e.runs[1], 1e-2));
    if (!e.passes.empty()) passes.emplace_back(std::max(e.passes.front(), 1e-2), std::max(*std::min_element(e.runs.begin(), e.runs.end()), 1e-2));
    if (e.runs.size() >= 6)
      three.emplace_back(std::max(*std::min_element(e.runs.begin(), e.runs.begin() + 3), 1e-2), std::max(*std::min_element(e.runs.begin() + 3, e.runs.begin() + 6), 1e-2));
  }
  fmt::print("\nnoise floor: the same statement again\n");
  print_line("one run against the next", figures(one));
  print_line("least of 3 against least of 3", figures(three));
  print_line("least of two passes", figures(passes));
}

double covered(const std::vector<Judged>& judged, auto&& wanted, std::size_t* rows) {
  std::size_t inside = 0;
  *rows = 0;
  for (const Judged& j : judged) {
    if (!wanted(j)) continue;
    ++*rows;
    inside += j.execution->ms >= j.estimate.ms_low && j.execution->ms <= j.estimate.ms_high;
  }
  return *rows ? double(inside) / double(*rows) : 0;
}

void print_coverage(const std::vector<Judged>& judged) {
  fmt::print("\ncoverage of the 90 % interval (width: the median of high / low)\n");
  std::map<std::string, std::vector<double>> widths;
  std::map<std::string, std::pair<std::size_t, std::size_t>> classes;
  for (const Judged& j : judged) {
    const bool inside = j.execution->ms >= j.estimate.ms_low && j.execution->ms <= j.estimate.ms_high;
    for (const std::string& name : {std::string("all"), j.group, j.group + " " + std::string(to_string(statement_class(*j.execution->analysis)))}) {
      ++classes[name].first;
      classes[name].second += inside;
      widths[name].push_back(j.estimate.ms_high / j.estimate.ms_low);
    }
  }
  for (auto& [name, counts] : classes) {
    auto& list = widths[name];
    std::nth_element(list.begin(), list.begin() + static_cast<std::ptrdiff_t>(list.size() / 2), list.end());
    fmt::print("  {:<34} {:>6} rows {:>6.1f} %   width {:.1f}\n", name, counts.first, 100.0 * double(counts.second) / double(counts.first), list[list.size() / 2]);
  }
}

/// The targets of the project, met or not. `half`: ahead of the isotonic planner cost by at least half of the error.
void print_targets(const std::vector<Judged>& judged) {
  const auto group = [](const char* name) { return [name](const Judged& j) { return j.group == name; }; };
  const Figures unseen = of(judged, "model", group("unseen")), seen = of(judged, "model", group("seen"));
  const Figures cost_unseen = of(judged, "planner cost, isotonic", group("unseen")), cost_seen = of(judged, "planner cost, isotonic", group("seen"));
  std::size_t rows = 0;
  const double coverage = covered(judged, [](const Judged&) { return true; }, &rows);
  double worst = 0;
  std::set<std::string> classes;
  for (const Judged& j : judged) classes.insert(std::string(to_string(statement_class(*j.execution->analysis))));
  for (const std::string& name : classes) {
    const double share = covered(judged, [&](const Judged& j) { return to_string(statement_class(*j.execution->analysis)) == name; }, &rows);
    if (rows >= 100) worst = std::max(worst, std::abs(share - 0.9));
  }
  fmt::print("\ntargets\n");
  const auto line = [](const char* name, double value, double target, bool at_most) {
    fmt::print("  {:<66} {:>7.3f} {} {:<6} {}\n", name, value, at_most ? "<=" : ">=", target, (at_most ? value <= target : value >= target) ? "met" : "MISSED");
  };
  line("unseen templates: q-error median", unseen.p50, 1.5, true);
  line("unseen templates: q-error 90th", unseen.p90, 5, true);
  line("seen templates, new parameters: q-error median", seen.p50, 1.10, true);
  line("seen templates, new parameters: q-error 90th", seen.p90, 1.6, true);
  line("seen templates, new parameters: q-error 99th", seen.p99, 4, true);
  line("seen templates, new parameters: R2 (log)", seen.r2, 0.97, false);
  line("seen templates, new parameters: mean absolute error / mean", seen.mae_share, 0.15, true);
  line("unseen: (median q - 1) as a share of the planner cost's", (unseen.p50 - 1) / (cost_unseen.p50 - 1), 0.5, true);
  line("seen: (median q - 1) as a share of the planner cost's", (seen.p50 - 1) / (cost_seen.p50 - 1), 0.5, true);
  line("coverage: distance from 90 %, overall", std::abs(coverage - 0.9), 0.02, true);
  line("coverage: distance from 90 %, worst class of >= 100 rows", worst, 0.05, true);
}

}  // namespace

int report_accuracy(const std::vector<std::string>& files, std::uint64_t seed) {
  bench::Recording recording;
  if (!bench::read_recording(files, &recording)) return 1;
  Replay replay(recording, seed);
  Calibration calibration;
  const std::vector<Feedback> rows = replay.rows(&calibration);
  fmt::print("{} executions of {} templates ({} never seen in training); milliseconds are the server's CPU time\n", recording.executions.size(),
             replay.templates(), replay.unseen_templates());
  pgsteer::test::ScratchDir dir;
  std::string error;
  {
    const auto store = FeedbackStore::open(dir.path(), false, &error);
    if (!store || !store->append(rows, &error)) return fmt::print(stderr, "{}\n", error), 1;
  }
  TrainOptions options;
  options.state_dir = dir.path();
  options.feedback = embedded_feedback(dir.path());
  options.seed = seed;
  const auto start = std::chrono::steady_clock::now();
  const TrainResult result = train(options);
  fmt::print("training on {} rows: {:.1f} s, {}\n", rows.size(), std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count(), result.message);
  const auto model = result.registered ? Model::load(result.directory, &error) : nullptr;
  if (!model) return fmt::print(stderr, "{}\n", error), 1;

  const std::vector<Judged> judged = replay.judge(model.get(), calibration);
  print_noise(recording);
  for (const char* group : {"seen", "unseen"}) {
    print_table(fmt::format("{} templates{}", group, *group == 's' ? ", new parameters" : ""), judged, [group](const Judged& j) { return j.group == group; });
    for (const auto& catalog : recording.catalogs)
      print_table(fmt::format("{} templates: {}", group, catalog->database), judged,
                  [&](const Judged& j) { return j.group == group && j.execution->database == catalog->database; });
  }
  fmt::print("\nmodel by shape of statement\n");
  std::set<std::string> shapes;
  for (const Judged& j : judged) shapes.insert(j.group + " " + j.execution->shape);
  for (const std::string& shape : shapes) print_line(shape, of(judged, "model", [&](const Judged& j) { return j.group + " " + j.execution->shape == shape; }));
  print_coverage(judged);
  print_targets(judged);
  return 0;
}
