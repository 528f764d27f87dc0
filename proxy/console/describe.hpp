#pragma once
#include <string>

#include "policies/policy.hpp"

namespace pgsteer::proxy::console {

/// A policy rule's parts in one line of words, near the file's own spelling. "everything" for an empty match.
std::string describe(const policies::Match& match);
std::string describe(const policies::Actions& actions);

/// Why `rule` does not match: the first matcher that fails, "database is 'shop', wanted crm"; "" when all fit.
std::string why_no_match(const policies::Match& match, const sql::Analysis& analysis, const sql::SessionFacts& session);

}  // namespace pgsteer::proxy::console
