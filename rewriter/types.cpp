#include "rewriter/types.hpp"

#include <algorithm>
#include <array>
#include <boost/json.hpp>

namespace pgsteer::rewriter {
namespace {

struct NamedType {
  std::string_view name;
  sql::Oid oid;
};
constexpr std::array named_types{
    NamedType{"bool", oid::boolean},     NamedType{"bytea", oid::bytea},         NamedType{"int8", oid::int8},
    NamedType{"int2", oid::int2},        NamedType{"int4", oid::int4},           NamedType{"text", oid::text},
    NamedType{"float4", oid::float4},    NamedType{"float8", oid::float8},       NamedType{"bpchar", oid::bpchar},
    NamedType{"varchar", oid::varchar},  NamedType{"date", oid::date},           NamedType{"time", oid::time},
    NamedType{"timestamp", oid::timestamp}, NamedType{"timestamptz", oid::timestamptz},
    NamedType{"interval", oid::interval},   NamedType{"timetz", oid::timetz},    NamedType{"numeric", oid::numeric},
    NamedType{"uuid", oid::uuid}};

// Collations known to be deterministic without a catalogue of them: the database's default, "C" and "POSIX".
bool deterministic(sql::Oid collation) { return collation == 100 || collation == 950 || collation == 951; }

bool comparison(std::string_view op) {
  return op == "=" || op == "<>" || op == "<" || op == "<=" || op == ">" || op == ">=";
}

Type constant_type(const Object& constant) {
  if (object_field(constant, "ival")) return {oid::int4};
  if (const auto* number = object_field(constant, "fval")) {
    const auto text = string_field(*number, "fval");
    if (text.find_first_not_of("-0123456789") != std::string_view::npos) return {oid::numeric};
    Object copy{{"fval", Object{{"fval", text}}}};
    Json node = Object{{"A_Const", std::move(copy)}};
    return {integer_constant(node) ? oid::int8 : oid::numeric};
  }
  if (object_field(constant, "boolval")) return {oid::boolean};
  return {};
}

Type sublink_type(const Object& link, const Bound& bound) {
  if (string_field(link, "subLinkType") == "EXISTS_SUBLINK") return {oid::boolean};
  const auto* query = field(link, "subselect");
  const auto* select = query ? as(*query, "SelectStmt") : nullptr;
  const auto* scope = select ? bound.scope_of(select) : nullptr;
  if (string_field(link, "subLinkType") != "EXPR_SUBLINK" || !scope || scope->outputs.size() != 1) return {};
  return scope->outputs.front().type;
}

Type operator_type(const Object& expr, const Bound& bound);

bool sides_comparable(const Json& left, const Json& right, const Bound& bound) {
  const auto l = type_of(left, bound), r = type_of(right, bound);
  if (comparable(l, r)) return true;
  if (is_value(right)) return comparable_value(right, l, bound);
  return is_value(left) && comparable_value(left, r, bound);
}

Type operator_type(const Object& expr, const Bound& bound) {
  const auto names = name_list(array_field(expr, "name"));
  const auto* left = field(expr, "lexpr");
  const auto* right = field(expr, "rexpr");
  if (string_field(expr, "kind") != "AEXPR_OP" || !names || names->size() != 1 || !left || !right) return {};
  const auto& name = names->front();
  if (comparison(name)) return sides_comparable(*left, *right, bound) ? Type{oid::boolean} : Type{};
  if (name != "+" && name != "-" && name != "*" && name != "/") return {};
  const auto l = type_of(*left, bound).oid, r = type_of(*right, bound).oid;
  const auto number = [](sql::Oid type) { return is_integer(type) || type == oid::numeric; };
  if (!number(l) || !number(r)) return {};
  if (l == oid::numeric || r == oid::numeric) return {oid::numeric};
  if (l == oid::int8 || r == oid::int8) return {oid::int8};
  return {l == oid::int4 || r == oid::int4 ? oid::int4 : oid::int2};
}

/// Of one type, or integers of which the first is the widest.
Type coalesce_type(const Array* arguments, const Bound& bound) {
  if (!arguments || arguments->empty()) return {};
  Type type = type_of(arguments->front(), bound);
  for (std::size_t i = 1; i < arguments->size(); ++i) {
    const auto other = type_of((*arguments)[i], bound);
    if (other.oid != type.oid && !(type.oid == oid::int8 && is_integer(other.oid))) return {};
    if (other.collation != type.collation) return {};
    if (other.oid != type.oid || other.modifier != type.modifier) type.modifier = -1;
  }
  return type;
}

bool all_cannot_fail(const Array* list, const Bound& bound) {
  return list && std::all_of(list->begin(), list->end(), [&](const Json& item) { return cannot_fail(item, bound); });
}

bool comparison_cannot_fail(const Object& expr, const Bound& bound) {
  const auto kind = string_field(expr, "kind");
  const auto names = name_list(array_field(expr, "name"));
  const auto* left = field(expr, "lexpr");
  const auto* right = field(expr, "rexpr");
  if (!left || !right || !names || names->size() != 1 || !cannot_fail(*left, bound)) return false;
  if (kind == "AEXPR_OP" || kind == "AEXPR_DISTINCT" || kind == "AEXPR_NOT_DISTINCT")
    return comparison(names->front()) && cannot_fail(*right, bound) && sides_comparable(*left, *right, bound);
  if (kind == "AEXPR_IN" || kind == "AEXPR_BETWEEN" || kind == "AEXPR_NOT_BETWEEN") {
    const auto* list = as(*right, "List");
    const auto* items = list ? array_field(*list, "items") : nullptr;
    return items && std::all_of(items->begin(), items->end(), [&](const Json& item) {
             return cannot_fail(item, bound) && sides_comparable(*left, item, bound);
           });
  }
  return false;
}

}  // namespace

sql::Oid builtin_type(std::string_view name) {
  for (const auto& type : named_types)
    if (type.name == name) return type.oid;
  return 0;
}

Type type_of(const Json& node, const Bound& bound) {
  if (const auto* reference = bound.reference(node)) return reference->source ? reference->output()->type : Type{};
  if (const auto* constant = as(node, "A_Const")) return constant_type(*constant);
  if (const auto* cast = as(node, "TypeCast")) {
    const auto* type = object_field(*cast, "typeName");
    const auto oid = type ? builtin_type(plain_type_name(*type)) : 0;
    return Type{oid, -1, is_text(oid) || oid == oid::bpchar ? sql::Oid{100} : sql::Oid{0}};
  }
  if (const auto* link = as(node, "SubLink")) return sublink_type(*link, bound);
  if (const auto* expr = as(node, "A_Expr")) return operator_type(*expr, bound);
  if (as(node, "BoolExpr") || as(node, "NullTest") || as(node, "BooleanTest")) return {oid::boolean};
  if (const auto* coalesce = as(node, "CoalesceExpr")) return coalesce_type(array_field(*coalesce, "args"), bound);
  if (const auto* call = as(node, "FuncCall")) {
    const auto names = name_list(array_field(*call, "funcname"));
    if (names && names->back() == "count") return {oid::int8};
  }
  return {};
}

bool provably_not_null(const Json& node, const Bound& bound) {
  if (const auto* reference = bound.reference(node)) return reference->not_null();
  if (is_constant(node)) return true;
  if (const auto* cast = as(node, "TypeCast")) {
    const auto* argument = field(*cast, "arg");
    const auto* type = object_field(*cast, "typeName");
    // Casts between built-in types are strict and give no NULL for a value.
    return argument && type && builtin_type(plain_type_name(*type)) != 0 &&
           (is_constant(*argument) || builtin_type(plain_type_name(*type)) == type_of(*argument, bound).oid) &&
           provably_not_null(*argument, bound);
  }
  if (const auto* coalesce = as(node, "CoalesceExpr")) {
    const auto* list = array_field(*coalesce, "args");
    return list &&
           std::any_of(list->begin(), list->end(), [&](const Json& item) { return provably_not_null(item, bound); });
  }
  if (const auto* link = as(node, "SubLink")) return string_field(*link, "subLinkType") == "EXISTS_SUBLINK";
  return as(node, "NullTest") || as(node, "BooleanTest");
}

std::string output_name(const Json& value) {
  if (const auto* column = as(value, "ColumnRef")) {
    const auto names = name_list(array_field(*column, "fields"));
    return names && !names->empty() ? names->back() : std::string();
  }
  if (const auto* call = as(value, "FuncCall")) {
    const auto names = name_list(array_field(*call, "funcname"));
    return names && !names->empty() ? names->back() : std::string();
  }
  if (const auto* cast = as(value, "TypeCast")) {
    const auto* argument = field(*cast, "arg");
    if (argument && (as(*argument, "ColumnRef") || as(*argument, "FuncCall"))) return output_name(*argument);
    return {};
  }
  if (as(value, "A_Const") || as(value, "A_Expr") || as(value, "BoolExpr") || as(value, "NullTest") ||
      as(value, "BooleanTest") || as(value, "ParamRef"))
    return "?column?";
  if (as(value, "CoalesceExpr")) return "coalesce";
  if (const auto* link = as(value, "SubLink"))
{
    if (string_field(*link, "subLinkType") == "EXISTS_SUBLINK") return "exists";
    const auto* query = field(*link, "subselect");
    const auto* select = query ? as(*query, "SelectStmt") : nullptr;
    const auto* targets = select ? array_field(*select, "targetList") : nullptr;
    const auto* target = targets && targets->size() == 1 ? as(targets->front(), "ResTarget") : nullptr;
    if (target && string_field(*link, "subLinkType") == "EXPR_SUBLINK") {
      const auto name = string_field(*target, "name");
      return !name.empty() ? std::string(name) : output_name(*field(*target, "val"));
    }
  }
  return {};
}

bool comparable(const Type& a, const Type& b) {
  if (is_integer(a.oid) && is_integer(b.oid)) return true;
  if (is_text(a.oid) && is_text(b.oid)) return a.collation == b.collation;
  if (a.oid != b.oid) return false;
  switch (a.oid) {
    case oid::boolean:
    case oid::oid:
    case oid::float4:
    case oid::float8:
    case oid::date:
    case oid::time:
    case oid::timestamp:
    case oid::timestamptz:
    case oid::numeric:
    case oid::uuid:
    case oid::bytea:
      return true;
    default:
      return false;
  }
}

bool comparable_value(const Json& value, const Type& column, const Bound& bound) {
  if (!is_value(value) || is_null_constant(value)) return false;
  // A quoted literal and an untyped parameter take the type of what they are compared with.
  if (string_constant(value) || as(value, "ParamRef")) return comparable(column, column);
  auto type = type_of(value, bound);
  if (is_text(column.oid) && is_text(type.oid)) type.collation = column.collation;
  return comparable(column, type);
}

bool equal_means_identical(const Type& type) {
  switch (type.oid) {
    case oid::boolean:
    case oid::bytea:
    case oid::int2:
    case oid::int4:
    case oid::int8:
    case oid::oid:
    case oid::date:
    case oid::time:
    case oid::timestamp:
    case oid::timestamptz:
    case oid::uuid:
      return true;
    case oid::text:
    case oid::varchar:
      return deterministic(type.collation);
    case oid::bpchar:
      return type.modifier > 0 && deterministic(type.collation);
    case oid::numeric:
      return type.modifier >= 0;
    default:
      return false;
  }
}

bool cannot_fail(const Json& node, const Bound& bound) {
  if (bound.reference(node) || as(node, "A_Const") || as(node, "ParamRef")) return true;
  if (as(node, "TypeCast")) {
    const auto* cast = as(node, "TypeCast");
    const auto* argument = field(*cast, "arg");
    return argument && is_constant(*argument) && is_value(node);  // folded once, when the statement is planned
  }
  if (const auto* expr = as(node, "BoolExpr")) return all_cannot_fail(array_field(*expr, "args"), bound);
  if (const auto* test = as(node, "NullTest")) return field(*test, "arg") && cannot_fail(*field(*test, "arg"), bound);
  if (const auto* test = as(node, "BooleanTest")) return field(*test, "arg") && cannot_fail(*field(*test, "arg"), bound);
  if (const auto* expr = as(node, "A_Expr")) return comparison_cannot_fail(*expr, bound);
  return false;
}

std::optional<std::int64_t> shift_within(const Json& literal, sql::Oid column) {
  constexpr std::int64_t far = std::int64_t{1} << 60;
  if (!as(literal, "A_Const")) return std::nullopt;
  const auto value = integer_constant(literal);
  if (!value || *value <= -far || *value >= far) return std::nullopt;
  const bool wide = *value > INT32_MAX || *value < INT32_MIN;  // then the literal is a bigint
  if (wide) return column == oid::int2 || column == oid::int4 ? value : std::nullopt;
  constexpr std::int64_t room = INT32_MAX - 32768;
  return column == oid::int2 && *value >= -room && *value <= room ? value : std::nullopt;
}

}  // namespace pgsteer::rewriter
