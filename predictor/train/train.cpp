// From feedback to a registered model, in three stages on one thread:
//   1. fit on the oldest rows; the next rows stop it and calibrate the interval
//   2. refit on everything older than the test rows -> the figures that are reported, and the comparison
//   3. refit on all rows with the same number of trees -> what is registered (the newest rows and the held-out
//      templates would be lost to production otherwise)
#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <map>
#include <random>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "predictor/models/booster.hpp"
#include "predictor/models/meta.hpp"
#include "predictor/predictor.hpp"
#include "predictor/train/baseline.hpp"
#include "predictor/train/dataset.hpp"
#include "predictor/train/metrics.hpp"
#include "predictor/train/registry.hpp"

namespace pgsteer::predictor {
namespace {

using Json = nlohmann::json;
using SteadyClock = std::chrono::steady_clock;

constexpr std::size_t max_training_rows = 200'000;
constexpr double test_share = 0.15;
constexpr float censored_weight = 0.5f;    // a time-out says "at least": half a vote for its lower bound
constexpr double history_dropout = 0.15;   // rows trained as if seen for the first time, for new templates and restarts
constexpr std::size_t min_compared_rows = 30;
constexpr double interval_share = 0.9;

/// The rows of some parts as XGBoost wants them.
struct Matrix {
  std::vector<float> values, target, weight;
  std::vector<std::size_t> index;  ///< into the dataset
  TrainingRows view() const { return {values, target, weight, index.size()}; }
};

bool first_sight(Part part) { return part == Part::unseen_calibrate || part == Part::unseen_test; }

void append(Matrix& out, const Dataset& data, std::size_t i, bool forget) {
  out.values.insert(out.values.end(), data.row(i), data.row(i) + data.width);
  if (forget) forget_history(out.values.data() + out.values.size() - data.width);
  out.target.push_back(data.log_ms[i]);
  out.weight.push_back(data.censored[i] ? censored_weight : 1.0f);
  out.index.push_back(i);
}

/// Rows to train on, with history dropped from a seeded share of them.
Matrix to_train(const Dataset& data, std::uint64_t seed, auto&& wanted) {
  Matrix out;
  std::mt19937_64 random(seed);
  for (std::size_t i = 0; i < data.rows(); ++i) {
    const bool forget = double(random() >> 11) * 0x1p-53 < history_dropout;  // drawn for every row: same for all stages
    if (wanted(data.parts[i])) append(out, data, i, forget);
  }
  return out;
}

/// Rows to judge on: exactly as they would be asked.
Matrix to_judge(const Dataset& data, Part part) {
  Matrix out;
  for (std::size_t i = 0; i < data.rows(); ++i)
    if (data.parts[i] == part && !data.censored[i]) append(out, data, i, first_sight(part));
  return out;
}

std::vector<double> errors_of(const std::vector<float>& predicted, const Matrix& rows) {
  std::vector<double> out(rows.index.size());
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = std::abs(double(predicted[i]) - double(rows.target[i]));
  return out;
}

class Training {
 public:
  explicit Training(const TrainOptions& options) : options_(options), registry_(options.state_dir, options.name) {}

  TrainResult run() {
    if (!registry_.lock(&result_.message) || !load()) return result_;
    find_parent();
    split(data_, options_.seed, test_share_against_parent());
    judge_stop_ = to_judge(data_, Part::stop);
    judge_seen_ = to_judge(data_, Part::test_seen);
    judge_unseen_ = to_judge(data_, Part::unseen_test);
    if (!stage_one() || !stage_two()) return result_;
    fit_baselines();
    if (!worth_registering()) return result_;
    if (stage_three()) publish();
    return result_;
  }

 private:
  bool stop(std::string message) {
    result_.message = std::move(message);
    result_.version.clear();
    return false;
  }

  void progress(double share, const std::string& message) const {
    if (options_.progress) options_.progress(share, message);
  }

