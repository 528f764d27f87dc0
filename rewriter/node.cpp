#include "rewriter/node.hpp"

#include <boost/json.hpp>
#include <charconv>

namespace pgsteer::rewriter {
namespace {

constexpr int no_location = -1;

Json tagged(std::string_view tag, Object inner) {
  Object node;
  node[tag] = std::move(inner);
  return node;
}

Array to_array(std::vector<Json> values) {
  Array list;
  list.reserve(values.size());
  for (auto& value : values) list.push_back(std::move(value));
  return list;
}

Array string_list(const std::vector<std::string>& names) {
  Array list;
  for (const auto& name : names) list.push_back(tagged("String", Object{{"sval", name}}));
  return list;
}

bool ignored(std::string_view key) {
  return key == "location" || key == "stmt_location" || key == "stmt_len";
}

std::size_t significant(const Object& object) {
  std::size_t count = 0;
  for (const auto& member : object) count += ignored(member.key()) ? 0 : 1;
  return count;
}

}  // namespace

Object* as(Json& node, std::string_view tag) {
  auto* object = node.if_object();
  if (!object || object->size() != 1 || object->begin()->key() != tag) return nullptr;
  return object->begin()->value().if_object();
}

const Object* as(const Json& node, std::string_view tag) { return as(const_cast<Json&>(node), tag); }

Json* field(Object& object, std::string_view name) { return object.if_contains(name); }
const Json* field(const Object& object, std::string_view name) { return object.if_contains(name); }

Object* object_field(Object& object, std::string_view name) {
  auto* value = object.if_contains(name);
  return value ? value->if_object() : nullptr;
}
const Object* object_field(const Object& object, std::string_view name) {
  return object_field(const_cast<Object&>(object), name);
}

Array* array_field(Object& object, std::string_view name) {
  auto* value = object.if_contains(name);
  return value ? value->if_array() : nullptr;
}
const Array* array_field(const Object& object, std::string_view name) {
  return array_field(const_cast<Object&>(object), name);
}

std::string_view string_field(const Object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  const auto* text = value ? value->if_string() : nullptr;
  return text ? std::string_view(*text) : std::string_view();
}

bool bool_field(const Object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  const auto* flag = value ? value->if_bool() : nullptr;
  return flag && *flag;
}

std::optional<std::vector<std::string>> name_list(const Array* list) {
  if (!list) return std::nullopt;
  std::vector<std::string> names;
  for (const auto& item : *list) {
    const auto* text = as(item, "String");
    if (!text) return std::nullopt;
    names.emplace_back(string_field(*text, "sval"));
  }
  return names;
}

bool same(const Json& a, const Json& b) {
  if (a.kind() != b.kind()) return false;
  if (const auto* left = a.if_object()) {
    const auto& right = b.get_object();
    if (significant(*left) != significant(right)) return false;
    for (const auto& member : *left) {
      if (ignored(member.key())) continue;
      const auto* other = right.if_contains(member.key());
      if (!other || !same(member.value(), *other)) return false;
    }
    return true;
  }
  if (const auto* left = a.if_array()) {
    const auto& right = b.get_array();
    if (left->size() != right.size()) return false;
    for (std::size_t i = 0; i < left->size(); ++i)
      if (!same((*left)[i], right[i])) return false;
    return true;
  }
  return a == b;
}

std::optional<Operation> operation(Json& node) {
  auto* expr = as(node, "A_Expr");
  if (!expr || string_field(*expr, "kind") != "AEXPR_OP") return std::nullopt;
  const auto* names = array_field(*expr, "name");
  auto* left = field(*expr, "lexpr");
  auto* right = field(*expr, "rexpr");
  if (!names || names->size() != 1 || !left || !right) return std::nullopt;
  const auto* text = as(names->front(), "String");
  if (!text) return std::nullopt;
  return Operation{string_field(*text, "sval"), left, right};
}

std::string_view commuted(std::string_view op) {
  if (op == "=" || op == "<>") return op;
  if (op == "<") return ">";
  if (op == ">") return "<";
  if (op == "<=") return ">=";
  if (op == ">=") return "<=";
  return {};
}

std::optional<std::int64_t> integer_constant(const Json& node) {
  const auto* constant = as(node, "A_Const");
  if (!constant) return std::nullopt;
  if (const auto* integer = object_field(*constant, "ival")) {
    const auto* value = integer->if_contains("ival");
    if (!value) return 0;
    return value->is_int64() ? std::optional<std::int64_t>(value->get_int64()) : std::nullopt;
  }
  if (const auto* number = object_field(*constant, "fval")) {
    const auto text = string_field(*number, "fval");
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc() && end == text.data() + text.size()) return value;
  }
  return std::nullopt;
}

