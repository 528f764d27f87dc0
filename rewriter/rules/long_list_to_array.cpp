#include <algorithm>
#include <boost/json.hpp>

#include "rewriter/rules/rules.hpp"
#include "rewriter/types.hpp"

// Pattern:  id IN (1, 2, .. at least 100 integers)      id NOT IN (..)
// Result:   id = ANY ('{1,2,..}'::bigint[])              id <> ALL (..)
// Why:      it is what the server makes of the list, after parsing and typing every element by itself. The array has the
//           type the list would get, so the same operator and the same plan come out.
// Counter-example of the guard: a list with a column or a parameter in it is no array of constants; one literal beyond
//           integer makes the whole list bigint; text elements would need the array's own quoting.
namespace pgsteer::rewriter {
namespace {

constexpr std::size_t long_list = 100;

bool site(Json& value, Attempt& attempt) {
  auto* expr = as(value, "A_Expr");
  if (!expr || string_field(*expr, "kind") != "AEXPR_IN") return false;
  const auto op = name_list(array_field(*expr, "name"));
  auto* left = field(*expr, "lexpr");
  auto* list = as(*field(*expr, "rexpr"), "List");
  auto* items = list ? array_field(*list, "items") : nullptr;
  const auto* column = attempt.bound.reference(*left);
  if (!op || !items || items->size() < long_list || !column || !column->source) return false;
  const auto type = column->output()->type.oid;
  if (!is_integer(type)) return false;
  std::string text = "{";
  bool wide = type == oid::int8;
  for (const auto& item : *items) {
    const auto number = as(item, "A_Const") ? integer_constant(item) : std::nullopt;
    if (!number) return false;
    wide = wide || *number > INT32_MAX || *number <= INT32_MIN;
    if (text.size() > 1) text += ',';
    text += std::to_string(*number);
  }
  text += '}';
  const bool negated = op->front() == "<>";
  attempt.fact(named(*column) + " is an integer, and so is every element");
  Json array = make_cast(make_string(text), wide ? "int8" : "int4");
  auto& type_name = (*as(array, "TypeCast"))["typeName"].get_object();
  type_name["names"] = Array{Object{{"String", Object{{"sval", "pg_catalog"}}}},
                             Object{{"String", Object{{"sval", wide ? "int8" : "int4"}}}}};
  type_name["arrayBounds"] = Array{Object{{"Integer", Object{}}}};
  (*expr)["kind"] = negated ? "AEXPR_OP_ALL" : "AEXPR_OP_ANY";
  (*expr)["rexpr"] = std::move(array);
  return true;
}

bool apply(Attempt& attempt) {
  for (const auto& scope : attempt.bound.scopes())
    if (for_each_condition(*scope, [&](Json& value) { return site(value, attempt); })) return true;
  return false;
}

}  // namespace

const Rule long_list_to_array{
    {"long_list_to_array", "id IN (100 integers or more) -> id = ANY ('{..}')", false, true, 1.0}, apply};

}  // namespace pgsteer::rewriter