  bool load() {
    progress(0, "reading feedback");
    std::string error;
    if (!load_dataset(options_.state_dir, max_training_rows, &data_, &error)) return stop(error);
    const auto usable = static_cast<std::int64_t>(data_.rows()) - std::count(data_.censored.begin(), data_.censored.end(), true);
    if (usable < std::max(options_.min_rows, 20))
      return stop(fmt::format("not registered: {} usable rows of feature schema {}, {} needed", usable, hex64(feature_schema()),
                              std::max(options_.min_rows, 20)));
    return true;
  }

  void find_parent() {
    result_.version = registry_.next_version();
    parent_version_ = registry_.current();
    if (parent_version_.empty()) return;
    std::string error, text;
    const std::string directory = registry_.directory(parent_version_);
    parent_ = Model::load(directory, &error);
    if (!parent_ || !read_file(directory + "/meta.json", 1u << 20, &text, &error) || !from_json(text, &parent_meta_, &error)) {
      parent_ = nullptr;  // foreign schema or damaged: nothing to beat
      parent_note_ = error;
    }
  }

  /// Against a current version only rows newer than its data are new to both; half of them are the test, the other
  /// half may be learned from.
  double test_share_against_parent() const {
    if (!parent_) return test_share;
    const auto newer = std::upper_bound(data_.unix_us.begin(), data_.unix_us.end(), parent_meta_.to_unix_us);
    const double rows = double(data_.unix_us.end() - newer) / 2;
    return rows < double(min_compared_rows) ? test_share : std::min(test_share, rows / double(data_.rows()));
  }

  BoostResult train_stage(const Matrix& train, const Matrix* validation, int trees, double from, double to) const {
    BoostOptions boost_options;
    boost_options.seed = options_.seed;
    boost_options.max_trees = trees;
    boost_options.max_depth = std::clamp(options_.max_depth, 1, 12);
    boost_options.go_on = [&, this](int tree) {
      if (tree % 10 == 0) progress(from + (to - from) * tree / trees, fmt::format("tree {} of at most {}", tree, trees));
      return tree == 0 || SteadyClock::now() < started_ + std::chrono::duration<double>(options_.time_budget_seconds * to);
    };
    return boost(train.view(), validation ? validation->view() : TrainingRows{}, data_.width, boost_options);
  }

  bool predict(const std::string& model, const Matrix& rows, std::vector<float>& out) {
    out.resize(rows.index.size());
    std::string error;
    const auto booster = Booster::load(model, data_.width, &error);
    return (booster && booster->predict(rows.values.data(), out.size(), out.data(), &error)) || stop(error);
  }

  bool stage_one() {
    const Matrix train = to_train(data_, options_.seed, [](Part p) { return p == Part::fit; });
    if (train.index.empty() || judge_stop_.index.empty()) return stop("not registered: too few rows outside the held-out templates");
    const BoostResult made = train_stage(train, &judge_stop_, std::clamp(options_.max_trees, 1, 2000), 0.02, 0.3);
    if (!made.error.empty()) return stop(made.error);
    trees_ = made.trees;
    const Matrix seen = to_judge(data_, Part::calibrate), unseen = to_judge(data_, Part::unseen_calibrate);
    std::vector<float> predicted;
    if (!predict(made.model, seen, predicted)) return false;
    interval_ = conformal_half_width(errors_of(predicted, seen), interval_share);
    if (!predict(made.model, unseen, predicted)) return false;
    add_unseen(unseen, errors_of(predicted, unseen));
    interval_unseen_ = unseen_interval();
    return true;
  }

  void add_unseen(const Matrix& rows, const std::vector<double>& errors) {
    for (std::size_t i = 0; i < errors.size(); ++i) unseen_by_template_[data_.templates[rows.index[i]]].push_back(errors[i]);
  }

