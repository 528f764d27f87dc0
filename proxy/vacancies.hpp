#pragma once
#include <atomic>
#include <chrono>
#include <map>
#include <mutex>
#include <string>

namespace pgsteer::proxy {

/// Databases that a statement under way wants for itself (DROP DATABASE, CREATE DATABASE ... TEMPLATE). The server waits five seconds
/// for others to leave and refuses then; connections of ours that nobody needs leave for as long. Thread-safe.
class Vacancies {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::seconds kStay{6};

  void ask(const std::string& database, Clock::time_point now = Clock::now()) {
    const std::lock_guard lock(mutex_);
    std::erase_if(until_, [&](const auto& one) { return one.second <= now; });
    until_[database] = now + kStay;
    last_ = (now + kStay).time_since_epoch().count();
  }
  bool asked(const std::string& database, Clock::time_point now = Clock::now()) const {
    if (now.time_since_epoch().count() >= last_.load(std::memory_order_relaxed)) return false;
    const std::lock_guard lock(mutex_);
    const auto found = until_.find(database);
    return found != until_.end() && now < found->second;
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, Clock::time_point> until_;
  std::atomic<Clock::rep> last_{0};  ///< when none is asked for any more: what the hot path reads
};

}  // namespace pgsteer::proxy
