#pragma once
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "proxy/hub.hpp"
#include "proxy/learner/audit.hpp"
#include "proxy/learner/breakers.hpp"
#include "proxy/learner/kept.hpp"
#include "proxy/learner/learner.hpp"
#include "proxy/learner/pins.hpp"
#include "proxy/learner/plan_memo.hpp"

namespace pgsteer::proxy::learning {

/// One real call, as it can be made again.
struct Instance {
  std::string text;
  std::vector<std::uint32_t> types;
  std::string bind;
  std::uint64_t hash = 0;
};

/// A statement shape the prober should look at.
struct ProbeTask {
  policies::KnowledgeKey key;
  std::shared_ptr<const sql::Analysis> analysis;
  Instance instance;
  std::string user, application;
  policies::Effective policy;
  bool judge = false;  ///< gate B is wanted: somebody may cache or explore it
};

struct ProbeResult {
  std::uint64_t catalog_version = 0;
  predictor::PlanFacts plan;
  double planning_ms = 0;   ///< what asking for it took
  std::vector<policies::RewriteJudgement> rewrites;
  cache::Judgement cache;   ///< as asked; pending when it was not
  bool judged = false;      ///< gate B was asked
  bool explorable = false;  ///< nothing volatile, no row security, no foreign or temporary relation
  std::string error;        ///< the server refused the statement: no plan, nothing to offer
};

/// A statement shape the explorer should run.
struct ExploreTask {
  policies::KnowledgeKey key;
  std::shared_ptr<const sql::Analysis> analysis;
  std::vector<Instance> instances;  ///< those not explored yet
  bool first = false;               ///< nothing of this shape was explored under this plan
  std::string user, application, fingerprint;
  policies::Effective policy;
  predictor::PlanFacts plan;
  predictor::History history;
  std::vector<std::string> rewrites;  ///< labels whose columns are the original's
  std::set<std::pair<std::string, std::uint64_t>> hinted;  ///< arms that were found for this statement under a plan of the default's
  bool varied = false;              ///< arms are measured for all values as well
  double planning_ms = 0;           ///< what an EXPLAIN takes at least; 0: not known
  std::map<std::string, policies::Evidence> wide;  ///< by label: what is known for all values
  std::set<std::pair<std::string, std::uint64_t>> out;  ///< not to be tried under a plan of the default's (0: any): rejected, banned, disabled
  double default_ms = 0;
  std::uint64_t catalog_version = 0;
};

/// One measurement of a candidate against the default on the same instance.
struct Measurement {
  std::string label;
  double ms = 0, default_ms = 0;
  std::uint64_t plan = 0;  ///< of the default on that instance; 0: measured for all values
  double cost = 0;
  bool wide = false;
};

/// What is known of every statement shape, in the making: fed by executions, probes and exploration, published as an
/// immutable KnowledgeMap. Thread-safe; nothing here waits for anything.
class Book {
 public:
  static constexpr std::size_t kMaxShapes = 20000, kMaxInstances = 16;
  Book(Hub& hub, Audit& audit) : hub_(hub), audit_(audit), breakers_(hub, audit) {}

  /// Learns from one execution. Returns what the statement is expected to take as it is (before this execution), 0 when
  /// unknown, or when it was run as it is.
  double record(const Outcome& outcome);
  /// Publishes when something changed: at once what changes behaviour, every second what only refines history.
  void publish(bool everything = false);

  /// The most expensive statement that wants a look, in a database whose catalog is known; not again until finished.
  std::optional<ProbeTask> next_probe();
  void finish_probe(const policies::KnowledgeKey& key, const ProbeResult& result);
  void postpone_probe(const policies::KnowledgeKey& key, std::chrono::milliseconds delay);

  std::optional<ExploreTask> next_exploration();
  void finish_exploration(const policies::KnowledgeKey& key, const std::vector<std::uint64_t>& instances, bool complete);
  void measured(const policies::KnowledgeKey& key, const Measurement& measurement);
  /// PostgreSQL's own plan for a call, and what it took.
  void default_measured(const policies::KnowledgeKey& key, const predictor::PlanFacts& plan, double ms);
  void planned(const policies::KnowledgeKey& key, double ms);  ///< what an EXPLAIN took
  /// The candidate's answer was not the original's: never again, whatever the evidence says.
  void refuse_for_good(const policies::KnowledgeKey& key, const std::string& label, const std::string& why);

