#include "rewriter/limit_push.hpp"

#include <algorithm>
#include <boost/json.hpp>

#include "rewriter/foreign_keys.hpp"
#include "rewriter/keys.hpp"
#include "rewriter/subquery.hpp"
#include "rewriter/types.hpp"

namespace pgsteer::rewriter {
namespace {

/// The leftmost leaf of a chain of joins whose right sides are tables, and the inner joins of the chain, the first one first.
Json* preserved(Json& item, std::vector<Object*>& inner) {
  auto* join = as(item, "JoinExpr");
  if (!join) return as(item, "RangeVar") ? &item : nullptr;
  const auto type = string_field(*join, "jointype");
  if ((type != "JOIN_LEFT" && type != "JOIN_INNER") || !as(*field(*join, "rarg"), "RangeVar")) return nullptr;
  auto* leaf = preserved(*field(*join, "larg"), inner);
  if (leaf && type == "JOIN_INNER") inner.push_back(join);
  return leaf;
}

/// Every inner join follows a foreign key, from the first table or from one that such a join has found a row of: it drops no
/// row whose key is not NULL. The keys that may be NULL are left in `nullable`.
bool lose_nothing(const std::vector<Object*>& inner, const Scope& scope, const Source& first, const Bound& bound, std::vector<int>& nullable) {
  std::set<const Source*> certain{&first};
  for (auto* join : inner) {
    const auto parent = std::find_if(scope.sources.begin(), scope.sources.end(), [&](const auto& s) { return s->item == field(*join, "rarg"); });
    const auto on = conjuncts(*join, "quals");
    if (parent == scope.sources.end() || (*parent)->kind != Source::Kind::table || on.size() != 1) return false;
    const auto link = link_of(*on.front(), **parent, bound);
    if (!link.child || !certain.count(link.child)) return false;
    if (link.nullable_column && link.child != &first) return false;
    if (link.nullable_column) nullable.push_back(link.column);
    certain.insert(parent->get());
  }
  return true;
}

bool reads_only(const Json& node, const Source& source, const Bound& bound) {
  if (const auto* reference = bound.reference(node))
    return reference->source == &source || !reference->source || reference->source->scope != source.scope;
  if (const auto* object = node.if_object())
    return std::all_of(object->begin(), object->end(), [&](const auto& member) { return reads_only(member.value(), source, bound); });
  if (const auto* list = node.if_array())
    return std::all_of(list->begin(), list->end(), [&](const Json& item) { return reads_only(item, source, bound); });
  return true;
}

/// The column of `source` that an ORDER BY item means, output names and positions resolved.
std::optional<Json> sorted_column(const Json& key, const Scope& scope, const Source& source, const Bound& bound) {
  Array one;
  one.push_back(key);
  auto found = bound.reference(key) ? ColumnSet{{bound.reference(key)->source, bound.reference(key)->column}} : columns_of_items(&one, scope, bound);
  if (found.size() != 1 || found.begin()->first != &source) return std::nullopt;
  return make_column({source.name, source.columns[static_cast<std::size_t>(found.begin()->second)].name});
}

bool plain(const Object& select) {
  for (const auto* clause : {"groupClause", "havingClause", "windowClause", "valuesLists", "withClause", "distinctClause", "lockingClause"})
    if (select.contains(clause)) return false;
  return string_field(select, "op") == "SETOP_NONE" && select.contains("sortClause") && select.contains("limitCount") &&
         string_field(select, "limitOption") == "LIMIT_OPTION_COUNT";
}

bool push(Scope& scope, Attempt& attempt, Joins joins) {
  const Bound& bound = attempt.bound;
  Object& select = *scope.select;
  auto* from = array_field(select, "fromClause");
  if (!plain(select) || !from || from->size() != 1 || !as(from->front(), "JoinExpr") || has_aggregates(scope, bound)) return false;
  std::vector<Object*> inner_joins;
  Json* item = preserved(from->front(), inner_joins);
  if (inner_joins.empty() != (joins == Joins::outer)) return false;
  const auto found = std::find_if(scope.sources.begin(), scope.sources.end(), [&](const auto& s) { return s->item == item; });
  if (!item || found == scope.sources.end() || !is_value(*field(select, "limitCount"))) return false;
  if (const auto* offset = field(select, "limitOffset"); offset && !is_value(*offset)) return false;
  const Source& first = **found;
  const auto* where = field(select, "whereClause");
  if (first.kind != Source::Kind::table || (where && !reads_only(*where, first, bound))) return false;
  // All columns of a given, at most one row of every r: those pinned by ON, as WHERE does not read them.
  ColumnSet known;
  for (std::size_t i = 0; i < first.columns.size(); ++i) known.insert({&first, static_cast<int>(i)});
  std::set<const Source*> keyed;
  determined_by(known, scope, bound, &keyed);
  for (const auto& source : scope.sources)
    if (source.get() != &first && (source->kind != Source::Kind::table || !keyed.count(source.get()))) return false;
  std::vector<int> nullable;
  if (!lose_nothing(inner_joins, scope, first, bound, nullable)) return false;

  Array sort;
  for (const auto& entry : *array_field(select, "sortClause")) {
    const auto* by = as(entry, "SortBy");
    auto column = by ? sorted_column(*field(*by, "node"), scope, first, bound) : std::nullopt;
    if (!column) return false;
    Object copy = *by;
    copy["node"] = std::move(*column);
    sort.push_back(Object{{"SortBy", std::move(copy)}});
  }
  Json star = Object{{"ColumnRef", Object{{"fields", Array{Object{{"A_Star", Object{}}}}}, {"location", -1}}}};
  Object inner{{"targetList", Array{make_target(std::move(star))}}, {"fromClause", Array{*item}}, {"sortClause", std::move(sort)},
               {"limitCount", *field(select, "limitCount")}, {"limitOption", "LIMIT_OPTION_COUNT"}, {"op", "SETOP_NONE"}};
  if (where) inner["whereClause"] = *where;
  for (const int column : nullable)
    add_conjunct(inner, "whereClause", make_null_test(make_column({first.name, first.columns[static_cast<std::size_t>(column)].name}), false));
  if (const auto* offset = field(select, "limitOffset")) inner["limitOffset"] = *offset;
  attempt.fact("every other table is joined on a whole key: a row of " + first.name + " gives one row");
  if (joins == Joins::inner) attempt.fact("inner joins follow validated foreign keys: a row of " + first.name + " is not lost");
  Object derived{{"subquery", Object{{"SelectStmt", std::move(inner)}}}, {"alias", Object{{"aliasname", first.name}}}};
  *item = Object{{"RangeSubselect", std::move(derived)}};
  select.erase("whereClause");
  select.erase("limitCount");
  select.erase("limitOffset");
  select["limitOption"] = "LIMIT_OPTION_DEFAULT";
  return true;
}

}  // namespace

bool cut_before_joining(Attempt& attempt, Joins joins) {
  for (const auto& scope : attempt.bound.scopes())
    if (!scope->set_operation && !scope->values && !scope->has_using && push(*scope, attempt, joins)) return true;
  return false;
}

}  // namespace pgsteer::rewriter
