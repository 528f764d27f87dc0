#include <algorithm>
#include <array>
#include <boost/json.hpp>

#include "rewriter/keys.hpp"
#include "rewriter/rules/rules.hpp"
#include "rewriter/subquery.hpp"
#include "rewriter/types.hpp"

// Pattern:  FROM o WHERE o.flag AND o.total > (SELECT avg(p.total) FROM orders p WHERE p.customer_id = o.customer_id AND p.x)
// Result:   FROM o LEFT JOIN (SELECT p.customer_id AS k, avg(p.total) AS v FROM orders p
//                             WHERE p.x AND p.customer_id IN (SELECT o.customer_id FROM o WHERE o.flag) GROUP BY p.customer_id) s
//           ON s.k = o.customer_id WHERE o.flag AND o.total > s.v                  also in the target list; count: COALESCE(s.v, 0)
// Why:      the rows with p.customer_id = o.customer_id are exactly the group of that key; the group is there at most once, so
//           the LEFT JOIN repeats and drops nothing; without a group the aggregate over no rows is NULL, and count is 0. The
//           other conditions of o are repeated inside so that only groups in use are computed.
// Counter-example of the guard: SELECT * would show the joined columns; a condition that can raise an error would meet rows of
//           other keys; sums of floats depend on the order (refused for every rule); a second column of o in the
//           subquery that is not an equality would be out of sight; under GROUP BY the target list may only use groups.
namespace pgsteer::rewriter {
namespace {

constexpr std::array<std::string_view, 7> usual{"count", "sum", "min", "max", "avg", "bool_and", "bool_or"};

struct Correlated {
  Source* inner = nullptr;          ///< the one table of the subquery
  const Reference* partner = nullptr;
  Json key, call;
  std::vector<Json> rest;
  std::string key_name;
  bool counts = false;
};

bool mentions_outside(const Json& node, const Source& inner, const Bound& bound) {
  if (const auto* reference = bound.reference(node)) return reference->source != &inner;
  if (const auto* object = node.if_object())
    return std::any_of(object->begin(), object->end(), [&](const auto& member) { return mentions_outside(member.value(), inner, bound); });
  if (const auto* list = node.if_array())
    return std::any_of(list->begin(), list->end(), [&](const Json& item) { return mentions_outside(item, inner, bound); });
  return false;
}

std::optional<Correlated> correlated(Json& value, const Scope& outer, const Bound& bound) {
  const auto subselect = scalar_subselect(value, bound);
  const auto* function = subselect ? as(*subselect->value, "FuncCall") : nullptr;
  const auto names = function ? name_list(array_field(*function, "funcname")) : std::nullopt;
  if (!names || names->size() != 1) return std::nullopt;
  if (std::find(usual.begin(), usual.end(), names->front()) == usual.end()) return std::nullopt;
  const auto* group = bound.catalog().function("", names->front());
  for (const auto* clause : {"agg_filter", "over", "agg_order", "agg_within_group"})
    if (function->contains(clause)) return std::nullopt;
  Correlated found;
  found.inner = subselect->source;
  if (!group || group->any_user_defined) return std::nullopt;
  if (const auto* arguments = array_field(*function, "args"))
    if (arguments->size() != 1 || !bound.reference(arguments->front()) || mentions_outside(arguments->front(), *found.inner, bound)) return std::nullopt;
  for (auto* conjunct : conjuncts(*subselect->select, "whereClause")) {
    if (!cannot_fail(*conjunct, bound)) return std::nullopt;
    if (!mentions_outside(*conjunct, *found.inner, bound)) {
      found.rest.push_back(*conjunct);
      continue;
    }
    const auto op = operation(*conjunct);
    if (!op || op->name != "=" || found.partner) return std::nullopt;
    const bool left_is_own = !mentions_outside(*op->left, *found.inner, bound);
    const Json& own = left_is_own ? *op->left : *op->right;
    const auto *key = bound.reference(own), *partner = bound.reference(left_is_own ? *op->right : *op->left);
    if (!key || key->source != found.inner || !partner || !partner->source || partner->source->scope != &outer ||
        !comparable(key->output()->type, partner->output()->type) || !equal_means_identical(key->output()->type))
      return std::nullopt;
    found.partner = partner;
    found.key = own;
    found.key_name = named(*key);
  }
  if (!found.partner) return std::nullopt;
  found.call = *subselect->value;
  found.counts = names->front() == "count";
  return found;
}

/// FROM leaf that is this source, to put the join around.
Json* leaf(Json& item, const Json* wanted) {
  if (&item == wanted) return &item;
  auto* join = as(item, "JoinExpr");
  if (!join) return nullptr;
  for (const auto* side : {"larg", "rarg"})
    if (auto* found = leaf(*field(*join, side), wanted)) return found;
  return nullptr;
}

std::string fresh_name(const Bound& bound) {
  for (int i = 1;; ++i) {
    const std::string name = "pgsteer_" + std::to_string(i);
    if (std::none_of(bound.scopes().begin(), bound.scopes().end(), [&](const auto& scope) { return scope->source(name); })) return name;
  }
}

/// The keys that the outer query can ask for: its partner table under those of its own conditions that read nothing else.
std::optional<Json> keys_asked_for(Scope& scope, const Correlated& found, const Bound& bound) {
  const Source& source = *found.partner->source;
  if (source.kind != Source::Kind::table || source.nullable || found.inner->name == source.name) return std::nullopt;
  std::vector<Json> conditions;
  for (auto* conjunct : conjuncts(*scope.select, "whereClause"))
    if (!contains(*conjunct, "SubLink") && !mentions_outside(*conjunct, source, bound) && cannot_fail(*conjunct, bound)) conditions.push_back(*conjunct);
  if (conditions.empty()) return std::nullopt;
  Object query{{"targetList", Array{make_target(make_column({source.name, found.partner->output()->name}))}}, {"fromClause", Array{*source.item}},
               {"whereClause", make_and(std::move(conditions))}, {"limitOption", "LIMIT_OPTION_DEFAULT"}, {"op", "SETOP_NONE"}};
  Object link{{"subLinkType", "ANY_SUBLINK"}, {"testexpr", found.key}, {"subselect", Object{{"SelectStmt", std::move(query)}}}, {"location", -1}};
  return Json(Object{{"SubLink", std::move(link)}});
}

bool join_in(Scope& scope, Json& value, Attempt& attempt) {
  const Bound& bound = attempt.bound;
  auto found = correlated(value, scope, bound);
  if (!found) return false;
  Json* place = nullptr;
  for (auto& item : *array_field(*scope.select, "fromClause"))
    if (!place) place = leaf(item, found->partner->source->item);
  if (!place) return false;
  const std::string name = fresh_name(bound);
  Json partner = make_column({found->partner->source->name, found->partner->output()->name});
  auto asked = keys_asked_for(scope, *found, bound);
  attempt.fact("the rows of one " + found->key_name + " are one group");

  Object query{{"targetList", Array{make_target(found->key, "pgsteer_k"), make_target(found->call, "pgsteer_v")}}, {"fromClause", Array{*found->inner->item}},
               {"groupClause", Array{found->key}}, {"limitOption", "LIMIT_OPTION_DEFAULT"}, {"op", "SETOP_NONE"}};
  if (asked) found->rest.push_back(std::move(*asked));
  if (!found->rest.empty()) query["whereClause"] = make_and(std::move(found->rest));
  Object derived{{"subquery", Object{{"SelectStmt", std::move(query)}}}, {"alias", Object{{"aliasname", name}}}};
  Object join{{"jointype", "JOIN_LEFT"}, {"larg", *place}, {"rarg", Object{{"RangeSubselect", std::move(derived)}}},
              {"quals", make_operation("=", make_column({name, "pgsteer_k"}), std::move(partner))}};
  Json result = make_column({name, "pgsteer_v"});
  if (found->counts) result = Object{{"CoalesceExpr", Object{{"args", Array{std::move(result), make_integer(0)}}, {"location", -1}}}};
  value = std::move(result);
  *place = Object{{"JoinExpr", std::move(join)}};
  return true;
}

bool in_targets(Scope& scope, Attempt& attempt) {
  const Object& select = *scope.select;
  if (select.contains("groupClause") || select.contains("distinctClause") || select.contains("havingClause") || has_aggregates(scope, attempt.bound)) return false;
  for (auto& item : *array_field(*scope.select, "targetList")) {
    auto* target = as(item, "ResTarget");
    auto* value = target ? field(*target, "val") : nullptr;
    if (!value) continue;
    std::string name(string_field(*target, "name"));
    if (name.empty()) name = output_name(*value);
    if (name.empty() || !join_in(scope, *value, attempt)) continue;
    (*target)["name"] = name;
    return true;
  }
  return false;
}

bool apply(Attempt& attempt) {
  for (const auto& scope : attempt.bound.scopes()) {
    if (scope->set_operation || scope->values || scope->has_using) continue;
    const auto *targets = field(*scope->select, "targetList"), *from = field(*scope->select, "fromClause");
    if (!targets || !from || contains(*targets, "A_Star")) continue;
    const auto* where = field(*scope->select, "whereClause");
    if (where && for_each_condition(*scope, [&](Json& value) { return join_in(*scope, value, attempt); })) return true;
    if (in_targets(*scope, attempt)) return true;
  }
  return false;
}

}  // namespace

const Rule scalar_aggregate_to_join{
    {"scalar_aggregate_to_join", "(SELECT max(x) FROM t WHERE t.k = o.c) -> LEFT JOIN (.. GROUP BY k)", false, false, 0.9}, apply};

}  // namespace pgsteer::rewriter
