#include "rewriter/rules/rules.hpp"

namespace pgsteer::rewriter {

const std::vector<Rule>& rule_list() {
  static const std::vector<Rule> list{
      literal_cast,
      coalesce_equals,
      keyset_row_comparison,
      left_join_null_test,
      count_to_exists,
      not_in_to_not_exists,
  };
  return list;
}

}  // namespace pgsteer::rewriter
