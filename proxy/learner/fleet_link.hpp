#pragma once
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace pqxx {
class connection_base;
}

namespace pgsteer::proxy::learning {

/// Name of every connection to a fleet's store, in pg_stat_activity and wherever a pgsteer sees one: it is not learned from.
inline constexpr const char* kStoreApplication = "pgsteer feedback store";

/// A postgresql:// URL as libpq's keywords and values; nullopt with *error, which shows no password.
std::optional<std::vector<std::pair<std::string, std::string>>> parse_store_url(const std::string& url, std::string* error);

/// One libpqxx connection with an end to its patience. libpq waits for ever for a server that is stopped or a network that swallows packets;
/// a thread beside it cuts the socket when the answer is overdue, and what waits then fails. Connecting has libpq's connect_timeout.
/// Nothing is set on the session, only in transactions: a pooler may stand between.
class FleetLink {
 public:
  using Hurry = std::function<bool()>;
  /// Connects; throws std::exception. Once `hurry` says so (shutdown) nothing may take more than a second.
  FleetLink(const std::string& url, Hurry hurry);
  ~FleetLink();
  FleetLink(const FleetLink&) = delete;
  FleetLink& operator=(const FleetLink&) = delete;

  pqxx::connection_base& connection();
  const std::string& place() const { return place_; }  ///< "db.example:5432/fleet", for messages
  /// From now on the next answer is due in so much; 0: nothing is due.
  void due(std::chrono::milliseconds patience);
  bool alive() const;  ///< as far as can be known without asking: the server has not hung up
  void cut();  ///< whatever is sent or waited for fails at once

  /// Something is due from its making to its end.
  class Turn {
   public:
    Turn(FleetLink& link, std::chrono::milliseconds patience) : link_(link) { link_.due(patience); }
    ~Turn() { link_.due(std::chrono::milliseconds(0)); }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

   private:
    FleetLink& link_;
  };

 private:
  using Time = std::chrono::steady_clock::time_point;
  struct Held;
  void watch();
  std::unique_ptr<Held> held_;
  std::string place_;
  Hurry hurry_;
  int socket_ = -1;  ///< a duplicate: libpq may close its own at any time, and the number would be somebody else's
  std::mutex mutex_;
  std::condition_variable wake_;
  std::optional<Time> due_, hurried_;
  bool ended_ = false;
  std::thread watcher_;
};

}  // namespace pgsteer::proxy::learning
