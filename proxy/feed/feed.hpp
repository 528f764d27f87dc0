#pragma once
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "proxy/clock.hpp"
#include "proxy/feed/decoded.hpp"
#include "proxy/hub.hpp"

struct pg_conn;

namespace pgsteer::proxy {
namespace learning {
class Connection;
}

/// What is committed in one database by anybody, from PostgreSQL's logical decoding into the cache's words (cache = "strict+wal").
/// A commit is decoded before others see it: its relations stay marked, as by a write under way, until a snapshot shows it.
/// Owns its thread; ask() from any.
class Feed {
 public:
  using Answer = std::function<void(bool caught_up)>;
  struct State {
    std::string database, text;
    bool live = false;
    std::uint64_t commits = 0, void_all = 0, rounds = 0, late = 0, connections = 0;
    double mean_round_ms = 0;
  };

  Feed(Hub& hub, std::string database);
  ~Feed();
  /// Calls `answer` once, at once or from the feed's thread: true when every commit that somebody could see when this was called is in
  /// the words; false when that cannot be told, or not in time.
  void ask(Answer answer);
  State state() const;
  /// Gives the slot up, should there be one, and waits for that: a database with a slot in use is not dropped, at once.
  void leave(std::chrono::milliseconds at_most);

 private:
  struct Pending {
    cache::Words::Mark mark;
    std::vector<std::uint32_t> xids;  ///< not yet seen by everybody
    bool changes_catalog = false;
  };
  struct Look {  ///< of the server at one instant
    feed::ServerSnapshot snapshot;
    std::uint64_t inserted = 0;  ///< the WAL's end
  };
  void loop();
  void wait(std::chrono::milliseconds time, bool for_the_stream = true);
  bool connect();
  bool connect_stream();
  void disconnect(const std::string& why);
  bool begin_stream();
  void drop_slot();
  void come_alive();
  void round(std::vector<Answer> askers);
  bool come_to(const Look& look, Clock::time_point deadline);
  bool granted(Clock::time_point deadline);
  std::optional<Look> look();
  void release(const feed::ServerSnapshot& snapshot);
  bool receive();
  void take_in(std::string_view message);
  void mark_commits();
  bool report_position(bool ask_for_reply);
  void say(const std::string& what);
  std::vector<Answer> take_askers();
  cache::Words::Mark mark(const cache::WriteSet& writes, bool changes_catalog);

  Hub& hub_;
  const std::string database_;
  const int bell_;                    ///< eventfd: somebody asks, a mark is granted, or the end
  mutable std::mutex mutex_;          // guards the next six
  std::condition_variable gone_;
  bool there_ = false;                ///< a slot, or one about to be
  std::vector<Answer> askers_;
  Clock::time_point asked_{};
  std::string text_;
  State counts_;
  std::atomic<bool> live_{false}, stopping_{false};

  // Of the thread:
  std::unique_ptr<learning::Connection> probe_;
  std::unique_ptr<pg_conn, void (*)(pg_conn*)> stream_;
  feed::Decoder decoder_;
  std::vector<feed::Commit> commits_;  ///< decoded, not yet marked
  std::deque<Pending> pending_;
  std::vector<std::uint32_t> before_us_;  ///< under way when the slot was made: what they write may have been committed before it
  cache::Words::Mark void_;            ///< of everything, while it begins
  std::string slot_;
  bool reply_wanted_ = false;          ///< the walsender has been asked where it is, and has not said
  std::uint64_t asked_at_ = 0;         ///< version of the catalog that was found wanting
  std::uint64_t position_ = 0;         ///< everything before it has been decoded
  Clock::time_point next_try_{}, next_report_{}, last_look_{};
  std::chrono::milliseconds delay_{0};
  std::thread thread_;
};

/// The feeds of a process, one for each database that has a statement with "strict+wal". Thread-safe.
class Feeds {
 public:
  static constexpr std::size_t most = 32;
  explicit Feeds(Hub& hub) : hub_(hub) {}
  /// Begun at the first call; null when there are too many, or when all is about to end.
  std::shared_ptr<Feed> of(const std::string& database);
  void stop();
  std::vector<Feed::State> states() const;
  void vacate(const std::string& database);  ///< waits a moment

 private:
  Hub& hub_;
  mutable std::mutex mutex_;
  bool stopped_ = false;
  std::map<std::string, std::shared_ptr<Feed>> feeds_;
};

}  // namespace pgsteer::proxy
