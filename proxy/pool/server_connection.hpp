#pragma once
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "proxy/pool/residue.hpp"
#include "proxy/pool/statements.hpp"
#include "proxy/stream.hpp"

namespace pgsteer::proxy {

class Pool;
class Pools;
class Worker;
struct Prepared;
struct Waiter;

/// What ParameterStatus said, in the server's order and spelling, with a hash that makes comparing two of them cheap. Copies share one list until
/// one of them changes: a thousand clients that were told the same cost it once.
class Parameters {
 public:
  using Values = std::vector<std::pair<std::string, std::string>>;

  void set(std::string_view name, std::string_view value) {
    const std::string* known = find(name);
    if (known && *known == value) return;
    auto values = std::make_shared<Values>(*values_);
    const auto place = std::find_if(values->begin(), values->end(), [&](const auto& one) { return one.first == name; });
    if (place == values->end()) {
      values->emplace_back(name, value);
    } else {
      hash_ ^= hash(name, place->second);
      place->second = value;
    }
    hash_ ^= hash(name, value);
    values_ = std::move(values);
  }
  const std::string* find(std::string_view name) const {
    for (const auto& [known, value] : *values_) {
      if (known == name) return &value;
    }
    return nullptr;
  }
  const Values& values() const { return *values_; }
  bool operator==(const Parameters& other) const { return values_ == other.values_ || (hash_ == other.hash_ && values_->size() == other.values_->size()); }

 private:
  static std::size_t hash(std::string_view name, std::string_view value) {
    return std::hash<std::string>()(std::string(name).append(1, '=').append(value));
  }
  static const std::shared_ptr<const Values>& none() {
    static const auto empty = std::make_shared<const Values>();
    return empty;
  }
  std::shared_ptr<const Values> values_ = none();
  std::size_t hash_ = 0;
};

/// The right to one server connection of a pool, counted in all limits for as long as it lives. Given back to whoever waits.
class Slot {
 public:
  Slot() = default;
  Slot(Pools& pools, std::shared_ptr<Pool> pool) : pools_(&pools), pool_(std::move(pool)) {}
  ~Slot() { release(); }
  Slot(Slot&& other) noexcept : pools_(std::exchange(other.pools_, nullptr)), pool_(std::move(other.pool_)) {}
  Slot& operator=(Slot&& other) noexcept {
    if (this != &other) {
      release();
      pools_ = std::exchange(other.pools_, nullptr);
      pool_ = std::move(other.pool_);
    }
    return *this;
  }
  explicit operator bool() const { return pools_ != nullptr; }
  void release();

 private:
  Pools* pools_ = nullptr;
  std::shared_ptr<Pool> pool_;
};

/// A connection to PostgreSQL: in a pool, or of one session (which alone touches it then, on its worker's thread).
struct ServerConnection {
  using Clock = std::chrono::steady_clock;

  ServerConnection(Worker& the_worker, Stream the_stream) : worker(&the_worker), stream(std::move(the_stream)) {}

  Slot slot;       ///< first: given back last, after the socket is closed
  Worker* worker;  ///< whose loop the socket is registered with
  Stream stream;
  int host = 0;                ///< of Hosts
  std::shared_ptr<Pool> pool;  ///< null: logged in by its client (auth.mode = relay), never shared
  std::uint32_t pid = 0, key = 0;
  Parameters reported;
  StatePtr state;                               ///< what is set on it beyond its login
  bool ran_unseen_code = false;                 ///< custom settings may be left on it, which nobody can list,
  std::uint64_t last_client = 0;                ///< by this one
  ServerStatements statements;
  std::set<std::string> own_names;              ///< of statements that are there under a client's own name for the moment
  std::shared_ptr<Prepared> unnamed;            ///< whose unnamed statement it holds
  Clock::time_point connected = Clock::now(), idle_since = connected;
  // While it is with its worker's Deliveries:
  std::unique_ptr<ServerConnection> behind;
  std::shared_ptr<Waiter> bound_for;  ///< on another worker; null: it is to be closed

  void say_goodbye();  ///< Terminate, between two messages: its socket is closed next
  bool alive();  ///< nothing has been received that nobody asked for, its end least of all
};

}  // namespace pgsteer::proxy
