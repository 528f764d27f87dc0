#pragma once
#include <memory>
#include <mutex>

namespace pgsteer::proxy {

class Worker;
struct ServerConnection;
struct Waiter;

/// What the pools have for one worker: servers and slots for sessions that wait there, connections to close. Filled from any thread, emptied on
/// the worker's own. It is chained through what it carries, so nothing is allocated and nothing is thrown: who was given a server gets it, and
/// a slot comes back, when memory is out, too.
class Deliveries {
 public:
  explicit Deliveries(Worker& worker);
  ~Deliveries();
  Deliveries(const Deliveries&) = delete;
  Deliveries& operator=(const Deliveries&) = delete;

  /// Wakes the waiter with what its `parcel` gets here: nothing of it is set, or one thing.
  void tell(std::shared_ptr<Waiter> waiter) noexcept;
  void give(std::shared_ptr<Waiter> waiter, struct Parcel parcel) noexcept;
  /// A connection of this worker's: to be closed, or, where it is `bound_for` somebody, to be let go of and passed on.
  void take_away(std::unique_ptr<ServerConnection> server) noexcept;

  void open();   ///< all of it; on the worker's thread: when announced, and every tick
  void clear();  ///< the process ends: nobody waits any more

 private:
  void announce() noexcept;
  std::shared_ptr<Waiter> next_waiter(Parcel* parcel);
  std::unique_ptr<ServerConnection> next_server();

  Worker& worker_;
  std::mutex mutex_;
  bool announced_ = false;
  std::shared_ptr<Waiter> first_;  ///< first come first, by Waiter::behind
  Waiter* last_ = nullptr;
  std::unique_ptr<ServerConnection> servers_;  ///< in no order, by ServerConnection::behind
};

}  // namespace pgsteer::proxy
