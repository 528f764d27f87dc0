#pragma once
#include <boost/json/value.hpp>
#include <optional>
#include <string>

namespace pgsteer::sql::printer {

/// SQL of {"SelectStmt": ...}, {"InsertStmt": ...} and so on; nullopt for anything the printer does not know.
std::optional<std::string> statement(const boost::json::value& node);
std::optional<std::string> expression(const boost::json::value& node);

}  // namespace pgsteer::sql::printer
