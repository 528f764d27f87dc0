#include "rewriter/determinism.hpp"

#include <algorithm>
#include <array>
#include <boost/json.hpp>

#include "rewriter/keys.hpp"
#include "rewriter/rule.hpp"
#include "rewriter/types.hpp"

namespace pgsteer::rewriter {
namespace {

template <std::size_t N>
bool among(const std::array<std::string_view, N>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

constexpr std::array<std::string_view, 9> order_free{"count",  "bool_and", "bool_or",  "every",      "bit_and",
                                                      "bit_or", "bit_xor",  "grouping", "regr_count"};
constexpr std::array<std::string_view, 8> exact_on_numbers{"sum",      "avg",     "stddev",  "stddev_pop", "stddev_samp",
                                                           "variance", "var_pop", "var_samp"};

bool set_operation_ordered(const Scope& scope) {
  const auto* sort = array_field(*scope.select, "sortClause");
  if (!sort || scope.opaque_outputs || scope.outputs.empty()) return false;
  for (std::size_t i = 0; i < scope.outputs.size(); ++i) {
    const bool covered = std::any_of(sort->begin(), sort->end(), [&](const Json& item) {
      const auto* key = field(*as(item, "SortBy"), "node");
      if (const auto position = integer_constant(*key)) return *position == static_cast<std::int64_t>(i) + 1;
      const auto* column = as(*key, "ColumnRef");
      const auto names = column ? name_list(array_field(*column, "fields")) : std::nullopt;
      return names && names->size() == 1 && names->front() == scope.outputs[i].name;
    });
    if (!covered || !equal_means_identical(scope.outputs[i].type)) return false;
  }
  return true;
}

bool distinct_on(const Scope& scope) {
  const auto* list = array_field(*scope.select, "distinctClause");
  return list && !list->empty() && list->front().is_object() && !list->front().get_object().empty();
}

/// At most one row, or one whose presence alone matters.
bool cut_is_harmless(const Scope& scope, const Bound& bound) {
  if (aggregates_to_one_row(scope, bound)) return true;
  const auto* limit = field(*scope.select, "limitCount");
  if (scope.use == Use::exists && !distinct_on(scope) && !scope.select->contains("limitOffset") && limit) {
    const auto count = integer_constant(*limit);
    return count && *count >= 1;
  }
  return scope.set_operation ? set_operation_ordered(scope) : has_total_order(scope, bound);
}

bool identical_columns(const Json& value, const Bound& bound) {
  if (const auto* reference = bound.reference(value))
    return reference->source && equal_means_identical(reference->output()->type);
  if (const auto* expr = as(value, "A_Expr")) {
    // Equal quotients of numerics may have different scales.
    const auto names = name_list(array_field(*expr, "name"));
    if (names && names->back() == "/" && !is_integer(type_of(value, bound).oid)) return false;
  }
  if (const auto* cast = as(value, "TypeCast")) {
    const auto* type = object_field(*cast, "typeName");
    const auto oid = type ? builtin_type(plain_type_name(*type)) : 0;
    if (!equal_means_identical(Type{oid, -1, 100})) return false;
  }
  if (const auto* object = value.if_object())
    return std::all_of(object->begin(), object->end(),
                       [&](const auto& member) { return identical_columns(member.value(), bound); });
  if (const auto* list = value.if_array())
    return std::all_of(list->begin(), list->end(), [&](const Json& item) { return identical_columns(item, bound); });
  return true;
}

bool aggregate_is_order_free(const Object& call, const std::string& name, const Bound& bound) {
  if (among(order_free, name)) return true;
  const auto* arguments = array_field(call, "args");
  if (!arguments || arguments->size() != 1) return false;
  const auto type = type_of(arguments->front(), bound);
  if (name == "min" || name == "max") return equal_means_identical(type);
  return among(exact_on_numbers, name) && (is_integer(type.oid) || type.oid == oid::numeric);
}

/// rank and dense_rank number equal rows alike; row_number does not, so its order has to be total within the partition.
bool window_is_determined(const std::string& name, const Object& over, const Scope& scope, const Bound& bound) {
  if (over.contains("refname") || over.contains("name") || scope.select->contains("groupClause") || has_aggregates(scope, bound)) return false;
  if (name == "rank" || name == "dense_rank") return true;
  if (name != "row_number") return false;
  ColumnSet known;
  for (const auto* clause : {"partitionClause", "orderClause"}) {
    const auto* items = array_field(over, clause);
    if (!items) continue;
    for (const auto& item : *items) {
      const auto* by = as(item, "SortBy");
      const auto* reference = bound.reference(by ? *field(*by, "node") : item);
      if (reference && reference->source && equal_means_identical(reference->output()->type))
        known.insert({reference->source, reference->column});
    }
  }
  return singles_out_row(known, scope, bound);
}

bool calls_are_order_free(Scope& scope, const Bound& bound, std::string* why_not) {
  return !for_each_expression(scope, [&](Json& value) {
    const auto* call = as(value, "FuncCall");
    if (!call) return false;
    const auto names = name_list(array_field(*call, "funcname"));
    if (!names) return true;
    const auto* group = bound.catalog().function(names->size() == 2 ? names->front() : std::string(), names->back());
    if (const auto* over = object_field(*call, "over")) {
      if (window_is_determined(names->back(), *over, scope, bound)) return false;
      if (why_not) *why_not = "window function " + names->back() + " may depend on the order of equal rows";
      return true;
    }
    if (!group || !group->any_aggregate || aggregate_is_order_free(*call, names->back(), bound)) return false;
    if (why_not) *why_not = "aggregate " + names->back() + " may depend on the order of its input";
    return true;
  });
}

/// A column of a set operation whose type is not known from its arms: it is that of none of their modifiers.
bool identical_in_all_arms(const Scope& scope, std::size_t index, const Bound& bound) {
  if (scope.opaque_outputs || scope.values || index >= scope.outputs.size()) return false;
  if (scope.set_operation) {
    for (const auto* side : {"larg", "rarg"}) {
      const auto* arm = object_field(*scope.select, side);
      const auto* inner = arm ? bound.scope_of(arm) : nullptr;
      if (!inner || !identical_in_all_arms(*inner, index, bound)) return false;
    }
    return true;
  }
  const auto& type = scope.outputs[index].type;
  if (type.oid != 0) return equal_means_identical(Type{type.oid, -1, type.collation});
  const auto* targets = array_field(*scope.select, "targetList");
  const auto* target = targets && index < targets->size() ? as((*targets)[index], "ResTarget") : nullptr;
  const auto* value = target ? field(*target, "val") : nullptr;
  return value && targets->size() == scope.outputs.size() && (is_value(*value) || is_null_constant(*value));
}

/// DISTINCT and GROUP BY show one of several equal values: they must be identical, not just equal.
bool representatives_are_identical(const Scope& scope, const Bound& bound) {
  if (scope.set_operation) {
    if (bool_field(*scope.select, "all") && string_field(*scope.select, "op") == "SETOP_UNION") return true;
    if (scope.opaque_outputs) return false;
    for (std::size_t i = 0; i < scope.outputs.size(); ++i) {
      const auto& type = scope.outputs[i].type;
      if (type.oid != 0 ? !equal_means_identical(type) : !identical_in_all_arms(scope, i, bound)) return false;
    }
    return true;
  }
  if (const auto* group = field(*scope.select, "groupClause"))
    if (!identical_columns(*group, bound)) return false;
  if (scope.select->contains("distinctClause") && field(*scope.select, "targetList")) {
    for (const auto& out : scope.outputs)
      if (out.type.oid != 0 && !equal_means_identical(out.type)) return false;
    return identical_columns(*field(*scope.select, "targetList"), bound) || has_aggregates(scope, bound);
  }
  return true;
}

}  // namespace

bool has_window(const Bound& bound) {
  return std::any_of(bound.scopes().begin(), bound.scopes().end(), [](const auto& scope) {
    return for_each_expression(*scope, [](Json& value) {
      const auto* call = as(value, "FuncCall");
      return call && call->contains("over");
    });
  });
}

bool answer_is_determined(const Bound& bound, std::string* why_not) {
  const auto no = [&](const char* why) {
    if (why_not) *why_not = why;
    return false;
  };
  for (const auto& scope : bound.scopes()) {
    const bool cut = scope->select->contains("limitCount") || scope->select->contains("limitOffset") || distinct_on(*scope);
    if (cut && !cut_is_harmless(*scope, bound)) return no("LIMIT or DISTINCT ON without a total order");
    if (!calls_are_order_free(*scope, bound, why_not)) return false;
    if (!representatives_are_identical(*scope, bound)) return no("DISTINCT or GROUP BY over values that are equal but differ");
  }
  return true;
}

}  // namespace pgsteer::rewriter
