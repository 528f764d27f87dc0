#pragma once
#include <string_view>

#include "rewriter/sql/analysis.hpp"
#include "rewriter/sql/text_scan.hpp"

namespace pgsteer::sql {

/// Fills directive, tags and flags.hint_comment of `analysis` from the comments of `text`.
void read_comments(std::string_view text, const TextScan& scan, Analysis& analysis);

/// `text` with every comment replaced by one space and every string by '...', trimmed at both ends. Strings are what normalising leaves
/// in utility statements: passwords, connection strings, defaults.
std::string without_comments_and_strings(std::string_view text);

}  // namespace pgsteer::sql
