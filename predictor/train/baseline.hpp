#pragma once
#include <utility>
#include <vector>

namespace pgsteer::predictor {

/// Isotonic regression (pool adjacent violators) of log(ms) on planner cost: the best any rescaling of the planner's
/// cost can do. Rows without a cost get the median of the fitted rows.
class CostBaseline {
 public:
  /// (cost, log ms); cost < 0: unknown.
  explicit CostBaseline(std::vector<std::pair<double, double>> rows);
  double predict(double cost) const;  ///< log(ms)

 private:
  struct Block {
    double low, high, log_ms;
  };
  std::vector<Block> blocks_;
  double median_ = 0;
};

}  // namespace pgsteer::predictor
