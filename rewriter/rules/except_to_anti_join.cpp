#include <algorithm>
#include <boost/json.hpp>

#include "rewriter/keys.hpp"
#include "rewriter/rules/rules.hpp"
#include "rewriter/subquery.hpp"
#include "rewriter/types.hpp"

// Pattern:  SELECT a.id FROM a WHERE w EXCEPT SELECT b.a_id FROM b            also INTERSECT
// Result:   SELECT a.id FROM a WHERE (w) AND NOT EXISTS (SELECT 1 FROM (SELECT b.a_id FROM b) AS other(c1) WHERE other.c1 = a.id)
//           UNION ALL SELECT a.id FROM a WHERE false
// Why:      the first arm has a key in its output, so EXCEPT has no duplicate of its own to remove; none of its columns is
//           NULL, so "is among the rows of the second" is plain equality. The arm that gives nothing (the planner drops it)
//           keeps the result a set operation: its columns say of no table that they come from there, as before.
// Counter-example of the guard: a NULL equals a NULL for EXCEPT and not for =; without a key EXCEPT makes repeated rows one;
//           EXCEPT ALL counts copies; columns of two types are compared as a third one.
namespace pgsteer::rewriter {
namespace {

constexpr std::string_view other = "pgsteer_other";

bool compared_plainly(const Scope& left, const Scope& right) {
  if (left.outputs.empty() || left.opaque_outputs || right.opaque_outputs || left.outputs.size() != right.outputs.size()) return false;
  for (std::size_t i = 0; i < left.outputs.size(); ++i) {
    const auto &a = left.outputs[i], &b = right.outputs[i];
    if (!a.source || !a.not_null || a.type.oid == 0 || a.type.oid != b.type.oid || a.type.collation != b.type.collation ||
        !comparable(a.type, b.type))
      return false;
  }
  return true;
}

bool split(Scope& scope, Attempt& attempt) {
  const auto op = string_field(*scope.select, "op");
  if ((op != "SETOP_EXCEPT" && op != "SETOP_INTERSECT") || bool_field(*scope.select, "all")) return false;
  const Scope* left = attempt.bound.scope_of(object_field(*scope.select, "larg"));
  const Scope* right = attempt.bound.scope_of(object_field(*scope.select, "rarg"));
  if (!left || !right || left->set_operation || left->values || !duplicate_free(*left, attempt.bound) || left->source(other)) return false;
  if (!compared_plainly(*left, *right) || right->select->contains("limitCount") || right->select->contains("limitOffset")) return false;

  std::vector<Json> equal;
  Array names;
  for (std::size_t i = 0; i < left->outputs.size(); ++i) {
    const auto& out = left->outputs[i];
    const std::string name = "c" + std::to_string(i + 1);
    names.push_back(Object{{"String", Object{{"sval", name}}}});
    equal.push_back(make_operation("=", make_column({std::string(other), name}),
                                   make_column({out.source->name, out.source->columns[static_cast<std::size_t>(out.source_column)].name})));
  }
  Object item{{"subquery", Object{{"SelectStmt", *right->select}}}, {"alias", Object{{"aliasname", other}, {"colnames", std::move(names)}}}};
  Object query{{"targetList", Array{make_target(make_integer(1))}}, {"fromClause", Array{Object{{"RangeSubselect", std::move(item)}}}},
               {"whereClause", make_and(std::move(equal))}, {"limitOption", "LIMIT_OPTION_DEFAULT"}, {"op", "SETOP_NONE"}};
  Json exists = make_exists(Object{{"SelectStmt", std::move(query)}});

  Object kept = *left->select, nothing = *left->select;
  add_conjunct(kept, "whereClause", op == "SETOP_EXCEPT" ? make_not(std::move(exists)) : std::move(exists));
  nothing["whereClause"] = Object{{"A_Const", Object{{"boolval", Object{}}, {"location", -1}}}};
  attempt.fact("the first arm has a key in its output, and no NULL");
  (*scope.select)["op"] = "SETOP_UNION";
  (*scope.select)["larg"] = std::move(kept);
  (*scope.select)["rarg"] = std::move(nothing);
  (*scope.select)["all"] = true;
  return true;
}

bool apply(Attempt& attempt) {
  for (const auto& scope : attempt.bound.scopes())
    if (scope->set_operation && split(*scope, attempt)) return true;
  return false;
}

}  // namespace

const Rule except_to_anti_join{
    {"except_to_anti_join", "EXCEPT, INTERSECT of a keyed arm -> [NOT] EXISTS", false, false, 0.9}, apply};

}  // namespace pgsteer::rewriter
