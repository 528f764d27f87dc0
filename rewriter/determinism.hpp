#pragma once
#include <string>

#include "rewriter/binder.hpp"

namespace pgsteer::rewriter {

/// Whether the answer (as a multiset of rows) is fixed by the data alone, whatever plan the server takes. It is not when
/// LIMIT cuts an order with ties, when a window function numbers ties, or when an aggregate depends on the order of its
/// input (array_agg, float sums). Such a statement is left alone: another plan could show other rows.
bool answer_is_determined(const Bound& bound, std::string* why_not);

/// A window function stands somewhere: what changes the rows it sees changes what it says.
bool has_window(const Bound& bound);

}  // namespace pgsteer::rewriter
