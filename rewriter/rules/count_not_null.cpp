#include <boost/json.hpp>

#include "rewriter/keys.hpp"
#include "rewriter/rules/rules.hpp"

// Pattern:  count(id)          id NOT NULL
// Result:   count(*)
// Why:      count(x) counts the rows where x is not NULL: all of them. Without reading the column an index-only scan of any
//           index will do.
// Counter-example of the guard: on the nullable side of an outer join id is NULL for rows without a partner; count(DISTINCT
//           k) counts values, which is the same only where k is a key of all that is joined; the argument of an outer query's column makes it that query's aggregate.
namespace pgsteer::rewriter {
namespace {

bool site(Json& value, const Scope& scope, Attempt& attempt) {
  auto* call = as(value, "FuncCall");
  if (!call || call->contains("over") || call->contains("agg_order") ||
      call->contains("func_variadic"))
    return false;
  const auto names = name_list(array_field(*call, "funcname"));
  if (!names || names->back() != "count" || (names->size() == 2 && names->front() != "pg_catalog")) return false;
  const auto* arguments = array_field(*call, "args");
  if (!arguments || arguments->size() != 1) return false;
  const auto* column = attempt.bound.reference(arguments->front());
  if (!column || !column->source || !column->not_null()) return false;
  if (call->contains("agg_distinct")) {
    if (!singles_out_row({{column->source, column->column}}, scope, attempt.bound)) return false;
    attempt.fact(named(*column) + " is in no two rows");
  }
  attempt.fact(named(*column) + " is not null");
  call->erase("agg_distinct");
  call->erase("args");
  (*call)["agg_star"] = true;
  return true;
}

bool apply(Attempt& attempt) {
  for (const auto& scope : attempt.bound.scopes())
    if (for_each_expression(*scope, [&](Json& value) { return site(value, *scope, attempt); })) return true;
  return false;
}

}  // namespace

const Rule count_not_null{{"count_not_null", "count(not null column) -> count(*)", false, true, 1.0}, apply};

}  // namespace pgsteer::rewriter
