#include <algorithm>
#include <boost/json.hpp>

#include "rewriter/keys.hpp"
#include "rewriter/rules/rules.hpp"
#include "rewriter/subquery.hpp"
#include "rewriter/types.hpp"

// Pattern:  SELECT o.id, (SELECT c.name FROM customers c WHERE c.id = o.customer_id) FROM orders o
// Result:   SELECT o.id, COALESCE(c.name) AS name FROM orders o LEFT JOIN customers c ON c.id = o.customer_id
// Why:      c.id is a key: the subquery gives that row's name or, without one, NULL; so does the LEFT JOIN, which repeats and
//           drops nothing. A join can hash where the subquery looks up row by row. COALESCE of one argument is that argument
//           (the planner removes it); it keeps the client from being told that the column is one of customers, as before.
// Counter-example of the guard: without a key the subquery would be an error for two rows and the join would repeat the row;
//           `SELECT *` would show the joined columns; under GROUP BY the joined column would have to be grouped.
namespace pgsteer::rewriter {
namespace {

struct LookUp {
  Source* source = nullptr;
  Json column, condition;
  std::string name;
};

std::optional<LookUp> look_up(Json& item, const Scope& outer, const Bound& bound) {
  auto* target = as(item, "ResTarget");
  auto* value = target ? field(*target, "val") : nullptr;
  const auto found = value ? scalar_subselect(*value, bound) : std::nullopt;
  const auto* where = found ? field(*found->select, "whereClause") : nullptr;
  if (!where || !cannot_fail(*where, bound)) return std::nullopt;
  auto* source = found->source;
  const auto* own = bound.reference(*found->value);
  if (!own || own->source != source || outer.source(source->name)) return std::nullopt;
  // The condition alone, its outer columns given, leaves at most one row.
  if (contains(*where, "SubLink") || !singles_out_row({}, *found->scope, bound)) return std::nullopt;
  for (const auto& [node, reference] : bound.references())
    if (inside(reference.used_in, found->scope) && reference.source != source && (!reference.source || reference.source->scope != &outer))
      return std::nullopt;
  std::string name(string_field(*target, "name"));
  if (name.empty()) name = own->output()->name;
  return LookUp{source, *found->value, *where, std::move(name)};
}

/// Qualifies every column of `source`: bare names may mean two things beside the outer tables.
void qualify(Json& part, const Json& original, const Bound& bound) {
  if (const auto* reference = bound.reference(original)) {
    if (reference->source) part = make_column({reference->source->name, reference->output()->name});
    return;
  }
  if (auto* object = part.if_object())
    for (auto& member : *object) qualify(member.value(), original.get_object().at(member.key()), bound);
  if (auto* list = part.if_array())
    for (std::size_t i = 0; i < list->size(); ++i) qualify((*list)[i], original.get_array()[i], bound);
}

bool apply(Attempt& attempt) {
  const Bound& bound = attempt.bound;
  for (const auto& scope : bound.scopes()) {
    if (scope->set_operation || scope->values || scope->has_using) continue;
    Object& select = *scope->select;
    if (select.contains("groupClause") || select.contains("distinctClause") || select.contains("havingClause") || has_aggregates(*scope, bound)) continue;
    auto *targets = array_field(select, "targetList"), *from = array_field(select, "fromClause");
    // A bare name that means a query further out could be taken by the joined table.
    if (is_correlated(*scope, bound)) continue;
    if (!targets || !from || from->size() != 1 || contains(*field(select, "targetList"), "A_Star")) continue;
    for (auto& item : *targets) {
      auto found = look_up(item, *scope, bound);
      if (!found) continue;
      auto* target = as(item, "ResTarget");
      auto* link = as(*field(*target, "val"), "SubLink");
      auto* inner = as(*field(*link, "subselect"), "SelectStmt");
      qualify(found->condition, *field(*inner, "whereClause"), bound);
      attempt.fact("the condition pins a key of " + found->source->relation->name);
      Json table = *found->source->item;
      Object coalesce{{"args", Array{make_column({found->source->name, bound.reference(*only_target(*inner))->output()->name})}}, {"location", -1}};
      item = make_target(Object{{"CoalesceExpr", std::move(coalesce)}}, found->name);
      Object join{{"jointype", "JOIN_LEFT"}, {"larg", from->front()}, {"rarg", std::move(table)}, {"quals", std::move(found->condition)}};
      from->front() = Object{{"JoinExpr", std::move(join)}};
      // Bare names of the outer query may have become ambiguous: the statement then does not bind, and is left alone.
      return true;
    }
  }
  return false;
}

}  // namespace

const Rule scalar_lookup_to_join{
    {"scalar_lookup_to_join", "SELECT (SELECT c.name FROM c WHERE c.id = o.c_id) -> LEFT JOIN c", false, false, 0.9}, apply};

}  // namespace pgsteer::rewriter
