#pragma once
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cache/cache.hpp"
#include "rewriter/candidate.hpp"
#include "rewriter/sql/analysis.hpp"
#include "rewriter/sql/query.hpp"

namespace pgsteer::policies {

enum class Mode : std::uint8_t { off, observe, suggest, canary, auto_ };
std::string_view to_string(Mode mode);
std::optional<Mode> parse_mode(std::string_view text);

/// A matcher list: empty = anything; entries are globs (`*`, `?`), matched case-sensitively, any one suffices.
using Globs = std::vector<std::string>;

struct Match {
  Globs database, user, application, client_address, fingerprint, table, statement;
  std::map<std::string, Globs> tag;
};

struct SteerAction {
  bool enabled = true;
  std::vector<std::string> arms;  ///< empty = the default list
  double max_regression = 1.2;    ///< measured time of an arm may be at most this multiple of the default's
  double min_gain = 0.1;          ///< share of the time that must be gained
  std::chrono::microseconds min_gain_time{1000};
  std::chrono::microseconds floor{3000};  ///< statements faster than this are never steered
  bool explore_offline = true;
  double explore_budget = 0.02;   ///< share of the observed execution time that exploring may cost
};

struct CacheAction {
  cache::Consistency mode = cache::Consistency::off;
  std::chrono::milliseconds staleness{2000};  ///< time to live in ttl and bounded
  std::size_t max_result = 1 << 20;           ///< bytes
  std::chrono::microseconds min_cost{300};    ///< statements predicted cheaper are not worth a look-up
  bool learn = false;                         ///< cache = "auto"
};

struct CanaryAction {
  double share = 0.05, control = 0.05, promote_at = 0.95;
};

/// What changed executions may lose in an hour beyond what the originals would have taken.
struct RegretAction {
  std::chrono::microseconds fingerprint{std::chrono::seconds(30)};  ///< then nothing is done to the statement until half of it has drained away
  std::chrono::microseconds policy{std::chrono::minutes(2)};        ///< of all statements of the rule: then it observes, until RESUME POLICY
};

struct LimitAction {
  std::optional<std::chrono::milliseconds> max_predicted;
  std::optional<double> rate_per_user;        ///< statements a second, of each user
  std::map<std::string, double> rate_per_tag; ///< by tag: statements a second, of each of its values
  enum class OnExceed : std::uint8_t { warn, reject, queue } on_exceed = OnExceed::warn;
  bool any() const { return max_predicted || rate_per_user || !rate_per_tag.empty(); }
};

/// What a rule says; a field that is not set comes from [default].
struct Actions {
  std::optional<Mode> mode;
  std::optional<rewriter::RuleSwitches> rewrite;
  std::optional<bool> rewrite_enabled;
  std::optional<SteerAction> steer;
  std::optional<CacheAction> cache;
  std::optional<CanaryAction> canary;
  std::optional<RegretAction> regret;
  std::optional<LimitAction> limits;
  std::optional<double> verify;
  std::optional<bool> reuse;
  std::optional<std::string> lane, route;
};

struct Rule {
  std::string name;
  std::string where;  ///< file:line
  Match match;
  Actions actions;
};

struct Lane {
  std::string name;
  std::optional<std::chrono::milliseconds> max_predicted, queue_timeout;
  int concurrency = 0;  ///< 0 = no limit
  std::chrono::milliseconds patience() const { return queue_timeout.value_or(std::chrono::seconds(30)); }
};

/// Everything resolved for one statement: the first matching rule over [default] over built-in defaults.
struct Effective {
  std::string rule;   ///< name, "default" when none matched
  std::string where;  ///< file:line, "" for built-in
  Mode mode = Mode::observe;
  bool mode_given = false;  ///< a rule or [default] set `mode`; else the caller puts [mode] default of the configuration
  bool rewrite_enabled = true;
  rewriter::RuleSwitches rewrite;
  SteerAction steer;
  CacheAction cache;
  CanaryAction canary;
  RegretAction regret;
  std::string held;       ///< why the rule only observes although its mode says more; "" = it does what it says
  LimitAction limits;
  bool reuse = false;     ///< what repeats without being prepared is run by a prepared statement of ours
  double verify = 0.001;  ///< share of the executions of rewritten statements that is run again both ways and compared
  std::string lane, route;
};

/// An error in a file: "conf/policies/shop.toml:12: unknown key 'mdoe' in [[rule]]: did you mean 'mode'?"
struct FileError {
  std::string text;
};

/// All policy files of one directory, in name order; immutable once loaded.
class PolicySet {
 public:
  /// Reads *.toml of a directory (missing or "" = built-in defaults only). All errors are collected; nullptr if any.
  static std::shared_ptr<const PolicySet> load(const std::string& directory, std::vector<FileError>* errors);
  static std::shared_ptr<const PolicySet> parse(std::string_view toml, const std::string& file_name,
                                                std::vector<FileError>* errors);

  /// First match decides. `directive_` of the statement and the session's own mode are applied by decide(), not here.
  Effective resolve(const sql::Analysis& analysis, const sql::SessionFacts& session) const;
  bool any_cache() const;   ///< some rule turns caching on: writes must be marked
  const std::vector<Rule>& rules() const { return rules_; }
  const Actions& defaults() const { return defaults_; }
  const std::vector<Lane>& lanes() const { return lanes_; }
  /// The lane a rule names, else the one with the smallest max_predicted that the prediction fits in; nullptr: no lane.
  const Lane* lane_for(std::string_view named, double predicted_ms) const;
  /// The file in plain words, one sentence a rule (for `pgsteer check`).
  std::string explain() const;

 private:
  Actions defaults_;
  std::string defaults_where_;
  std::vector<Rule> rules_;
  std::vector<Lane> lanes_;
};

/// Nearest name by edit distance, "" when nothing is near.
std::string nearest_name(std::string_view wrong, const std::vector<std::string>& names);
/// "50/s", "600/min", "10/h": per second.
std::optional<double> parse_rate(std::string_view text);
/// "250ms", "2s", "10min", "1h", "80us"; "8MB", "64kB", "1GB"; "2%" or 0.02.
std::optional<std::chrono::microseconds> parse_duration(std::string_view text);
std::optional<std::uint64_t> parse_bytes(std::string_view text);
bool glob_match(std::string_view pattern, std::string_view text);

}  // namespace pgsteer::policies
