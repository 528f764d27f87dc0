// From feedback to a registered model, in three stages on one thread:
//   1. fit on the oldest rows; the next rows stop it and calibrate the interval; four fits, each without a quarter of the
//      templates, calibrate the interval of statements never seen
//   2. refit on everything older than the test rows -> the figures that are reported, and the comparison
//   3. refit on all rows with the same number of trees -> what is registered (the newest rows and the held-out
//      templates would be lost to production otherwise)
#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <limits>
#include <map>
#include <random>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "predictor/context.hpp"
#include "predictor/hash.hpp"
#include "predictor/models/base.hpp"
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
constexpr double first_sights = 60'000;    // rows trained a second time as if never seen before, for new templates and restarts
constexpr std::size_t folds = 4;
constexpr std::size_t min_class_rows = 100, min_class_templates = 12;
constexpr std::size_t min_compared_rows = 30;
constexpr double interval_share = 0.9;
constexpr double needed_win = 1.645;       // standard errors: one-sided 5 %

/// The rows of some parts as XGBoost wants them.
struct Matrix {
  std::vector<float> values, target, weight;
  std::vector<std::size_t> index;  ///< into the dataset
  TrainingRows view() const { return {values, target, weight, index.size()}; }
  void add(const Matrix& other) {
    const auto join = [](auto& list, const auto& more) { list.insert(list.end(), more.begin(), more.end()); };
    join(values, other.values);
    join(target, other.target);
    join(weight, other.weight);
    join(index, other.index);
  }
};

bool first_sight(Part part) { return part == Part::unseen_calibrate || part == Part::unseen_test; }

void append(Matrix& out, const Dataset& data, const Base& base, std::size_t i, bool forget) {
  out.values.insert(out.values.end(), data.row(i), data.row(i) + data.width);
  float* row = out.values.data() + out.values.size() - data.width;
  if (forget) forget_history(row);
  out.target.push_back(static_cast<float>(double(data.log_ms[i]) - base(row)));
  out.weight.push_back(data.censored[i] ? censored_weight : 1.0f);
  out.index.push_back(i);
}

/// Rows to train on: each as it was, and (a seeded share, where there are many) once more without its past.
Matrix to_train(const Dataset& data, const Base& base, std::uint64_t seed, auto&& wanted) {
  Matrix out;
  std::mt19937_64 random(seed);
  static const auto count = static_cast<std::size_t>(std::max(0, feature_index("history_count")));
  const double share = first_sights / double(std::max<std::size_t>(data.rows(), 1));
  for (std::size_t i = 0; i < data.rows(); ++i) {
    const bool again = double(random() >> 11) * 0x1p-53 < share;  // drawn for every row: same for all stages
    if (!wanted(i)) continue;
    append(out, data, base, i, false);
    if (again && data.row(i)[count] > 0) append(out, data, base, i, true);
  }
  return out;
}

