#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pgsteer::predictor {

/// What EXPLAIN (ANALYZE, FORMAT JSON) saw of one join: the planner's rows and those that came.
struct JoinSize {
  std::vector<std::string> tables;  ///< by alias, sorted
  double expected = 0, actual = 0;
};
struct Joins {
  std::vector<JoinSize> sizes;      ///< of the joins that ran once and to their end
  std::string order;                ///< of the whole plan, outer side first: "((a b) c)"; "" when it is not one tree of plain names
};

/// Nothing where names would have to be quoted, come twice, or the plan has parts with joins of their own (sub-plans, CTEs, set operations).
std::optional<Joins> join_sizes(std::string_view json);

/// pg_hint_plan's Rows() for what was misjudged, `least` times too large or small: "Rows(a b #5000) Rows(a b c #7)"; "" when nothing was.
std::string rows_hints(const std::vector<JoinSize>& sizes, double least);

}  // namespace pgsteer::predictor
