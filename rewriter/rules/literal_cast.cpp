#include <boost/json.hpp>
#include <charconv>
#include <cmath>
#include <limits>

#include "rewriter/rules/rules.hpp"
#include "rewriter/types.hpp"

// Pattern:  id::text = '5'     id::text IN ('5', '7')     id = 5.0     id > 5.5     id = 5::float8
//           a.id::text = b.a_id::text
// Result:   id = 5             id IN (5, 7)               id = 5       id > 5       id = 5
//           a.id = b.a_id
// Why:      an integer's text is its canonical decimal form, so it equals '5' exactly when the integer is 5. An integer
//           equals a numeric exactly when that has no fraction; it is above 5.5 exactly when it is above 5. Below 2^53 a
//           float8 is exact. NULL stays NULL on both sides. Without the cast an index on the column can be used.
// Counter-example of the guard: '05' and '+5' equal no integer's text, but would be read as 5; 9007199254740993 = 9007199254740992::float8 is true.
namespace pgsteer::rewriter {
namespace {

/// The most negative value has no literal of its own type. One beyond the column's type is a wider integer: no column equals it.
bool has_literal(std::int64_t value) { return value > std::numeric_limits<std::int64_t>::min(); }

std::optional<std::int64_t> canonical_integer(std::string_view text) {
  const auto digits = text.substr(!text.empty() && text.front() == '-' ? 1 : 0);
  if (digits.empty() || (digits.front() == '0' && text.size() != 1)) return std::nullopt;
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// A decimal literal (digits, a point, digits) as floor and whether it has a fraction.
struct Decimal {
  std::int64_t floor;
  bool fraction;
};
std::optional<Decimal> decimal_constant(const Json& node) {
  const auto* constant = as(node, "A_Const");
  const auto* number = constant ? object_field(*constant, "fval") : nullptr;
  if (!number) return std::nullopt;
  const auto text = string_field(*number, "fval");
  const auto point = text.find('.');
  if (point == std::string_view::npos || text.find_first_not_of("-0123456789.") != std::string_view::npos)
    return std::nullopt;
  const auto whole = text.substr(0, point), rest = text.substr(point + 1);
  const bool negative = !whole.empty() && whole.front() == '-';
  const auto digits = whole.substr(negative ? 1 : 0);
  std::int64_t value = 0;
  if (!digits.empty()) {
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  }
  const bool fraction = rest.find_first_not_of('0') != std::string_view::npos;
  if (value > std::numeric_limits<std::int64_t>::max() - 2) return std::nullopt;
  if (!negative) return Decimal{value, fraction};
  return Decimal{fraction ? -value - 1 : -value, fraction};
}

/// An integer literal cast to a float, small enough to be exact.
std::optional<std::int64_t> float_constant(const Json& node) {
  const auto* cast = as(node, "TypeCast");
  const auto* type = cast ? object_field(*cast, "typeName") : nullptr;
  const auto* argument = cast ? field(*cast, "arg") : nullptr;
  if (!type || !argument || builtin_type(plain_type_name(*type)) != oid::float8) return std::nullopt;
  const auto value = integer_constant(*argument);
  constexpr std::int64_t exact = std::int64_t{1} << 53;
  if (!value || *value <= -exact || *value >= exact) return std::nullopt;
  return value;
}

/// The integer column below `col::text`, or the column itself.
const Reference* integer_column(const Json& node, const Bound& bound) {
  const auto* reference = bound.reference(node);
  return reference && reference->source && is_integer(reference->output()->type.oid) ? reference : nullptr;
}

Json* cast_to_text(Json& node, const Bound& bound) {
  auto* cast = as(node, "TypeCast");
  auto* type = cast ? object_field(*cast, "typeName") : nullptr;
  if (!type || !is_text(builtin_type(plain_type_name(*type)))) return nullptr;
  auto* argument = field(*cast, "arg");
  return argument && integer_column(*argument, bound) ? argument : nullptr;
}

std::optional<Json> integer_for_text(const Json& literal) {
  const auto text = string_constant(literal);
  const auto value = text ? canonical_integer(*text) : std::nullopt;
  if (!value || !has_literal(*value)) return std::nullopt;
  return make_integer(*value);
}

bool text_list(Json& value, Attempt& attempt) {
  auto* expr = as(value, "A_Expr");
  if (!expr || string_field(*expr, "kind") != "AEXPR_IN") return false;
  auto* column = cast_to_text(*field(*expr, "lexpr"), attempt.bound);
  auto* list = as(*field(*expr, "rexpr"), "List");
  auto* items = list ? array_field(*list, "items") : nullptr;
  if (!column || !items) return false;
  const auto* reference = integer_column(*column, attempt.bound);
  Array changed;
  for (const auto& item : *items) {
    auto constant = integer_for_text(item);
    if (!constant) return false;
    changed.push_back(std::move(*constant));
  }
  attempt.fact(named(*reference) + " is an integer");
  Json bare = *column;
  (*list)["items"] = std::move(changed);
  (*expr)["lexpr"] = std::move(bare);
  return true;
}

bool text_equality(Json& value, const Operation& op, Attempt& attempt) {
  if (op.name != "=" && op.name != "<>") return false;
  // Both texts are canonical: the texts are equal exactly when the integers are.
  if (auto *left = cast_to_text(*op.left, attempt.bound), *right = cast_to_text(*op.right, attempt.bound); left && right) {
    attempt.fact(named(*integer_column(*left, attempt.bound)) + " and " + named(*integer_column(*right, attempt.bound)) + " are integers");
    value = make_operation(op.name, Json(*left), Json(*right));
    return true;
  }
  for (const auto& [side, other] : {std::pair{op.left, op.right}, std::pair{op.right, op.left}}) {
    auto* column = cast_to_text(*side, attempt.bound);
    if (!column) continue;
    const auto* reference = integer_column(*column, attempt.bound);
    auto constant = integer_for_text(*other);
    if (!constant) return false;
    attempt.fact(named(*reference) + " is an integer");
    value = make_operation(op.name, Json(*column), std::move(*constant));
    return true;
  }
  return false;
}

/// col OP literal as an integer comparison; nullopt when there is none (a fraction is equal to no integer).
std::optional<std::pair<std::string_view, std::int64_t>> integral(std::string_view op, const Decimal& literal) {
  if (!literal.fraction) return std::pair{op, literal.floor};
  if (op == ">" || op == ">=") return std::pair{std::string_view(">"), literal.floor};
  if (op == "<" || op == "<=") return std::pair{std::string_view("<="), literal.floor};
  return std::nullopt;
}

bool number_comparison(Json& value, const Operation& op, Attempt& attempt) {
  for (const auto& [side, other, name] :
       {std::tuple{op.left, op.right, op.name}, std::tuple{op.right, op.left, commuted(op.name)}}) {
    const auto* reference = integer_column(*side, attempt.bound);
    if (!reference || name.empty()) continue;
    std::optional<std::pair<std::string_view, std::int64_t>> changed;
    if (const auto literal = decimal_constant(*other)) changed = integral(name, *literal);
    // A larger column is rounded by the cast, but never across a literal below 2^53.
    if (const auto literal = float_constant(*other)) changed = std::pair{name, *literal};
    if (!changed || !has_literal(changed->second)) return false;
    attempt.fact(named(*reference) + " is an integer");
    value = make_operation(changed->first, Json(*side), make_integer(changed->second));
    return true;
  }
  return false;
}

bool apply(Attempt& attempt) {
  for (const auto& scope : attempt.bound.scopes()) {
    const bool fired = for_each_condition(*scope, [&](Json& value) {
      if (text_list(value, attempt)) return true;
      const auto op = operation(value);
      return op && commuted(op->name) != "" &&
             (text_equality(value, *op, attempt) || number_comparison(value, *op, attempt));
    });
    if (fired) return true;
  }
  return false;
}

}  // namespace

const Rule literal_cast{{"literal_cast", "id::text = '5', id = 5.0 -> id = 5", false, true, 1.0}, apply};

}  // namespace pgsteer::rewriter