std::optional<std::string> string_constant(const Json& node) {
  const auto* constant = as(node, "A_Const");
  const auto* text = constant ? object_field(*constant, "sval") : nullptr;
  if (!text) return std::nullopt;
  return std::string(string_field(*text, "sval"));
}

bool is_null_constant(const Json& node) {
  const auto* constant = as(node, "A_Const");
  return constant && bool_field(*constant, "isnull");
}

bool is_constant(const Json& node) { return as(node, "A_Const") && !is_null_constant(node); }

bool is_value(const Json& node) {
  if (as(node, "A_Const") || as(node, "ParamRef")) return true;
  const auto* cast = as(node, "TypeCast");
  if (!cast) return false;
  const auto* argument = field(*cast, "arg");
  const auto* type = object_field(*cast, "typeName");
  return argument && type && !plain_type_name(*type).empty() && is_value(*argument);
}

bool contains(const Json& node, std::string_view tag) {
  if (const auto* object = node.if_object()) {
    for (const auto& member : *object)
      if (member.key() == tag || contains(member.value(), tag)) return true;
  } else if (const auto* array = node.if_array()) {
    for (const auto& item : *array)
      if (contains(item, tag)) return true;
  }
  return false;
}

Json make_integer(std::int64_t value) {
  Object constant;
  if (value == 0) {
    constant["ival"] = Object{};
  } else if (value >= INT32_MIN + 1LL && value <= INT32_MAX) {
    constant["ival"] = Object{{"ival", value}};
  } else {
    constant["fval"] = Object{{"fval", std::to_string(value)}};
  }
  constant["location"] = no_location;
  return tagged("A_Const", std::move(constant));
}

Json make_string(std::string_view value) {
  Object constant;
  Object text;
  if (!value.empty()) text["sval"] = value;
  constant["sval"] = std::move(text);
  constant["location"] = no_location;
  return tagged("A_Const", std::move(constant));
}

Json make_true() {
  return tagged("A_Const", Object{{"boolval", Object{{"boolval", true}}}, {"location", no_location}});
}

Json make_column(const std::vector<std::string>& names) {
  return tagged("ColumnRef", Object{{"fields", string_list(names)}, {"location", no_location}});
}

Json make_operation(std::string_view op, Json left, Json right) {
  Object expr;
  expr["kind"] = "AEXPR_OP";
  expr["name"] = string_list({std::string(op)});
  expr["lexpr"] = std::move(left);
  expr["rexpr"] = std::move(right);
  expr["location"] = no_location;
  return tagged("A_Expr", std::move(expr));
}

Json make_bool_expr(std::string_view op, std::vector<Json> arguments) {
  Object expr;
  expr["boolop"] = op;
  expr["args"] = to_array(std::move(arguments));
  expr["location"] = no_location;
  return tagged("BoolExpr", std::move(expr));
}

namespace {
// The parser flattens `a AND b AND c`; a nested list would not survive the print-and-parse check.
Json make_flat(std::string_view op, std::vector<Json> arguments) {
  std::vector<Json> flat;
  for (auto& argument : arguments) {
    auto* inner = as(argument, "BoolExpr");
    auto* list = inner && string_field(*inner, "boolop") == op ? array_field(*inner, "args") : nullptr;
    if (list) {
      for (auto& item : *list) flat.push_back(std::move(item));
    } else {
      flat.push_back(std::move(argument));
    }
  }
  if (flat.size() == 1) return std::move(flat.front());
  return make_bool_expr(op, std::move(flat));
}
}  // namespace

Json make_and(std::vector<Json> arguments) { return make_flat("AND_EXPR", std::move(arguments)); }
Json make_or(std::vector<Json> arguments) { return make_flat("OR_EXPR", std::move(arguments)); }

