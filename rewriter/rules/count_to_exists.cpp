#include <boost/json.hpp>

#include "rewriter/keys.hpp"
#include "rewriter/rules/rules.hpp"
#include "rewriter/types.hpp"

// Pattern:  (SELECT count(*) FROM .. WHERE ..) > 0          also 0 <, >= 1, <> 0; and = 0, < 1, <= 0 for NOT EXISTS
//           SELECT count(*) > 0 FROM .. WHERE ..            at the top
// Result:   EXISTS (SELECT 1 FROM .. WHERE ..)
// Why:      count without GROUP BY gives exactly one row and never NULL; it is above zero if and only if there is a row.
//           count(col) counts the same rows when col is NOT NULL.
// Counter-example of the guard: with GROUP BY the subquery may give no row, and NULL > 0 is NULL, not false; with
//           HAVING or LIMIT 0 likewise; count(DISTINCT c) and count(nullable) miss rows that EXISTS sees; the argument of
//           count(outer.col) makes it an aggregate of the outer query.
namespace pgsteer::rewriter {
namespace {

enum class Meaning { none, exists, not_exists };

Meaning meaning(std::string_view op, std::int64_t constant) {
  if ((op == ">" && constant == 0) || (op == ">=" && constant == 1) || (op == "<>" && constant == 0))
    return Meaning::exists;
  if ((op == "=" && constant == 0) || (op == "<" && constant == 1) || (op == "<=" && constant == 0))
    return Meaning::not_exists;
  return Meaning::none;
}

bool counts_rows(const Json& value, const Attempt& attempt) {
  const auto* call = as(value, "FuncCall");
  if (!call) return false;
  const auto names = name_list(array_field(*call, "funcname"));
  if (!names || names->back() != "count" || (names->size() == 2 && names->front() != "pg_catalog")) return false;
  for (const auto* extra : {"agg_distinct", "agg_filter", "agg_order", "over", "agg_within_group", "func_variadic"})
    if (call->contains(extra)) return false;
  if (bool_field(*call, "agg_star")) return true;
  const auto* arguments = array_field(*call, "args");
  if (!arguments || arguments->size() != 1) return false;
  if (is_constant(arguments->front())) return true;
  const auto* reference = attempt.bound.reference(arguments->front());
  return reference && reference->not_null();
}

/// A query of nothing but FROM and WHERE (ORDER BY over its one row says nothing).
bool plain_query(const Object& select) {
  for (const auto* clause : {"groupClause", "havingClause", "distinctClause", "limitCount", "limitOffset",
                             "windowClause", "valuesLists", "withClause"})
    if (select.contains(clause)) return false;
  return string_field(select, "op") == "SETOP_NONE" && select.contains("fromClause");
}

const Json* single_target(const Object& select) {
  const auto* list = array_field(select, "targetList");
  if (!list || list->size() != 1) return nullptr;
  const auto* target = as(list->front(), "ResTarget");
  return target ? field(*target, "val") : nullptr;
}

Json existence(Object select, Meaning wanted) {
  Array list;
  list.push_back(make_target(make_integer(1)));
  select["targetList"] = std::move(list);
  select.erase("sortClause");
  Json exists = make_exists(Object{{"SelectStmt", std::move(select)}});
  return wanted == Meaning::exists ? std::move(exists) : make_not(std::move(exists));
}

/// The comparison with its sides put so that the count stands left.
struct Compared {
  Json* count;
  Meaning wanted;
};
Compared compared(Json& value) {
  const auto op = operation(value);
  if (!op) return {nullptr, Meaning::none};
  if (const auto right = integer_constant(*op->right)) return {op->left, meaning(op->name, *right)};
  if (const auto left = integer_constant(*op->left)) return {op->right, meaning(commuted(op->name), *left)};
  return {nullptr, Meaning::none};
}

/// EXISTS would be named "exists" in the result, the comparison was "?column?".
void keep_name(Scope& scope, const Json& value) {
  auto* list = array_field(*scope.select, "targetList");
  if (!list) return;
  for (auto& item : *list) {
    auto* target = as(item, "ResTarget");
    if (target && field(*target, "val") == &value && string_field(*target, "name").empty())
      (*target)["name"] = "?column?";
  }
}

bool in_expression(Scope& scope, Attempt& attempt) {
  return for_each_replaceable(scope, [&](Json& value) {
    const auto [side, wanted] = compared(value);
    if (!side || wanted == Meaning::none) return false;
    auto* link = as(*side, "SubLink");
    if (!link || string_field(*link, "subLinkType") != "EXPR_SUBLINK") return false;
    auto* select = as(*field(*link, "subselect"), "SelectStmt");
    const auto* inner = attempt.bound.scope_of(select);
    const auto* target = inner && plain_query(*select) ? single_target(*select) : nullptr;
    if (!target || !counts_rows(*target, attempt)) return false;
    attempt.fact("a count without GROUP BY is one row and never NULL");
    Json replacement = existence(*select, wanted);
    value = std::move(replacement);
    keep_name(scope, value);  // last: a new member moves the others, and `value` with them
    return true;
  });
}

bool whole_query(Scope& scope, Attempt& attempt) {
  Object& select = *scope.select;
  if (!scope.node || !plain_query(select) || select.contains("sortClause")) return false;
  auto* list = array_field(select, "targetList");
  if (!list || list->size() != 1) return false;
  auto* target = as(list->front(), "ResTarget");
  auto* value = target ? field(*target, "val") : nullptr;
  if (!value) return false;
  const auto [side, wanted] = compared(*value);
  if (!side || wanted == Meaning::none || !counts_rows(*side, attempt)) return false;
  std::string name(string_field(*target, "name"));
  if (name.empty()) name = "?column?";
  Array targets;
  targets.push_back(make_target(existence(select, wanted), name));
  Object outer;
  outer["targetList"] = std::move(targets);
  outer["limitOption"] = "LIMIT_OPTION_DEFAULT";
  outer["op"] = "SETOP_NONE";
  attempt.fact("a count without GROUP BY is one row and never NULL");
  *scope.select = std::move(outer);
  return true;
}

bool apply(Attempt& attempt) {
  for (const auto& scope : attempt.bound.scopes())
    if (in_expression(*scope, attempt) || whole_query(*scope, attempt)) return true;
  return false;
}

}  // namespace

const Rule count_to_exists{{"count_to_exists", "(SELECT count(*) ..) > 0 -> EXISTS (..)", false, true, 1.0}, apply};

}  // namespace pgsteer::rewriter