  void set_pins(std::map<std::string, Pin> pins);
  std::vector<KeptArm> kept() const;      ///< every arm that may serve, for the file
  void keep(std::vector<KeptArm> arms);   ///< from the file: acts when its statement comes and the statistics are those it was explored under
  void approve(const KeptArm& arm);
  bool withdraw(const std::string& fingerprint);  ///< approvals by hand; false: there were none
  std::vector<ExperimentRecord> experiments() const;
  std::vector<PolicyRecord> policy_records() const;
  bool resume_policy(const std::string& rule);  ///< "" = all; false: nothing was held
  std::string user_of(const std::string& database) const;
  /// Adds who sends it and an example of its text.
  void complete(StatementRecord& record) const;
  bool knows_fingerprint(const std::string& fingerprint) const;
  bool probes_pending() const;
  bool explorations_pending() const;
  bool unpublished() const;
  double observed_ms() const;
  std::uint64_t mismatches() const;

 private:
  struct Statement {
    policies::Knowledge knowledge;
    std::shared_ptr<const sql::Analysis> analysis;
    std::string user, application;
    policies::Effective policy;
    policies::Mode mode = policies::Mode::off;
    std::deque<Instance> instances;  ///< distinct, newest last
    Instance probed;                 ///< the one the prober looks at, always the same: another plan is another plan, not other values
    double mean_ms = 0;              ///< of the default: what losses are counted against, where the typical time would make noise a loss
    policies::Regret regret;
    std::map<std::pair<std::string, std::uint64_t>, policies::Experiment> experiments;  ///< by label and plan
    std::vector<double> doubt_ms;    ///< of the default, since an arm is doubted
    std::uint64_t certain_until = 0, peace = 32;  ///< sightings: so long nothing is doubted again; longer with each doubt that was none
    int out_of_line = 0;             ///< served executions in a row
    std::uint64_t statistics = 0;    ///< statistics_digest() at the last look
    std::uint64_t kept_statistics = 0;  ///< under which what was kept of it was explored; 0: nothing, or looked at
    std::set<std::uint64_t> explored;
    std::set<std::string> never;     ///< labels refused for good
    std::uint64_t sightings = 0;
    double total_ms = 0, slowest_ms = 0;
    bool gate_b_asked = false, explorable = false, probing = false, exploring = false, exploration_over = false;
    Clock::time_point not_before{};
    bool dirty = false;
  };
  using Key = policies::KnowledgeKey;

  Statement* statement_of(const std::shared_ptr<const Plan>& plan);
  void learn_default(Statement& statement, const Plan& plan, const Execution& execution, double ms);
  static double expected_instead(const Statement& statement, const Plan& plan, double usual);
  void compare(Statement& statement, const Plan& plan, const std::string& label, policies::Experiment::Side side, double ms);
  void judge_trial(Statement& statement, const Plan& plan, policies::Evidence& entry);
  void charge(Statement& statement, const Plan& plan, double lost_ms);
  void release(Statement& statement, const policies::RegretAction& budget);
  policies::Evidence& served_evidence(Statement& statement, const Plan& plan, const std::string& label);
  void learn_served(Statement& statement, const Plan& plan, const Execution& execution, double ms, double expected);
  void remember(Statement& statement, const Execution& execution);
  policies::Evidence& evidence(Statement& statement, const std::string& label, std::uint64_t plan = 0);
  void sighted(Statement& statement, policies::PlanSight sight);
  void void_evidence(Statement& statement, const std::string& why);
  static bool unusual(const policies::Evidence& entry, double ms);
  void doubt_arms(Statement& statement, double default_ms);
  void doubt(Statement& statement, policies::Evidence& entry);
  void settle_doubt(Statement& statement, double default_ms);
  void judge_again(Statement& statement, policies::Evidence& entry, double ms, double default_ms, bool explored);
  void apply_pin(Statement& statement);
  void touch(const Key& key, Statement& statement, bool urgent);
  bool wants_probe(const Statement& statement, const Snapshot& snapshot) const;
  bool wants_judgement(const Statement& statement) const;
  bool wants_exploration(const Statement& statement, const Snapshot& snapshot) const;
  void evict();
  static bool concerns(const KeptArm& arm, const Key& key);
  void apply_kept(const Key& key, Statement& statement);
  void take_over(Statement& statement, const KeptArm& arm);
  bool statistics_hold(Statement& statement, const sql::Catalog& catalog);

  Hub& hub_;
  Audit& audit_;
  Breakers breakers_;
  bool held_changed_ = false;
  mutable std::mutex mutex_;
  std::unordered_map<Key, Statement, policies::KnowledgeKeyHash> statements_;
  PlanMemo<Statement*> memo_;
  policies::KnowledgeMap published_;
  predictor::Calibration calibration_;
  std::map<std::string, Pin> pins_;
  std::multimap<std::string, KeptArm> kept_;  ///< by fingerprint
  std::map<std::string, std::string> users_;  ///< database -> user of the latest session
  std::vector<Key> dirty_;
  bool urgent_ = false, at_once_ = false, calibration_dirty_ = false, evicted_ = false;
  Clock::time_point last_publish_{};
  double observed_ms_ = 0;
  std::uint64_t mismatches_ = 0;
};

}  // namespace pgsteer::proxy::learning
