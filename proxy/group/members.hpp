#pragma once
#include <map>
#include <set>

#include "proxy/group/shared_words.hpp"
#include "proxy/learner/connection.hpp"

namespace pgsteer::proxy {

class Hub;

/// Several pgsteer processes in front of one PostgreSQL with words in one Redis: who they are. Each holds an advisory lock
/// in PostgreSQL that names the generation it is in, and looks at everybody's every kBetweenPolls: it answers from the
/// cache only while the last look began less than kLease ago and showed all of them in its own generation. A lock that is
/// gone without a farewell is a crash: a new generation begins, and is not used before the transactions that were under way
/// have ended. Owns its thread; alive() from any.
class Members {
 public:
  Members(Hub& hub, cache::RedisOptions redis, const std::string& group);
  ~Members();
  void start();
  void stop();
  SharedWords& words() { return words_; }

  /// The generation whose answers count now; 0: nothing is answered or kept.
  std::uint64_t generation() const {
    const auto armed = state_.armed.load(), adopted = state_.adopted.load();
    return armed != 0 && armed == place_of(adopted, state_.redis.load()) && steady_ns() < state_.lease_until_ns.load() ? adopted : 0;
  }
  /// Which Redis has its words.
  std::uint64_t redis() const { return state_.redis.load(); }
  std::vector<std::pair<std::string, std::string>> describe() const;  ///< rows of SHOW CACHE

 private:
  struct Member {
    std::set<int> locks;
  };
  void loop();
  bool connect();
  bool hold(int lock, std::uint64_t redis);
  bool watch(int lock);
  bool lower_fence(std::uint64_t adopted);
  void look();
  bool quiet(std::uint64_t generation);
  void leave();
  void say(const std::string& what);

  Hub& hub_;
  GroupState state_;
  SharedWords words_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false, poked_ = false;
  std::atomic<bool> interrupted_{false};
  mutable std::mutex text_mutex_;
  std::string text_ = "connecting";

  // Of the thread:
  std::unique_ptr<learning::Connection> connection_;
  GroupClock::time_point next_try_{}, last_look_{};
  bool was_there_ = false;
  std::optional<int> held_, watched_;            ///< locks: of our generation; of the one we have looked after from its beginning
  bool settled_ = false;                         ///< has looked at the others once
  std::map<int, Member> known_;                  ///< by process id of the server
  std::uint64_t quiet_for_ = 0;                  ///< generation that `busy_` is about
  std::map<int, int> busy_;                      ///< in a transaction then; times seen out of one since
  std::thread thread_;
};

}  // namespace pgsteer::proxy
