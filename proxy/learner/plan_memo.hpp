#pragma once
#include <memory>
#include <unordered_map>
#include <utility>

#include "proxy/execution.hpp"

namespace pgsteer::proxy::learning {

/// What was worked out for a plan, found again by the plan itself: a hot statement hands in the same plan a thousand times
/// a second. Keeps its plans alive, so that an address is never another plan's. Bounded; one thread.
template <class T>
class PlanMemo {
 public:
  static constexpr std::size_t kMaxPlans = 2048;  ///< then all start afresh

  T* find(const std::shared_ptr<const Plan>& plan) {
    if (last_ && last_->plan == plan) return &last_->value;  // its place holds until clear()
    const auto found = items_.find(plan.get());
    if (found == items_.end()) return nullptr;
    last_ = &found->second;
    return &last_->value;
  }
  T& put(const std::shared_ptr<const Plan>& plan, T value) {
    if (items_.size() >= kMaxPlans) clear();
    return items_.insert_or_assign(plan.get(), Item{plan, std::move(value)}).first->second.value;
  }
  void clear() {
    last_ = nullptr;
    items_.clear();
  }

 private:
  struct Item {
    std::shared_ptr<const Plan> plan;
    T value;
  };
  std::unordered_map<const Plan*, Item> items_;
  Item* last_ = nullptr;
};

}  // namespace pgsteer::proxy::learning
