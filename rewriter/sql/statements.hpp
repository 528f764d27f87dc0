#pragma once
#include <string>
#include <string_view>

#include "rewriter/sql/analysis.hpp"
#include "rewriter/sql/json.hpp"

namespace pgsteer::sql {

/// Kind of {"SelectStmt": ...} by its top node and, for COPY and transactions, one field of it.
StatementKind kind_of(const json::Node& statement);

/// What utility statements say beyond tables: settings, names, EXPLAIN options. `text` is the whole text.
void read_utility(const json::Node& statement, std::string_view text, Analysis& analysis);

}  // namespace pgsteer::sql
