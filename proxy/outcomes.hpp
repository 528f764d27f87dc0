#pragma once
#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "proxy/execution.hpp"
#include "proxy/meters.hpp"

namespace pgsteer::proxy {

/// What one event loop tells of its executions, until the background takes it: numbers of each, and the rest of those that have any. A plan is
/// named once for all of its executions, so that no thread counts its references for each, and nothing is allocated for one.
class OutcomeQueue {
 public:
  static constexpr std::size_t kMost = 100000;  ///< then the newest are dropped and counted

  /// What was taken, in the order in which it came.
  class Batch {
   public:
    bool empty() const { return at_ == items_.size(); }
    Clock::time_point next_end() const { return items_[at_].figures.end(); }
    const Outcome& next();  ///< valid until the next call

   private:
    friend class OutcomeQueue;
    static constexpr std::uint32_t kPlain = ~std::uint32_t{0};
    struct Item {
      std::uint32_t plan, whole;  ///< whole: in wholes_, or kPlain
      Figures figures;
    };
    std::vector<std::shared_ptr<const Plan>> plans_;
    std::vector<Item> items_;
    std::vector<Execution> wholes_;
    std::size_t at_ = 0;
    std::uint32_t plan_ = kPlain;  ///< of outcome_, while that says nothing but figures
    Outcome outcome_;
  };

  /// By the loop, never waits for longer than take() needs to swap.
  void add(const std::shared_ptr<const Plan>& plan, Execution&& execution);
  /// By any thread.
  Batch take();
  std::uint64_t dropped() const { return dropped_.value(); }

 private:
  std::uint32_t place_of(const std::shared_ptr<const Plan>& plan);

  std::mutex mutex_;
  Batch batch_;
  std::array<std::uint32_t, 64> places_{};  ///< of plans in batch_, by address: a guess
  Counter dropped_;
};

/// Everything of several loops, in the order in which it ended.
void in_order(std::vector<OutcomeQueue::Batch> batches, const std::function<void(const Outcome&)>& see);

}  // namespace pgsteer::proxy
