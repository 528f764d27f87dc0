#pragma once
#include <atomic>
#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "proxy/auth/proof.hpp"
#include "proxy/config.hpp"
#include "proxy/pool/server_connection.hpp"

namespace pgsteer::proxy {

class Hub;

enum class PoolMode : unsigned char { session, transaction };
/// By pool.mode, pool.transaction and pool.session; in auth.mode relay always session.
PoolMode pool_mode(const Config& config, std::string_view database, std::string_view user);

/// What a client is told at its login, for one set of startup settings.
struct Welcome {
  Parameters reported;
  StatePtr state;
};

/// Server connections of one database and user, to whichever host sessions go to or to one host for reading. Everything but the constants is guarded by the mutex of Pools.
class Pool : public std::enable_shared_from_this<Pool> {
 public:
  Pool(std::string the_database, std::string the_user, int the_host)
      : database(std::move(the_database)), user(std::move(the_user)), host(the_host) {}
  const std::string database, user;
  const int host;  ///< of Hosts; kMain: what upstream.url's target_session_attrs asks for
  static constexpr int kMain = -1;
  static constexpr int kReplication = -2;  ///< there, too: walsenders, each of one client; only the limits are shared
  bool for_reading() const { return host >= 0; }
  int limited_with() const { return for_reading() ? host : kMain; }  ///< each server has limits of its own

 private:
  friend class Pools;
  friend class Deliveries;
  std::vector<std::unique_ptr<ServerConnection>> idle;  ///< longest idle first
  std::deque<std::shared_ptr<struct Waiter>> waiters;   ///< first come first
  int open = 0;                                         ///< slots given: connections that live, or are being made
  std::atomic<int> leaving = 0;                         ///< of these, on their way to being closed by their workers; needs no lock
  Proof proof;                                          ///< the latest client's
  std::atomic<std::chrono::steady_clock::time_point> not_before{};  ///< connections older than this are of a role that had the name before
  std::map<std::string, Welcome> welcomes;              ///< by startup settings
  struct {
    bool wanted = false, under_way = false;  ///< wanted: from the first use, until the server says no for good
    std::chrono::milliseconds rest{};
    std::chrono::steady_clock::time_point not_before{};
  } ahead;                                              ///< pool.min_pool_size
};

/// What somebody who waits is given: a connection, or the right to make one, or no more time.
struct Parcel {
  std::unique_ptr<ServerConnection> server;
  Slot slot;
  bool timed_out = false;
};

/// A session that waits for a server. What it is given comes through the Deliveries of its worker, on whose thread it is woken.
struct Waiter {
  Waiter(Worker& the_worker, std::shared_ptr<Pool> the_pool, std::function<void()> the_wake)
      : worker(the_worker), pool(std::move(the_pool)), wake(std::move(the_wake)) {}
  Worker& worker;
  const std::shared_ptr<Pool> pool;
  const std::function<void()> wake;  ///< called on the worker's thread; throws nothing
  std::chrono::steady_clock::time_point since = std::chrono::steady_clock::now();  ///< guarded by the mutex of Pools
  // Touched on the worker's thread only:
  std::unique_ptr<ServerConnection> server;  ///< served with a connection,
  Slot slot;                                 ///< or with the right to make one,
  bool timed_out = false;                    ///< or not at all.
  bool abandoned = false;                    ///< its session is gone: what comes goes back
  // Of the worker's Deliveries:
  std::shared_ptr<Waiter> behind;
  Parcel parcel;
  bool under_way = false;
  bool served() const { return server || slot || timed_out; }
};

/// All pools of the process. Limits hold exactly: a slot is counted under one lock before a connection is begun and until its socket
/// is closed. Sessions of any thread share a pool; a connection moves to another worker's loop when it is handed over to one there.
class Pools {
 public:
  explicit Pools(Hub& hub);

  std::shared_ptr<Pool> pool(const std::string& database, const std::string& user, int host = Pool::kMain);