  /// Never narrower than for known templates.
  double unseen_interval() const {
    std::vector<std::vector<double>> lists;
    for (const auto& [id, errors] : unseen_by_template_) lists.push_back(errors);
    return std::max(interval_ * 1.2, template_half_width(lists, interval_share));
  }

  bool stage_two() {
    const Matrix train = to_train(data_, options_.seed, [](Part p) { return p == Part::fit || p == Part::stop || p == Part::calibrate; });
    result_.rows_train = static_cast<std::int64_t>(train.index.size());
    const BoostResult made = train_stage(train, nullptr, trees_, 0.3, 0.6);
    if (!made.error.empty()) return stop(made.error);
    std::vector<float> predicted;
    if (!predict(made.model, judge_seen_, predicted)) return false;
    seen_errors_ = errors_of(predicted, judge_seen_);
    if (!predict(made.model, judge_unseen_, predicted)) return false;
    unseen_errors_ = errors_of(predicted, judge_unseen_);
    report();
    return true;
  }

  void report() {
    const QErrors seen = q_errors(seen_errors_), unseen = q_errors(unseen_errors_);
    result_.rows_test_seen = static_cast<std::int64_t>(seen.rows);
    result_.rows_test_unseen = static_cast<std::int64_t>(unseen.rows);
    result_.seen_median_q = seen.median;
    result_.seen_p90_q = seen.p90;
    result_.unseen_median_q = unseen.median;
    result_.unseen_p90_q = unseen.p90;
    const auto covered = [](const std::vector<double>& errors, double half) {
      return std::count_if(errors.begin(), errors.end(), [half](double error) { return error <= half; });
    };
    const std::size_t all = seen.rows + unseen.rows;
    if (all > 0) result_.coverage = double(covered(seen_errors_, interval_) + covered(unseen_errors_, interval_unseen_)) / double(all);
    const auto share = [](std::ptrdiff_t n, std::size_t of) { return of ? Json(double(n) / double(of)) : Json(); };
    coverage_["seen"] = share(covered(seen_errors_, interval_), seen.rows);
    coverage_["unseen"] = share(covered(unseen_errors_, interval_unseen_), unseen.rows);
  }

  void fit_baselines() {
    std::vector<std::pair<double, double>> rows;
    std::map<std::uint32_t, std::vector<double>> by_template;
    for (std::size_t i = 0; i < data_.rows(); ++i) {
      const Part part = data_.parts[i];
      if (data_.censored[i] || (part != Part::fit && part != Part::stop && part != Part::calibrate)) continue;
      rows.emplace_back(data_.cost[i], data_.log_ms[i]);
      by_template[data_.templates[i]].push_back(data_.log_ms[i]);
    }
    const CostBaseline cost(std::move(rows));
    const auto judge = [&](const Matrix& matrix, std::vector<double>& errors) {
      for (const std::size_t i : matrix.index) errors.push_back(std::abs(cost.predict(data_.cost[i]) - double(data_.log_ms[i])));
    };
    judge(judge_seen_, baseline_seen_);
    judge(judge_unseen_, baseline_unseen_);
    std::vector<double> all = baseline_seen_;
    all.insert(all.end(), baseline_unseen_.begin(), baseline_unseen_.end());
    const QErrors both = q_errors(all);
    result_.baseline_median_q = both.median;
    result_.baseline_p90_q = both.p90;
    for (auto& [id, list] : by_template) std::sort(list.begin(), list.end());
    for (const std::size_t i : judge_seen_.index) {
      const auto& list = by_template[data_.templates[i]];
      if (!list.empty()) template_median_.push_back(std::abs(list[list.size() / 2] - double(data_.log_ms[i])));
    }
  }

