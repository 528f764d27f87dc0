#pragma once
#include "rewriter/rule.hpp"

/// SELECT .. FROM a JOIN r ON r.id = a.r_id .. ORDER BY a.y LIMIT n: the shared half of the rules that cut before they join.
namespace pgsteer::rewriter {

/// Which chains of joins: LEFT JOINs alone, or such with an inner join on a foreign key among them.
enum class Joins { outer, inner };

/// Moves WHERE, ORDER BY and LIMIT of a query into a subquery over its first table, when a row of that table gives exactly one
/// row of the join. True when it did.
bool cut_before_joining(Attempt& attempt, Joins joins);

}  // namespace pgsteer::rewriter
