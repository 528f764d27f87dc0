#include "predictor/train/baseline.hpp"

#include <algorithm>

namespace pgsteer::predictor {

CostBaseline::CostBaseline(std::vector<std::pair<double, double>> rows) {
  std::vector<double> all;
  all.reserve(rows.size());
  for (const auto& row : rows) all.push_back(row.second);
  if (!all.empty()) {
    const auto middle = all.begin() + static_cast<std::ptrdiff_t>(all.size() / 2);
    std::nth_element(all.begin(), middle, all.end());
    median_ = *middle;
  }
  std::erase_if(rows, [](const auto& row) { return row.first < 0; });
  std::sort(rows.begin(), rows.end());

  struct Pool {
    double low, high, sum, weight;
    double mean() const { return sum / weight; }
  };
  std::vector<Pool> pools;
  for (const auto& [cost, log_ms] : rows) {
    if (!pools.empty() && pools.back().high == cost && pools.back().low == cost) {  // ties are one point
      pools.back().sum += log_ms;
      pools.back().weight += 1;
    } else {
      pools.push_back({cost, cost, log_ms, 1});
    }
  }
  std::vector<Pool> merged;
  for (const Pool& pool : pools) {
    merged.push_back(pool);
    while (merged.size() > 1 && merged[merged.size() - 2].mean() > merged.back().mean()) {
      const Pool last = merged.back();
      merged.pop_back();
      merged.back().high = last.high;
      merged.back().sum += last.sum;
      merged.back().weight += last.weight;
    }
  }
  for (const Pool& pool : merged) blocks_.push_back({pool.low, pool.high, pool.mean()});
}

double CostBaseline::predict(double cost) const {
  if (cost < 0 || blocks_.empty()) return median_;
  const auto after = std::lower_bound(blocks_.begin(), blocks_.end(), cost, [](const Block& block, double c) { return block.high < c; });
  if (after == blocks_.end()) return blocks_.back().log_ms;
  if (cost >= after->low || after == blocks_.begin()) return after->log_ms;
  const Block& before = *(after - 1);  // between two blocks: on the line from one to the other
  const double share = (cost - before.high) / (after->low - before.high);
  return before.log_ms + share * (after->log_ms - before.log_ms);
}

}  // namespace pgsteer::predictor
