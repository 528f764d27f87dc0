#include "rewriter/rules/rules.hpp"

namespace pgsteer::rewriter {

const std::vector<Rule>& rule_list() {
  // Simplifications first: what they uncover the later, larger changes can use.
  static const std::vector<Rule> list{
      literal_cast,
      coalesce_equals,
      shifted_column,
      keyset_row_comparison,
      left_join_null_test,
      count_to_exists,
      key_in_same_table,
      self_join_on_key,
      not_in_to_not_exists,
      correlated_in_to_exists,
      grouped_in_to_exists,
      useless_order_by,
      count_not_null,
      distinct_over_key,
      unused_left_join,
      foreign_key_join,
      foreign_key_in,
      distinct_join_to_exists,
      union_to_union_all,
      date_range,
      except_to_anti_join,
      limit_before_left_join,
      limit_before_foreign_key_join,
      limit_into_union_all,
      lateral_group_by,
      lateral_union,
      lateral_window,
      scalar_lookup_to_join,
      scalar_aggregate_to_join,
      cte_not_materialized,
      transitive_range,
      scalar_aggregates_to_filter,
      or_to_key_union,
      long_list_to_array,
      loose_index_scan,
  };
  return list;
}

}  // namespace pgsteer::rewriter
