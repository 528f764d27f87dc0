#include <algorithm>
#include <boost/json.hpp>

#include "rewriter/rules/rules.hpp"

// Pattern:  WITH c AS (SELECT ..) .. c .. c ..          referenced at least twice, no keyword written
// Result:   WITH c AS NOT MATERIALIZED (SELECT ..) ..
// Why:      the query has no side effects and one snapshot, so running it once or twice gives the same rows; inlined, each
//           use is filtered by its own conditions and indexes.
// Counter-example of the guard: MATERIALIZED written by the user is a fence put there on purpose; random() would be drawn
//           twice; LIMIT without a total order could pick other rows each time (both refused for every rule).
namespace pgsteer::rewriter {
namespace {

int uses(const Object* query, const Bound& bound) {
  int count = 0;
  for (const auto& scope : bound.scopes())
    count += static_cast<int>(std::count_if(scope->sources.begin(), scope->sources.end(), [&](const auto& source) {
      return source->kind == Source::Kind::cte && source->select == query;
    }));
  return count;
}

bool apply(Attempt& attempt) {
  for (const auto& scope : attempt.bound.scopes()) {
    auto* with = object_field(*scope->select, "withClause");
    auto* list = with ? array_field(*with, "ctes") : nullptr;
    if (!list) continue;
    for (auto& item : *list) {
      auto* cte = as(item, "CommonTableExpr");
      if (string_field(*cte, "ctematerialized") != "CTEMaterializeDefault") continue;
      if (uses(as(*field(*cte, "ctequery"), "SelectStmt"), attempt.bound) < 2) continue;
      attempt.fact(std::string(string_field(*cte, "ctename")) + " has no volatile function");
      (*cte)["ctematerialized"] = "CTEMaterializeNever";
      return true;
    }
  }
  return false;
}

}  // namespace

const Rule cte_not_materialized{
    {"cte_not_materialized", "WITH c (used twice) -> NOT MATERIALIZED", false, false, 0.9}, apply};

}  // namespace pgsteer::rewriter
