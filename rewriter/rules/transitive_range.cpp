#include <algorithm>
#include <boost/json.hpp>

#include "rewriter/rules/rules.hpp"
#include "rewriter/types.hpp"

// Pattern:  FROM o JOIN i ON i.order_id = o.id WHERE o.id > 5            also <, <=, >=, BETWEEN
// Result:   .. WHERE o.id > 5 AND i.order_id > 5
// Why:      a row of the result has i.order_id = o.id in one ordering, so what holds for one holds for the other: the new
//           conjunct drops nothing. The planner carries constants over by itself, ranges it does not.
// Counter-example of the guard: across an outer join the other side may be NULL; a quoted literal takes its type from the
//           column beside it ('99999' is no smallint); an integer compared with 2.5 is compared as numeric.
namespace pgsteer::rewriter {
namespace {

struct Equal {
  const Reference* left;
  const Reference* right;
};

void inner_conjuncts(Json& item, std::vector<Json*>& found) {
  auto* join = as(item, "JoinExpr");
  if (!join) return;
  for (auto* conjunct : conjuncts(*join, "quals")) found.push_back(conjunct);
  for (const auto* side : {"larg", "rarg"}) inner_conjuncts(*field(*join, side), found);
}

bool literal(const Json& value) { return is_value(value) && !contains(value, "ParamRef") && !is_null_constant(value); }

/// The column that the conjunct keeps in a range.
Json* ranged(Json& conjunct, std::vector<const Json*>& bounds) {
  if (const auto op = operation(conjunct); op && op->name != "=" && op->name != "<>" && !commuted(op->name).empty()) {
    const bool left = literal(*op->right);
    bounds.push_back(left ? op->right : op->left);
    return literal(*bounds.front()) ? (left ? op->left : op->right) : nullptr;
  }
  auto* expr = as(conjunct, "A_Expr");
  if (!expr || string_field(*expr, "kind") != "AEXPR_BETWEEN") return nullptr;
  auto* list = as(*field(*expr, "rexpr"), "List");
  auto* items = list ? array_field(*list, "items") : nullptr;
  if (!items) return nullptr;
  for (const auto& item : *items) bounds.push_back(&item);
  return std::all_of(items->begin(), items->end(), literal) ? field(*expr, "lexpr") : nullptr;
}

bool same_column(const Reference* a, const Reference* b) { return a->source == b->source && a->column == b->column; }

/// One ordering holds both columns and the literals, whichever column they stand beside.
bool one_ordering(const Reference& a, const Reference& b, const std::vector<const Json*>& bounds) {
  const Type &x = a.output()->type, &y = b.output()->type;
  if (!comparable(x, y)) return false;
  if (x.oid == y.oid) return true;
  return is_integer(x.oid) && std::all_of(bounds.begin(), bounds.end(), [](const Json* bound) { return integer_constant(*bound); });
}

bool carry(Scope& scope, Attempt& attempt) {
  const Bound& bound = attempt.bound;
  auto all = conjuncts(*scope.select, "whereClause");
  for (auto& item : *array_field(*scope.select, "fromClause")) inner_conjuncts(item, all);
  std::vector<Equal> equal;
  for (auto* conjunct : all) {
    const auto op = operation(*conjunct);
    if (!op || op->name != "=") continue;
    const auto *left = bound.reference(*op->left), *right = bound.reference(*op->right);
    if (left && right && left->source && right->source && left->source != right->source &&
        left->source->scope == &scope && right->source->scope == &scope)
      equal.push_back({left, right});
  }
  for (auto* conjunct : all) {
    std::vector<const Json*> bounds;
    auto* column = ranged(*conjunct, bounds);
    const auto* own = column ? bound.reference(*column) : nullptr;
    if (!own || !cannot_fail(*conjunct, bound)) continue;
    for (const auto& pair : equal) {
      const auto* other = same_column(own, pair.left) ? pair.right : same_column(own, pair.right) ? pair.left : nullptr;
      if (!other || !one_ordering(*own, *other, bounds)) continue;
      Json kept = std::move(*column);
      *column = make_column({other->source->name, other->output()->name});
      Json implied = *conjunct;
      *column = std::move(kept);
      // Told already, in whatever spelling of the column.
      const bool told = std::any_of(all.begin(), all.end(), [&](Json* known) {
        std::vector<const Json*> theirs;
        auto* theirs_column = ranged(*known, theirs);
        const auto* reference = theirs_column ? bound.reference(*theirs_column) : nullptr;
        return reference && same_column(reference, other);
      });
      if (told) continue;
      attempt.fact(named(*own) + " = " + named(*other));
      add_conjunct(*scope.select, "whereClause", std::move(implied));
      return true;
    }
  }
  return false;
}

bool apply(Attempt& attempt) {
  for (const auto& scope : attempt.bound.scopes()) {
    if (scope->set_operation || scope->values || scope->has_using || scope->sources.size() < 2) continue;
    if (std::any_of(scope->sources.begin(), scope->sources.end(), [](const auto& s) { return s->nullable; })) continue;
    if (carry(*scope, attempt)) return true;
  }
  return false;
}

}  // namespace

const Rule transitive_range{
    {"transitive_range", "a.x = b.y AND a.x > 5 -> .. AND b.y > 5", false, false, 0.9}, apply};

}  // namespace pgsteer::rewriter