  /// Against the current version, on the test rows newer than what it was made from.
  bool worth_registering() {
    result_.message = summary();
    if (!parent_) return true;
    const std::vector<float> old = parent_->predict(judge_seen_.values, judge_seen_.index.size());
    std::vector<double> mine, theirs;
    for (std::size_t i = 0; i < old.size(); ++i) {
      if (data_.unix_us[judge_seen_.index[i]] <= parent_meta_.to_unix_us) continue;
      mine.push_back(seen_errors_[i]);
      theirs.push_back(std::abs(double(old[i]) - double(judge_seen_.target[i])));
    }
    const QErrors new_errors = q_errors(mine), old_errors = q_errors(theirs);
    compared_ = {{"version", parent_version_}, {"rows", mine.size()}, {"mean_log_new", new_errors.mean_log}, {"mean_log_current", old_errors.mean_log},
                 {"median_new", new_errors.median}, {"median_current", old_errors.median}};
    if (options_.force) return true;
    if (mine.size() < min_compared_rows)
      return stop(fmt::format("not registered: {} test rows are newer than the data of {}, {} needed to compare; {}", mine.size(), parent_version_,
                              min_compared_rows, summary()));
    if (!(new_errors.mean_log < old_errors.mean_log))
      return stop(fmt::format("not registered: {} is as good on the {} newest rows (mean log error {:.3f} against {:.3f}); {}", parent_version_,
                              mine.size(), old_errors.mean_log, new_errors.mean_log, summary()));
    return true;
  }

  std::string summary() const {
    return fmt::format("q-error median {:.2f} p90 {:.2f} on {} rows of known templates, {:.2f} / {:.2f} on {} of unseen ones; planner cost {:.2f} / {:.2f}",
                       result_.seen_median_q, result_.seen_p90_q, result_.rows_test_seen, result_.unseen_median_q, result_.unseen_p90_q,
                       result_.rows_test_unseen, result_.baseline_median_q, result_.baseline_p90_q);
  }

  bool stage_three() {
    const Matrix train = to_train(data_, options_.seed, [](Part) { return true; });
    final_ = train_stage(train, nullptr, trees_, 0.6, 0.97);
    return final_.error.empty() || stop(final_.error);
  }

  std::string metrics() const;
  void publish();

