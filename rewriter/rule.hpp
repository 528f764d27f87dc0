#pragma once
#include <functional>
#include <string>
#include <vector>

#include "rewriter/binder.hpp"
#include "rewriter/candidate.hpp"

namespace pgsteer::rewriter {

/// What a rule is given at each attempt. The tree may be changed only by the rule that then returns true; everything in
/// `bound` is void from the first change on.
struct Attempt {
  sql::Tree& tree;
  const Bound& bound;
  std::vector<std::string>& facts;  ///< what the equivalence rests on, in words; added to only when it fires
  void fact(std::string text);
};

/// One rewrite rule. `apply` changes the first site it finds and returns true; false means nothing was touched.
/// The engine binds anew and asks again, until it returns false.
struct Rule {
  RuleInfo info;
  bool (*apply)(Attempt& attempt);
  bool knows_windows = false;  ///< no other rule acts where a window function stands
};

/// The explicit list, in the order in which rules are tried.
const std::vector<Rule>& rule_list();

using Visit = std::function<bool(Json&)>;  ///< returns true to stop; the visitors return whether somebody did

/// Every expression position of a query whose rows are kept only when it is true (WHERE, JOIN ... ON and everything below
/// them through AND and OR): there NULL and false mean the same. HAVING is left out: an expression in it may have to match
/// one in GROUP BY letter for letter.
bool for_each_filter(Scope& scope, const Visit& visit);

/// Every expression in WHERE and JOIN ... ON at any depth, outermost first, not entering subqueries.
bool for_each_condition(Scope& scope, const Visit& visit);

/// The same plus target list, HAVING and ORDER BY, unless the query groups (see for_each_filter).
bool for_each_replaceable(Scope& scope, const Visit& visit);

/// Every expression of a query, for reading.
bool for_each_expression(Scope& scope, const Visit& visit);

/// Text of a qualified name for facts: "orders.id".
std::string named(const Reference& reference);

}  // namespace pgsteer::rewriter
