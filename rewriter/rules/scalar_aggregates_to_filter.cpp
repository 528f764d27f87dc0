#include <algorithm>
#include <boost/json.hpp>

#include "rewriter/rules/rules.hpp"
#include "rewriter/subquery.hpp"
#include "rewriter/types.hpp"

// Pattern:  SELECT (SELECT count(*) FROM t WHERE p), (SELECT sum(x) FROM t WHERE q)
// Result:   SELECT count(*) FILTER (WHERE p) AS count, sum(x) FILTER (WHERE q) AS sum FROM t
// Why:      an aggregate without GROUP BY gives one row, of an empty table too, and FILTER keeps the very rows that WHERE
//           kept. One scan instead of one per aggregate.
// Counter-example of the guard: with GROUP BY, HAVING, LIMIT 0 or OFFSET a subquery may give no row at all, which is NULL;
//           a condition that can raise an error is now evaluated on rows an index would have skipped; where each condition
//           has an index of its own one scan loses (the cost gate).
namespace pgsteer::rewriter {
namespace {

struct Part {
  Source* source;
  Json* call;
  std::string name;
};

std::optional<Part> part_of(Json& item, const Bound& bound) {
  auto* target = as(item, "ResTarget");
  auto* value = target ? field(*target, "val") : nullptr;
  const auto found = value ? scalar_subselect(*value, bound) : std::nullopt;
  if (!found || is_correlated(*found->scope, bound)) return std::nullopt;
  const auto* function = as(*found->value, "FuncCall");
  const auto names = function ? name_list(array_field(*function, "funcname")) : std::nullopt;
  if (!names) return std::nullopt;
  const auto* group = bound.catalog().function(names->size() == 2 ? names->front() : std::string(), names->back());
  if (!group || !group->any_aggregate) return std::nullopt;
  for (const auto* clause : {"agg_filter", "over", "agg_order", "agg_within_group"})
    if (function->contains(clause)) return std::nullopt;
  if (const auto* arguments = field(*function, "args"); arguments && contains(*arguments, "SubLink")) return std::nullopt;
  const auto* where = field(*found->select, "whereClause");
  if (where && (contains(*where, "SubLink") || !cannot_fail(*where, bound))) return std::nullopt;
  std::string name(string_field(*target, "name"));
  if (name.empty()) name = output_name(*value);
  if (name.empty()) return std::nullopt;
  return Part{found->source, found->value, std::move(name)};
}

bool apply(Attempt& attempt) {
  const Bound& bound = attempt.bound;
  for (const auto& scope : bound.scopes()) {
    if (scope->set_operation || scope->values) continue;
    Object& select = *scope->select;
    for (const auto& member : select)
      if (const auto key = member.key(); key != "targetList" && key != "limitOption" && key != "op") goto next;
    {
      auto* targets = array_field(select, "targetList");
      if (!targets || targets->size() < 2) continue;
      std::vector<Part> parts;
      for (auto& item : *targets)
        if (auto part = part_of(item, bound)) parts.push_back(std::move(*part));
      if (parts.size() != targets->size()) continue;
      const Source& first = *parts.front().source;
      if (!std::all_of(parts.begin(), parts.end(), [&](const Part& p) { return p.source->relation == first.relation; })) continue;
      attempt.fact("every aggregate reads " + first.relation->name + " alone and gives one row");
      Array merged;
      for (auto& part : parts) {
        Object& inner = *part.source->scope->select;
        for (auto& member : inner) rename_columns(member.value(), bound, *part.source, first);
        Json call = *part.call;
        if (auto* where = field(inner, "whereClause")) (*as(call, "FuncCall"))["agg_filter"] = *where;
        merged.push_back(make_target(std::move(call), part.name));
      }
      Array from{*first.item};
      select["targetList"] = std::move(merged);
      select["fromClause"] = std::move(from);
      return true;
    }
  next:;
  }
  return false;
}

}  // namespace

const Rule scalar_aggregates_to_filter{
    {"scalar_aggregates_to_filter", "(SELECT count(*) FROM t WHERE p), .. -> count(*) FILTER (WHERE p), ..", false, false, 0.9},
    apply};

}  // namespace pgsteer::rewriter
