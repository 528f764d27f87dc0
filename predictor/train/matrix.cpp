#include "predictor/train/matrix.hpp"

#include <algorithm>
#include <cmath>
#include <random>

#include "predictor/context.hpp"
#include "predictor/predictor.hpp"

namespace pgsteer::predictor {
namespace {

constexpr float censored_weight = 0.5f;    // a time-out says "at least": half a vote for its lower bound

bool first_sight(Part part) { return part == Part::unseen_calibrate || part == Part::unseen_test; }

}  // namespace

void append(Matrix& out, const Dataset& data, const Base& base, std::size_t i, bool forget) {
  out.values.insert(out.values.end(), data.row(i), data.row(i) + data.width);
  float* row = out.values.data() + out.values.size() - data.width;
  if (forget) forget_history(row);
  out.target.push_back(static_cast<float>(double(data.log_ms[i]) - base(row)));
  out.weight.push_back(data.censored[i] ? censored_weight : 1.0f);
  out.index.push_back(i);
}

Matrix to_train(const Dataset& data, const Base& base, std::uint64_t seed, const std::function<bool(std::size_t)>& wanted) {
  Matrix out;
  std::mt19937_64 random(seed);
  static const auto count = static_cast<std::size_t>(std::max(0, feature_index("history_count")));
  const double share = first_sights / double(std::max<std::size_t>(data.rows(), 1));
  std::vector<std::pair<std::size_t, bool>> rows;  // listed first: a matrix that grows takes twice its size
  for (std::size_t i = 0; i < data.rows(); ++i) {
    const bool again = double(random() >> 11) * 0x1p-53 < share;  // drawn for every row: same for all stages
    if (!wanted(i)) continue;
    rows.emplace_back(i, false);
    if (again && data.row(i)[count] > 0) rows.emplace_back(i, true);
  }
  out.values.reserve(rows.size() * data.width);
  for (const auto& [i, forget] : rows) append(out, data, base, i, forget);
  return out;
}

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

}  // namespace pgsteer::predictor
