#include <boost/json.hpp>

#include "rewriter/rules/rules.hpp"
#include "rewriter/subquery.hpp"
#include "rewriter/types.hpp"

// Pattern:  WHERE x IN (SELECT k FROM t WHERE w GROUP BY k HAVING h)
// Result:   WHERE EXISTS (SELECT 1 FROM t WHERE (w) AND k = x GROUP BY k HAVING h)
// Why:      the rows with k = x are exactly the group whose key equals x, so its HAVING sees the same rows. With few x only
//           those groups are computed.
// Counter-example of the guard: without GROUP BY, HAVING would see one group even for no rows; grouped by (k, j) the groups
//           of one k are several, which is still right, but k must be a grouping column itself, not max(k).
namespace pgsteer::rewriter {
namespace {

bool grouped_select(const Object& select) {
  for (const auto* clause : {"limitCount", "limitOffset", "windowClause", "valuesLists", "withClause", "distinctClause"})
    if (select.contains(clause)) return false;
  return string_field(select, "op") == "SETOP_NONE" && select.contains("fromClause") && select.contains("havingClause") && select.contains("groupClause");
}

bool site(Json& value, Attempt& attempt) {
  const Bound& bound = attempt.bound;
  auto* link = as(value, "SubLink");
  if (!link || string_field(*link, "subLinkType") != "ANY_SUBLINK" || link->contains("operName")) return false;
  auto* query = field(*link, "subselect");
  auto* select = query ? as(*query, "SelectStmt") : nullptr;
  const auto* inner = select ? bound.scope_of(select) : nullptr;
  auto* k = select ? only_target(*select) : nullptr;
  if (!inner || !k || !grouped_select(*select)) return false;
  const auto* outer_column = bound.reference(*field(*link, "testexpr"));
  const auto* key = bound.reference(*k);
  if (!outer_column || !outer_column->source || !key || !key->source || key->source->scope != inner ||
      !comparable(outer_column->output()->type, key->output()->type))
    return false;
  bool grouped = false;
  for (const auto& item : *array_field(*select, "groupClause")) {
    const auto* reference = bound.reference(item);
    grouped = grouped || (reference && reference->source == key->source && reference->column == key->column);
  }
  auto x = seen_inside(*outer_column, *inner);
  if (!grouped || !x) return false;
  attempt.fact("rows are grouped by " + named(*key));
  value = make_exists(existence_query(*select, make_operation("=", *k, std::move(*x))));
  return true;
}

bool apply(Attempt& attempt) {
  for (const auto& scope : attempt.bound.scopes())
    if (for_each_filter(*scope, [&](Json& value) { return site(value, attempt); })) return true;
  return false;
}

}  // namespace

const Rule grouped_in_to_exists{
    {"grouped_in_to_exists", "x IN (SELECT k .. GROUP BY k HAVING h) -> EXISTS (.. k = x ..)", false, false, 0.9}, apply};

}  // namespace pgsteer::rewriter