  const TrainOptions& options_;
  Registry registry_;
  SteadyClock::time_point started_ = SteadyClock::now();
  TrainResult result_;
  Dataset data_;
  Matrix judge_stop_, judge_seen_, judge_unseen_;
  std::shared_ptr<const Model> parent_;
  ModelMeta parent_meta_;
  std::string parent_version_, parent_note_;
  int trees_ = 0;
  double interval_ = 0, interval_unseen_ = 0;
  std::map<std::uint32_t, std::vector<double>> unseen_by_template_;
  std::vector<double> seen_errors_, unseen_errors_, baseline_seen_, baseline_unseen_, template_median_;
  Json coverage_ = Json::object(), compared_;
  BoostResult final_;
};

Json to_json(const QErrors& errors) {
  if (errors.rows == 0) return {{"rows", 0}};
  return {{"rows", errors.rows}, {"median_q", errors.median}, {"p90_q", errors.p90}, {"p99_q", errors.p99},
          {"within_2x", errors.within_2x}, {"mean_log_error", errors.mean_log}};
}

std::string Training::metrics() const {
  Json out;
  out["definition"] = "q-error = max(predicted/actual, actual/predicted) of server milliseconds; seen: newest rows of templates trained on; "
                      "unseen: held-out templates, without history. Measured before the refit on all rows that is registered.";
  out["seen"] = to_json(q_errors(seen_errors_));
  out["unseen"] = to_json(q_errors(unseen_errors_));
  out["coverage_90"] = coverage_;
  out["interval_factor"] = {{"seen", std::exp(interval_)}, {"unseen", std::exp(interval_unseen_)}};
  out["baseline_planner_cost"] = {{"seen", to_json(q_errors(baseline_seen_))}, {"unseen", to_json(q_errors(baseline_unseen_))}};
  out["baseline_template_median"] = {{"seen", to_json(q_errors(template_median_))}};
  std::map<std::string, std::vector<double>> by_kind, by_time;
  for (std::size_t i = 0; i < seen_errors_.size(); ++i) {
    const std::size_t row = judge_seen_.index[i];
    const float log_ms = data_.log_ms[row];
    by_kind[data_.kinds[data_.templates[row]]].push_back(seen_errors_[i]);
    by_time[log_ms < 0 ? "<1ms" : log_ms < 2.302585f ? "1-10ms" : log_ms < 4.605170f ? "10-100ms" : ">=100ms"].push_back(seen_errors_[i]);
  }
  for (const auto& [kind, errors] : by_kind) out["seen_by_kind"][kind] = to_json(q_errors(errors));
  for (const auto& [range, errors] : by_time) out["seen_by_latency"][range] = to_json(q_errors(errors));
  out["compared_with"] = compared_;
  out["rows"] = {{"train", result_.rows_train}, {"test_seen", result_.rows_test_seen}, {"test_unseen", result_.rows_test_unseen},
                 {"all", data_.rows()}, {"templates", data_.fingerprints.size()},
                 {"censored", std::count(data_.censored.begin(), data_.censored.end(), true)},
                 {"excluded_cache", data_.excluded_cache}, {"excluded_errors", data_.excluded_errors},
                 {"excluded_other_source", data_.excluded_other_source}, {"excluded_invalid", data_.excluded_invalid}};
  double gains = 0;
  for (const auto& [name, gain] : final_.gains) gains += gain;
  Json importance = Json::array();
  for (const auto& [name, gain] : final_.gains) {
    const std::size_t column = name.size() > 1 ? std::strtoul(name.c_str() + 1, nullptr, 10) : data_.width;
    if (importance.size() < 20 && column < data_.width && gains > 0)
      importance.push_back({{"feature", feature_names()[column]}, {"share_of_gain", gain / gains}});
  }
  out["importance"] = importance;
  return out.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

void Training::publish() {
  ModelMeta meta;
  meta.name = options_.name;
  meta.version = result_.version;
  meta.parent = parent_version_;
  meta.schema = feature_schema();
  meta.features = data_.width;
  meta.seed = options_.seed;
  meta.trees = static_cast<std::size_t>(final_.trees);
  meta.rows = static_cast<std::int64_t>(data_.rows());
  meta.from_unix_us = data_.unix_us.front();
  meta.to_unix_us = data_.unix_us.back();
  meta.interval_log = interval_;
  add_unseen(judge_unseen_, unseen_errors_);  // the figures are made: now the test templates may give evidence too
  meta.interval_unseen_log = unseen_interval();
  meta.objective = BoostOptions{}.objective;
  meta.masked = data_.masked;
  meta.model_bytes = final_.model.size();
  meta.model_hash = model_hash(final_.model);
  const auto loads = [](const std::string& directory, std::string* error) { return Model::load(directory, error) != nullptr; };
  std::string error;
  if (!registry_.publish(meta.version, {{"model.ubj", final_.model}, {"meta.json", to_json(meta)}, {"metrics.json", metrics()}}, loads, &error) ||
      !registry_.make_current(meta.version, &error)) {
    stop("not registered: " + error);
    return;
  }
  registry_.prune(options_.keep_versions);
  result_.registered = true;
  result_.directory = registry_.directory(meta.version);
  result_.message = fmt::format("registered {}: {}", meta.version, summary());
  if (!parent_note_.empty()) result_.message += fmt::format("; {} was not compared: {}", parent_version_, parent_note_);
  progress(1, result_.message);
}

}  // namespace

TrainResult train(const TrainOptions& options) {
  try {
    return Training(options).run();
  } catch (const std::exception& fault) {  // bad_alloc: the child has a memory limit
    TrainResult result;
    result.message = fmt::format("not registered: {}", fault.what());
    return result;
  }
}

}  // namespace pgsteer::predictor
