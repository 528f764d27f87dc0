#include <boost/json.hpp>

#include "rewriter/keys.hpp"
#include "rewriter/rules/rules.hpp"
#include "rewriter/subquery.hpp"

// Pattern:  SELECT count(*) FROM (SELECT .. ORDER BY x) s      x IN (SELECT y .. ORDER BY y)      EXISTS (.. ORDER BY ..)
// Result:   the same without the inner ORDER BY
// Why:      IN and EXISTS look at a set; an aggregate over all rows that does not depend on their order gives one row; an
//           outer total ORDER BY fixes every place anew.
// Counter-example of the guard: with LIMIT, OFFSET or DISTINCT ON the order chooses the rows; array_agg and float sums show
//           it (refused for every rule); an outer query without aggregate hands the order on to the client.
namespace pgsteer::rewriter {
namespace {

bool order_chooses_rows(const Object& select) {
  if (select.contains("limitCount") || select.contains("limitOffset")) return true;
  const auto* distinct = array_field(select, "distinctClause");
  return distinct && !distinct->empty() && distinct->front().is_object() && !distinct->front().get_object().empty();
}

bool consumer_ignores_order(const Scope& scope, const Bound& bound) {
  if (scope.use == Use::exists || scope.use == Use::in) return true;
  if (scope.use != Use::from || !scope.parent) return false;
  const Scope& outer = *scope.parent;
  return aggregates_to_one_row(outer, bound) || has_total_order(outer, bound);
}

bool apply(Attempt& attempt) {
  for (const auto& scope : attempt.bound.scopes()) {
    if (!scope->select->contains("sortClause") || order_chooses_rows(*scope->select)) continue;
    if (!consumer_ignores_order(*scope, attempt.bound)) continue;
    attempt.fact("the order of the subquery's rows is not seen");
    scope->select->erase("sortClause");
    return true;
  }
  return false;
}

}  // namespace

const Rule useless_order_by{
    {"useless_order_by", "ORDER BY inside count(*), IN, EXISTS -> dropped", false, true, 1.0}, apply};

}  // namespace pgsteer::rewriter