/// Rows to judge on: exactly as they would be asked.
Matrix to_judge(const Dataset& data, const Base& base, Part part) {
  Matrix out;
  for (std::size_t i = 0; i < data.rows(); ++i)
    if (data.parts[i] == part && !data.censored[i]) append(out, data, base, i, first_sight(part));
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
    find_base();
    judge_stop_ = to_judge(data_, base_, Part::stop);
    judge_seen_ = to_judge(data_, base_, Part::test_seen);
    judge_unseen_ = to_judge(data_, base_, Part::unseen_test);
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

  /// The plan's prices, from the oldest rows alone.
  void find_base() {
    std::vector<const float*> rows;
    std::vector<float> log_ms;
    for (std::size_t i = 0; i < data_.rows(); ++i) {
      if (data_.parts[i] != Part::fit || data_.censored[i]) continue;
      rows.push_back(data_.row(i));
      log_ms.push_back(data_.log_ms[i]);
    }
    base_ = fit_base(rows, log_ms);
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
    const Matrix train = to_train(data_, base_, options_.seed, [this](std::size_t i) { return data_.parts[i] == Part::fit; });
    if (train.index.empty() || judge_stop_.index.empty()) return stop("not registered: too few rows outside the held-out templates");
    const BoostResult made = train_stage(train, &judge_stop_, std::clamp(options_.max_trees, 1, 2000), 0.02, 0.2);
    if (!made.error.empty()) return stop(made.error);
    trees_ = made.trees;
    const Matrix seen = to_judge(data_, base_, Part::calibrate);
    std::vector<float> predicted;
    if (!predict(made.model, seen, predicted)) return false;
    const std::vector<double> errors = errors_of(predicted, seen);
    interval_ = conformal_half_width(errors, interval_share);
    std::array<std::vector<double>, statement_classes> by_class;
    for (std::size_t i = 0; i < errors.size(); ++i) by_class[class_of(seen.index[i])].push_back(errors[i]);
    for (std::size_t c = 0; c < statement_classes; ++c)
      if (by_class[c].size() >= min_class_rows) seen_by_class_[c] = conformal_half_width(by_class[c], interval_share);
    return cross_calibrate();
  }

  std::size_t class_of(std::size_t row) const { return static_cast<std::size_t>(class_of_row(data_.row(row))); }

  /// The intervals of statements never seen, from every template's errors under a model that was not trained on it.
  bool cross_calibrate() {
    const auto fold_of = [this](std::size_t i) { return StableHash().add(data_.fingerprints[data_.templates[i]]).add("fold").value() % folds; };
    const double share = first_sights / 2 / double(std::max<std::size_t>(data_.rows(), 1));
    std::array<Matrix, folds> parts;
    std::mt19937_64 random(options_.seed);
    for (std::size_t i = 0; i < data_.rows(); ++i) {
      const bool taken = double(random() >> 11) * 0x1p-53 < share;
      const Part part = data_.parts[i];
      if (!taken || data_.censored[i] || part == Part::test_seen || part == Part::unseen_test || part == Part::later) continue;
      append(parts[fold_of(i)], data_, base_, i, true);
    }
    for (std::size_t fold = 0; fold < folds; ++fold) {
      Matrix others;
      for (std::size_t other = 0; other < folds; ++other)
        if (other != fold) others.add(parts[other]);
      if (others.index.empty() || parts[fold].index.empty()) continue;
      const double from = 0.2 + 0.05 * double(fold);
      const BoostResult made = train_stage(others, nullptr, trees_, from, from + 0.05);
      std::vector<float> predicted;
      if (!made.error.empty()) return stop(made.error);
      if (!predict(made.model, parts[fold], predicted)) return false;
      add_unseen(parts[fold], errors_of(predicted, parts[fold]));
    }
    interval_unseen_ = unseen_interval(&unseen_by_class_);
    return true;
  }

  void add_unseen(const Matrix& rows, const std::vector<double>& errors) {
    for (std::size_t i = 0; i < errors.size(); ++i) unseen_by_template_[{class_of(rows.index[i]), data_.templates[rows.index[i]]}].push_back(errors[i]);
  }

  /// Of all, and by class where there are templates enough.
  double unseen_interval(std::array<double, statement_classes>* by_class) const {
    std::vector<std::vector<double>> lists;
    std::array<std::vector<std::vector<double>>, statement_classes> classes;
    for (const auto& [key, errors] : unseen_by_template_) {
      lists.push_back(errors);
      classes[key.first].push_back(errors);
    }
    for (std::size_t c = 0; c < statement_classes; ++c)
      (*by_class)[c] = classes[c].size() >= min_class_templates ? template_half_width(classes[c], interval_share) : 0;
    return std::max(interval_, template_half_width(lists, interval_share));
  }

  bool stage_two() {
    const auto older = [this](std::size_t i) {
      const Part p = data_.parts[i];
      return p == Part::fit || p == Part::stop || p == Part::calibrate;
    };
    const Matrix train = to_train(data_, base_, options_.seed, older);
    for (std::size_t i = 0; i < data_.rows(); ++i) result_.rows_train += older(i);
    const BoostResult made = train_stage(train, nullptr, trees_, 0.4, 0.65);
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
    const auto covered = [this](const std::vector<double>& errors, const Matrix& rows, const auto& by_class, double half) {
      std::ptrdiff_t inside = 0;
      for (std::size_t i = 0; i < errors.size(); ++i) {
        const double own = by_class[class_of(rows.index[i])];
        inside += errors[i] <= (own > 0 ? own : half);
      }
      return inside;
    };
    const auto in_seen = covered(seen_errors_, judge_seen_, seen_by_class_, interval_);
    const auto in_unseen = covered(unseen_errors_, judge_unseen_, unseen_by_class_, interval_unseen_);
    const std::size_t all = seen.rows + unseen.rows;
    if (all > 0) result_.coverage = double(in_seen + in_unseen) / double(all);
    const auto share = [](std::ptrdiff_t n, std::size_t of) { return of ? Json(double(n) / double(of)) : Json(); };
    coverage_["seen"] = share(in_seen, seen.rows);
    coverage_["unseen"] = share(in_unseen, unseen.rows);
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

  /// How many standard errors the mean gain is above nothing. Rows of a template err together: it counts as one witness, so
  /// that a hot statement cannot promote a model by itself.
  static double win(const std::map<std::uint32_t, std::vector<double>>& by_template) {
    double sum = 0, rows = 0, squares = 0;
    for (const auto& [id, list] : by_template) {
      for (const double gain : list) sum += gain;
      rows += double(list.size());
    }
    const double mean = rows > 0 ? sum / rows : 0;
    for (const auto& [id, list] : by_template) {
      double off = 0;
      for (const double gain : list) off += gain - mean;
      squares += off * off;
    }
    const double templates = double(by_template.size());
    if (templates < 2) return mean > 0 ? std::sqrt(rows) * mean : 0;
    const double error = std::sqrt(squares * templates / (templates - 1)) / rows;
    return error > 0 ? mean / error : mean > 0 ? 1e9 : 0;
  }

  /// Against the current version, on the test rows newer than what it was made from.
  bool worth_registering() {
    result_.message = summary();
    if (!parent_) return true;
    const std::vector<float> old = parent_->predict(judge_seen_.values, judge_seen_.index.size());
    std::vector<double> mine, theirs;
    std::map<std::uint32_t, std::vector<double>> differences;
    for (std::size_t i = 0; i < old.size(); ++i) {
      if (data_.unix_us[judge_seen_.index[i]] <= parent_meta_.to_unix_us) continue;
      const double current = std::abs(double(old[i]) - double(data_.log_ms[judge_seen_.index[i]]));
      differences[data_.templates[judge_seen_.index[i]]].push_back(current - seen_errors_[i]);
      mine.push_back(seen_errors_[i]);
      theirs.push_back(current);
    }
    const QErrors new_errors = q_errors(mine), old_errors = q_errors(theirs);
    compared_ = {{"version", parent_version_}, {"rows", mine.size()}, {"mean_log_new", new_errors.mean_log}, {"mean_log_current", old_errors.mean_log},
                 {"median_new", new_errors.median}, {"median_current", old_errors.median}};
    if (options_.force) return true;
    if (mine.size() < min_compared_rows)
      return stop(fmt::format("not registered: {} test rows are newer than the data of {}, {} needed to compare; {}", mine.size(), parent_version_,
                              min_compared_rows, summary()));
    if (const double z = win(differences); !(z > needed_win))
      return stop(fmt::format("not registered: no sound win over {} on the {} newest rows (mean log error {:.3f} against {:.3f}, z {:.1f}, {:.2f} needed); {}",
                              parent_version_, mine.size(), old_errors.mean_log, new_errors.mean_log, z, needed_win, summary()));
    return true;
  }

  std::string summary() const {
    return fmt::format("q-error median {:.2f} p90 {:.2f} on {} rows of known templates, {:.2f} / {:.2f} on {} of unseen ones; planner cost {:.2f} / {:.2f}",
                       result_.seen_median_q, result_.seen_p90_q, result_.rows_test_seen, result_.unseen_median_q, result_.unseen_p90_q,
                       result_.rows_test_unseen, result_.baseline_median_q, result_.baseline_p90_q);
  }

  bool stage_three() {
    const Matrix train = to_train(data_, base_, options_.seed, [](std::size_t) { return true; });
    final_ = train_stage(train, nullptr, trees_, 0.65, 0.97);
    return final_.error.empty() || stop(final_.error);
  }

  /// Least and greatest of each feature; of what changes by itself (age, load, time, number of runs) nothing.
  std::vector<std::pair<float, float>> ranges() const {
    std::vector<std::pair<float, float>> out(data_.width, {1.0f, -1.0f});
    for (std::size_t column = 0; column < data_.width; ++column) {
      float low = std::numeric_limits<float>::max(), high = std::numeric_limits<float>::lowest();
      for (std::size_t i = 0; i < data_.rows(); ++i) {
        const float value = data_.row(i)[column];
        if (!std::isnan(value)) low = std::min(low, value), high = std::max(high, value);
      }
      const std::string& name = feature_names()[column];
      const bool drifts = name.starts_with("history_") || name.starts_with("load_") || name.starts_with("time_");
      out[column] = drifts || low > high ? std::pair(std::numeric_limits<float>::lowest(), std::numeric_limits<float>::max())
                                         : std::pair(low - 0.05f * std::abs(low), high + 0.05f * std::abs(high));
    }
    return out;
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
  Base base_;
  std::array<double, statement_classes> seen_by_class_{}, unseen_by_class_{};
  std::map<std::pair<std::size_t, std::uint32_t>, std::vector<double>> unseen_by_template_;  ///< (class, template) -> errors
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
  meta.interval_unseen_log = unseen_interval(&meta.unseen_by_class);
  meta.seen_by_class = seen_by_class_;
  meta.base = base_;
  meta.ranges = ranges();
  meta.objective = BoostOptions{}.objective;
  meta.masked = data_.masked;
  meta.model_bytes = final_.model.size();
  meta.model_hash = model_hash(final_.model);
  const auto loads = [](const std::string& directory, std::string* error) { return Model::load(directory, error) != nullptr; };
  std::string error;
  if (!registry_.publish(meta.version, {{"model.ubj", final_.model}, {"meta.json", to_json(meta)}, {"metrics.json", metrics()}}, loads, &error) ||
      !(registry_.pinned().empty() ? registry_.make_current(meta.version, &error) : true)) {
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
