#include <algorithm>
#include <boost/json.hpp>

#include "rewriter/lateral.hpp"
#include "rewriter/rules/rules.hpp"
#include "rewriter/subquery.hpp"
#include "rewriter/types.hpp"

// Pattern:  FROM a JOIN (SELECT k, sum(x) FROM t WHERE w GROUP BY k) s ON s.k = a.c            also LEFT JOIN, DISTINCT
// Result:   FROM a JOIN LATERAL (SELECT k, sum(x) FROM t WHERE (w) AND k = a.c GROUP BY k) s ON s.k = a.c
// Why:      the join keeps only the group whose key equals a.c. k is a grouping column, so all rows of that group and no
//           others have k = a.c: leaving the other rows out before grouping changes no group that is used. The condition in
//           ON stays, so LEFT JOIN gives its NULLs as before. With few rows of a, few groups are computed.
// Counter-example of the guard: a column that is not grouped (max(k)) may not be filtered before the aggregate; with LIMIT inside
//           another group would be cut; DISTINCT ON chooses among rows of other k; without GROUP BY an aggregate gives a row
//           even for no input; a LATERAL item sees only what stands to its left.
namespace pgsteer::rewriter {
namespace {

bool grouped_select(const Object& select) {
  for (const auto* clause : {"limitCount", "limitOffset", "windowClause", "valuesLists", "withClause", "lockingClause"})
    if (select.contains(clause)) return false;
  if (string_field(select, "op") != "SETOP_NONE" || !select.contains("fromClause")) return false;
  if (select.contains("groupClause")) return !select.contains("distinctClause") && !bool_field(select, "groupDistinct");
  const auto* distinct = array_field(select, "distinctClause");
  return distinct && distinct->size() == 1 && distinct->front().is_object() && distinct->front().get_object().empty() &&
         !select.contains("havingClause");
}

/// Inside: the plain column behind output `index` of the subquery. Beside aggregates it is one that is grouped by (or follows from
/// such ones), so all rows of a group agree in it; where GROUPING SETS leave it out it is NULL, and joins nothing.
const Json* grouping_column(const Source& sub, int index, const Bound& bound) {
  const auto& out = sub.query->outputs[static_cast<std::size_t>(index)];
  if (!out.source || out.source->scope != sub.query || out.source_column < 0) return nullptr;
  const Json* value = target_of(sub, index);
  return value && bound.reference(*value) ? value : nullptr;
}

bool push(Source& sub, int own_column, const Reference& partner, Attempt& attempt) {
  const auto* key = grouping_column(sub, own_column, attempt.bound);
  auto outer = seen_inside(partner, *sub.query);
  if (!key || !outer) return false;
  attempt.fact(sub.name + " is grouped by " + sub.columns[static_cast<std::size_t>(own_column)].name);
  Json condition = make_operation("=", *key, std::move(*outer));
  add_conjunct(*sub.select, "whereClause", std::move(condition));
  return true;
}

bool apply(Attempt& attempt) {
  for (const auto& scope : attempt.bound.scopes())
    for (const auto& source : scope->sources)
      if (source->kind == Source::Kind::subquery && !source->lateral && grouped_select(*source->select) &&
          !source->query->opaque_outputs && push_join_equality(*source, attempt, push))
        return true;
  return false;
}

}  // namespace

const Rule lateral_group_by{
    {"lateral_group_by", "JOIN (.. GROUP BY k) s ON s.k = a.c -> LATERAL with k = a.c inside", false, false, 0.9}, apply};

}  // namespace pgsteer::rewriter
