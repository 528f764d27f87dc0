#pragma once
#include <string_view>

#include "rewriter/sql/analysis.hpp"
#include "rewriter/sql/json.hpp"

namespace pgsteer::sql {

/// Fills Analysis::key_conditions and ::assigned from the only statement of `text`.
void read_key_conditions(const json::Node& statement, std::string_view text, Analysis& analysis);

}  // namespace pgsteer::sql
