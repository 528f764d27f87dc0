#pragma once
#include <cstdint>
#include <memory_resource>
#include <optional>
#include <string>
#include <string_view>

#include <boost/json/value.hpp>

#include "rewriter/sql/analysis.hpp"

namespace pgsteer::sql::parser {

/// The only door to libpg_query. Every function takes a text that scan_text() accepted, as a C string.

/// libpg_query's JSON of the whole text ({"stmts": [...]}) in `storage`; nullopt with the reason otherwise.
std::optional<boost::json::value> parse(const std::string& text, const Limits& limits, boost::json::storage_ptr storage,
                                        WhyNot& why);

/// 0 when libpg_query refuses.
std::uint64_t fingerprint(const std::string& text);

/// Literals as $n, comments as they stand; "" when libpg_query refuses.
std::string normalize(const std::string& text);

}  // namespace pgsteer::sql::parser
