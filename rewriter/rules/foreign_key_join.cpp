#include <algorithm>
#include <boost/json.hpp>

#include "rewriter/foreign_keys.hpp"
#include "rewriter/rules/rules.hpp"
#include "rewriter/subquery.hpp"

// Pattern:  FROM o JOIN c ON o.customer_id = c.id          c used nowhere else, a foreign key from o.customer_id to c.id
// Result:   FROM o                                          (a nullable column: AND o.customer_id IS NOT NULL)
// Why:      the foreign key says that every not null value has exactly one partner: the join neither drops nor repeats rows.
// Counter-example of the guard: a NOT VALID key has orphans from before, a deferrable one may have orphans inside a
//           transaction; rows of an inheritance child of o are not checked, those of c may repeat the id. Triggers switched
//           off (session_replication_role, pg_restore) can leave orphans behind any key: hence its own class of rules
//           (trusts_constraints). A user who may not read c no longer gets the error.
namespace pgsteer::rewriter {
namespace {

bool eliminate(Source& parent, Attempt& attempt) {
  const Bound& bound = attempt.bound;
  if (parent.kind != Source::Kind::table || bound.starred(&parent) || bound.uses(&parent) != 1) return false;
  Object& select = *parent.scope->select;
  Object* join = join_of(select, parent.item);
  if (join && (string_field(*join, "jointype") != "JOIN_INNER" || join->contains("usingClause"))) return false;
  // In ON of its own join nothing else may stand; in WHERE the one conjunct is taken away.
  Link found;
  const Json* in_where = nullptr;
  if (join) {
    const auto list = conjuncts(*join, "quals");
    if (list.size() == 1) found = link_of(*list.front(), parent, bound);
  } else {
    for (auto* conjunct : conjuncts(select, "whereClause")) {
      found = link_of(*conjunct, parent, bound);
      if (found.child) {
        in_where = conjunct;
        break;
      }
    }
  }
  // A null-extended child has no partner: the join would drop the row.
  if (!found.child || found.child->nullable) return false;
  attempt.fact(found.child->relation->name + " has a validated foreign key to " + parent.relation->name);
  attempt.fact("the privilege to read " + parent.relation->name + " is not checked any more");
  const std::vector<std::string> column{found.child->name, found.child->columns[static_cast<std::size_t>(found.column)].name};
  if (in_where) remove_conjunct(select, "whereClause", in_where);
  if (!remove_from_item(select, parent.item)) return false;
  if (found.nullable_column) add_conjunct(select, "whereClause", make_null_test(make_column(column), false));
  return true;
}

bool apply(Attempt& attempt) {
  for (const auto& scope : attempt.bound.scopes()) {
    if (scope->set_operation || scope->sources.size() < 2 || scope->has_using) continue;
    for (const auto& source : scope->sources)
      if (eliminate(*source, attempt)) return true;
  }
  return false;
}

}  // namespace

const Rule foreign_key_join{
    {"foreign_key_join", "JOIN to a parent used for nothing else -> dropped", true, true, 1.0}, apply};

}  // namespace pgsteer::rewriter
