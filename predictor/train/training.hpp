#pragma once
#include <array>
#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "predictor/context.hpp"
#include "predictor/models/base.hpp"
#include "predictor/models/booster.hpp"
#include "predictor/models/meta.hpp"
#include "predictor/predictor.hpp"
#include "predictor/train/dataset.hpp"
#include "predictor/train/matrix.hpp"
#include "predictor/train/registry.hpp"

namespace pgsteer::predictor {

inline constexpr double interval_share = 0.9;

/// One training from feedback to a registered version. Stages and promotion: train.cpp; intervals.cpp; the figures: report.cpp.
class Training {
 public:
  explicit Training(const TrainOptions& options) : options_(options), registry_(options.state_dir, options.name) {}
  TrainResult run();

 private:
  using Json = nlohmann::json;
  using SteadyClock = std::chrono::steady_clock;

  // --- train.cpp ---
  bool stop(std::string message);
  void progress(double share, const std::string& message) const;
  bool load();
  /// The plan's prices, from the oldest rows alone.
  void find_base();
  void find_parent();
  /// Against a current version only rows newer than its data are new to both; half of them are the test, the other
  /// half may be learned from.
  double test_share_against_parent() const;
  BoostResult train_stage(Matrix& train, const Matrix* validation, int trees, double from, double to) const;
  bool predict(const std::string& model, const Matrix& rows, std::vector<float>& out);
  bool stage_one();
  bool stage_two();
  bool stage_three();
  /// Against the current version, on the test rows newer than what it was made from.
  bool worth_registering();
  void publish();

  // --- intervals.cpp ---
  void calibrate(const std::vector<double>& seen_errors, const Matrix& seen);
  /// The intervals of statements never seen, from every template's errors under a model that was not trained on it.
  bool cross_calibrate();
  void add_unseen(const Matrix& rows, const std::vector<double>& errors);
  /// Of all, and by class where there are templates enough.
  double unseen_interval(std::array<double, statement_classes>* by_class) const;
  /// Of statements with a few executions behind them: their past says less than it will.
  double young_interval() const;
  std::size_t class_of(std::size_t row) const { return static_cast<std::size_t>(class_of_row(data_.row(row))); }

  // --- report.cpp ---
  void report();
  void fit_baselines();
  std::string summary() const;
  /// Least and greatest of each feature; of what changes by itself (age, load, time, number of runs) nothing.
  std::vector<std::pair<float, float>> ranges() const;
  std::string metrics() const;

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
  double interval_ = 0, interval_unseen_ = 0, interval_young_ = 0;
  Base base_;
  std::array<double, statement_classes> seen_by_class_{}, unseen_by_class_{};
  std::map<std::pair<std::size_t, std::uint32_t>, std::vector<double>> unseen_by_template_;  ///< (class, template) -> errors
  std::map<std::uint32_t, std::vector<double>> young_by_template_;
  std::vector<double> seen_errors_, unseen_errors_, baseline_seen_, baseline_unseen_, template_median_;
  Json coverage_ = Json::object(), compared_;
  BoostResult final_;
};

}  // namespace pgsteer::predictor
