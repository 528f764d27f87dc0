#pragma once
#include "rewriter/rule.hpp"

/// One declaration per rule; all.cpp lists them.
namespace pgsteer::rewriter {

extern const Rule count_to_exists;
extern const Rule not_in_to_not_exists;
extern const Rule literal_cast;
extern const Rule left_join_null_test;
extern const Rule coalesce_equals;
extern const Rule keyset_row_comparison;

}  // namespace pgsteer::rewriter
