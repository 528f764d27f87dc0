#pragma once
#include "tests/rewriter/generator.hpp"

/// Building blocks shared by the generators.
namespace pgsteer::test {

/// A further condition on orders (alias o) or customers (alias c), of any kind: it must survive every rewrite untouched.
std::string on_orders(Random& r);
std::string on_customers(Random& r);
std::string and_maybe(Random& r, std::string condition);
std::string where_maybe(Random& r, std::string condition);

/// A predicate in one of the positions a filter can have; only some of them let NULL pass for false.
Statement placed(Random& r, const std::string& predicate, const std::string& from, const std::string& key, const std::string& other);

Statement distinct_join_to_exists(Random& r);
Statement self_join_on_key(Random& r);
Statement transitive_range(Random& r);
Statement shifted_column(Random& r);
Statement long_list_to_array(Random& r);
Statement scalar_aggregates_to_filter(Random& r);

}  // namespace pgsteer::test
