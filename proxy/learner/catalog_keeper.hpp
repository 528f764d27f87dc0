#pragma once
#include <atomic>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "proxy/hub.hpp"
#include "proxy/learner/catalog_loader.hpp"

namespace pgsteer::proxy::learning {

/// Keeps Snapshot::catalogs true: loads a database's catalog when it is wanted, at once when somebody saw DDL, and when
/// the signature polled every catalog.refresh_interval has changed. A thread of its own, so that a slow explored
/// statement never delays it. Foreign DDL also bumps the database's catalog word: cached answers must not outlive it.
class CatalogKeeper {
 public:
  using UserOf = std::function<std::string(const std::string& database)>;
  CatalogKeeper(Hub& hub, UserOf user_of);
  ~CatalogKeeper();
  void start();
  void stop();
  /// "catalog:<database>" -> "ok" or what is wrong.
  std::vector<std::pair<std::string, std::string>> health() const;
  bool busy() const { return busy_; }

 private:
  struct Slot {
    std::unique_ptr<CatalogLoader> loader;
    CatalogSignature loaded;
    std::uint64_t version = 0;
    std::chrono::steady_clock::time_point next_poll{}, not_before{}, next_look{};
    std::chrono::milliseconds delay{0};
    bool wanted = false;  ///< publish even when nothing changed
  };
  void loop();
  void refresh(const std::string& database, Slot& slot);
  void load(const std::string& database, Slot& slot);
  void fail(const std::string& database, Slot& slot, const std::string& error);

  Hub& hub_;
  UserOf user_of_;
  std::map<std::string, Slot> slots_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::map<std::string, std::string> state_;
  CatalogLoader* running_ = nullptr;  ///< under mutex_: what stop() abandons
  bool stopping_ = false;
  std::atomic<bool> busy_{false};
  std::thread thread_;
};

}  // namespace pgsteer::proxy::learning
