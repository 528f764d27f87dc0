#include "rewriter/rule.hpp"

#include <algorithm>
#include <boost/json.hpp>

namespace pgsteer::rewriter {
namespace {

bool filter(Json& value, const Visit& visit) {
  if (visit(value)) return true;
  auto* expr = as(value, "BoolExpr");
  auto* list = expr && string_field(*expr, "boolop") != "NOT_EXPR" ? array_field(*expr, "args") : nullptr;
  return list && std::any_of(list->begin(), list->end(), [&](Json& item) { return filter(item, visit); });
}

bool join_filters(Json& item, const Visit& visit) {
  auto* join = as(item, "JoinExpr");
  if (!join) return false;
  for (const auto* side : {"larg", "rarg"})
    if (auto* value = field(*join, side))
      if (join_filters(*value, visit)) return true;
  auto* quals = field(*join, "quals");
  return quals && filter(*quals, visit);
}

bool expressions(Json& value, const Visit& visit) {
  if (auto* list = value.if_array())
    return std::any_of(list->begin(), list->end(), [&](Json& item) { return expressions(item, visit); });
  auto* object = value.if_object();
  if (!object || as(value, "SelectStmt")) return false;
  if (visit(value)) return true;
  for (auto& member : *object) {
    const auto key = member.key();
    if (key == "withClause" || key == "typeName") continue;
    if (expressions(member.value(), visit)) return true;
  }
  return false;
}

}  // namespace

void Attempt::fact(std::string text) {
  if (std::find(facts.begin(), facts.end(), text) == facts.end()) facts.push_back(std::move(text));
}

bool for_each_filter(Scope& scope, const Visit& visit) {
  if (scope.set_operation || scope.values) return false;
  if (auto* from = array_field(*scope.select, "fromClause"))
    for (auto& item : *from)
      if (join_filters(item, visit)) return true;
  auto* where = field(*scope.select, "whereClause");
  return where && filter(*where, visit);
}

bool for_each_condition(Scope& scope, const Visit& visit) {
  if (scope.set_operation || scope.values) return false;
  for (const auto* clause : {"fromClause", "whereClause"})
    if (auto* value = field(*scope.select, clause))
      if (expressions(*value, visit)) return true;
  return false;
}

bool for_each_replaceable(Scope& scope, const Visit& visit) {
  return scope.select->contains("groupClause") ? for_each_condition(scope, visit) : for_each_expression(scope, visit);
}

bool for_each_expression(Scope& scope, const Visit& visit) {
  if (scope.set_operation) return false;
  for (auto& member : *scope.select) {
    if (member.key() == "withClause") continue;
    if (expressions(member.value(), visit)) return true;
  }
  return false;
}

std::string named(const Reference& reference) {
  if (!reference.source) return "?";
  const auto& source = *reference.source;
  return (source.relation ? source.relation->name : source.name) + "." + reference.output()->name;
}

}  // namespace pgsteer::rewriter
