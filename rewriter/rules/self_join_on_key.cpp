#include <algorithm>
#include <boost/json.hpp>

#include "rewriter/keys.hpp"
#include "rewriter/rules/rules.hpp"
#include "rewriter/subquery.hpp"

// Pattern:  FROM t a JOIN t b ON a.id = b.id AND b.x = 1        id a key of t
// Result:   FROM t a WHERE a.x = 1
// Why:      both see the same rows, and id is never NULL and never twice: b is the row a itself.
// Counter-example of the guard: in an outer join b may be missing where a is not; `*` shows the columns of both; an
//           inheritance parent has several rows of one id; a deferrable key may be doubled inside a transaction.
namespace pgsteer::rewriter {
namespace {

bool is_key(const Source& source, int column) {
  const auto keys = unique_keys(source);
  return std::any_of(keys.begin(), keys.end(), [&](const auto& key) { return key.size() == 1 && key.front() == column; });
}

/// The table that `conjunct` says `gone` is the same row of.
const Source* twin(Json& conjunct, const Source& gone, const Bound& bound) {
  const auto op = operation(conjunct);
  if (!op || op->name != "=") return nullptr;
  for (const auto& [mine, other] : {std::pair{op->left, op->right}, std::pair{op->right, op->left}}) {
    const auto* own = bound.reference(*mine);
    const auto* partner = bound.reference(*other);
    if (own && partner && own->source == &gone && partner->source && partner->source != &gone &&
        partner->source->scope == gone.scope && partner->source->kind == Source::Kind::table &&
        partner->source->relation == gone.relation && own->column == partner->column && is_key(gone, own->column))
      return partner->source;
  }
  return nullptr;
}

bool eliminate(Source& gone, Scope& scope, Attempt& attempt) {
  const Bound& bound = attempt.bound;
  if (gone.kind != Source::Kind::table || !gone.trusted()) return false;
  Object& select = *scope.select;
  Object* join = join_of(select, gone.item);
  Object& holder = join ? *join : select;
  const char* clause = join ? "quals" : "whereClause";
  Json* link = nullptr;
  const Source* stays = nullptr;
  for (auto* conjunct : conjuncts(holder, clause))
    if (!link && (stays = twin(*conjunct, gone, bound))) link = conjunct;
  if (!link || !can_rename(bound, gone, *stays)) return false;
  attempt.fact(gone.name + " and " + stays->name + " are the same row of " + gone.relation->name);
  for (auto& member : select) rename_columns(member.value(), bound, gone, *stays);
  std::vector<Json> moved;  // the rest of ON goes to WHERE: no outer join is near
  if (join)
    for (auto* conjunct : conjuncts(*join, "quals"))
      if (conjunct != link) moved.push_back(*conjunct);
  if (!join) remove_conjunct(select, "whereClause", link);
  if (!remove_from_item(select, gone.item)) return false;  // cannot be: its twin stands beside it
  for (auto& conjunct : moved) add_conjunct(select, "whereClause", std::move(conjunct));
  return true;
}

bool apply(Attempt& attempt) {
  for (const auto& scope : attempt.bound.scopes()) {
    if (scope->set_operation || scope->values || scope->has_using || scope->sources.size() < 2) continue;
    if (std::any_of(scope->sources.begin(), scope->sources.end(), [](const auto& s) { return s->nullable || s->lateral; })) continue;
    for (auto source = scope->sources.rbegin(); source != scope->sources.rend(); ++source)
      if (eliminate(**source, *scope, attempt)) return true;
  }
  return false;
}

}  // namespace

const Rule self_join_on_key{{"self_join_on_key", "t a JOIN t b ON a.id = b.id -> t a", false, true, 1.0}, apply};

}  // namespace pgsteer::rewriter
