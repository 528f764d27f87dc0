#include <boost/json.hpp>

#include "rewriter/rules/rules.hpp"
#include "rewriter/types.hpp"

// Pattern:  FROM a LEFT JOIN r ON r.fk = a.id .. WHERE r.id IS NULL          r.id NOT NULL in r
// Result:   FROM a LEFT JOIN r ON r.fk = a.id .. WHERE r.fk IS NULL
// Why:      both are NULL exactly when no partner was found: r.id because the column is never NULL, r.fk because a row of r
//           with a NULL there cannot have satisfied the equality. The planner sees an anti join only in the second.
// Counter-example of the guard: with r.note (nullable) tested, a matched row with a NULL note is kept too; with
//           ON r.fk IS NOT DISTINCT FROM a.id a matched row may have a NULL r.fk.
namespace pgsteer::rewriter {
namespace {

struct OuterJoin {
  Object* join = nullptr;
  const Source* nullable = nullptr;
};

/// The LEFT (or mirrored RIGHT) JOIN whose nullable side is exactly `source`.
OuterJoin find_join(Json& item, const Source* source) {
  auto* join = as(item, "JoinExpr");
  if (!join) return {};
  const auto type = string_field(*join, "jointype");
  auto* side = type == "JOIN_LEFT" ? field(*join, "rarg") : type == "JOIN_RIGHT" ? field(*join, "larg") : nullptr;
  if (side && side == source->item) return {join, source};
  for (const auto* child : {"larg", "rarg"})
    if (auto found = find_join(*field(*join, child), source); found.join) return found;
  return {};
}

/// A column of `source` that a conjunct of ON compares for equality with something of another table.
const Reference* join_column(Object& join, const Source* source, const Bound& bound) {
  for (auto* conjunct : conjuncts(join, "quals")) {
    const auto op = operation(*conjunct);
    if (!op || op->name != "=") continue;
    for (const auto& [mine, other] : {std::pair{op->left, op->right}, std::pair{op->right, op->left}}) {
      const auto* own = bound.reference(*mine);
      const auto* partner = bound.reference(*other);
      if (own && partner && own->source == source && partner->source && partner->source != source &&
          comparable(own->output()->type, partner->output()->type))
        return own;
    }
  }
  return nullptr;
}

bool tested(Json& value, Scope& scope, Attempt& attempt) {
  auto* test = as(value, "NullTest");
  if (!test || string_field(*test, "nulltesttype") != "IS_NULL") return false;
  const auto* column = attempt.bound.reference(*field(*test, "arg"));
  if (!column || !column->source || column->source->scope != &scope || !column->source->nullable ||
      column->source->kind != Source::Kind::table || !column->output()->not_null)
    return false;
  for (auto& item : *array_field(*scope.select, "fromClause")) {
    const auto found = find_join(item, column->source);
    if (!found.join) continue;
    const auto* partner = join_column(*found.join, column->source, attempt.bound);
    if (!partner || partner->column == column->column) return false;
    attempt.fact(named(*column) + " is not null");
    attempt.fact("a match needs " + named(*partner) + " not null");
    Json replacement = make_column({partner->source->name, partner->output()->name});
    (*test)["arg"] = std::move(replacement);
    return true;
  }
  return false;
}

bool apply(Attempt& attempt) {
  for (const auto& scope : attempt.bound.scopes()) {
    if (!array_field(*scope->select, "fromClause")) continue;
    for (auto* conjunct : conjuncts(*scope->select, "whereClause")) {
      // The planner already sees it when the join column itself is tested as well.
      if (tested(*conjunct, *scope, attempt)) return true;
    }
  }
  return false;
}

}  // namespace

const Rule left_join_null_test{
    {"left_join_null_test", "LEFT JOIN r .. WHERE r.pk IS NULL -> r.joincolumn IS NULL", false, false, 1.0}, apply};

}  // namespace pgsteer::rewriter
