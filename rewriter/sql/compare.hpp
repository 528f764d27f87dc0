#pragma once
#include <boost/json/value.hpp>

namespace pgsteer::sql {

/// Equality of parse trees, wherever in their texts the nodes stood.
bool same_tree(const boost::json::value& a, const boost::json::value& b);

}  // namespace pgsteer::sql
