#pragma once
#include "rewriter/binder.hpp"

namespace pgsteer::rewriter {

/// No condition in WHERE or ON of the statement, at any depth, can raise an error on some row. Otherwise the answer may hang
/// on which rows a condition meets, and that is the plan's choice: 10 / x > 1 beside a join that drops the rows with x = 0, or
/// beside a condition that an index has now taken over. No rule may act there, however little it changes itself. Looser than cannot_fail():
/// comparisons of any types and the usual functions count as safe, as nothing is said about moving them elsewhere.
bool conditions_cannot_raise(const Bound& bound);

}  // namespace pgsteer::rewriter
