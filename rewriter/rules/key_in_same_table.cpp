#include <algorithm>
#include <boost/json.hpp>

#include "rewriter/keys.hpp"
#include "rewriter/rules/rules.hpp"
#include "rewriter/subquery.hpp"
#include "rewriter/types.hpp"

// Pattern:  FROM t WHERE t.id IN (SELECT u.id FROM t u WHERE u.x = 1)      and NOT IN
// Result:   FROM t WHERE t.x = 1                                           (t.x = 1) IS NOT TRUE
// Why:      id is a key of t and never NULL, so the only row of the subquery that can match is the row itself, seen in the
//           same snapshot; it is there exactly when the condition is true for it.
// Counter-example of the guard: on the nullable side of an outer join t.id is NULL and nothing matches, while u.x IS NULL
//           would hold for the NULLs put in; an inheritance parent has several rows of one id; LIMIT or GROUP BY inside
//           make the list another one.
namespace pgsteer::rewriter {
namespace {

bool single_column_key(const Reference& reference) {
  const auto keys = unique_keys(*reference.source);
  return std::any_of(keys.begin(), keys.end(),
                     [&](const auto& key) { return key.size() == 1 && key.front() == reference.column; });
}

bool site(Json& value, Attempt& attempt) {
  const Bound& bound = attempt.bound;
  Json* positive = &value;
  bool negated = false;
  if (auto* expr = as(value, "BoolExpr"); expr && string_field(*expr, "boolop") == "NOT_EXPR") {
    positive = &(*array_field(*expr, "args"))[0];
    negated = true;
  }
  auto* link = as(*positive, "SubLink");
  if (!link || string_field(*link, "subLinkType") != "ANY_SUBLINK" || link->contains("operName")) return false;
  auto* select = as(*field(*link, "subselect"), "SelectStmt");
  const auto* inner = select ? bound.scope_of(select) : nullptr;
  auto* target = select ? only_target(*select) : nullptr;
  if (!inner || !target || !is_plain_select(*select, true) || has_aggregates(*inner, bound)) return false;
  const auto* outer_id = bound.reference(*field(*link, "testexpr"));
  const auto* inner_id = bound.reference(*target);
  if (!outer_id || !inner_id || !outer_id->source || !inner_id->source || inner->sources.size() != 1 ||
      inner_id->source != inner->sources.front().get())
    return false;
  const Source &mine = *outer_id->source, &theirs = *inner_id->source;
  if (mine.kind != Source::Kind::table || theirs.kind != Source::Kind::table || mine.relation != theirs.relation ||
      outer_id->column != inner_id->column || outer_id->outer() || !outer_id->not_null() || !single_column_key(*inner_id))
    return false;
  Json* where = field(*select, "whereClause");
  // A subquery in the condition would need its own names looked after.
  if (where && contains(*where, "SubLink")) return false;
  Json condition = where ? std::move(*where) : Json();
  if (where) rename_columns(condition, bound, theirs, mine);
  attempt.fact(named(*outer_id) + " is a not null key");
  if (condition.is_null()) condition = make_null_test(make_column({mine.name, outer_id->output()->name}), false);
  value = negated ? make_is_not_true(std::move(condition)) : std::move(condition);
  return true;
}

bool apply(Attempt& attempt) {
  for (const auto& scope : attempt.bound.scopes())
    if (for_each_filter(*scope, [&](Json& value) { return site(value, attempt); })) return true;
  return false;
}

}  // namespace

const Rule key_in_same_table{
    {"key_in_same_table", "t.id IN (SELECT id FROM t WHERE c) -> c", false, true, 1.0}, apply};

}  // namespace pgsteer::rewriter
