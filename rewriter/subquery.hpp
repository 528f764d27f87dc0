#pragma once
#include "rewriter/binder.hpp"

/// Shapes of subqueries that rules open up, and names that move into them.
namespace pgsteer::rewriter {

/// FROM and WHERE only: no grouping, LIMIT, set operation, WITH or window. ORDER BY and (if `distinct_allowed`) a plain
/// DISTINCT may stand there: they change neither emptiness nor the set of values.
bool is_plain_select(const Object& select, bool distinct_allowed);

/// The only target's expression; nullptr when there are more.
Json* only_target(Object& select);

/// (SELECT value FROM table ..) used as a value: plain, no ORDER BY, one table of the catalog.
struct ScalarSubselect {
  Object* select;
  const Scope* scope;
  Source* source;
  Json* value;
};
std::optional<ScalarSubselect> scalar_subselect(Json& expression, const Bound& bound);

/// A column as it must be written inside `inner`; nullopt when its table's name means something else there.
std::optional<Json> seen_inside(const Reference& column, const Scope& inner);

/// Some column of the query (or of a query inside it) belongs to a query around it.
bool is_correlated(const Scope& scope, const Bound& bound);

/// How often columns of `source` are used inside `part`.
int uses_within(const Json& part, const Source* source, const Bound& bound);

/// `scope` or one of the queries inside it.
bool inside(const Scope* candidate, const Scope* scope);

/// SELECT 1 FROM .. WHERE (..) AND `condition`, without DISTINCT and ORDER BY.
Json existence_query(const Object& select, Json condition);

/// The ColumnRef of `from` may be renamed to `to` wherever it is used: no query on the way has a table of that name.
bool can_rename(const Bound& bound, const Source& from, const Source& to);
/// Rewrites every ColumnRef of `from` inside `part` as the same column of `to`.
void rename_columns(Json& part, const Bound& bound, const Source& from, const Source& to);

/// Every condition of a subquery is built so that it cannot raise an error (types.hpp, cannot_fail), subqueries included.
bool cannot_fail_deep(const Json& node, const Bound& bound);

/// Takes a FROM leaf out: its JoinExpr becomes the other side, or its list entry goes. False when it stands elsewhere.
bool remove_from_item(Object& select, const Json* item);

/// The JoinExpr one of whose direct sides is `item`; nullptr when it stands in the FROM list itself.
Object* join_of(Object& select, const Json* item);

}  // namespace pgsteer::rewriter
