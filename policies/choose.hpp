#pragma once
#include "policies/decision.hpp"

namespace pgsteer::policies {

/// Which candidate would act if nothing but the evidence had a say (no mode, no chance).
struct Choice {
  std::size_t index = 0;
  ReasonCode reason = ReasonCode::no_candidate;
  std::string detail;
  bool ordered = false;  ///< by PIN: no hold-out, no canary
};
Choice choose(const DecideInput& input);

/// Whether the cache would be looked at; `none` means yes.
cache::Reason judge_cache(const DecideInput& input);

/// The mode a statement comment asks for: a word we do not know counts as off, because whoever wrote it wanted
/// something other than what happens by itself.
std::optional<Mode> directive_mode(const sql::Directive& directive);

}  // namespace pgsteer::policies
