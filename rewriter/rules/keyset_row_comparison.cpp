#include <boost/json.hpp>

#include "rewriter/rules/rules.hpp"
#include "rewriter/types.hpp"

// Pattern:  a < x OR (a = x AND b < y)          also <=, >, >= in the last place, and longer chains
// Result:   (a, b) < (x, y)
// Why:      this is the definition of row comparison over the columns' default btree operators. Where a NULL takes part
//           the first is NULL or false and so is the second: a filter drops the row either way. Only the second is a range
//           of an index on (a, b).
// Counter-example of the guard: a < x OR (a = x AND b > y) has mixed directions and is no row comparison; under NOT a NULL
//           and a false differ.
namespace pgsteer::rewriter {
namespace {

struct Comparison {
  Json column, value;
  std::string_view op;
};

std::optional<Comparison> comparison(Json& node, const Bound& bound) {
  const auto op = operation(node);
  if (!op || commuted(op->name).empty() || op->name == "<>") return std::nullopt;
  Json *column = op->left, *value = op->right;
  auto name = op->name;
  if (!bound.reference(*column)) {
    std::swap(column, value);
    name = commuted(name);
  }
  const auto* reference = bound.reference(*column);
  if (!reference || !reference->source || !comparable_value(*value, reference->output()->type, bound))
    return std::nullopt;
  return Comparison{*column, *value, name};
}

Array* arguments(Json& node, std::string_view op) {
  auto* expr = as(node, "BoolExpr");
  return expr && string_field(*expr, "boolop") == op ? array_field(*expr, "args") : nullptr;
}

bool strict(std::string_view op) { return op == "<" || op == ">"; }

/// Chain of (column, value) pairs of one direction, and the operator of the last pair.
struct Chain {
  std::vector<Comparison> pairs;
  std::string_view op;
};

/// first: a < x. second: a = x AND (b < y | the same again).
std::optional<Chain> chain(Json& node, const Bound& bound) {
  if (auto last = comparison(node, bound); last && last->op != "=") return Chain{{*last}, last->op};
  auto* arms = arguments(node, "OR_EXPR");
  if (!arms || arms->size() != 2) return std::nullopt;
  const auto first = comparison((*arms)[0], bound);
  auto* second = arguments((*arms)[1], "AND_EXPR");
  if (!first || !strict(first->op) || !second || second->size() != 2) return std::nullopt;
  const auto equal = comparison((*second)[0], bound);
  if (!equal || equal->op != "=" || !same(equal->column, first->column) || !same(equal->value, first->value))
    return std::nullopt;
  auto rest = chain((*second)[1], bound);
  if (!rest || rest->op.front() != first->op.front()) return std::nullopt;
  rest->pairs.insert(rest->pairs.begin(), *first);
  return rest;
}

/// The flat form: a < x OR (a = x AND b < y) OR (a = x AND b = y AND c < z).
std::optional<Chain> flat_chain(Json& node, const Bound& bound) {
  auto* arms = arguments(node, "OR_EXPR");
  if (!arms || arms->size() < 3) return std::nullopt;
  Chain found;
  for (std::size_t i = 0; i < arms->size(); ++i) {
    std::vector<Json*> parts{&(*arms)[i]};
    if (auto* list = arguments((*arms)[i], "AND_EXPR")) {
      parts.clear();
      for (auto& item : *list) parts.push_back(&item);
    }
    if (parts.size() != i + 1) return std::nullopt;
    for (std::size_t k = 0; k < i; ++k) {
      const auto equal = comparison(*parts[k], bound);
      if (!equal || equal->op != "=" || !same(equal->column, found.pairs[k].column) ||
          !same(equal->value, found.pairs[k].value))
        return std::nullopt;
    }
    const auto last = comparison(*parts[i], bound);
    const bool final = i + 1 == arms->size();
    if (!last || last->op == "=" || (!final && !strict(last->op))) return std::nullopt;
    if (i > 0 && last->op.front() != found.op.front()) return std::nullopt;
    found.pairs.push_back(*last);
    found.op = last->op;
  }
  return found;
}

bool apply(Attempt& attempt) {
  for (const auto& scope : attempt.bound.scopes()) {
    const bool fired = for_each_filter(*scope, [&](Json& value) {
      auto found = chain(value, attempt.bound);
      if (!found || found->pairs.size() < 2) found = flat_chain(value, attempt.bound);
      if (!found || found->pairs.size() < 2) return false;
      std::vector<Json> columns, values;
      const std::string op(found->op);
      for (auto& pair : found->pairs) {
        columns.push_back(std::move(pair.column));
        values.push_back(std::move(pair.value));
      }
      attempt.fact("one direction, default operators, values of the columns' types");
      value = make_operation(op, make_row(std::move(columns)), make_row(std::move(values)));
      return true;
    });
    if (fired) return true;
  }
  return false;
}

}  // namespace

// The planner sees almost the same cost: any gain in its eyes is a large one in fact.
const Rule keyset_row_comparison{
    {"keyset_row_comparison", "a < x OR (a = x AND b < y) -> (a, b) < (x, y)", false, false, 1.0}, apply};

}  // namespace pgsteer::rewriter
