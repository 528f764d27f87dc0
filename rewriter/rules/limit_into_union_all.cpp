#include <algorithm>
#include <boost/json.hpp>
#include <limits>

#include "rewriter/keys.hpp"
#include "rewriter/rules/rules.hpp"
#include "rewriter/subquery.hpp"
#include "rewriter/types.hpp"

// Pattern:  SELECT .. FROM t WHERE p UNION ALL SELECT .. FROM u JOIN v .. ORDER BY 1, 2 LIMIT 20 OFFSET 40
// Result:   (SELECT .. FROM t WHERE p ORDER BY 1, 2 LIMIT 60) UNION ALL (SELECT .. ORDER BY 1, 2 LIMIT 60) ORDER BY 1, 2 LIMIT 20 OFFSET 40
// Why:      a row among the first 60 of all is among the first 60 of its arm, and the order is total on what is put out: which
//           of equal rows is taken cannot be seen. An arm can stop early, from an index in that order.
// Counter-example of the guard: where an arm's column has another type than the result's ('9' < '10' as text) it orders
//           otherwise by itself (no order of such columns counts as total, so it is refused for every rule); UNION removes rows after the cut and would need more of them.
namespace pgsteer::rewriter {
namespace {

bool arms_of(Object& select, const Bound& bound, std::vector<Scope*>& arms) {
  for (const auto* clause : {"limitCount", "limitOffset", "sortClause", "withClause", "valuesLists", "lockingClause"})
    if (select.contains(clause)) return false;
  if (string_field(select, "op") == "SETOP_NONE") {
    auto* scope = bound.scope_of(&select);
    if (!scope || !select.contains("fromClause") || has_aggregates(*scope, bound)) return false;
    arms.push_back(scope);
    return true;
  }
  if (string_field(select, "op") != "SETOP_UNION" || !bool_field(select, "all")) return false;
  return arms_of(*object_field(select, "larg"), bound, arms) && arms_of(*object_field(select, "rarg"), bound, arms);
}

/// Output position of an ORDER BY item of a set operation; 0 when it cannot be told.
std::size_t position_of(const Json& key, const Scope& scope) {
  if (const auto number = integer_constant(key)) return *number > 0 ? static_cast<std::size_t>(*number) : 0;
  const auto* column = as(key, "ColumnRef");
  const auto names = column ? name_list(array_field(*column, "fields")) : std::nullopt;
  if (!names || names->size() != 1) return 0;
  for (std::size_t i = 0; i < scope.outputs.size(); ++i)
    if (scope.outputs[i].name == names->front()) return i + 1;
  return 0;
}

std::int64_t literal_or(const Object& select, std::string_view clause, std::int64_t otherwise) {
  const auto* value = field(select, clause);
  if (!value) return otherwise;
  return integer_constant(*value).value_or(-1);
}

bool push(Scope& scope, Attempt& attempt) {
  Object& select = *scope.select;
  const auto* sort = array_field(select, "sortClause");
  const auto limit = literal_or(select, "limitCount", -1), offset = literal_or(select, "limitOffset", 0);
  constexpr std::int64_t most = std::numeric_limits<std::int32_t>::max();
  if (!sort || limit < 0 || offset < 0 || limit + offset > most || string_field(select, "limitOption") != "LIMIT_OPTION_COUNT" ||
      string_field(select, "op") != "SETOP_UNION" || !bool_field(select, "all") || select.contains("withClause"))
    return false;
  std::vector<Scope*> arms;
  if (!arms_of(*object_field(select, "larg"), attempt.bound, arms) || !arms_of(*object_field(select, "rarg"), attempt.bound, arms)) return false;

  std::vector<Array> sorts;
  for (const auto* arm : arms) {
    if (arm->opaque_outputs || arm->outputs.size() != scope.outputs.size()) return false;
    Array own;
    for (const auto& item : *sort) {
      const auto* by = as(item, "SortBy");
      const auto position = by ? position_of(*field(*by, "node"), scope) : 0;
      if (position == 0 || position > scope.outputs.size()) return false;
      Object copy = *by;
      copy["node"] = make_integer(static_cast<std::int64_t>(position));
      own.push_back(Object{{"SortBy", std::move(copy)}});
    }
    sorts.push_back(std::move(own));
  }
  for (std::size_t i = 0; i < arms.size(); ++i) {
    (*arms[i]->select)["sortClause"] = std::move(sorts[i]);
    (*arms[i]->select)["limitCount"] = make_integer(limit + offset);
    (*arms[i]->select)["limitOption"] = "LIMIT_OPTION_COUNT";
  }
  attempt.fact("ORDER BY fixes every column of the result, of one type in all arms");
  return true;
}

bool apply(Attempt& attempt) {
  for (const auto& scope : attempt.bound.scopes())
    if (scope->set_operation && push(*scope, attempt)) return true;
  return false;
}

}  // namespace

const Rule limit_into_union_all{
    {"limit_into_union_all", ".. UNION ALL .. ORDER BY 1 LIMIT n -> LIMIT n in every arm too", false, false, 0.9}, apply};

}  // namespace pgsteer::rewriter
