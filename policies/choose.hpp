#pragma once
#include "policies/decision.hpp"

namespace pgsteer::policies {

/// Which candidate would act if nothing but the evidence had a say (no mode, no chance).
struct Choice {
  std::size_t index = 0;
  ReasonCode reason = ReasonCode::no_candidate;
  std::string detail;
  bool ordered = false;  ///< by PIN: no hold-out, no canary
  bool wants_plan = false;  ///< which plan PostgreSQL has would decide, and is not known
};
Choice choose(const DecideInput& input);

/// The plan that PostgreSQL by itself has for this execution, as far as known or as good as certain; else 0.
std::uint64_t plan_of(const DecideInput& input);

/// Whether the cache would be looked at; `none` means yes.
cache::Reason judge_cache(const DecideInput& input);

/// The mode a statement comment asks for: a word we do not know counts as off, because whoever wrote it wanted
/// something other than what happens by itself.
std::optional<Mode> directive_mode(const sql::Directive& directive);

}  // namespace pgsteer::policies
