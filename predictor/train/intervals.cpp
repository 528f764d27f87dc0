// Conformal half-widths: of statements well known from the calibration rows; of statements never seen, and of those with a few
// executions behind them, by leaving templates out.
#include <algorithm>
#include <random>

#include "predictor/hash.hpp"
#include "predictor/train/metrics.hpp"
#include "predictor/train/training.hpp"

namespace pgsteer::predictor {
namespace {

constexpr std::size_t folds = 4;
constexpr std::size_t min_class_rows = 100, min_class_templates = 12;
constexpr std::size_t min_young_templates = 10;

bool is_young(const float* row) {
  const double executions = executions_behind(row);
  return executions > 0 && executions < young_executions;
}

}  // namespace

void Training::calibrate(const std::vector<double>& seen_errors, const Matrix& seen) {
  interval_ = conformal_half_width(seen_errors, interval_share);
  std::array<std::vector<double>, statement_classes> by_class;
  for (std::size_t i = 0; i < seen_errors.size(); ++i) by_class[class_of(seen.index[i])].push_back(seen_errors[i]);
  for (std::size_t c = 0; c < statement_classes; ++c)
    if (by_class[c].size() >= min_class_rows) seen_by_class_[c] = conformal_half_width(by_class[c], interval_share);
}

bool Training::cross_calibrate() {
  const auto fold_of = [this](std::size_t i) { return StableHash().add(data_.fingerprints[data_.templates[i]]).add("fold").value() % folds; };
  const double share = first_sights / 2 / double(std::max<std::size_t>(data_.rows(), 1));
  std::array<Matrix, folds> parts, with_past;
  std::mt19937_64 random(options_.seed);
  for (std::size_t i = 0; i < data_.rows(); ++i) {
    const bool taken = double(random() >> 11) * 0x1p-53 < share;
    const Part part = data_.parts[i];
    if (!taken || data_.censored[i] || part == Part::test_seen || part == Part::unseen_test || part == Part::later) continue;
    append(parts[fold_of(i)], data_, base_, i, true);
    if (executions_behind(data_.row(i)) > 0) append(with_past[fold_of(i)], data_, base_, i, false);
  }
  for (std::size_t fold = 0; fold < folds; ++fold) {
    Matrix others;
    for (std::size_t other = 0; other < folds; ++other)
      if (other != fold) others.add(parts[other]), others.add(with_past[other]);
    if (others.index.empty() || parts[fold].index.empty()) continue;
    const double from = 0.2 + 0.05 * double(fold);
    const BoostResult made = train_stage(others, nullptr, trees_, from, from + 0.05);
    std::vector<float> predicted;
    if (!made.error.empty()) return stop(made.error);
    if (!predict(made.model, parts[fold], predicted)) return false;
    add_unseen(parts[fold], errors_of(predicted, parts[fold]));
    if (!predict(made.model, with_past[fold], predicted)) return false;
    const std::vector<double> errors = errors_of(predicted, with_past[fold]);
    for (std::size_t i = 0; i < errors.size(); ++i) {
      const std::size_t row = with_past[fold].index[i];
      if (is_young(data_.row(row))) young_by_template_[data_.templates[row]].push_back(errors[i]);
    }
  }
  interval_unseen_ = unseen_interval(&unseen_by_class_);
  interval_young_ = young_interval();
  return true;
}

void Training::add_unseen(const Matrix& rows, const std::vector<double>& errors) {
  for (std::size_t i = 0; i < errors.size(); ++i) unseen_by_template_[{class_of(rows.index[i]), data_.templates[rows.index[i]]}].push_back(errors[i]);
}

double Training::young_interval() const {
  std::vector<std::vector<double>> lists;
  for (const auto& [id, errors] : young_by_template_) lists.push_back(errors);
  return lists.size() < min_young_templates ? interval_unseen_ : std::max(interval_, template_half_width(lists, interval_share));
}

double Training::unseen_interval(std::array<double, statement_classes>* by_class) const {
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

}  // namespace pgsteer::predictor