  /// Serves the waiter at once (it holds a server or a slot on return) or queues it.
  void acquire(const std::shared_ptr<Waiter>& waiter);
  /// An idle connection of this worker's own, if nobody has been waiting for one.
  std::unique_ptr<ServerConnection> take_near(Worker& worker, Pool& pool);
  /// The waiter's session is gone: what it was given goes to the next.
  void withdraw(const std::shared_ptr<Waiter>& waiter);
  /// A connection between two transactions: to whoever has waited longest, else idle.
  void give_back(std::unique_ptr<ServerConnection> server, std::chrono::steady_clock::time_point now = std::chrono::steady_clock::now());
  void slot_free(const std::shared_ptr<Pool>& pool);  ///< by Slot alone

  void serve_on(std::vector<Worker*> workers) { workers_ = std::move(workers); }  ///< once, before the first tick
  /// Every 50 ms or so, from one thread: time-outs, reserve, what is idle for too long or too old, what is to be opened ahead.
  void tick();
  void reconnect();          ///< whatever is open now is closed as soon as nobody holds it
  void reconnect(int host);  ///< the same for the connections to one host
  void disown(const std::string& user);      ///< its name will soon stand for another role: what is open now serves nobody who comes later
  void vacate(const std::string& database);  ///< closes what is idle; what comes back while hub.vacancies says so is closed then
  // PAUSE: nothing is lent, and what comes back is closed; who waits goes on waiting and is not timed out.
  void close_idle();
  void resume();
  int open();  ///< slots given, over all pools
  void shut_down();   ///< when the loops have ended, before they are destroyed: their sockets go first

  std::optional<Welcome> welcome(Pool& pool, const std::string& startup_settings);
  void set_welcome(Pool& pool, const std::string& startup_settings, Welcome welcome);
  Proof proof(Pool& pool);
  void set_proof(Pool& pool, Proof proof);

  struct Numbers {
    std::string database, user;
    int host = Pool::kMain;
    bool transaction = false;
    int open = 0, idle = 0, waiting = 0;
    std::int64_t longest_wait_us = 0;
  };
  std::vector<Numbers> numbers();

 private:
  using Lock = std::unique_lock<std::mutex>;
  bool paused() const;
  bool may_open(const Pool& pool, const Config& config, bool reserve) const;
  bool take_idle(Pool& pool, const std::shared_ptr<Waiter>& waiter, bool may_open);
  void serve_waiters(const Config& config) noexcept;
  void serve_first(Pool& pool);
  bool make_room(const Pool& wanting, const Config& config);
  static void close_on_its_worker(std::unique_ptr<ServerConnection> server) noexcept;
  Slot new_slot(const std::shared_ptr<Pool>& pool);
  void close_idle_where(const std::function<bool(const ServerConnection&)>& leaves);
  bool outdated(const ServerConnection& server) const { return server.connected < std::max(not_before_[static_cast<std::size_t>(server.host)].load(), server.pool->not_before.load()); }
  static void hand(std::unique_ptr<ServerConnection> server, std::shared_ptr<Waiter> waiter) noexcept;
  std::shared_ptr<const Config> config() const;
  struct Opening {  ///< of one connection ahead. However it ends, the pool may try the next one.
    Opening(Pools& the_pools, std::shared_ptr<Pool> the_pool);
    ~Opening();
    Opening(const Opening&) = delete;
    Opening& operator=(const Opening&) = delete;

    Pools& pools;
    const std::shared_ptr<Pool> pool;
    Slot slot;
  };
  using Openings = std::vector<std::unique_ptr<Opening>>;  ///< not destroyed under the lock
  void note_openings(const Config& config, std::chrono::steady_clock::time_point now, Openings& openings);
  Awaitable<void> open_one(Worker& worker, std::unique_ptr<Opening> opening);

  Hub& hub_;
  std::vector<Worker*> workers_;
  std::size_t next_worker_ = 0;
  unsigned ticks_ = 0;
  std::vector<std::atomic<std::chrono::steady_clock::time_point>> not_before_;  ///< by host: connections older than this are closed
  std::mutex mutex_;
  std::map<std::tuple<std::string, std::string, int>, std::shared_ptr<Pool>> pools_;
};

}  // namespace pgsteer::proxy
