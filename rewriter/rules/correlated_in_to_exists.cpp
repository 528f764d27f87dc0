#include <boost/json.hpp>

#include "rewriter/keys.hpp"
#include "rewriter/rules/rules.hpp"
#include "rewriter/subquery.hpp"
#include "rewriter/types.hpp"

// Pattern:  WHERE x IN (SELECT y FROM t WHERE t.a = outer.b)
// Result:   WHERE EXISTS (SELECT 1 FROM t WHERE t.a = outer.b AND y = x)
// Why:      in a filter IN is true exactly when some y equals x; NULL and false both drop the row. The planner joins a
//           correlated EXISTS, and runs a correlated IN once per row.
// Counter-example of the guard: under NOT or in the target list IN may be NULL where EXISTS is false; an x whose table's
//           name is taken inside would mean another column.
namespace pgsteer::rewriter {
namespace {

bool site(Json& value, Attempt& attempt) {
  auto* link = as(value, "SubLink");
  if (!link || string_field(*link, "subLinkType") != "ANY_SUBLINK" || link->contains("operName")) return false;
  auto* query = field(*link, "subselect");
  auto* select = query ? as(*query, "SelectStmt") : nullptr;
  const auto* inner = select ? attempt.bound.scope_of(select) : nullptr;
  auto* y = select ? only_target(*select) : nullptr;
  if (!inner || !y || !is_plain_select(*select, true) || has_aggregates(*inner, attempt.bound) ||
      !is_correlated(*inner, attempt.bound))
    return false;
  const auto* outer_column = attempt.bound.reference(*field(*link, "testexpr"));
  const auto* inner_column = attempt.bound.reference(*y);
  if (!outer_column || !outer_column->source || !inner_column || !inner_column->source ||
      inner_column->source->scope != inner ||
      !comparable(outer_column->output()->type, inner_column->output()->type))
    return false;
  auto x = seen_inside(*outer_column, *inner);
  if (!x) return false;
  attempt.fact("in a filter NULL counts as false");
  value = make_exists(existence_query(*select, make_operation("=", *y, std::move(*x))));
  return true;
}

bool apply(Attempt& attempt) {
  for (const auto& scope : attempt.bound.scopes())
    if (for_each_filter(*scope, [&](Json& value) { return site(value, attempt); })) return true;
  return false;
}

}  // namespace

const Rule correlated_in_to_exists{
    {"correlated_in_to_exists", "x IN (correlated SELECT y ..) -> EXISTS (.. AND y = x)", false, false, 0.9}, apply};

}  // namespace pgsteer::rewriter
