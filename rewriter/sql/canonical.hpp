#pragma once
#include <boost/json/value.hpp>

namespace pgsteer::sql {

/// The form the grammar itself gives to a tree that a rule has built: AND and OR take a first operand of their own
/// kind apart (a AND b AND c is one list), and one of a single operand is that operand;
/// fields of value 0, false, null or [] are left out. The meaning stays the same.
void make_canonical(boost::json::value& tree);

}  // namespace pgsteer::sql
