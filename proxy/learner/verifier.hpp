#pragma once
#include <atomic>
#include <deque>
#include <mutex>
#include <random>

#include "proxy/learner/book.hpp"
#include "proxy/learner/connection.hpp"
#include "proxy/learner/rule_bans.hpp"

namespace pgsteer::proxy::learning {

/// Two forms of one statement, run one after the other in one snapshot.
struct Comparison {
  enum class Result : unsigned char {
    equal,      ///< columns, number of rows and rows (in any order) agree
    different,
    untold,     ///< one of them could not be run to its end: nothing can be said
  } result = Result::untold;
  std::string why;
  Answer original, rewritten;
};

/// In one REPEATABLE READ READ ONLY transaction of `connection`, rolled back; `search_path` as SET LOCAL takes it, "" = the
/// connection's own. An error that only the rewritten form makes is a difference; one that both make tells nothing.
Comparison compare_forms(Connection& connection, const std::string& original, const std::string& rewritten,
                         Parameters parameters, const std::string& search_path, std::chrono::milliseconds limit);

/// Verification mode (REWRITES.md 4.5): of the executions of rewritten statements a share given by the policy (`verify`) is
/// run again, both ways in one snapshot, on one connection of its own and one at a time. A difference bans the rules.
/// Statements whose answer PostgreSQL itself may vary are left out. offer() is the clerk's, step() its own thread's.
class Verifier {
 public:
  static constexpr std::size_t kMaxWaiting = 64;  ///< then the newest are dropped, and counted
  Verifier(Hub& hub, Links& links, RuleBans& bans) : hub_(hub), links_(links), bans_(bans), random_(hub.snapshot()->config->learning.seed) {}

  void offer(const Outcome& outcome);
  bool step();  ///< false: nothing to do right now
  bool pending() const;
  Learner::VerificationState state() const;

 private:
  struct Task {
    std::shared_ptr<const Plan> plan;
    Instance instance;
  };
  bool check(const Task& task, Connection& connection);

  Hub& hub_;
  Links& links_;
  RuleBans& bans_;
  std::mt19937_64 random_;  ///< the clerk's
  mutable std::mutex mutex_;
  std::deque<Task> waiting_;
  bool working_ = false;
  Learner::VerificationState state_;
};

}  // namespace pgsteer::proxy::learning
