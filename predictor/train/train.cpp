// From feedback to a registered model, in three stages on one thread:
//   1. fit on the oldest rows; the next rows stop it and calibrate the interval; four fits, each without a quarter of the
//      templates, calibrate the interval of statements never seen
//   2. refit on everything older than the test rows -> the figures that are reported, and the comparison
//   3. refit on all rows with the same number of trees -> what is registered (the newest rows and the held-out
//      templates would be lost to production otherwise)
#include <algorithm>
#include <chrono>
#include <cmath>
#include <map>

#include <fmt/format.h>

#include "predictor/context.hpp"
#include "predictor/hash.hpp"
#include "predictor/train/metrics.hpp"
#include "predictor/train/training.hpp"

namespace pgsteer::predictor {
namespace {

constexpr std::size_t max_training_rows = 200'000;
constexpr double test_share = 0.15;
constexpr std::size_t min_compared_rows = 30;
constexpr double needed_win = 1.645;       // standard errors: one-sided 5 %

}  // namespace

TrainResult Training::run() {
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

bool Training::stop(std::string message) {
  result_.message = std::move(message);
  result_.version.clear();
  return false;
}

void Training::progress(double share, const std::string& message) const {
  if (options_.progress) options_.progress(share, message);
}

bool Training::load() {
  progress(0, "reading feedback");
  std::string error;
  if (!options_.feedback) return stop("no feedback to learn from");
  if (!load_dataset(options_.feedback, max_training_rows, &data_, &error)) return stop(error);
  const auto usable = static_cast<std::int64_t>(data_.rows()) - std::count(data_.censored.begin(), data_.censored.end(), true);
  if (usable < std::max(options_.min_rows, 20))
    return stop(fmt::format("not registered: {} usable rows of feature schema {}, {} needed", usable, hex64(feature_schema()),
                            std::max(options_.min_rows, 20)));
  return true;
}

void Training::find_base() {
  std::vector<const float*> rows;
  std::vector<float> log_ms;
  for (std::size_t i = 0; i < data_.rows(); ++i) {
    if (data_.parts[i] != Part::fit || data_.censored[i]) continue;
    rows.push_back(data_.row(i));
    log_ms.push_back(data_.log_ms[i]);
  }
  base_ = fit_base(rows, log_ms);
}

void Training::find_parent() {
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

double Training::test_share_against_parent() const {
  if (!parent_) return test_share;
  const auto newer = std::upper_bound(data_.unix_us.begin(), data_.unix_us.end(), parent_meta_.to_unix_us);
  const double rows = double(data_.unix_us.end() - newer) / 2;
  return rows < double(min_compared_rows) ? test_share : std::min(test_share, rows / double(data_.rows()));
}

BoostResult Training::train_stage(Matrix& train, const Matrix* validation, int trees, double from, double to) const {
  BoostOptions boost_options;
  boost_options.seed = options_.seed;
  boost_options.max_trees = trees;
  boost_options.max_depth = std::clamp(options_.max_depth, 1, 12);
  boost_options.copied = [&train] { std::vector<float>().swap(train.values); };  // as much as the dataset itself
  boost_options.go_on = [&, this](int tree) {
    if (tree % 10 == 0) progress(from + (to - from) * tree / trees, fmt::format("tree {} of at most {}", tree, trees));
    return tree == 0 || SteadyClock::now() < started_ + std::chrono::duration<double>(options_.time_budget_seconds * to);
  };
  return boost(train.view(), validation ? validation->view() : TrainingRows{}, data_.width, boost_options);
}

bool Training::predict(const std::string& model, const Matrix& rows, std::vector<float>& out) {
  out.resize(rows.index.size());
  std::string error;
  const auto booster = Booster::load(model, data_.width, &error);
  return (booster && booster->predict(rows.values.data(), out.size(), out.data(), &error)) || stop(error);
}

bool Training::stage_one() {
  Matrix train = to_train(data_, base_, options_.seed, [this](std::size_t i) { return data_.parts[i] == Part::fit; });
  if (train.index.empty() || judge_stop_.index.empty()) return stop("not registered: too few rows outside the held-out templates");
  const BoostResult made = train_stage(train, &judge_stop_, std::clamp(options_.max_trees, 1, 2000), 0.02, 0.2);
  if (!made.error.empty()) return stop(made.error);
  trees_ = made.trees;
  const Matrix seen = to_judge(data_, base_, Part::calibrate);
  std::vector<float> predicted;
  if (!predict(made.model, seen, predicted)) return false;
  calibrate(errors_of(predicted, seen), seen);
  return cross_calibrate();
}

bool Training::stage_two() {
  const auto older = [this](std::size_t i) {
    const Part p = data_.parts[i];
    return p == Part::fit || p == Part::stop || p == Part::calibrate;
  };
  Matrix train = to_train(data_, base_, options_.seed, older);
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

bool Training::stage_three() {
  Matrix train = to_train(data_, base_, options_.seed, [](std::size_t) { return true; });
  final_ = train_stage(train, nullptr, trees_, 0.65, 0.97);
  return final_.error.empty() || stop(final_.error);
}

bool Training::worth_registering() {
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
  if (const double z = standard_errors_won(differences); !(z > needed_win))
    return stop(fmt::format("not registered: no sound win over {} on the {} newest rows (mean log error {:.3f} against {:.3f}, z {:.1f}, {:.2f} needed); {}",
                            parent_version_, mine.size(), old_errors.mean_log, new_errors.mean_log, z, needed_win, summary()));
  return true;
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
  meta.interval_young_log = interval_young_;
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
