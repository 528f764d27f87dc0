#pragma once
#include <string>
#include <string_view>

namespace pgsteer::sql {

/// `name` as it must stand in a statement to mean exactly this name; quoted when it has to be.
std::string quoted_identifier(std::string_view name);

/// `text` as a string constant.
std::string quoted_literal(std::string_view text);

}  // namespace pgsteer::sql
