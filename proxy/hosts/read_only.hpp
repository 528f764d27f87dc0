#pragma once
#include <string>

#include "cache/cache.hpp"
#include "rewriter/sql/analysis.hpp"
#include "rewriter/sql/catalog.hpp"
#include "rewriter/sql/query.hpp"

namespace pgsteer::proxy {

/// Why only the primary may answer a statement; "" when a standby that has the same data would give the same answer: one SELECT that neither
/// writes nor locks, of tables that are replicated and functions of the server's own that depend on nothing but these, their arguments and
/// settings. In doubt there is a reason. `judgement`: what the planner made of it, where the background has looked.
std::string why_primary(const sql::Analysis& analysis, const sql::Catalog* catalog, const sql::SessionFacts& session, const cache::Judgement* judgement);

}  // namespace pgsteer::proxy
