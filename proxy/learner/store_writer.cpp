#include "proxy/learner/store_writer.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <iterator>

namespace pgsteer::proxy::learning {

namespace {
using SteadyClock = std::chrono::steady_clock;
using std::chrono::milliseconds;
constexpr std::uint64_t kCompactEvery = 20000;  // rows
}  // namespace

void StoreWriter::add(std::vector<predictor::Feedback> rows) {
  const std::lock_guard lock(mutex_);
  state_.received += rows.size();
  std::move(rows.begin(), rows.end(), std::back_inserter(spool_));
  while (spool_.size() > kMaxSpooled) {
    spool_.pop_front();
    ++state_.dropped;
  }
}

bool StoreWriter::write(const std::vector<predictor::Feedback>& batch, std::int64_t max_rows, std::string* error) {
  if (!store_) {
    store_ = open_(error);
    if (!store_) return false;
    stored_rows_ = store_->count();
    if (stored_rows_ > max_rows) since_compact_ = kCompactEvery;  // there is a new limit, or others have written since
  }
  if (store_->append(batch, error)) {
    stored_rows_ += static_cast<std::int64_t>(batch.size());
    return true;
  }
  store_.reset();  // re-opened next time: the file may have been moved away, the disk remounted
  return false;
}

void StoreWriter::flush(std::int64_t max_rows, bool now) {
  std::vector<predictor::Feedback> batch;
  {
    const std::lock_guard lock(mutex_);
    if (!now && SteadyClock::now() < not_before_) return;
    if (spool_.empty() && (now || store_ || !at_once_)) return;
    batch.assign(std::make_move_iterator(spool_.begin()), std::make_move_iterator(spool_.end()));
    spool_.clear();
    writing_ = !batch.empty();
  }
  std::string error;
  const bool written = write(batch, max_rows, &error);
  if (written) since_compact_ += batch.size();
  if (written && since_compact_ >= kCompactEvery) {
    since_compact_ = 0;
    std::string why;
    if (!store_->compact(max_rows, &why)) spdlog::warn("feedback store: compact failed error=\"{}\"", why);
    stored_rows_ = store_->count();
  }
  const std::lock_guard lock(mutex_);
  writing_ = false;
  if (written) {
    if (!state_.error.empty()) spdlog::info("feedback store: writable again, {} rows caught up", batch.size());
    state_.error.clear();
    state_.stored += batch.size();
    state_.rows = stored_rows_;
    delay_ = milliseconds(0);
    return;
  }
  if (state_.error != error) spdlog::warn("feedback store: spooling error=\"{}\"", error);
  state_.error = error.empty() ? "unknown error" : error;
  delay_ = std::min(std::max(delay_ * 2, milliseconds(250)), milliseconds(5000));
  not_before_ = SteadyClock::now() + delay_;
  // Back to the front, in their order; what does not fit is the oldest.
  const std::size_t room = kMaxSpooled > spool_.size() ? kMaxSpooled - spool_.size() : 0;
  const std::size_t kept = std::min(room, batch.size());
  state_.dropped += batch.size() - kept;
  spool_.insert(spool_.begin(), std::make_move_iterator(batch.end() - static_cast<std::ptrdiff_t>(kept)),
                std::make_move_iterator(batch.end()));
}

Learner::FeedbackState StoreWriter::state() const {
  const std::lock_guard lock(mutex_);
  Learner::FeedbackState state = state_;
  state.spooled = spool_.size();
  return state;
}

bool StoreWriter::idle() const {
  const std::lock_guard lock(mutex_);
  return spool_.empty() && !writing_;
}

}  // namespace pgsteer::proxy::learning
