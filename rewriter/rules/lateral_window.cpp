#include <algorithm>
#include <boost/json.hpp>

#include "rewriter/keys.hpp"
#include "rewriter/lateral.hpp"
#include "rewriter/rules/rules.hpp"
#include "rewriter/subquery.hpp"
#include "rewriter/types.hpp"

// Pattern:  FROM a JOIN (SELECT k, .., row_number() OVER (PARTITION BY k ORDER BY o) AS rn FROM t) s ON s.k = a.c WHERE s.rn <= 3
// Result:   FROM a JOIN LATERAL (SELECT k, .., row_number() OVER (PARTITION BY k ORDER BY o) AS rn FROM t WHERE k = a.c) s ON ..
// Why:      a window function sees the rows of its partition; every partition has one k, so rows of other k take part in no
//           partition that the join keeps. With few rows of a, few partitions are numbered, and an index on (k, o) gives them
//           in order.
// Counter-example of the guard: OVER (ORDER BY o) numbers all rows; two functions of which one is not partitioned by k; with
//           DISTINCT or LIMIT inside other rows would be kept. row_number() over ties is refused for every rule.
namespace pgsteer::rewriter {
namespace {

bool plain(const Object& select) {
  for (const auto* clause : {"groupClause", "havingClause", "limitCount", "limitOffset", "windowClause", "valuesLists", "withClause",
                             "distinctClause", "lockingClause"})
    if (select.contains(clause)) return false;
  return string_field(select, "op") == "SETOP_NONE" && select.contains("fromClause");
}

/// Every window function of the query is partitioned by this column; and there is one.
bool all_partitioned_by(Scope& scope, const Reference& column, const Bound& bound) {
  int windows = 0, by_column = 0;
  for_each_expression(scope, [&](Json& value) {
    const auto* call = as(value, "FuncCall");
    const auto* over = call ? object_field(*call, "over") : nullptr;
    if (!over) return false;
    ++windows;
    const auto* parts = array_field(*over, "partitionClause");
    if (!parts || over->contains("refname") || over->contains("name")) return true;
    by_column += std::any_of(parts->begin(), parts->end(), [&](const Json& item) {
      const auto* own = bound.reference(item);
      return own && own->source == column.source && own->column == column.column;
    });
    return false;
  });
  return windows > 0 && windows == by_column;
}

bool push(Source& sub, int own_column, const Reference& partner, Attempt& attempt) {
  const Json* value = target_of(sub, own_column);
  const auto* own = value ? attempt.bound.reference(*value) : nullptr;
  auto outer = seen_inside(partner, *sub.query);
  if (!own || !own->source || own->source->scope != sub.query || !outer || !all_partitioned_by(*sub.query, *own, attempt.bound)) return false;
  attempt.fact("every window of " + sub.name + " is partitioned by " + named(*own));
  Json condition = make_operation("=", *value, std::move(*outer));
  add_conjunct(*sub.select, "whereClause", std::move(condition));
  return true;
}

bool apply(Attempt& attempt) {
  for (const auto& scope : attempt.bound.scopes())
    for (const auto& source : scope->sources)
      if (source->kind == Source::Kind::subquery && !source->lateral && plain(*source->select) && !source->query->opaque_outputs &&
          push_join_equality(*source, attempt, push))
        return true;
  return false;
}

}  // namespace

const Rule lateral_window{{"lateral_window", "JOIN (.. OVER (PARTITION BY k ..)) s ON s.k = a.c -> LATERAL with k = a.c inside", false, false, 0.9}, apply, true};

}  // namespace pgsteer::rewriter
