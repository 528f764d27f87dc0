#pragma once
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "proxy/config.hpp"

namespace pgsteer::proxy {

enum class Role : unsigned char { unknown, primary, standby };
std::string_view to_string(Role role);

/// What one look at a host has found.
struct HostLook {
  std::chrono::steady_clock::time_point asked;  ///< the question was sent after whatever was acknowledged before
  std::string error;                            ///< why there is no answer; "" = all of the rest is known
  Role role = Role::unknown;
  bool read_only = false;                       ///< refuses writes: a standby, or default_transaction_read_only
  std::uint32_t timeline = 0;                   ///< of a primary
  std::uint64_t position = 0;                   ///< in the WAL, bytes: flushed by a primary, replayed by a standby
  std::optional<double> lag_seconds;            ///< as the standby itself reckons; nullopt: it cannot tell
  std::uint64_t caught_up = 0;                  ///< of a standby that has nothing left to replay: what it has received, an incomplete record included
  std::uint64_t inserted = 0;                   ///< by a primary: ahead of what is flushed, for as long as nobody has to wait for it
  std::chrono::milliseconds flushed_within{0};  ///< of an asynchronous commit: then it is
};

/// One host as it is known now.
struct HostState {
  Role role = Role::unknown;
  bool seen = false, up = false;  ///< looked at at all; answered the last time
  bool read_only = false;
  bool stale = false;             ///< calls itself a primary, and another one is on a later timeline: a failover has passed it by
  std::uint32_t timeline = 0;
  std::uint64_t position = 0, caught_up = 0;
  std::optional<double> lag_seconds;
  std::optional<std::uint64_t> lag_bytes;
  std::string error;
  std::int64_t since_unix_us = 0, checked_unix_us = 0;  ///< of this role and state; of the last look
};

/// The hosts of upstream.url: what they are, which of them a session may be on, and how far standbys are behind. With one host nothing is
/// ever looked at. Thread-safe; readers take an immutable table.
class Hosts {
 public:
  using Clock = std::chrono::steady_clock;
  using Table = std::vector<HostState>;

  explicit Hosts(const std::string& url);

  bool several() const { return endpoints_.size() > 1; }
  int count() const { return static_cast<int>(endpoints_.size()); }
  const Endpoint& endpoint(int host) const { return endpoints_[static_cast<std::size_t>(host)]; }
  SessionAttributes wanted() const { return wanted_; }
  /// Whether sessions wait for a host to become what is wanted, instead of taking what there is.
  bool particular() const { return several() && wanted_ != SessionAttributes::any && wanted_ != SessionAttributes::prefer_standby; }
  std::shared_ptr<const Table> table() const;

  /// Hosts that a session's connection may be made to, in the order to try. `verified`: the login will tell what each is, so that those
  /// nobody has been able to ask may be tried as well.
  std::vector<int> candidates(bool verified) const;
  bool fits(int host) const;                 ///< what is on it may stay; true in doubt
  bool fits(bool in_recovery, bool read_only) const;  ///< as a login has found it
  /// Answers of this host are those of the primary: what it says may be kept. True with one host.
  bool is_primary(int host) const;
  std::string why_none() const;              ///< each host and what is wrong with it, for who waits in vain

  /// By those who look. Calls on_change when a role changed, or a host went or came back, from this thread and without any lock.
  void saw(int host, const HostLook& look);
  /// Something did not go as the table says: all are looked at soon.
  void look_soon();
  /// Until `delay` is over or somebody asks; false at the end.
  bool wait_to_look(int host, std::chrono::milliseconds delay);
  void stop();

  struct Change {
    std::vector<int> moved;    ///< hosts with another role than before
    std::vector<int> unfit;    ///< sessions were right there before, and are not any more
    bool primary = false;      ///< another host is the primary, or there is none
    bool roles = false;
  };
  std::function<void(const Change&)> on_change;

  /// A standby has replayed whatever had been acknowledged at `moment`, as far as is known.
  bool replayed(int host, Clock::time_point moment) const;

  /// Where to read: one standby after the other of those that are no further behind than `max_lag` (0 = any) and have replayed what was
  /// acknowledged at `after`; with `or_primary` the primary has its turn too.
  struct Reading {
    int host = -1;    ///< -1: the primary
    std::string why;  ///< in words
  };
  Reading choose_for_reading(std::optional<Clock::time_point> after, std::chrono::milliseconds max_lag, bool or_primary) const;

 private:
  bool replayed(const HostState& state, Clock::time_point moment) const;  ///< under the lock
  std::string why_not_read(const HostState& state, std::optional<Clock::time_point> after, std::chrono::milliseconds max_lag) const;
  bool fits(const HostState& state) const;
  void judge(Table& table) const;
  std::optional<double> lag_of(const HostLook& look, std::uint64_t position, bool primary_up) const;

  std::vector<Endpoint> endpoints_;
  SessionAttributes wanted_ = SessionAttributes::any;

  mutable std::atomic<unsigned> turns_{0};
  mutable std::mutex mutex_;
  std::shared_ptr<const Table> table_;
  struct Sample {
    Clock::time_point asked;
    std::uint64_t flushed, inserted;
  };
  std::chrono::milliseconds flushed_within_{0};
  std::deque<Sample> samples_;  ///< of the primary, oldest first

  std::mutex waiting_mutex_;
  std::condition_variable waiting_;
  std::vector<bool> asked_for_;
  bool stopped_ = false;
};

}  // namespace pgsteer::proxy
