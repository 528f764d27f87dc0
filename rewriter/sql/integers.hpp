#pragma once
#include <boost/json/value.hpp>
#include <string_view>

namespace pgsteer::sql {

/// libpg_query 15 writes every integer literal below zero as if it were zero ({"ival":{}}), although the grammar folds
/// the minus into the literal: `LIMIT -1`, `numeric(5, -2)`, `SET x = -5`. The value is read again from `text` at the
/// literal's location. False when a literal cannot be read there: then the tree is not what the text says.
bool restore_negative_integers(boost::json::value& tree, std::string_view text);

/// Whether the library's output holds a literal that may have lost its sign.
bool has_lost_integers(std::string_view json);

}  // namespace pgsteer::sql
