#include "rewriter/lateral.hpp"

#include <algorithm>
#include <boost/json.hpp>

#include "rewriter/subquery.hpp"
#include "rewriter/types.hpp"

namespace pgsteer::rewriter {
namespace {

bool left_of(const Source* a, const Source* b) {
  for (const auto& source : a->scope->sources) {
    if (source.get() == a) return true;
    if (source.get() == b) return false;
  }
  return false;
}

bool join_condition(Json& conjunct, Source& sub, Attempt& attempt, PushEquality push) {
  const Bound& bound = attempt.bound;
  const auto op = operation(conjunct);
  if (!op || op->name != "=") return false;
  for (const auto& [mine, other] : {std::pair{op->left, op->right}, std::pair{op->right, op->left}}) {
    const auto* own = bound.reference(*mine);
    const auto* partner = bound.reference(*other);
    if (!own || !partner || own->source != &sub || !partner->source || partner->source->scope != sub.scope ||
        partner->source == &sub || !left_of(partner->source, &sub))
      continue;
    if (!comparable(own->output()->type, partner->output()->type)) continue;
    // Copies: `push` changes the subquery.
    const Reference found = *partner;
    if (!push(sub, own->column, found, attempt)) continue;
    (*as(*sub.item, "RangeSubselect"))["lateral"] = true;
    return true;
  }
  return false;
}

}  // namespace

bool push_join_equality(Source& sub, Attempt& attempt, PushEquality push) {
  // A name that means a table further out could be taken by an item beside, once that is visible inside.
  if (is_correlated(*sub.query, attempt.bound)) return false;
  Object& outer = *sub.scope->select;
  if (auto* join = join_of(outer, sub.item)) {
    const auto type = string_field(*join, "jointype");
    if ((type != "JOIN_INNER" && type != "JOIN_LEFT") || field(*join, "rarg") != sub.item) return false;
    for (auto* conjunct : conjuncts(*join, "quals"))
      if (join_condition(*conjunct, sub, attempt, push)) return true;
    if (type == "JOIN_LEFT") return false;
  }
  if (sub.nullable) return false;
  // A partner in WHERE may stand anywhere to the left, but not across an outer join that could null-extend below it.
  const auto any_outer = std::any_of(sub.scope->sources.begin(), sub.scope->sources.end(), [](const auto& s) { return s->nullable; });
  if (any_outer) return false;
  for (auto* conjunct : conjuncts(outer, "whereClause"))
    if (join_condition(*conjunct, sub, attempt, push)) return true;
  return false;
}

const Json* target_of(const Source& sub, int own_column) {
  const auto* targets = array_field(*sub.select, "targetList");
  if (!targets || targets->size() != sub.query->outputs.size()) return nullptr;
  const auto* target = as((*targets)[static_cast<std::size_t>(own_column)], "ResTarget");
  return target ? field(*target, "val") : nullptr;
}

}  // namespace pgsteer::rewriter
