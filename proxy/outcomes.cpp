#include "proxy/outcomes.hpp"

#include <utility>

namespace pgsteer::proxy {

bool wanted_as_example(const Plan& plan) {
  constexpr std::uint64_t kWellKnown = 512;
  const auto earlier = plan.executions++;
  const bool known = earlier >= kWellKnown || (plan.knowledge && plan.knowledge->history.count > kWellKnown);
  return !known || earlier % 16 == 0;
}

std::uint32_t OutcomeQueue::place_of(const std::shared_ptr<const Plan>& plan) {
  auto& plans = batch_.plans_;
  auto& guess = places_[(reinterpret_cast<std::uintptr_t>(plan.get()) >> 6) % places_.size()];
  if (guess < plans.size() && plans[guess] == plan) return guess;
  guess = static_cast<std::uint32_t>(plans.size());
  plans.push_back(plan);
  return guess;
}

void OutcomeQueue::add(const std::shared_ptr<const Plan>& plan, Execution&& execution) {
  const bool whole = !execution.text.empty() || !execution.sqlstate.empty() || !execution.route.empty();
  const std::lock_guard lock(mutex_);
  if (batch_.items_.size() >= kMost) {
    dropped_.add();
    return;
  }
  auto place = Batch::kPlain;
  if (whole) {
    place = static_cast<std::uint32_t>(batch_.wholes_.size());
    batch_.wholes_.push_back(std::move(execution));
    batch_.items_.push_back({place_of(plan), place, batch_.wholes_.back()});
    return;
  }
  batch_.items_.push_back({place_of(plan), place, execution});
}

OutcomeQueue::Batch OutcomeQueue::take() {
  Batch taken;
  const std::lock_guard lock(mutex_);
  std::swap(taken, batch_);
  batch_.items_.reserve(taken.items_.size() + taken.items_.size() / 4);  // the loop appends under this lock: seldom grow there
  return taken;
}

const Outcome& OutcomeQueue::Batch::next() {
  const Item& item = items_[at_++];
  if (item.whole != kPlain) {
    outcome_ = {plans_[item.plan], std::move(wholes_[item.whole])};
    plan_ = kPlain;  // its words are not those of the next
    return outcome_;
  }
  if (std::exchange(plan_, item.plan) != item.plan) outcome_ = {plans_[item.plan], {}};
  static_cast<Figures&>(outcome_.execution) = item.figures;
  return outcome_;
}

void in_order(std::vector<OutcomeQueue::Batch> batches, const std::function<void(const Outcome&)>& see) {
  for (;;) {
    OutcomeQueue::Batch* first = nullptr;
    for (auto& batch : batches) {
      if (!batch.empty() && (!first || batch.next_end() < first->next_end())) first = &batch;
    }
    if (!first) return;
    see(first->next());
  }
}

}  // namespace pgsteer::proxy
