#include "rewriter/subquery.hpp"

#include <algorithm>
#include <boost/json.hpp>

#include "rewriter/types.hpp"

namespace pgsteer::rewriter {
namespace {

Object* find_join(Json& item, const Json* side) {
  auto* join = as(item, "JoinExpr");
  if (!join) return nullptr;
  for (const auto* name : {"larg", "rarg"}) {
    auto* value = field(*join, name);
    if (value == side) return join;
    if (auto* found = find_join(*value, side)) return found;
  }
  return nullptr;
}

bool remove_below(Json& item, const Json* side) {
  auto* join = as(item, "JoinExpr");
  if (!join) return false;
  auto* left = field(*join, "larg");
  auto* right = field(*join, "rarg");
  if (left == side || right == side) {
    Json other = std::move(left == side ? *right : *left);
    item = std::move(other);
    return true;
  }
  return remove_below(*left, side) || remove_below(*right, side);
}

bool from_cannot_fail(const Json& item, const Bound& bound) {
  if (as(item, "RangeVar")) return true;
  const auto* join = as(item, "JoinExpr");
  if (!join || join->contains("usingClause")) return false;
  const auto* quals = field(*join, "quals");
  return (!quals || cannot_fail_deep(*quals, bound)) && from_cannot_fail(*field(*join, "larg"), bound) &&
         from_cannot_fail(*field(*join, "rarg"), bound);
}

bool select_cannot_fail(const Object& select, const Bound& bound) {
  if (!is_plain_select(select, true)) return false;
  const auto* from = array_field(select, "fromClause");
  if (!std::all_of(from->begin(), from->end(), [&](const Json& item) { return from_cannot_fail(item, bound); })) return false;
  for (const auto& item : *array_field(select, "targetList")) {
    const auto* target = as(item, "ResTarget");
    const auto* value = target ? field(*target, "val") : nullptr;
    const auto* column = value ? as(*value, "ColumnRef") : nullptr;
    if (!value || !(column || cannot_fail(*value, bound))) return false;
  }
  const auto* where = field(select, "whereClause");
  return !where || cannot_fail_deep(*where, bound);
}

bool link_cannot_fail(const Object& link, const Bound& bound) {
  const auto type = string_field(link, "subLinkType");
  const auto* query = field(link, "subselect");
  const auto* select = query ? as(*query, "SelectStmt") : nullptr;
  if (!select || (type != "EXISTS_SUBLINK" && type != "ANY_SUBLINK") || link.contains("operName")) return false;
  if (!select_cannot_fail(*select, bound)) return false;
  if (type == "EXISTS_SUBLINK") return true;
  const auto* scope = bound.scope_of(select);
  const auto* test = field(link, "testexpr");
  return scope && scope->outputs.size() == 1 && test && cannot_fail(*test, bound) &&
         comparable(type_of(*test, bound), scope->outputs.front().type);
}

}  // namespace

bool is_plain_select(const Object& select, bool distinct_allowed) {
  for (const auto* clause : {"groupClause", "havingClause", "limitCount", "limitOffset", "windowClause", "valuesLists",
                             "withClause"})
    if (select.contains(clause)) return false;
  if (const auto* distinct = array_field(select, "distinctClause")) {
    const bool plain = distinct->size() == 1 && distinct->front().is_object() && distinct->front().get_object().empty();
    if (!distinct_allowed || !plain) return false;
  }
  return string_field(select, "op") == "SETOP_NONE" && select.contains("fromClause") && select.contains("targetList");
}

Json* only_target(Object& select) {
  auto* list = array_field(select, "targetList");
  if (!list || list->size() != 1) return nullptr;
  auto* target = as(list->front(), "ResTarget");
  return target ? field(*target, "val") : nullptr;
}

std::optional<Json> seen_inside(const Reference& column, const Scope& inner) {
  if (!column.source || inner.source(column.source->name)) return std::nullopt;
  return make_column({column.source->name, column.output()->name});
}

bool inside(const Scope* candidate, const Scope* scope) {
  for (; candidate; candidate = candidate->parent)
    if (candidate == scope) return true;
  return false;
}

int uses_within(const Json& part, const Source* source, const Bound& bound) {
  if (const auto* reference = bound.reference(part)) return reference->source == source ? 1 : 0;
  int count = 0;
  if (const auto* object = part.if_object())
    for (const auto& member : *object) count += uses_within(member.value(), source, bound);
  if (const auto* list = part.if_array())
    for (const auto& item : *list) count += uses_within(item, source, bound);
  return count;
}

std::optional<ScalarSubselect> scalar_subselect(Json& expression, const Bound& bound) {
  auto* link = as(expression, "SubLink");
  if (!link || string_field(*link, "subLinkType") != "EXPR_SUBLINK") return std::nullopt;
  auto* select = as(*field(*link, "subselect"), "SelectStmt");
  const auto* scope = select ? bound.scope_of(select) : nullptr;
  if (!scope || !is_plain_select(*select, false) || select->contains("sortClause") || scope->sources.size() != 1) return std::nullopt;
  auto* source = scope->sources.front().get();
  auto* value = only_target(*select);
  if (!value || source->kind != Source::Kind::table || bound.starred(source)) return std::nullopt;
  return ScalarSubselect{select, scope, source, value};
}

bool is_correlated(const Scope& scope, const Bound& bound) {
  return std::any_of(bound.references().begin(), bound.references().end(), [&](const auto& item) {
    const Reference& reference = item.second;
    return inside(reference.used_in, &scope) && (!reference.source || !inside(reference.source->scope, &scope));
  });
}

Json existence_query(const Object& select, Json condition) {
  Object changed = select;
  changed.erase("sortClause");
  changed.erase("distinctClause");
  add_conjunct(changed, "whereClause", std::move(condition));
  Array list;
  list.push_back(make_target(make_integer(1)));
  changed["targetList"] = std::move(list);
  return Object{{"SelectStmt", std::move(changed)}};
}

bool can_rename(const Bound& bound, const Source& from, const Source& to) {
  for (const auto& [node, reference] : bound.references()) {
    if (reference.source != &from) continue;
    for (const Scope* scope = reference.used_in; scope && scope != from.scope; scope = scope->parent)
      if (scope->source(to.name)) return false;
  }
  return !bound.starred(&from);
}

void rename_columns(Json& part, const Bound& bound, const Source& from, const Source& to) {
  if (const auto* reference = bound.reference(part)) {
    if (reference->source == &from) {
      const auto name = to.columns[static_cast<std::size_t>(reference->column)].name;
      // In place: the references of `bound` are keyed by the object's address.
      Json renamed = make_column({to.name, name});
      (*as(part, "ColumnRef"))["fields"] = std::move((*as(renamed, "ColumnRef"))["fields"]);
    }
    return;
  }
  if (auto* object = part.if_object())
    for (auto& member : *object) rename_columns(member.value(), bound, from, to);
  if (auto* list = part.if_array())
    for (auto& item : *list) rename_columns(item, bound, from, to);
}

bool cannot_fail_deep(const Json& node, const Bound& bound) {
  if (const auto* link = as(node, "SubLink")) return link_cannot_fail(*link, bound);
  if (const auto* expr = as(node, "BoolExpr")) {
    const auto* list = array_field(*expr, "args");
    return list && std::all_of(list->begin(), list->end(), [&](const Json& item) { return cannot_fail_deep(item, bound); });
  }
  return cannot_fail(node, bound);
}

Object* join_of(Object& select, const Json* item) {
  auto* from = array_field(select, "fromClause");
  if (!from) return nullptr;
  for (auto& entry : *from)
    if (auto* found = find_join(entry, item)) return found;
  return nullptr;
}

bool remove_from_item(Object& select, const Json* item) {
  auto* from = array_field(select, "fromClause");
  if (!from) return false;
  for (auto entry = from->begin(); entry != from->end(); ++entry) {
    if (entry == item) {
      if (from->size() == 1) return false;
      from->erase(entry);
      return true;
    }
    if (remove_below(*entry, item)) return true;
  }
  return false;
}

}  // namespace pgsteer::rewriter
