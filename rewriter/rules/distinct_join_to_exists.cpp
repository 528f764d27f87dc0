#include <algorithm>
#include <boost/json.hpp>
#include <set>

#include "rewriter/keys.hpp"
#include "rewriter/rules/rules.hpp"
#include "rewriter/subquery.hpp"

// Pattern:  SELECT DISTINCT c.* FROM c JOIN o ON o.customer_id = c.id WHERE o.flag
// Result:   SELECT c.* FROM c WHERE EXISTS (SELECT 1 FROM o WHERE o.customer_id = c.id AND o.flag)
// Why:      the output holds a key of every table but o, so each row of the others gives one output row of its own: the
//           join with o only says whether it is there. Nothing has to be sorted or hashed to make rows distinct again.
// Counter-example of the guard: without a key of c in the output two customers of one name are one row of DISTINCT; a
//           column of o in the output or in ORDER BY needs the joined row; on the nullable side of an outer join the row
//           stays without a partner; a condition that can raise an error might be evaluated on other rows.
namespace pgsteer::rewriter {
namespace {

bool plain_distinct(const Object& select) {
  const auto* distinct = array_field(select, "distinctClause");
  return distinct && distinct->size() == 1 && distinct->front().is_object() && distinct->front().get_object().empty() &&
         !select.contains("groupClause") && !select.contains("havingClause") && !select.contains("windowClause");
}

/// The other tables' rows are told apart by the output (perhaps with the help of equalities that lead through `gone`).
bool others_are_keyed(const Scope& scope, const Source& gone, const Bound& bound) {
  ColumnSet known;
  for (const auto& out : scope.outputs)
    if (out.source) known.insert({out.source, out.source_column});
  std::set<const Source*> keyed;
  determined_by(known, scope, bound, &keyed);
  return std::all_of(scope.sources.begin(), scope.sources.end(),
                     [&](const auto& source) { return source.get() == &gone || keyed.count(source.get()) > 0; });
}

bool eliminate(Source& gone, Scope& scope, Attempt& attempt) {
  const Bound& bound = attempt.bound;
  if (gone.kind != Source::Kind::table || bound.starred(&gone) || !others_are_keyed(scope, gone, bound)) return false;
  Object& select = *scope.select;
  Object* join = join_of(select, gone.item);
  std::vector<Json> inside, outside;
  int uses = 0;
  const auto sort_out = [&](Object& holder, const char* clause) {
    for (auto* conjunct : conjuncts(holder, clause)) {
      const int own = uses_within(*conjunct, &gone, bound);
      uses += own;
      if (own > 0 && !cannot_fail_deep(*conjunct, bound)) return false;
      (own > 0 ? inside : outside).push_back(*conjunct);
    }
    return true;
  };
  if (!sort_out(select, "whereClause") || (join && !sort_out(*join, "quals"))) return false;
  if (inside.empty() || uses != bound.uses(&gone)) return false;  // it is used somewhere else
  Object query{{"limitOption", "LIMIT_OPTION_DEFAULT"}, {"op", "SETOP_NONE"}};
  query["targetList"] = Array{make_target(make_integer(1))};
  query["fromClause"] = Array{*gone.item};
  query["whereClause"] = make_and(std::move(inside));
  const auto name = gone.name;
  if (!remove_from_item(select, gone.item)) return false;
  attempt.fact("the output holds a key of every table but " + name + ", which is used in conditions only");
  outside.push_back(make_exists(Object{{"SelectStmt", std::move(query)}}));
  select.erase("distinctClause");
  select["whereClause"] = make_and(std::move(outside));
  return true;
}

bool apply(Attempt& attempt) {
  for (const auto& scope : attempt.bound.scopes()) {
    if (scope->set_operation || scope->values || scope->has_using || scope->sources.size() < 2) continue;
    if (!plain_distinct(*scope->select) || scope->opaque_outputs || has_aggregates(*scope, attempt.bound)) continue;
    if (std::any_of(scope->sources.begin(), scope->sources.end(), [](const auto& s) { return s->nullable || s->lateral; })) continue;
    for (const auto& source : scope->sources)
      if (eliminate(*source, *scope, attempt)) return true;
  }
  return false;
}

}  // namespace

const Rule distinct_join_to_exists{
    {"distinct_join_to_exists", "SELECT DISTINCT c.* FROM c JOIN o -> WHERE EXISTS (o)", false, false, 0.9}, apply};

}  // namespace pgsteer::rewriter
