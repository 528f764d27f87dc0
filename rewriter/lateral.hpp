#pragma once
#include "rewriter/rule.hpp"

/// FROM a JOIN (subquery) s ON s.k = a.c: the shared half of the rules that let the subquery see a.c.
namespace pgsteer::rewriter {

/// Adds `k = a.c` inside the subquery when its output k (own_column of `sub`) allows it; false when not.
using PushEquality = bool (*)(Source& sub, int own_column, const Reference& partner, Attempt& attempt);

/// Finds a join partner to the left of `sub` that is compared for equality with one of its outputs, in ON of an inner or
/// LEFT JOIN or in WHERE, lets `push` add the condition inside, and marks the item LATERAL. The outer condition stays.
bool push_join_equality(Source& sub, Attempt& attempt, PushEquality push);

/// The target expression behind an output of a plain subquery; nullptr when a star stands among them.
const Json* target_of(const Source& sub, int own_column);

}  // namespace pgsteer::rewriter
