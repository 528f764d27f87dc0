#pragma once
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cache/cache.hpp"
#include "cache/flights.hpp"
#include "cache/ledger.hpp"
#include "proxy/execution.hpp"
#include "proxy/meters.hpp"
#include "proxy/outcomes.hpp"
#include "proxy/snapshot.hpp"
#include "proxy/vacancies.hpp"

namespace pgsteer::proxy {

class Lanes;
class Rates;
class LimitCounts;
class EventRing;
class Hosts;

/// One client connection as SHOW CLIENTS prints it.
struct ClientInfo {
  std::uint64_t id = 0;
  std::string user, database, application, address, state;  ///< state: login, idle, active, idle in transaction
  std::string pinned;                                       ///< reason the session owns its server connection
  std::int64_t connected_unix_us = 0, request_unix_us = 0;
  int server_pid = 0, server_host = 0;
  bool is_console = false;
  std::string tls;                                          ///< version and cipher; "" = plain
  std::shared_ptr<std::atomic<const char*>> live_state;  ///< set by the session as it goes; clients() copies it to `state`
};

/// What is counted, once for each event loop and database; `transaction_ns` is the time of whole transactions, idle time in them included.
#define PGSTEER_COUNTED(X)                                                                                                        \
  X(client_connections) X(client_disconnects) X(transactions) X(queries) X(bytes_in) X(bytes_out) X(errors) X(server_ns)          \
  X(transaction_ns) X(proxy_ns) X(wait_ns) X(not_analysed) X(rewritten) X(steered) X(reused) X(cache_hits) X(cache_old_hits) X(cache_misses) X(cache_stores) X(cache_waits)  \
  X(reads_on_standbys) X(reads_repeated) X(fallbacks) X(tracking_lost) X(protocol_errors) X(model_failures)

/// Of one event loop and one database; summed by readers.
struct alignas(64) Counters {
#define PGSTEER_MEMBER(name) Counter name;
  PGSTEER_COUNTED(PGSTEER_MEMBER)
#undef PGSTEER_MEMBER
};
struct Totals {
#define PGSTEER_MEMBER(name) std::uint64_t name = 0;
  PGSTEER_COUNTED(PGSTEER_MEMBER)
#undef PGSTEER_MEMBER
  std::uint64_t feedback_dropped = 0;  ///< of the process
  Totals& operator+=(const Counters& counters);
};
/// Every counted member by name.
inline constexpr std::pair<const char*, std::uint64_t Totals::*> totals_members[] = {
#define PGSTEER_MEMBER(name) {#name, &Totals::name},
    PGSTEER_COUNTED(PGSTEER_MEMBER)
#undef PGSTEER_MEMBER
};

/// The process: owns the current Snapshot, the cache words and memory store, the counters, and the doors between the
/// event loops, the learner (background thread) and the console. Every method is thread-safe.
class Hub {
 public:
  explicit Hub(std::shared_ptr<const Config> config, std::shared_ptr<const policies::PolicySet> policies);
  ~Hub();

  // --- snapshots -------------------------------------------------------------------------------------------------
  std::shared_ptr<const Snapshot> snapshot() const;
  /// Changes a copy of the current snapshot under a lock and publishes it to every subscriber.
  void update(const std::function<void(Snapshot&)>& change);
  using Subscriber = std::function<void(std::shared_ptr<const Snapshot>)>;
  void subscribe(Subscriber subscriber);  ///< called on update(), from the updating thread; must only post

  // --- feedback --------------------------------------------------------------------------------------------------
  OutcomeQueue& outcomes(int thread);  ///< made at the first call; lives as long as the hub
  /// Learner's side: everything told since the last call.
  std::vector<OutcomeQueue::Batch> drain();
  /// DDL or anything opaque was seen on the wire: the learner reloads this database's catalog at once. Until then
  /// rewriting and caching on it stand aside (the snapshot's catalog is removed).
  void catalog_changed(const std::string& database);
  /// Grows before any snapshot can follow: a session whose snapshot has another value treats its catalog as unknown.
  std::atomic<std::uint64_t> catalog_epoch{0};
  std::atomic<int> pending_ddl{0};  ///< transactions under way that may have changed a catalog
  /// A database was connected to: its catalog is wanted.
  void catalog_wanted(const std::string& database);
  std::vector<std::string> take_catalog_requests();

