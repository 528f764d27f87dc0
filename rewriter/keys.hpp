#pragma once
#include <set>
#include <utility>
#include <vector>

#include "rewriter/binder.hpp"

/// Uniqueness: which columns single out a row, and whether an ORDER BY fixes every row's place.
namespace pgsteer::rewriter {

using ColumnSet = std::set<std::pair<const Source*, int>>;

/// Column indexes of every key of a table: a valid, immediate, full unique index over plain NOT NULL columns. Empty for a
/// table with inheritance children (a parent's key does not span them) and for anything that is not a table.
std::vector<std::vector<int>> unique_keys(const Source& source);

/// Closes a set of columns under keys and equalities of the query: with these columns known, which others are. Columns
/// of a null-extended side count as known when its join partner is.
/// `keyed` (when given) collects the items of which at most one row is left.
ColumnSet determined_by(ColumnSet known, const Scope& scope, const Bound& bound, std::set<const Source*>* keyed = nullptr);

/// With these columns known there is at most one row: every FROM item is singled out by a key.
bool singles_out_row(const ColumnSet& known, const Scope& scope, const Bound& bound);

/// Every column of every FROM item is determined (rows may repeat, but then they are the same).
bool determines_row(const ColumnSet& known, const Scope& scope, const Bound& bound);

/// The columns an expression list (ORDER BY, DISTINCT ON, GROUP BY items) names, output names and positions resolved.
ColumnSet columns_of_items(const Array* items, const Scope& scope, const Bound& bound);

/// ORDER BY leaves no two different rows in an arbitrary order.
bool has_total_order(const Scope& scope, const Bound& bound);

/// A query with aggregates and no GROUP BY: exactly one row (before HAVING).
bool aggregates_to_one_row(const Scope& scope, const Bound& bound);

/// Some aggregate call stands in the target list, HAVING or ORDER BY of this query itself.
bool has_aggregates(const Scope& scope, const Bound& bound);

/// A plain query (FROM and WHERE only) whose output holds a key of every row: no two rows of it are equal.
bool duplicate_free(const Scope& arm, const Bound& bound);

}  // namespace pgsteer::rewriter
