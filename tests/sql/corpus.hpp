#pragma once
#include <span>
#include <string_view>

namespace pgsteer::sql::test {

std::span<const std::string_view> expressions();  ///< each fits into SELECT <expression>
std::span<const std::string_view> from_items();   ///< each fits into SELECT 1 FROM <item>
std::span<const std::string_view> statements();   ///< whole SELECT, INSERT, UPDATE, DELETE, MERGE statements

}  // namespace pgsteer::sql::test
