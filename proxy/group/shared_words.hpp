#pragma once
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "cache/group.hpp"
#include "cache/stores/redis_words.hpp"

namespace pgsteer::proxy {

using GroupClock = std::chrono::steady_clock;

/// Others answer from the cache for so long after they last asked PostgreSQL who is there.
inline constexpr auto kLease = std::chrono::milliseconds(800);
inline constexpr auto kBetweenPolls = std::chrono::milliseconds(150);

/// What the two threads of a group tell each other and the sessions; every member on its own is enough.
struct GroupState {
  std::atomic<std::uint64_t> adopted{0};        ///< generation that every mark of ours stands in; 0: none, Redis is away
  std::atomic<std::uint64_t> redis{0};          ///< the process that has it: a replica that is promoted may have its name and older words
  std::atomic<bool> fence_wanted{false};        ///< writes wait that cannot be marked
  std::atomic<std::int64_t> fenced_ns{0};       ///< since when PostgreSQL tells the others so; 0: it does not
  std::atomic<bool> present{false};             ///< the others see us in PostgreSQL
  std::atomic<std::uint64_t> told_redis{0};     ///< the Redis that our lock there names ...
  std::atomic<std::int64_t> told_ns{0};         ///< ... and since when; 0: we are not there
  std::atomic<int> server_pid{0};               ///< of the connection by which they do
  std::atomic<bool> renewing{false};            ///< a new generation was asked for and is not there yet
  std::atomic<std::uint64_t> armed{0};          ///< place_of() what every member has adopted, seen at the last poll
  std::atomic<std::int64_t> lease_until_ns{0};  ///< of that poll
  std::atomic<int> members{0};
  std::mutex fence;                             ///< the fence is not lowered while a write is let go behind it
};

/// A generation says whether transactions that nobody marked may be under way: those of a member that is gone.
inline bool awaits_quiet(std::uint64_t generation) { return (generation & 1) != 0; }
/// Of the advisory lock that tells the others which generation we are in, and in which Redis. 0: writes go on unmarked.
inline int lock_of(std::uint64_t generation, std::uint64_t redis) {
  const auto id = static_cast<int>(((generation >> 1) ^ (redis >> 8)) & 0x7FFFFFFF);
  return generation == 0 ? 0 : id == 0 ? 1 : id;
}
/// A generation of one Redis: a copy of that Redis has its name too.
inline std::uint64_t place_of(std::uint64_t generation, std::uint64_t redis) { return generation == 0 ? 0 : (generation ^ redis * 0x9E3779B97F4A7C15ull) | 1; }
inline std::int64_t steady_ns() { return std::chrono::duration_cast<std::chrono::nanoseconds>(GroupClock::now().time_since_epoch()).count(); }

/// The words in Redis: one thread that marks, bumps and, after any failure, begins a new generation. Owned by the Group
/// (members.hpp); thread-safe.
class SharedWords final : public cache::Group {
 public:
  struct Counts {
    std::uint64_t marks = 0, widened = 0, renewals = 0, losses = 0, fenced = 0, unprotected = 0;
  };
  SharedWords(cache::RedisOptions redis, const std::string& group, GroupState& state);
  ~SharedWords() override;
  std::function<void(const std::string& database)> on_picture;  ///< the catalog was changed through another member
  std::function<void()> on_change;                              ///< the state has something new for PostgreSQL's side
  void start();
  void stop();

  std::shared_ptr<cache::Ticket> mark(const std::string& database, std::vector<sql::Oid> relations, const cache::MarkOrigin& origin) override;
  void done(const std::shared_ptr<cache::Ticket>& ticket, bool certainly_rolled_back) override;
  void bump(const std::string& database, std::span<const sql::Oid> relations) override;

  /// The catalog picture's word, for whoever is about to read the catalog; no_picture when it moves or cannot be had.
  std::uint64_t picture(const std::string& database);
  /// Everything asked for until now is done, or was given up.
  void settle();
  /// A word of the catalog picture that is not the one a session's picture was read under.
  void picture_moved(const std::string& database, std::uint64_t word);
  /// Begins a generation unless another has begun since `expected`, or each of `vanished` has said farewell.
  void renew(std::uint64_t expected, std::vector<int> vanished);
  const cache::WordKeys& keys() const { return keys_; }
  Counts counts() const;
  std::string error() const;

  static std::string field(const std::string& database, sql::Oid relation);

 private:
  struct Mark;
  struct Task;
  struct Wanted {
    std::uint64_t expected;
    std::vector<int> vanished;
  };
  void loop();
  void connect();
  void adopt(std::uint64_t generation);
  void begin_generation(std::uint64_t expected, const std::vector<int>& vanished);
  void lost();
  void carry_out(std::deque<Task>& tasks);
  bool judge(Mark& mark, std::uint64_t picture);
  bool everybody_knows() const;
  void grant();
  void put(Task task);

  const cache::RedisOptions redis_;
  const cache::WordKeys keys_;
  GroupState& state_;

  mutable std::mutex mutex_;  // guards the next six
  std::condition_variable wake_;
  std::deque<Task> tasks_;
  std::vector<Wanted> wanted_;
  Counts counts_;
  std::string error_;
  std::map<std::string, std::uint64_t> told_;  ///< the last picture told to on_picture
  bool stopping_ = false;

  // Of the thread:
  std::unique_ptr<cache::WordLink> link_;
  GroupClock::time_point next_try_{};
  std::chrono::milliseconds delay_{0};
  bool lossy_ = false;      ///< something may or may not have reached the words, or went on unmarked
  bool quiet_due_ = false;  ///< a member is gone, and no generation has begun since
  std::optional<GroupClock::time_point> alone_since_;  ///< not to be seen in PostgreSQL
  std::unordered_map<Mark*, std::shared_ptr<Mark>> live_;
  std::thread thread_;
};

}  // namespace pgsteer::proxy
