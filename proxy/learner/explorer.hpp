#pragma once
#include <atomic>
#include <functional>
#include <map>
#include <set>
#include <string>

#include "proxy/learner/book.hpp"
#include "proxy/learner/connection.hpp"
#include "proxy/learner/rule_bans.hpp"
#include "proxy/learner/store_writer.hpp"

namespace pgsteer::proxy::learning {

/// Offline exploration: runs real calls of expensive read-only statements under each arm and rewrite,
/// in a read-only snapshot that is rolled back, longest total time first, never longer than the best known plan takes
/// (plus a little slack), the default first and again beside every candidate that matters. The answers are compared on
/// the way. Nothing is ever served from here.
class Explorer {
 public:
  /// Waits that long; false when it has to end at once.
  using Pause = std::function<bool(std::chrono::milliseconds)>;
  Explorer(Hub& hub, Book& book, Links& links, StoreWriter& store, RuleBans& bans, Pause pause)
      : hub_(hub), book_(book), links_(links), store_(store), bans_(bans), pause_(std::move(pause)) {}

  bool step();  ///< explores one statement; false: nothing to do right now
  /// Something is left that the budget pays for.
  bool pending() const;
  double spent_ms() const { return spent_ms_; }
  void grant(double ms) { granted_ms_ = granted_ms_ + ms; }  ///< by a person, beyond what policies allow

 private:
  struct Contender {
    Contender(std::string name, std::vector<rewriter::Setting> with) : label(std::move(name)), settings(std::move(with)) {}
    std::string label;
    std::vector<rewriter::Setting> settings;
    std::string hints;                   ///< in a comment in front of the text
    std::vector<std::string> rules;      ///< of a rewrite
    int measured = 0;                    ///< instances
    int same = 0;                        ///< instances on which it changes nothing
    bool beaten = false, lost = false;
    double round_ms = 0;                 ///< on this instance, 0 when not run
    double gained_ms = 0;                ///< in sum
    bool out() const { return beaten || lost; }
  };
  /// What is left to try where the default has one plan: for another of its plans another arm may be right.
  struct Region {
    struct Known {
      double ms = 0, best_ms = 0;  ///< the default's and the best's
    };
    std::vector<Contender> contenders;
    std::map<std::uint64_t, Known> default_ms;  ///< by instance
    bool hope() const;
  };
  /// Arms for all values of a statement, measured on each call explored whatever its plan.
  struct Race {
    struct Standing {
      double ms = 0, default_ms = 0;
      int instances = 0;
      bool out = false;
      double ratio() const { return default_ms > 0 ? ms / default_ms : 1; }
    };
    bool on = false;
    std::map<std::string, Standing> standings;  ///< by label
    bool runs(const std::string& label) const;
    void add(const std::string& label, double ms, double default_ms);
    void drop();
  };
  struct Round;
  enum class Outcome { done, failed, stop };

  bool affordable(double share) const;
  std::vector<Contender> contenders(const ExploreTask& task, std::uint64_t plan) const;
  Outcome explore(const ExploreTask& task, Connection& connection, std::vector<std::uint64_t>& explored);
  static Race race_of(const ExploreTask& task);
  static bool by_plan(const Round& round);
  Outcome run_round(Round& round, std::map<std::uint64_t, Region>& regions, Race& race);
  Outcome begin(Round& round);
  Outcome add_hinted(Round& round, Region& region);
  std::string analyse(Round& round, const std::string& hints);
  Outcome try_contender(Round& round, Contender& contender, bool raced);
  Outcome measure(Round& round, Contender& contender, const std::string& text, const predictor::PlanFacts& plan, bool raced);
  void conclude(Round& round, Region& region, Race& race);
  Outcome run_default(Round& round, Region& region);
  Answer run(Round& round, const std::string& text, const std::vector<rewriter::Setting>& settings, double limit_ms);
  bool enter(Round& round, const std::vector<rewriter::Setting>& settings);
  void report(const Round& round, const std::string& label, const Answer& answer, const predictor::PlanFacts& plan);
  static std::uint64_t region_of(const Contender& contender, const Round& round);
  static void drop_beaten(Region& region, const Round& round);

  Hub& hub_;
  Book& book_;
  Links& links_;
  StoreWriter& store_;
  RuleBans& bans_;
  Pause pause_;
  std::atomic<double> spent_ms_{0}, granted_ms_{0};
};

/// Two answers to the same statement in one snapshot. `verifiable` statements must agree row by row (in any order);
/// the others, whose answer PostgreSQL itself may vary (LIMIT, windows, order-sensitive aggregates), in columns and count.
bool same_answer(const Answer& a, const Answer& b, bool verifiable);
bool is_verifiable(const sql::Analysis& analysis);

}  // namespace pgsteer::proxy::learning
