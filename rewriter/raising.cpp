#include "rewriter/raising.hpp"

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <cctype>
#include <set>

#include "rewriter/keys.hpp"
#include "rewriter/types.hpp"

namespace pgsteer::rewriter {
namespace {

template <std::size_t N>
bool among(const std::array<std::string_view, N>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

constexpr std::array<std::string_view, 10> comparisons{"=", "<>", "<", "<=", ">", ">=", "~~", "!~~", "~~*", "!~~*"};
/// Total on all values of their built-in argument types (with a constant unit, for those of time).
constexpr std::array<std::string_view, 14> total_functions{"lower",     "upper", "length",    "btrim",     "ltrim",    "rtrim", "char_length",
                                                           "date_part", "now",   "date_trunc", "extract", "timezone", "md5",   "concat"};
/// Node kinds that only hold others.
constexpr std::array<std::string_view, 13> holders{"BoolExpr", "NullTest", "BooleanTest", "CoalesceExpr", "CaseExpr", "CaseWhen", "MinMaxExpr",
                                                   "List",     "RowExpr",  "SubLink",     "CollateClause", "String",  "A_ArrayExpr"};

bool cannot_raise(const Json& node, const Bound& bound);

bool parts_cannot_raise(const Json& node, const Bound& bound) {
  if (const auto* list = node.if_array())
    return std::all_of(list->begin(), list->end(), [&](const Json& item) { return cannot_raise(item, bound); });
  const auto* object = node.if_object();
  return !object || std::all_of(object->begin(), object->end(), [&](const auto& member) {
    // A subquery's conditions are looked at where its own scope comes.
    return member.key() == "subselect" || member.key() == "typeName" || member.key() == "name" || member.key() == "collname" ||
           cannot_raise(member.value(), bound);
  });
}

/// A value that becomes text, or stays in its family or a wider type.
bool cast_cannot_raise(const Object& cast, const Bound& bound) {
  const auto* argument = field(cast, "arg");
  const auto* type = object_field(cast, "typeName");
  if (!argument || !type) return false;
  if (is_value(*argument)) return true;  // folded once, when the statement is planned
  const auto target = builtin_type(plain_type_name(*type));
  const auto from = type_of(*argument, bound).oid;
  if (!cannot_raise(*argument, bound) || target == 0 || from == 0) return false;
  const auto time = [](sql::Oid t) { return t == oid::date || t == oid::timestamp || t == oid::timestamptz; };
  return is_text(target) || target == from || (is_integer(from) && (target == oid::int8 || target == oid::numeric || target == oid::float8)) ||
         (target == oid::date && time(from));
}

bool is_now(const Json& node) {
  if (as(node, "SQLValueFunction")) return true;
  const auto* call = as(node, "FuncCall");
  const auto names = call ? name_list(array_field(*call, "funcname")) : std::nullopt;
  return names && names->back() == "now" && (names->size() == 1 || names->front() == "pg_catalog");
}

/// now() - interval '30 days', CURRENT_DATE - 7: of years that nobody can leave by a few digits.
bool is_near_now(const Json& left, const Json& right) {
  if (!is_now(left)) return false;
  const auto* cast = as(right, "TypeCast");
  const auto* argument = cast ? field(*cast, "arg") : nullptr;
  if (const auto days = integer_constant(right)) return *days > -100000 && *days < 100000;
  const auto text = argument ? string_constant(*argument) : std::nullopt;
  if (!text || text->size() > 24) return false;
  int digits = 0;
  for (const char c : *text) {
    digits = std::isdigit(static_cast<unsigned char>(c)) ? digits + 1 : 0;
    if (digits > 4) return false;
  }
  return true;
}

/// Conditions of two collations that nobody has chosen between are an error where a row meets them.
void collations(const Json& node, const Bound& bound, std::set<sql::Oid>& found) {
  constexpr sql::Oid database_default = 100;  // gives way to any other
  if (const auto* reference = bound.reference(node)) {
    const auto collation = reference->source ? reference->output()->type.collation : 0;
    if (collation != 0 && collation != database_default) found.insert(collation);
    return;
  }
  if (as(node, "CollateClause")) return;
  if (const auto* list = node.if_array()) {
    for (const auto& item : *list) collations(item, bound, found);
  } else if (const auto* object = node.if_object()) {
    for (const auto& member : *object) {
      const auto* query = member.key() == "subselect" ? as(member.value(), "SelectStmt") : nullptr;
      const auto* outputs = query ? field(*query, "targetList") : &member.value();
      if (outputs) collations(*outputs, bound, found);  // its conditions are looked at where its own scope comes
    }
  }
}

bool one_collation(const Json& node, const Bound& bound) {
  if (const auto* expr = as(node, "BoolExpr")) {
    const auto* arguments = array_field(*expr, "args");
    return arguments && std::all_of(arguments->begin(), arguments->end(), [&](const Json& item) { return one_collation(item, bound); });
  }
  std::set<sql::Oid> found;
  collations(node, bound, found);
  return found.size() <= 1;
}

bool operator_cannot_raise(const Object& expr, const Bound& bound) {
  const auto names = name_list(array_field(expr, "name"));
  if (!names || names->size() != 1) return false;
  for (const auto* side : {"lexpr", "rexpr"})
    if (const auto* value = field(expr, side))
      if (!cannot_raise(*value, bound)) return false;
  const auto& name = names->front();
  if (name == "~~" || name == "!~~" || name == "~~*" || name == "!~~*") {
    // A pattern that ends in its escape character is an error.
    const auto* right = field(expr, "rexpr");
    const auto pattern = right ? string_constant(*right) : std::nullopt;
    return pattern && pattern->find('\\') == std::string::npos;
  }
  if (among(comparisons, name) || name == "||" || name == "BETWEEN" || name == "NOT BETWEEN") return true;
  if (name != "+" && name != "-" && name != "*") return false;
  const auto* left = field(expr, "lexpr");
  const auto* right = field(expr, "rexpr");
  if (!left || !right) return false;
  if (name != "*" && (shift_within(*right, type_of(*left, bound).oid) || shift_within(*left, type_of(*right, bound).oid) || is_near_now(*left, *right)))
    return true;
  // Integers overflow; a numeric has room.
  return (is_value(*left) || type_of(*left, bound).oid == oid::numeric) &&
         (is_value(*right) || type_of(*right, bound).oid == oid::numeric) && !(is_value(*left) && is_value(*right));
}

bool cannot_raise(const Json& node, const Bound& bound) {
  const auto* object = node.if_object();
  if (!object || object->size() != 1 || !object->begin()->value().is_object()) return parts_cannot_raise(node, bound);
  const std::string_view tag = object->begin()->key();
  const auto& inner = object->begin()->value().get_object();
  if (tag == "ColumnRef" || tag == "A_Const" || tag == "ParamRef" || tag == "SQLValueFunction") return true;
  if (tag == "TypeCast") return cast_cannot_raise(inner, bound);
  if (tag == "A_Expr") return operator_cannot_raise(inner, bound);
  if (tag == "FuncCall") {
    const auto names = name_list(array_field(inner, "funcname"));
    const auto* arguments = field(inner, "args");
    const auto* group = names ? bound.catalog().function(names->size() == 2 ? names->front() : std::string(), names->back()) : nullptr;
    return group && !group->any_user_defined && among(total_functions, names->back()) && (!arguments || parts_cannot_raise(*arguments, bound));
  }
  if (tag == "SubLink" && string_field(inner, "subLinkType") == "EXPR_SUBLINK") {
    const auto* query = field(inner, "subselect");
    const auto* select = query ? as(*query, "SelectStmt") : nullptr;
    const auto* scope = select ? bound.scope_of(select) : nullptr;
    return scope && (aggregates_to_one_row(*scope, bound) || singles_out_row({}, *scope, bound));  // else: more than one row
  }
  return !std::isupper(static_cast<unsigned char>(tag.front())) || among(holders, tag) ? parts_cannot_raise(object->begin()->value(), bound) : false;
}

bool condition_cannot_raise(const Json& node, const Bound& bound) { return cannot_raise(node, bound) && one_collation(node, bound); }

bool joins_cannot_raise(const Json& item, const Bound& bound) {
  const auto* join = as(item, "JoinExpr");
  if (!join) return true;
  const auto* quals = field(*join, "quals");
  return (!quals || condition_cannot_raise(*quals, bound)) && joins_cannot_raise(*field(*join, "larg"), bound) &&
         joins_cannot_raise(*field(*join, "rarg"), bound);
}

}  // namespace

bool conditions_cannot_raise(const Bound& bound) {
  return std::all_of(bound.scopes().begin(), bound.scopes().end(), [&](const auto& scope) {
    const auto* where = field(*scope->select, "whereClause");
    const auto* from = array_field(*scope->select, "fromClause");
    return (!where || condition_cannot_raise(*where, bound)) &&
           (!from || std::all_of(from->begin(), from->end(), [&](const Json& item) { return joins_cannot_raise(item, bound); }));
  });
}

}  // namespace pgsteer::rewriter
