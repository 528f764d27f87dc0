#pragma once
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "predictor/feedback.hpp"
#include "proxy/learner/learner.hpp"

namespace pgsteer::proxy::learning {

/// Feedback on its way to the store. add() from any thread; flush() from one. While the store cannot be written the rows
/// wait here, the oldest dropped (and counted) beyond kMaxSpooled, and every flush tries again.
class StoreWriter {
 public:
  static constexpr std::size_t kMaxSpooled = 20000;
  using Open = std::function<std::unique_ptr<predictor::FeedbackStore>(std::string* error)>;
  /// `at_once`: the first flush opens the store, rows or no rows, so that what is wrong with it is known from the start.
  explicit StoreWriter(Open open, bool at_once = false) : open_(std::move(open)), at_once_(at_once) {}

  void add(std::vector<predictor::Feedback> rows);
  /// Writes everything that waits. With back-off after a failure unless `now` (shutdown).
  void flush(std::int64_t max_rows, bool now = false);
  Learner::FeedbackState state() const;
  bool idle() const;

 private:
  bool write(const std::vector<predictor::Feedback>& batch, std::int64_t max_rows, std::string* error);
  const Open open_;
  const bool at_once_;
  std::unique_ptr<predictor::FeedbackStore> store_;  ///< flush() only
  std::uint64_t since_compact_ = 0;
  std::int64_t stored_rows_ = 0;  ///< counted once at opening: count(*) walks the table
  std::chrono::steady_clock::time_point not_before_{};
  std::chrono::milliseconds delay_{0};
  mutable std::mutex mutex_;  ///< guards what follows
  std::deque<predictor::Feedback> spool_;
  bool writing_ = false;
  Learner::FeedbackState state_;
};

}  // namespace pgsteer::proxy::learning
