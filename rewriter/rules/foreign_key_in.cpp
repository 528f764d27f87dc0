#include <boost/json.hpp>

#include "rewriter/foreign_keys.hpp"
#include "rewriter/rules/rules.hpp"
#include "rewriter/subquery.hpp"

// Pattern:  WHERE o.customer_id IN (SELECT c.id FROM customers c)         also EXISTS (SELECT .. FROM customers c WHERE c.id = o.customer_id);
//           a foreign key from o.customer_id to c.id
// Result:   WHERE o.customer_id IS NOT NULL                              (true for a column that is NOT NULL)
// Why:      the foreign key says that every not null value is there. In a filter NULL and false are the same.
// Counter-example of the guard: any condition on c, or LIMIT, leaves values out; under NOT, or in the target list, IN is NULL
//           for a NULL and IS NOT NULL is false; a NOT VALID or deferrable key has orphans. What is said of trusting constraints at
//           foreign_key_join holds here, of the privilege too.
namespace pgsteer::rewriter {
namespace {

struct Membership {
  Object* select;
  const Reference* value;   ///< of the outer query
  const Reference* member;  ///< of the subquery's one table
};

/// x IN (SELECT id FROM t), or EXISTS (SELECT .. FROM t WHERE id = x) with nothing else in it.
std::optional<Membership> membership(Json& value, const Bound& bound) {
  auto* link = as(value, "SubLink");
  const auto type = link ? string_field(*link, "subLinkType") : std::string_view();
  auto* query = link && !link->contains("operName") ? field(*link, "subselect") : nullptr;
  auto* select = query ? as(*query, "SelectStmt") : nullptr;
  if (!select || !is_plain_select(*select, true)) return std::nullopt;
  auto* where = field(*select, "whereClause");
  if (type == "ANY_SUBLINK" && !where) {
    auto* target = only_target(*select);
    return Membership{select, bound.reference(*field(*link, "testexpr")), target ? bound.reference(*target) : nullptr};
  }
  const auto op = type == "EXISTS_SUBLINK" && where ? operation(*where) : std::nullopt;
  if (!op || op->name != "=") return std::nullopt;
  const auto *left = bound.reference(*op->left), *right = bound.reference(*op->right);
  if (!left || !right) return std::nullopt;
  return left->outer() ? Membership{select, left, right} : Membership{select, right, left};
}

bool site(Json& value, Scope& scope, Attempt& attempt) {
  const auto found = membership(value, attempt.bound);
  const auto* inner = found ? attempt.bound.scope_of(found->select) : nullptr;
  if (!inner || inner->sources.size() != 1 || !found->value || !found->member || !found->value->source || found->member->source != inner->sources.front().get()) return false;
  const Source &child = *found->value->source, &parent = *found->member->source;
  if (child.scope != &scope || child.kind != Source::Kind::table || parent.kind != Source::Kind::table ||
      !has_foreign_key(child, found->value->column, parent, found->member->column))
    return false;
  attempt.fact(child.relation->name + " has a validated foreign key to " + parent.relation->name);
  attempt.fact("the privilege to read " + parent.relation->name + " is not checked any more");
  value = found->value->not_null() ? make_true() : make_null_test(make_column({child.name, found->value->output()->name}), false);
  return true;
}

bool apply(Attempt& attempt) {
  for (const auto& scope : attempt.bound.scopes())
    if (for_each_filter(*scope, [&](Json& value) { return site(value, *scope, attempt); })) return true;
  return false;
}

}  // namespace

const Rule foreign_key_in{{"foreign_key_in", "x IN (SELECT id FROM parent), x a foreign key -> x IS NOT NULL", true, true, 1.0}, apply};

}  // namespace pgsteer::rewriter
