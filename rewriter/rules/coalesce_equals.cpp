#include <boost/json.hpp>

#include "rewriter/rules/rules.hpp"
#include "rewriter/types.hpp"

// Pattern:  COALESCE(c, k) = v                          CASE WHEN p THEN 1 ELSE 0 END = 1
// Result:   k <> v: c = v     k = v: c = v OR c IS NULL          p        (= 0: p IS NOT TRUE)
// Why:      for a row with c the first argument decides; without, k = v is known. In a filter NULL and false are the same.
//           An index on c can be used.
// Counter-example of the guard: under NOT, or in the target list, COALESCE(c, 0) = 5 is false for a NULL c where c = 5 is
//           NULL; 'a' and 'A' may be equal under a case-blind collation, so k <> v could not be told from the text.
namespace pgsteer::rewriter {
namespace {

/// Both literals of a kind whose (in)equality the text decides, fit for the column's type.
std::optional<bool> literals_equal(const Json& k, const Json& v, const Type& column) {
  if (is_integer(column.oid)) {
    const auto a = integer_constant(k), b = integer_constant(v);
    if (a && b) return *a == *b;
  }
  if (is_text(column.oid) && equal_means_identical(column)) {
    const auto a = string_constant(k), b = string_constant(v);
    if (a && b) return *a == *b;
  }
  return std::nullopt;
}

bool coalesce(Json& value, Json& call, const Json& v, Attempt& attempt) {
  auto* inner = as(call, "CoalesceExpr");
  auto* arguments = inner ? array_field(*inner, "args") : nullptr;
  if (!arguments || arguments->size() != 2) return false;
  const auto* column = attempt.bound.reference((*arguments)[0]);
  if (!column || !column->source) return false;
  const auto equal = literals_equal((*arguments)[1], v, column->output()->type);
  if (!equal) return false;
  const Json c = (*arguments)[0];
  Json comparison = make_operation("=", c, v);
  if (column->not_null()) {
    attempt.fact(named(*column) + " is not null");
  } else if (*equal) {
    std::vector<Json> either;
    either.push_back(std::move(comparison));
    either.push_back(make_null_test(c, true));
    comparison = make_or(std::move(either));
  }
  attempt.fact("in a filter NULL counts as false");
  value = std::move(comparison);
  return true;
}

bool flag_case(Json& value, Json& call, const Json& v, Attempt& attempt) {
  auto* inner = as(call, "CaseExpr");
  auto* arms = inner ? array_field(*inner, "args") : nullptr;
  const auto* otherwise = inner ? field(*inner, "defresult") : nullptr;
  if (!arms || arms->size() != 1 || !otherwise || inner->contains("arg")) return false;
  auto* arm = as(arms->front(), "CaseWhen");
  auto* predicate = arm ? field(*arm, "expr") : nullptr;
  const auto* result = arm ? field(*arm, "result") : nullptr;
  if (!predicate || !result) return false;
  const auto yes = integer_constant(*result), no = integer_constant(*otherwise), wanted = integer_constant(v);
  if (!yes || !no || !wanted || *yes == *no || (*wanted != *yes && *wanted != *no)) return false;
  Json p = *predicate;
  attempt.fact("in a filter NULL counts as false");
  value = *wanted == *yes ? std::move(p) : make_is_not_true(std::move(p));
  return true;
}

bool apply(Attempt& attempt) {
  for (const auto& scope : attempt.bound.scopes()) {
    const bool fired = for_each_filter(*scope, [&](Json& value) {
      const auto op = operation(value);
      if (!op || op->name != "=") return false;
      for (const auto& [call, other] : {std::pair{op->left, op->right}, std::pair{op->right, op->left}}) {
        const Json v = *other;
        if (is_constant(v) && (coalesce(value, *call, v, attempt) || flag_case(value, *call, v, attempt))) return true;
      }
      return false;
    });
    if (fired) return true;
  }
  return false;
}

}  // namespace

const Rule coalesce_equals{{"coalesce_equals", "COALESCE(c, k) = v -> c = v [OR c IS NULL]", false, false, 0.9}, apply};

}  // namespace pgsteer::rewriter