  // --- cache -----------------------------------------------------------------------------------------------------
  cache::Words words;
  cache::MemoryStore memory;
  cache::Flights flights;
  cache::Ledger ledger;
  class Feeds* feeds = nullptr;    ///< of writes that bypass us; set by the server
  class Members* group = nullptr;  ///< of several processes with shared words; set by the server, null when alone
  std::atomic<int> redis_breaker{0};  ///< BreakerState of the last change, for health
  /// Sessions that have work under way which was not marked in `words` (panic, an uninterpretable connection): while
  /// there are any, nothing is looked up or stored; when one ends, every epoch is void.
  std::atomic<int> unmarked_sessions{0};
  /// PREPARE TRANSACTION: the mark lives until somebody finishes the transaction.
  void keep_prepared_mark(const std::string& gid, cache::Words::Mark mark);
  std::optional<cache::Words::Mark> take_prepared_mark(const std::string& gid);

  /// The server's start time as a session just heard it; another one than before voids the cache: a restart or a failover
  /// may have lost what was committed asynchronously. So does "": it did not tell.
  void server_started(const std::string& when);

  // --- counters and clients --------------------------------------------------------------------------------------
  static constexpr std::size_t kMaxDatabases = 200;  ///< with counters of their own; those after them share "other"
  Counters& counters(int thread, const std::string& database);  ///< made at the first call; lives as long as the hub
  Totals totals() const;
  std::map<std::string, Totals> totals_by_database() const;
  Meters& thread_meters(int thread);            ///< made at the first call; lives as long as the hub
  std::vector<const Meters*> meters() const;    ///< of every thread that has some
  void set_client(const ClientInfo& info);
  void drop_client(std::uint64_t id);
  std::vector<ClientInfo> clients() const;
  std::uint64_t next_client_id() { return ++client_ids_; }

  // --- operations ------------------------------------------------------------------------------------------------
  /// Re-reads configuration and policies; on error nothing changes and the text says why.
  std::optional<std::string> reload();
  std::vector<std::string> overrides;  ///< --set and friends of the command line, applied again on reload
  std::function<void(int exit_code)> on_shutdown;   ///< set by main
  std::function<void(std::uint64_t id)> on_kill;    ///< set by the server: closes a client
  /// One flag per event loop, set once the loop has come round to it; set by the server.
  std::function<std::vector<std::shared_ptr<std::atomic<bool>>>()> ping_loops;
  std::atomic<std::int64_t> reloaded_unix_us{0};  ///< when the configuration in force was read
  std::string reload_error() const;               ///< of the last reload; "" when it was taken
  std::string http_status() const;                ///< for health
  void set_http_status(std::string status);
  std::atomic<bool> paused{false};

  // --- lanes and limits -------------------------------------------------------------------------------------------
  const std::unique_ptr<Lanes> lanes;
  const std::unique_ptr<Rates> rates;
  const std::unique_ptr<LimitCounts> limit_counts;
  /// A CancelRequest: a statement that waits here is not known to the server. Set by the server.
  std::function<void(int server_pid, std::uint32_t key)> on_cancel;
  const std::unique_ptr<class StatsPeriod> stats_period;
  std::shared_ptr<EventRing> events;  ///< the newest lines of the log; null in tests
  std::int64_t started_unix_us = 0;

  class Learner* learner = nullptr;  ///< set by main; null when learning is off

  const std::unique_ptr<Hosts> hosts;  ///< of upstream.url

  // --- pooling (auth.mode = terminate) ------------------------------------------------------------------------
  class AuthQuery* auth_query = nullptr;  ///< likewise
  class Pools* pools = nullptr;  ///< set by the server; always there while sessions are
  /// Set by the server: cancels what the session with this key of ours does; `done` is called from some thread when no late
  /// cancellation can follow any more.
  std::function<void(std::string key, std::function<void()> done)> on_cancel_here;

  /// No transaction of ours is in the way: idle connections to the database are closed, and no background one is opened for a while.
  void vacate(const std::string& database);
  Vacancies vacancies;

  // --- PAUSE --------------------------------------------------------------------------------------------------
  /// What the event loops say of their sessions, one after the other.
  struct Rest {
    std::atomic<std::size_t> loops_left{0};
    std::atomic<int> busy{0};  ///< sessions in the middle of something
    std::atomic<int> held{0};  ///< server connections of pools that sessions keep beyond their transactions
    bool known() const { return loops_left == 0; }
  };
  std::function<std::shared_ptr<const Rest>()> look_for_rest;  ///< set by the server
  void pause();   ///< no transaction begins from now on; `paused` is set
  void resume();
  std::function<void()> on_resume;  ///< set by the server: wakes whoever waits for it

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
  std::atomic<std::uint64_t> client_ids_{0};
};

}  // namespace pgsteer::proxy
