#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pgsteer::predictor {

/// Rows x columns of features (NaN = missing) with target log(ms) and weight, in memory of the caller.
struct TrainingRows {
  std::span<const float> values, target, weight;
  std::size_t rows = 0;
};

struct BoostOptions {
  std::string objective = "reg:squarederror";
  std::uint64_t seed = 1;
  int max_trees = 200, max_depth = 6;
  double eta = 0.1;
  int patience = 20;  ///< trees without a better validation error before it stops; used with validation rows only
  /// Asked before every tree with its number; false ends the training (time budget).
  std::function<bool(int)> go_on;
  std::function<void()> copied;  ///< called when `values` of the training rows are not needed any more
};

struct BoostResult {
  std::string model;  ///< UBJSON; empty on failure
  int trees = 0;
  std::vector<std::pair<std::string, double>> gains;  ///< feature "fN" -> total gain, descending
  std::string error;
};

/// Trains on one thread; deterministic for a seed while go_on() agrees. With validation rows the model is cut at its
/// best tree.
BoostResult boost(const TrainingRows& train, const TrainingRows& validation, std::size_t columns, const BoostOptions& options);

/// A trained booster in memory, for predictions on one thread or many.
class Booster {
 public:
  ~Booster();
  Booster(const Booster&) = delete;
  Booster& operator=(const Booster&) = delete;
  static std::unique_ptr<Booster> load(std::string_view model, std::size_t columns, std::string* error);
  /// False with XGBoost's reason. Thread-safe (a proxy matrix per thread).
  bool predict(const float* rows, std::size_t n, float* out, std::string* error) const;
  /// SHAP contributions of one row: columns + 1 numbers, the last one the bias. Thread-safe.
  bool contributions(const float* row, std::vector<float>* out, std::string* error) const;

 private:
  Booster() = default;
  void* handle_ = nullptr;
  std::size_t columns_ = 0;
};

}  // namespace pgsteer::predictor
