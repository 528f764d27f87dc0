#include <algorithm>
#include <boost/json.hpp>

#include "rewriter/keys.hpp"
#include "rewriter/lateral.hpp"
#include "rewriter/rules/rules.hpp"
#include "rewriter/subquery.hpp"
#include "rewriter/types.hpp"

// Pattern:  FROM a JOIN (SELECT k, .. FROM t UNION SELECT k, .. FROM u) s ON s.k = a.c
// Result:   FROM a JOIN LATERAL (SELECT k, .. FROM t WHERE k = a.c UNION SELECT k, .. FROM u WHERE k = a.c) s ON s.k = a.c
// Why:      rows that are equal have one k, so leaving out the rows of other k before duplicates are removed (or common or
//           missing rows found) changes nothing for the rows of this k, and the join keeps no others.
// Counter-example of the guard: with LIMIT in an arm other rows would be cut; where the arms' columns have two types, k = a.c
//           inside an arm is another comparison than the one outside; UNION ALL alone the planner does itself.
namespace pgsteer::rewriter {
namespace {

/// The arms of a tree of set operations; false when something in it is not plain.
bool arms_of(const Object& select, const Bound& bound, std::vector<const Scope*>& arms, bool& duplicates_matter) {
  for (const auto* clause : {"limitCount", "limitOffset", "sortClause", "withClause", "valuesLists", "lockingClause"})
    if (select.contains(clause)) return false;
  if (string_field(select, "op") == "SETOP_NONE") {
    const auto* scope = bound.scope_of(&select);
    if (!scope || !is_plain_select(select, true) || has_aggregates(*scope, bound)) return false;
    arms.push_back(scope);
    return true;
  }
  duplicates_matter = duplicates_matter || !bool_field(select, "all");
  return arms_of(*object_field(select, "larg"), bound, arms, duplicates_matter) &&
         arms_of(*object_field(select, "rarg"), bound, arms, duplicates_matter);
}

bool push(Source& sub, int own_column, const Reference& partner, Attempt& attempt) {
  const Bound& bound = attempt.bound;
  std::vector<const Scope*> arms;
  bool duplicates_matter = false;
  if (!arms_of(*sub.select, bound, arms, duplicates_matter) || !duplicates_matter) return false;
  // Arms of different types have a result whose type is not known, and then push_join_equality() does not ask.
  std::vector<Json> conditions;
  for (const auto* arm : arms) {
    const auto* targets = array_field(*arm->select, "targetList");
    if (!targets || targets->size() != arm->outputs.size() || targets->size() <= static_cast<std::size_t>(own_column)) return false;
    const auto* target = as((*targets)[static_cast<std::size_t>(own_column)], "ResTarget");
    const auto* value = target ? field(*target, "val") : nullptr;
    const auto* own = value ? bound.reference(*value) : nullptr;
    auto outer = seen_inside(partner, *arm);
    if (!own || !own->source || !outer) return false;
    conditions.push_back(make_operation("=", *value, std::move(*outer)));
  }
  for (std::size_t i = 0; i < arms.size(); ++i) add_conjunct(*arms[i]->select, "whereClause", std::move(conditions[i]));
  attempt.fact("every arm of " + sub.name + " gives " + sub.columns[static_cast<std::size_t>(own_column)].name + " as a column of its own");
  return true;
}

bool apply(Attempt& attempt) {
  for (const auto& scope : attempt.bound.scopes())
    for (const auto& source : scope->sources)
      if (source->kind == Source::Kind::subquery && !source->lateral && source->query->set_operation && !source->query->opaque_outputs &&
          push_join_equality(*source, attempt, push))
        return true;
  return false;
}

}  // namespace

const Rule lateral_union{
    {"lateral_union", "JOIN (.. UNION ..) s ON s.k = a.c -> LATERAL with k = a.c in every arm", false, false, 0.9}, apply};

}  // namespace pgsteer::rewriter
