#include <algorithm>
#include <boost/json.hpp>

#include "rewriter/keys.hpp"
#include "rewriter/rules/rules.hpp"
#include "rewriter/subquery.hpp"

// Pattern:  SELECT DISTINCT a.x FROM a LEFT JOIN r ON ..        SELECT count(DISTINCT a.id) FROM a LEFT JOIN r ON ..
// Result:   the same without r, which is used nowhere but in its own ON
// Why:      a LEFT JOIN drops no row of a; it can only repeat them. DISTINCT, and aggregates that do not mind repetition
//           (count(DISTINCT), min, max, bool_and, bool_or), give the same.
// Counter-example of the guard: count(*) or sum would count the repetitions; a WHERE on r uses it; a RIGHT or inner join
//           drops rows.
namespace pgsteer::rewriter {
namespace {

bool repetition_ignored(Scope& scope, const Bound& bound) {
  const Object& select = *scope.select;
  bool any = false, all_ignore = true;
  for_each_expression(scope, [&](Json& value) {
    const auto* call = as(value, "FuncCall");
    const auto names = call ? name_list(array_field(*call, "funcname")) : std::nullopt;
    if (!names) return false;
    const auto* group = bound.catalog().function(names->size() == 2 ? names->front() : std::string(), names->back());
    if (!group || !group->any_aggregate) return false;
    any = true;
    const auto& name = names->back();
    all_ignore = all_ignore && (bool_field(*call, "agg_distinct") || name == "min" || name == "max" ||
                                name == "bool_and" || name == "bool_or" || name == "every");
    return false;
  });
  if (any) return all_ignore;
  // GROUP BY without aggregates is a DISTINCT.
  if (select.contains("groupClause")) return true;
  const auto* distinct = array_field(select, "distinctClause");
  return distinct && distinct->size() == 1 && distinct->front().is_object() && distinct->front().get_object().empty();
}

bool drop(Source& unused, Attempt& attempt) {
  const Bound& bound = attempt.bound;
  if (unused.kind != Source::Kind::table || !unused.nullable || bound.starred(&unused)) return false;
  Object& select = *unused.scope->select;
  Object* join = join_of(select, unused.item);
  if (!join || join->contains("usingClause") || !field(*join, "quals")) return false;
  const auto type = string_field(*join, "jointype");
  const bool nullable_side = (type == "JOIN_LEFT" && field(*join, "rarg") == unused.item) ||
                             (type == "JOIN_RIGHT" && field(*join, "larg") == unused.item);
  if (!nullable_side || uses_within(*field(*join, "quals"), &unused, bound) != bound.uses(&unused)) return false;
  attempt.fact(unused.name + " is used in its own ON only, and repeated rows change nothing");
  return remove_from_item(select, unused.item);
}

bool apply(Attempt& attempt) {
  for (const auto& scope : attempt.bound.scopes()) {
    if (scope->set_operation || scope->values || scope->sources.size() < 2 || scope->has_using) continue;
    if (!repetition_ignored(*scope, attempt.bound)) continue;
    for (const auto& source : scope->sources)
      if (drop(*source, attempt)) return true;
  }
  return false;
}

}  // namespace

const Rule unused_left_join{
    {"unused_left_join", "DISTINCT over an unused LEFT JOIN -> without it", false, true, 1.0}, apply};

}  // namespace pgsteer::rewriter
