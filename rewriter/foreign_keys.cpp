#include "rewriter/foreign_keys.hpp"

#include <algorithm>
#include <boost/json.hpp>

namespace pgsteer::rewriter {

bool has_foreign_key(const Source& child, int column, const Source& parent, int parent_column) {
  if (!child.trusted() || !parent.trusted()) return false;
  const auto number = child.relation->columns[static_cast<std::size_t>(column)].number;
  const auto parent_number = parent.relation->columns[static_cast<std::size_t>(parent_column)].number;
  return std::any_of(child.relation->foreign_keys.begin(), child.relation->foreign_keys.end(), [&](const auto& key) {
    return key.validated && !key.deferrable && key.referenced == parent.relation->oid && key.referenced_columns.size() == 1 &&
           key.columns.front() == number && key.referenced_columns.front() == parent_number;
  });
}

Link link_of(Json& conjunct, const Source& parent, const Bound& bound) {
  const auto op = operation(conjunct);
  if (!op || op->name != "=") return {};
  for (const auto& [mine, other] : {std::pair{op->left, op->right}, std::pair{op->right, op->left}}) {
    const auto* own = bound.reference(*mine);
    const auto* child = bound.reference(*other);
    if (!own || !child || own->source != &parent || !child->source || child->source == &parent ||
        child->source->scope != parent.scope || child->source->kind != Source::Kind::table)
      continue;
    if (!has_foreign_key(*child->source, child->column, parent, own->column)) continue;
    return {child->source, child->column, !child->output()->not_null};
  }
  return {};
}

}  // namespace pgsteer::rewriter
