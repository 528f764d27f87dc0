#pragma once
#include <atomic>
#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "cache/stores/redis.hpp"
#include "proxy/hub.hpp"
#include "proxy/pipeline.hpp"
#include "proxy/pool/deliveries.hpp"
#include "proxy/reuse.hpp"

namespace pgsteer::proxy {

class Session;

/// One event loop on one thread with everything a session on it needs; nothing here is shared or locked.
class Worker {
 public:
  Worker(Hub& hub, int index);
  ~Worker();

 private:
  std::vector<std::unique_ptr<char[]>> buffers_;  ///< outlives the loop: sessions that end with it give theirs back

 public:
  Hub& hub;
  const int index;
  boost::asio::io_context loop{BOOST_ASIO_CONCURRENCY_HINT_UNSAFE_IO};  ///< its sockets and timers: this thread only; posting: any
  Meters& meters;
  OutcomeQueue& outcomes;
  Pipeline pipeline;
  ReuseBook repeating;
  Deliveries deliveries{*this};
  std::shared_ptr<cache::RedisStore> redis;  ///< null without redis_url
  std::unordered_map<std::uint64_t, std::shared_ptr<Session>> sessions;  ///< until they are finished
  std::unordered_map<std::string, std::weak_ptr<Session>> cancel_keys;  ///< process id and key, as on the wire, that we have given
  std::atomic<int> arriving{0};              ///< connections that were accepted and are neither a session nor over
  int failed_sessions = 0;                   ///< of which the servers are not done yet
  int in_flight = 0;                         ///< statements at the server now
  double recent_p95_ms = 0;                  ///< running estimate over all statements of this thread

  const Snapshot& snapshot() const { return *snapshot_; }
  void set_snapshot(std::shared_ptr<const Snapshot> snapshot) { snapshot_ = std::move(snapshot); }
  Circumstances circumstances(std::optional<policies::Mode> session_mode);
  void observe_latency(double milliseconds);
  std::uint64_t random() { return random_(); }

  /// 64 KiB read buffers, kept while in use only, so that idle sessions cost none.
  std::unique_ptr<char[]> take_buffer();
  void give_buffer(std::unique_ptr<char[]> buffer);

 private:
  void read_calendar(std::int64_t unix_seconds);
  std::shared_ptr<const Snapshot> snapshot_;
  std::int64_t calendar_until_ = 0;  ///< unix seconds: the hour and day below hold until then
  double hour_of_day_ = 0;
  int day_of_week_ = 0;
  std::mt19937_64 random_;
};

/// A connection that was accepted and is neither a session nor over, counted in Worker::arriving. Its descriptor is closed unless it was taken.
class Arriving {
 public:
  Arriving(Worker& worker, int descriptor) : worker_(&worker), descriptor_(descriptor) { ++worker.arriving; }
  Arriving(Arriving&& other) noexcept : worker_(std::exchange(other.worker_, nullptr)), descriptor_(other.take()) {}
  Arriving& operator=(Arriving&&) = delete;
  ~Arriving();
  int descriptor() const { return descriptor_; }
  int take() { return std::exchange(descriptor_, -1); }
  void over() {
    if (worker_) --std::exchange(worker_, nullptr)->arriving;
  }

 private:
  Worker* worker_;
  int descriptor_;
};

constexpr std::size_t kBufferBytes = 64 * 1024;

}  // namespace pgsteer::proxy
