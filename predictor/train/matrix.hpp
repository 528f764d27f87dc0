#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "predictor/models/base.hpp"
#include "predictor/models/booster.hpp"
#include "predictor/train/dataset.hpp"

namespace pgsteer::predictor {

inline constexpr double first_sights = 60'000;  ///< rows trained a second time as if never seen before, for new templates and restarts

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

/// Row i of the dataset, its target what the base leaves to explain; `forget`: as if its statement had never been seen.
void append(Matrix& out, const Dataset& data, const Base& base, std::size_t i, bool forget);
/// Rows to train on: each as it was, and (a seeded share, where there are many) once more without its past.
Matrix to_train(const Dataset& data, const Base& base, std::uint64_t seed, const std::function<bool(std::size_t)>& wanted);
/// Rows to judge on: exactly as they would be asked.
Matrix to_judge(const Dataset& data, const Base& base, Part part);
/// |predicted - target| of every row, in log milliseconds.
std::vector<double> errors_of(const std::vector<float>& predicted, const Matrix& rows);

}  // namespace pgsteer::predictor