Json make_not(Json argument) {
  std::vector<Json> list;
  list.push_back(std::move(argument));
  return make_bool_expr("NOT_EXPR", std::move(list));
}

Json make_null_test(Json argument, bool is_null) {
  Object test;
  test["arg"] = std::move(argument);
  test["nulltesttype"] = is_null ? "IS_NULL" : "IS_NOT_NULL";
  test["location"] = no_location;
  return tagged("NullTest", std::move(test));
}

Json make_is_not_true(Json argument) {
  Object test;
  test["arg"] = std::move(argument);
  test["booltesttype"] = "IS_NOT_TRUE";
  test["location"] = no_location;
  return tagged("BooleanTest", std::move(test));
}

Json make_exists(Json select) {
  Object link;
  link["subLinkType"] = "EXISTS_SUBLINK";
  link["subselect"] = std::move(select);
  link["location"] = no_location;
  return tagged("SubLink", std::move(link));
}

Json make_row(std::vector<Json> arguments) {
  Object row;
  row["args"] = to_array(std::move(arguments));
  row["row_format"] = "COERCE_IMPLICIT_CAST";
  row["location"] = no_location;
  return tagged("RowExpr", std::move(row));
}

Json make_target(Json value, std::string_view name) {
  Object target;
  if (!name.empty()) target["name"] = name;
  target["val"] = std::move(value);
  target["location"] = no_location;
  return tagged("ResTarget", std::move(target));
}

Json make_cast(Json value, std::string_view type) {
  Object cast;
  cast["arg"] = std::move(value);
  cast["typeName"] = Object{{"names", string_list({std::string(type)})}, {"typemod", -1}, {"location", no_location}};
  cast["location"] = no_location;
  return tagged("TypeCast", std::move(cast));
}

Json make_range_var(std::string_view schema, std::string_view name, std::string_view alias) {
  Object range;
  if (!schema.empty()) range["schemaname"] = schema;
  range["relname"] = name;
  range["inh"] = true;
  range["relpersistence"] = "p";
  if (!alias.empty()) range["alias"] = Object{{"aliasname", alias}};
  range["location"] = no_location;
  return tagged("RangeVar", std::move(range));
}

void add_conjunct(Object& object, std::string_view clause, Json conjunct) {
  auto* old = object.if_contains(clause);
  if (!old) {
    object[clause] = std::move(conjunct);
    return;
  }
  std::vector<Json> both;
  both.push_back(std::move(*old));
  both.push_back(std::move(conjunct));
  object[clause] = make_and(std::move(both));
}

std::vector<Json*> conjuncts(Object& object, std::string_view clause) {
  std::vector<Json*> found;
  auto* value = object.if_contains(clause);
  if (!value) return found;
  auto* expr = as(*value, "BoolExpr");
  auto* list = expr && string_field(*expr, "boolop") == "AND_EXPR" ? array_field(*expr, "args") : nullptr;
  if (!list) {
    found.push_back(value);
    return found;
  }
  for (auto& item : *list) {
    // `(a AND b) AND c` keeps its brackets in the tree: look through them.
    auto* inner = as(item, "BoolExpr");
    auto* nested = inner && string_field(*inner, "boolop") == "AND_EXPR" ? array_field(*inner, "args") : nullptr;
    if (nested) {
      for (auto& deep : *nested) found.push_back(&deep);
    } else {
      found.push_back(&item);
    }
  }
  return found;
}

void remove_conjunct(Object& object, std::string_view clause, const Json* conjunct) {
  std::vector<Json> rest;
  for (auto* item : conjuncts(object, clause))
    if (item != conjunct) rest.push_back(*item);
  if (rest.empty()) {
    object.erase(clause);
  } else {
    object[clause] = make_and(std::move(rest));
  }
}

std::string plain_type_name(const Object& type_name) {
  if (array_field(type_name, "arrayBounds") || array_field(type_name, "typmods") || bool_field(type_name, "setof") ||
      bool_field(type_name, "pct_type"))
    return {};
  const auto names = name_list(array_field(type_name, "names"));
  if (!names || names->empty() || names->size() > 2) return {};
  if (names->size() == 2 && names->front() != "pg_catalog") return {};
  return names->back();
}

}  // namespace pgsteer::rewriter
