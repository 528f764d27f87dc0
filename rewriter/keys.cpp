#include "rewriter/keys.hpp"

#include <algorithm>
#include <boost/json.hpp>

#include "rewriter/rule.hpp"
#include "rewriter/types.hpp"

namespace pgsteer::rewriter {
namespace {

struct Equality {
  Json* left;
  Json* right;
  bool in_outer_join = false;  ///< from ON of an outer join: says something about its nullable side only
  std::set<const Source*> nullable;
};

void equalities(Json& value, bool in_outer_join, const std::set<const Source*>& nullable, std::vector<Equality>& found) {
  if (auto* expr = as(value, "BoolExpr")) {
    if (string_field(*expr, "boolop") == "AND_EXPR")
      for (auto& item : *array_field(*expr, "args")) equalities(item, in_outer_join, nullable, found);
    return;
  }
  if (const auto op = operation(value); op && op->name == "=")
    found.push_back({op->left, op->right, in_outer_join, nullable});
}

void leaves(const Json& item, const Scope& scope, std::set<const Source*>& found) {
  for (const auto& source : scope.sources)
    if (source->item == &item) found.insert(source.get());
  if (const auto* join = as(item, "JoinExpr"))
    for (const auto* side : {"larg", "rarg"})
      if (const auto* value = field(*join, side)) leaves(*value, scope, found);
}

/// ON conjuncts. Under a FULL JOIN, or below the nullable side of another outer join, nothing is taken.
void join_equalities(Json& item, const Scope& scope, std::vector<Equality>& found) {
  auto* join = as(item, "JoinExpr");
  if (!join) return;
  const auto type = string_field(*join, "jointype");
  auto* quals = field(*join, "quals");
  if (quals && type == "JOIN_INNER") {
    std::set<const Source*> all;
    leaves(item, scope, all);
    const bool plain = std::none_of(all.begin(), all.end(), [](const Source* s) { return s->nullable; });
    if (plain) equalities(*quals, false, {}, found);
  } else if (quals && (type == "JOIN_LEFT" || type == "JOIN_RIGHT")) {
    std::set<const Source*> nullable;
    leaves(*field(*join, type == "JOIN_LEFT" ? "rarg" : "larg"), scope, nullable);
    if (nullable.size() == 1) equalities(*quals, true, nullable, found);
  }
  for (const auto* side : {"larg", "rarg"})
    if (auto* value = field(*join, side)) join_equalities(*value, scope, found);
}

std::vector<Equality> equalities_of(const Scope& scope) {
  std::vector<Equality> found;
  if (auto* where = field(*scope.select, "whereClause")) equalities(*where, false, {}, found);
  if (auto* from = array_field(*scope.select, "fromClause"))
    for (auto& item : *from) join_equalities(item, scope, found);
  return found;
}

bool known(const Json& value, const ColumnSet& set, const Scope& scope, const Bound& bound) {
  if (is_value(value)) return true;
  const auto* reference = bound.reference(value);
  if (!reference || !reference->source) return false;
  // A column of an outer query is a constant for this one.
  return reference->source->scope != &scope || set.count({reference->source, reference->column}) > 0;
}

bool add_all(ColumnSet& set, const Source& source) {
  const auto before = set.size();
  for (std::size_t i = 0; i < source.columns.size(); ++i) set.insert({&source, static_cast<int>(i)});
  return set.size() != before;
}

/// col = value, where the value is known and equality pins the very value: adds col.
bool apply_equality(const Equality& eq, ColumnSet& set, const Scope& scope, const Bound& bound, ColumnSet* local) {
  bool changed = false;
  for (const auto& [a, b] : {std::pair{eq.left, eq.right}, std::pair{eq.right, eq.left}}) {
    const auto* target = bound.reference(*a);
    if (!target || !target->source || target->source->scope != &scope || !known(*b, set, scope, bound)) continue;
    if (!equal_means_identical(target->output()->type) ||
        !(comparable(target->output()->type, type_of(*b, bound)) || comparable_value(*b, target->output()->type, bound)))
      continue;
    if (eq.in_outer_join) {
      if (eq.nullable.count(target->source)) local->insert({target->source, target->column});
    } else {
      changed = set.insert({target->source, target->column}).second || changed;
    }
  }
  return changed;
}

bool covers_key(const Source& source, const ColumnSet& set) {
  for (const auto& key : unique_keys(source))
    if (std::all_of(key.begin(), key.end(), [&](int column) { return set.count({&source, column}) > 0; })) return true;
  return false;
}

const Json* target_at(const Scope& scope, std::size_t position) {
  const auto* list = array_field(*scope.select, "targetList");
  if (!list || position == 0 || position > list->size() || contains(*field(*scope.select, "targetList"), "A_Star"))
    return nullptr;
  const auto* target = as((*list)[position - 1], "ResTarget");
  return target ? field(*target, "val") : nullptr;
}

const Json* target_named(const Scope& scope, std::string_view name) {
  const auto* list = array_field(*scope.select, "targetList");
  if (!list) return nullptr;
  for (const auto& item : *list) {
    const auto* target = as(item, "ResTarget");
    const auto* value = target ? field(*target, "val") : nullptr;
    if (!value) continue;
    const auto own = string_field(*target, "name");
    if (own == name || (own.empty() && output_name(*value) == name)) return value;
  }
  return nullptr;
}

}  // namespace

std::vector<std::vector<int>> unique_keys(const Source& source) {
  std::vector<std::vector<int>> keys;
  if (!source.trusted()) return keys;
  for (const auto& index : source.relation->indexes) {
    if (!index.unique || !index.valid || !index.immediate || !index.usual_order || index.partial || index.has_expressions) continue;
    std::vector<int> key;
    bool usable = true;
    for (const auto number : index.columns) {
      int position = -1;
      for (std::size_t i = 0; i < source.relation->columns.size(); ++i)
        if (source.relation->columns[i].number == number) position = static_cast<int>(i);
      usable = usable && position >= 0 && source.columns[static_cast<std::size_t>(position)].not_null;
      key.push_back(position);
    }
    if (usable && !key.empty()) keys.push_back(std::move(key));
  }
  return keys;
}

ColumnSet determined_by(ColumnSet set, const Scope& scope, const Bound& bound, std::set<const Source*>* keyed) {
  const auto equal = equalities_of(scope);
  for (bool changed = true; changed;) {
    changed = false;
    ColumnSet local = set;
    for (const auto& eq : equal) changed = apply_equality(eq, set, scope, bound, &local) || changed;
    for (const auto& source : scope.sources) {
      // At most one partner on the nullable side: that row, or NULLs, follows from the preserved side.
      if (!covers_key(*source, set) && !(source->nullable && covers_key(*source, local))) continue;
      changed = add_all(set, *source) || changed;
      if (keyed) keyed->insert(source.get());
    }
  }
  return set;
}

bool singles_out_row(const ColumnSet& columns, const Scope& scope, const Bound& bound) {
  std::set<const Source*> keyed;
  determined_by(columns, scope, bound, &keyed);
  return !scope.sources.empty() && keyed.size() == scope.sources.size();
}

bool determines_row(const ColumnSet& columns, const Scope& scope, const Bound& bound) {
  if (scope.sources.empty()) return true;
  const auto all = determined_by(columns, scope, bound);
  return std::all_of(scope.sources.begin(), scope.sources.end(), [&](const auto& source) {
    if (source->opaque) return false;
    for (std::size_t i = 0; i < source->columns.size(); ++i)
      if (!all.count({source.get(), static_cast<int>(i)})) return false;
    return true;
  });
}

ColumnSet columns_of_items(const Array* items, const Scope& scope, const Bound& bound) {
  ColumnSet found;
  if (!items) return found;
  for (const auto& item : *items) {
    const Json* value = &item;
    if (const auto* by = as(item, "SortBy")) value = field(*by, "node");
    if (!value) continue;
    if (const auto position = integer_constant(*value)) {
      value = target_at(scope, static_cast<std::size_t>(*position < 0 ? 0 : *position));
    } else if (as(*value, "ColumnRef") && !bound.reference(*value)) {
      const auto names = name_list(array_field(*as(*value, "ColumnRef"), "fields"));
      const Json* target = names && names->size() == 1 ? target_named(scope, names->front()) : nullptr;
      if (!target && names && names->size() == 1) {  // a name out of an expanded star
        for (const auto& out : scope.outputs)
          if (out.name == names->front() && out.source && equal_means_identical(out.type))
            found.insert({out.source, out.source_column});
      }
      value = target;
    }
    if (!value) continue;
    const auto* reference = bound.reference(*value);
    if (reference && reference->source && equal_means_identical(reference->output()->type))
      found.insert({reference->source, reference->column});
  }
  return found;
}

bool has_aggregates(const Scope& scope, const Bound& bound) {
  bool found = false;
  for_each_expression(const_cast<Scope&>(scope), [&](Json& value) {
    const auto* call = as(value, "FuncCall");
    if (!call || call->contains("over")) return false;
    const auto names = name_list(array_field(*call, "funcname"));
    if (!names) return false;
    const auto* group = bound.catalog().function(names->size() == 2 ? names->front() : std::string(), names->back());
    found = found || (group && group->any_aggregate);
    return found;
  });
  return found;
}

bool aggregates_to_one_row(const Scope& scope, const Bound& bound) {
  return !scope.set_operation && !scope.values && !field(*scope.select, "groupClause") && has_aggregates(scope, bound);
}

bool has_total_order(const Scope& scope, const Bound& bound) {
  const auto* sort = array_field(*scope.select, "sortClause");
  if (!sort || scope.set_operation || scope.values) return false;
  const auto keys = columns_of_items(sort, scope, bound);
  if (const auto* group = array_field(*scope.select, "groupClause")) {
    if (contains(*field(*scope.select, "groupClause"), "GroupingSet")) return false;
    const auto all = determined_by(keys, scope, bound);
    const auto grouped = columns_of_items(group, scope, bound);
    return grouped.size() == group->size() &&
           std::all_of(grouped.begin(), grouped.end(), [&](const auto& column) { return all.count(column) > 0; });
  }
  if (field(*scope.select, "distinctClause")) {
    // Rows are made one by DISTINCT: the order has to fix what is put out.
    const auto all = determined_by(keys, scope, bound);
    return !scope.opaque_outputs && std::all_of(scope.outputs.begin(), scope.outputs.end(), [&](const auto& out) {
      return out.source && all.count({out.source, out.source_column}) > 0;
    });
  }
  return determines_row(keys, scope, bound);
}

bool duplicate_free(const Scope& arm, const Bound& bound) {
  for (const auto* clause : {"groupClause", "havingClause", "limitCount", "limitOffset", "valuesLists", "withClause",
                             "distinctClause", "sortClause", "windowClause"})
    if (arm.select->contains(clause)) return false;
  if (string_field(*arm.select, "op") != "SETOP_NONE" || !arm.select->contains("fromClause") || has_aggregates(arm, bound) || arm.opaque_outputs) return false;
  ColumnSet known;
  for (const auto& out : arm.outputs)
    if (out.source) known.insert({out.source, out.source_column});
  return singles_out_row(known, arm, bound);
}

}  // namespace pgsteer::rewriter
