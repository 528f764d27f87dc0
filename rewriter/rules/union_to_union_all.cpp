#include <boost/json.hpp>

#include "rewriter/keys.hpp"
#include "rewriter/rules/rules.hpp"
#include "rewriter/types.hpp"

// Pattern:  SELECT id, kind FROM t WHERE kind = 1 UNION SELECT id, kind FROM t WHERE kind = 2
//           SELECT id, 'a' FROM t UNION SELECT id, 'b' FROM u
// Result:   the same with UNION ALL
// Why:      each arm has a key in its output, so no row twice; in one column the arms hold two different constants, so no
//           row of one is in the other. There is nothing to remove.
// Counter-example of the guard: 1 and 1.0 are different texts and equal values (as 'a' and 'A' are under a case-blind collation;
//           such a UNION is refused for every rule); an arm without a key may repeat a row itself.
namespace pgsteer::rewriter {
namespace {

/// Literal that an output of an arm is always equal to.
const Json* pinned(const Scope& arm, std::size_t index, const Bound& bound) {
  const auto* targets = array_field(*arm.select, "targetList");
  if (!targets || targets->size() != arm.outputs.size()) return nullptr;
  const auto* target = as((*targets)[index], "ResTarget");
  const Json* value = target ? field(*target, "val") : nullptr;
  if (!value) return nullptr;
  if (is_constant(*value)) return value;
  const auto* column = bound.reference(*value);
  if (!column || !column->source) return nullptr;
  for (auto* conjunct : conjuncts(*arm.select, "whereClause")) {
    const auto op = operation(*conjunct);
    if (!op || op->name != "=") continue;
    for (const auto& [mine, other] : {std::pair{op->left, op->right}, std::pair{op->right, op->left}}) {
      const auto* own = bound.reference(*mine);
      if (own && own->source == column->source && own->column == column->column && is_constant(*other)) return other;
    }
  }
  return nullptr;
}

bool differ(const Json& a, const Json& b, const Type& left, const Type& right) {
  const auto i = integer_constant(a), j = integer_constant(b);
  if (i && j) return is_integer(left.oid) && is_integer(right.oid) && *i != *j;
  const auto s = string_constant(a), t = string_constant(b);
  if (!s || !t || *s == *t) return false;
  // Two bare literals become text; a column's own type decides otherwise.
  const auto textual = [](const Type& type) { return type.oid == 0 || is_text(type.oid); };
  return textual(left) && textual(right);
}

bool apply(Attempt& attempt) {
  for (const auto& scope : attempt.bound.scopes()) {
    if (!scope->set_operation || string_field(*scope->select, "op") != "SETOP_UNION" || bool_field(*scope->select, "all"))
      continue;
    const Scope* left = attempt.bound.scope_of(object_field(*scope->select, "larg"));
    const Scope* right = attempt.bound.scope_of(object_field(*scope->select, "rarg"));
    if (!left || !right || left->set_operation || right->set_operation || left->values || right->values) continue;
    if (!duplicate_free(*left, attempt.bound) || !duplicate_free(*right, attempt.bound)) continue;
    for (std::size_t i = 0; i < left->outputs.size() && i < right->outputs.size(); ++i) {
      const auto* a = pinned(*left, i, attempt.bound);
      const auto* b = pinned(*right, i, attempt.bound);
      if (!a || !b || !differ(*a, *b, left->outputs[i].type, right->outputs[i].type)) continue;
      attempt.fact("each arm has a key in its output");
      attempt.fact("the arms differ in column " + std::to_string(i + 1));
      (*scope->select)["all"] = true;
      return true;
    }
  }
  return false;
}

}  // namespace

const Rule union_to_union_all{
    {"union_to_union_all", "UNION of keyed, disjoint arms -> UNION ALL", false, true, 1.0}, apply};

}  // namespace pgsteer::rewriter
