#include <algorithm>
#include <boost/json.hpp>

#include "rewriter/keys.hpp"
#include "rewriter/rules/rules.hpp"
#include "rewriter/subquery.hpp"
#include "rewriter/types.hpp"

// Pattern:  SELECT .. FROM a LEFT JOIN r ON r.id = a.r_id WHERE a.x ORDER BY a.y, a.id LIMIT 20 OFFSET 40
// Result:   SELECT .. FROM (SELECT * FROM a WHERE a.x ORDER BY a.y, a.id LIMIT 20 OFFSET 40) a LEFT JOIN r ON r.id = a.r_id
//           ORDER BY a.y, a.id
// Why:      each r is joined on a whole key, so a row of a gives exactly one row, in the place its own columns give it: the rows
//           that LIMIT keeps are those of the first rows of a. Only they are joined.
// Counter-example of the guard: joined on less than a key a row of a is repeated and fills more places; an ORDER BY or WHERE on
//           r needs the join first; ORDER BY over ties may choose other rows (refused for every rule); WITH TIES gives more.
namespace pgsteer::rewriter {
namespace {

/// The leftmost leaf of a chain of LEFT JOINs whose right sides are tables.
Json* preserved(Json& item) {
  auto* join = as(item, "JoinExpr");
  if (!join) return as(item, "RangeVar") ? &item : nullptr;
  if (string_field(*join, "jointype") != "JOIN_LEFT" || !as(*field(*join, "rarg"), "RangeVar")) return nullptr;
  return preserved(*field(*join, "larg"));
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

bool push(Scope& scope, Attempt& attempt) {
  const Bound& bound = attempt.bound;
  Object& select = *scope.select;
  auto* from = array_field(select, "fromClause");
  if (!plain(select) || !from || from->size() != 1 || !as(from->front(), "JoinExpr") || has_aggregates(scope, bound)) return false;
  Json* item = preserved(from->front());
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
  if (const auto* offset = field(select, "limitOffset")) inner["limitOffset"] = *offset;
  attempt.fact("every other table is joined on a whole key: a row of " + first.name + " gives one row");
  Object derived{{"subquery", Object{{"SelectStmt", std::move(inner)}}}, {"alias", Object{{"aliasname", first.name}}}};
  *item = Object{{"RangeSubselect", std::move(derived)}};
  select.erase("whereClause");
  select.erase("limitCount");
  select.erase("limitOffset");
  select["limitOption"] = "LIMIT_OPTION_DEFAULT";
  return true;
}

bool apply(Attempt& attempt) {
  for (const auto& scope : attempt.bound.scopes())
    if (!scope->set_operation && !scope->values && !scope->has_using && push(*scope, attempt)) return true;
  return false;
}

}  // namespace

const Rule limit_before_left_join{
    {"limit_before_left_join", "FROM a LEFT JOIN r .. ORDER BY a.y LIMIT n -> LIMIT before the join", false, false, 0.9}, apply};

}  // namespace pgsteer::rewriter
