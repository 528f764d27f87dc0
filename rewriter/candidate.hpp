#pragma once
#include <optional>
#include <string>
#include <vector>

#include "rewriter/sql/analysis.hpp"
#include "rewriter/sql/catalog.hpp"
#include "rewriter/sql/query.hpp"

namespace pgsteer::rewriter {

enum class CandidateKind : unsigned char {
  as_is,      ///< the original bytes
  rewritten,  ///< another text with the same answer
  hinted,     ///< pg_hint_plan comment in front of the text
  settings,   ///< planner settings for this statement only
};

struct Setting {
  std::string name, value;
  bool operator==(const Setting&) const = default;
};

/// One way to run a statement. Candidate 0 of every plan is as_is.
struct Candidate {
  CandidateKind kind = CandidateKind::as_is;
  std::string text;                 ///< "" means the original text
  std::vector<Setting> settings;    ///< planner settings in effect while this statement is planned
  std::vector<std::string> rules;   ///< rewrite rules that made it, in order
  std::string arm;                  ///< steering arm name; "" for none
  std::vector<std::string> facts;   ///< the guard facts relied upon, in words ("orders.id is a primary key")
  std::uint64_t catalog_version = 0;

  /// Stable label for statistics and console: "as-is", "rewrite:not_in_to_not_exists+...", "arm:no_nestloop".
  std::string label() const;
};

/// A hint set: planner settings, applied by SET LOCAL or as pg_hint_plan Set() hints. STEERING.md 7.2.
struct Arm {
  std::string name;
  std::string why;  ///< one line for people
  std::vector<Setting> settings;
  std::string hints{};  ///< Leading() and Rows() of pg_hint_plan, found for one statement; nothing without the extension
};

/// The fixed list, in order of trial.
const std::vector<Arm>& arms();
const Arm* find_arm(std::string_view name);
/// Of the list, or one whose name is its hints: "Rows(a b #5000) Leading((a b))". Nothing when it is neither, or not surely harmless in a comment.
std::optional<Arm> arm_named(std::string_view name);

/// Whether that can be done to this text on such a server.
bool can_steer(std::string_view text, const Arm& arm, bool hint_plan);
/// The statement under an arm: settings, or (when `hint_plan`) a `/*+ Set(...) */` comment at byte 0.
Candidate steer(std::string_view text, const Arm& arm, bool hint_plan);

/// Which rules may act. Names as in all_rules(); "all" and "-name" as in policy files.
struct RuleSwitches {
  bool all = true;
  std::vector<std::string> only;      ///< used when !all
  std::vector<std::string> excluded;
  bool allows(std::string_view rule) const;
};

struct RuleInfo {
  std::string name;
  std::string summary;     ///< pattern -> result, one line
  bool trusts_constraints = false;
  bool always_gains = false;  ///< needs no cost gate (REWRITES.md 2.1 "always")
  double cost_threshold = 0.9;  ///< EXPLAIN cost of the rewrite must be below this share of the original's
};
const std::vector<RuleInfo>& all_rules();

/// Applies the rules to a bounded fixpoint. Returns zero or more rewritten candidates (variants), never as_is; each text
/// was verified by Tree::print_verified. Empty when nothing fires or anything is in doubt; then *why_not (when given)
/// names the reason. Pure and thread-safe.
std::vector<Candidate> rewrite(const sql::Query& query, const sql::Analysis& analysis, const sql::Catalog& catalog,
                               const RuleSwitches& switches, std::string* why_not = nullptr);

/// Whether the answer is the same whenever the statement runs on the same snapshot, so that two runs may be compared: what
/// rewrite() asks of a statement before any rule sees it. False with *why_not when anything is in doubt.
bool determined(const sql::Query& query, const sql::Analysis& analysis, const sql::Catalog& catalog,
                std::string* why_not = nullptr);

}  // namespace pgsteer::rewriter
