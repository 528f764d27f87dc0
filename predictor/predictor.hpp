#pragma once
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "predictor/estimate.hpp"

namespace pgsteer::predictor {

/// A trained XGBoost model with its metadata; immutable, shared by all threads (XGBoost's in-place prediction is
/// thread-safe; every thread keeps its own proxy matrix inside predict()).
class Model {
 public:
  ~Model();
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  /// Loads models/<name>/<version>/. On refusal (missing, truncated, foreign feature schema, NaN output on a probe row)
  /// returns nullptr and says why in *error.
  static std::shared_ptr<const Model> load(const std::string& directory, std::string* error);

  /// log(ms) for each row; rows.size() == n * feature_names().size(). Empty on failure.
  std::vector<float> predict(std::span<const float> rows, std::size_t n) const;

  const std::string& version() const;
  std::uint64_t schema() const;
  /// Half-width in log(ms) of the conformal interval at 90 %.
  double interval_log() const;
  /// The same for statements without history (templates not trained on).
  double interval_unseen_log() const;
  /// The same by class of statement, where there was evidence enough, else the one of all; wider while fewer than
  /// `young_executions` are behind it.
  double half_width(StatementClass c, double executions) const;
  /// True when predict() walks flattened trees, checked at load to equal XGBoost bit for bit on probe rows.
  bool flattened() const;
  /// True when several features of the row lie outside of all that the model was trained on.
  bool foreign(std::span<const float> row) const;
  /// XGBoost's own SHAP contributions to log(ms) of one row, by feature, and as the last one everything that is not a feature's:
  /// what the prediction starts from. Their sum is the prediction. Empty on failure. About a millisecond: not for every statement.
  std::vector<float> contributions(std::span<const float> row) const;
  /// Version that was current when this one was made; "" = none.
  const std::string& parent() const;
  /// metrics.json as text, for the console.
  const std::string& metrics() const;

 private:
  Model();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

inline constexpr double young_executions = 8;

/// Half-width of the interval of a row of features.
double half_width(const Model& model, std::span<const float> row);

/// What moved an estimate, strongest first, in words: "x1.8  the plan sorts 120,000 rows". At most `n`; the first line says what
/// the estimate starts from. `row`: features as extract() makes them. Empty when the model cannot say.
std::vector<std::string> explain_estimate(std::span<const float> row, const Model& model, std::size_t n = 6);

/// How much one feature moves the model's estimates: the mean of |SHAP contribution| to log(ms).
struct Importance {
  std::string feature, words, unit;  ///< words: the name as a DBA says it
  double mean_log = 0;
};
/// Over `n` rows of features, greatest first, without features that moved nothing. About a millisecond a row. Empty on failure.
std::vector<Importance> feature_importance(const Model& model, std::span<const float> rows, std::size_t n);

/// Cold-start calibration: log(ms) as a robust linear function of log(planner cost), refitted online, plus a median per
/// statement class. Immutable value; the learner builds new ones.
struct Calibration {
  double slope = 1.0, intercept = -6.0;  ///< log(ms) = intercept + slope * log(1 + cost)
  std::uint64_t samples = 0;
  std::array<double, 64> kind_log_ms{};   ///< by StatementKind; 0 with kind_samples 0
  std::array<std::uint64_t, 64> kind_samples{};
  double spread = 1.5;                    ///< robust standard deviation of residuals, in log(ms)
  /// Decayed, robustly weighted sums of the fit: w, wx, wy, wxx, wxy with x = log(1 + cost), y = log(ms).
  std::array<double, 5> sums{};
  void add(double cost, sql::StatementKind kind, double milliseconds);  ///< cost < 0: unknown
};

/// Combines history, model and calibration into one estimate per input row (one batch per statement: all candidates).
/// `model` may be null. Total and deterministic; NaN or absurd model output falls back and is counted in
/// *model_failures when given.
std::vector<Estimate> estimate(std::span<const FeatureInput> inputs, const Model* model, const Calibration& calibration,
                               int* model_failures = nullptr);

}  // namespace pgsteer::predictor
