#pragma once
#include <map>
#include <string>
#include <vector>

#include "policies/decision.hpp"
#include "policies/regret.hpp"
#include "proxy/hub.hpp"
#include "proxy/learner/audit.hpp"
#include "proxy/learner/learner.hpp"

namespace pgsteer::proxy::learning {

/// What each policy rule's changed executions gained and lost, and the circuit breakers: a rule that has lost more than its budget within an
/// hour observes until a person says RESUME POLICY; when all rules together have lost learning.regret, all do. Part of the Book, under its lock;
/// a restart closes every breaker.
class Breakers {
 public:
  Breakers(Hub& hub, Audit& audit) : hub_(hub), audit_(audit) {}

  /// An execution that something was done to; negative: it gained. True when that opened a breaker.
  bool charge(const policies::Effective& policy, double lost_ms, double seconds);
  void pair(const std::string& rule, double log_gain) { records_[rule].experiment.add_pair(log_gain); }
  std::vector<PolicyRecord> records(double seconds) const;
  /// "" = every one of them. False: nothing was held.
  bool resume(const std::string& rule);
  std::map<std::string, std::string, std::less<>> held() const;

 private:
  struct Record {
    policies::Experiment experiment;  ///< all of the rule's statements, each compared with its own control group
    policies::Regret regret;
    double budget_ms = 0;
    std::uint64_t changed = 0;
    double saved_ms = 0, lost_ms = 0;
    std::string held;
  };
  void open(Record& record, const std::string& rule, double budget_ms);
  double budget_of_all() const;

  Hub& hub_;
  Audit& audit_;
  std::map<std::string, Record> records_;
  Record all_;
};

}  // namespace pgsteer::proxy::learning
