#pragma once
#include "rewriter/rule.hpp"

/// One declaration per rule; all.cpp lists them.
namespace pgsteer::rewriter {

extern const Rule literal_cast;
extern const Rule coalesce_equals;
extern const Rule keyset_row_comparison;
extern const Rule left_join_null_test;
extern const Rule count_to_exists;
extern const Rule key_in_same_table;
extern const Rule not_in_to_not_exists;
extern const Rule correlated_in_to_exists;
extern const Rule grouped_in_to_exists;
extern const Rule useless_order_by;
extern const Rule count_not_null;
extern const Rule distinct_over_key;
extern const Rule unused_left_join;
extern const Rule foreign_key_join;
extern const Rule union_to_union_all;
extern const Rule date_range;
extern const Rule lateral_group_by;
extern const Rule cte_not_materialized;
extern const Rule or_to_key_union;
extern const Rule shifted_column;
extern const Rule long_list_to_array;
extern const Rule self_join_on_key;
extern const Rule distinct_join_to_exists;
extern const Rule transitive_range;
extern const Rule scalar_aggregates_to_filter;
extern const Rule except_to_anti_join;
extern const Rule limit_before_left_join;
extern const Rule limit_into_union_all;
extern const Rule lateral_union;
extern const Rule lateral_window;
extern const Rule scalar_lookup_to_join;
extern const Rule scalar_aggregate_to_join;
extern const Rule foreign_key_in;
extern const Rule limit_before_foreign_key_join;
extern const Rule loose_index_scan;

}  // namespace pgsteer::rewriter
