#pragma once
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

/// What ParameterStatus said, in the server's order and spelling, with a hash that makes comparing two of them cheap.
class Parameters {
 public:
  void set(std::string_view name, std::string_view value) {
    for (auto& [known, old] : values_) {
      if (known != name) continue;
      hash_ ^= hash(name, old) ^ hash(name, value);
      old = value;
      return;
    }
    values_.emplace_back(name, value);
    hash_ ^= hash(name, value);
  }
  const std::string* find(std::string_view name) const {
    for (const auto& [known, value] : values_) {
      if (known == name) return &value;
    }
    return nullptr;
  }
  const std::vector<std::pair<std::string, std::string>>& values() const { return values_; }
  bool operator==(const Parameters& other) const { return hash_ == other.hash_ && values_.size() == other.values_.size(); }

 private:
  static std::size_t hash(std::string_view name, std::string_view value) {
    return std::hash<std::string>()(std::string(name).append(1, '=').append(value));
  }
  std::vector<std::pair<std::string, std::string>> values_;
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

  void say_goodbye();  ///< Terminate, between two messages: its socket is closed next
  bool alive();  ///< nothing has been received that nobody asked for, its end least of all
};

}  // namespace pgsteer::proxy
