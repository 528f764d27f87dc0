#pragma once
#include <string>
#include <vector>

#include "bench/workload/classes.hpp"

namespace pgsteer::workload {

/// Statement classes out of a file of SQL: "-- name: NAME  WHAT" begins one, "-- ordered" says that its ORDER BY is total, a
/// semicolon at the end of a line ends it. Throws std::invalid_argument.
std::vector<StatementClass> sql_file_classes(const std::string& path, int per_round);
/// The same out of the file's text; `path` is for messages.
std::vector<StatementClass> sql_classes(const std::string& text, const std::string& path, int per_round);

/// {a|b|c} becomes one of them, {3..9} a number, {x=a|b} names the choice and {x} repeats it.
std::string fill_template(const std::string& text, Random& random);

}  // namespace pgsteer::workload
