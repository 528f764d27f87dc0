#include <boost/json.hpp>

#include "rewriter/keys.hpp"
#include "rewriter/rules/rules.hpp"
#include "rewriter/types.hpp"

// Pattern:  SELECT DISTINCT id, name FROM t                    SELECT DISTINCT k, count(*) FROM t GROUP BY k
// Result:   SELECT id, name FROM t                             SELECT k, count(*) FROM t GROUP BY k
// Why:      the output holds a key of every FROM item (or every grouping column), so no two rows are equal.
// Counter-example of the guard: an inheritance parent's primary key does not span its children; a deferrable or partial
//           unique index, or one over a nullable column, lets equal rows through; a join to the many side repeats the key.
namespace pgsteer::rewriter {
namespace {

bool outputs_are_unique(const Scope& scope, const Bound& bound) {
  const Object& select = *scope.select;
  if (const auto* group = array_field(select, "groupClause")) {
    for (const auto& item : *group) {
      const auto* reference = bound.reference(item);
      if (!reference || !reference->source) return false;
      bool put_out = false;
      for (const auto& out : scope.outputs)
        put_out = put_out || (out.source == reference->source && out.source_column == reference->column);
      if (!put_out) return false;
    }
    return true;
  }
  if (has_aggregates(scope, bound)) return true;  // one row
  ColumnSet known;
  for (const auto& out : scope.outputs)
    if (out.source) known.insert({out.source, out.source_column});
  return singles_out_row(known, scope, bound);
}

bool apply(Attempt& attempt) {
  for (const auto& scope : attempt.bound.scopes()) {
    if (scope->set_operation || scope->values) continue;
    const auto* distinct = array_field(*scope->select, "distinctClause");
    if (!distinct || distinct->size() != 1 || !distinct->front().is_object() || !distinct->front().get_object().empty())
      continue;
    if (!outputs_are_unique(*scope, attempt.bound)) continue;
    attempt.fact("the output holds a key of every row");
    scope->select->erase("distinctClause");
    return true;
  }
  return false;
}

}  // namespace

const Rule distinct_over_key{{"distinct_over_key", "SELECT DISTINCT with a key in the output -> SELECT", false, true, 1.0}, apply};

}  // namespace pgsteer::rewriter
