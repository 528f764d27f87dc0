#include "rewriter/sql/compare.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <string_view>

namespace pgsteer::sql {
namespace {

bool is_location(std::string_view key) { return key == "location" || key == "stmt_location" || key == "stmt_len"; }

std::size_t size_without_locations(const boost::json::object& object) {
  std::size_t size = object.size();
  for (const std::string_view key : {"location", "stmt_location", "stmt_len"})
    if (object.contains(key)) --size;
  return size;
}

bool same_objects(const boost::json::object& a, const boost::json::object& b) {
  if (size_without_locations(a) != size_without_locations(b)) return false;
  for (const auto& [key, value] : a) {
    if (is_location(key)) continue;
    const boost::json::value* other = b.if_contains(key);
    if (other == nullptr || !same_tree(value, *other)) return false;
  }
  return true;
}

}  // namespace

bool same_tree(const boost::json::value& a, const boost::json::value& b) {
  if (a.is_object() && b.is_object()) return same_objects(a.get_object(), b.get_object());
  if (!a.is_array() || !b.is_array()) return a == b;
  const auto& left = a.get_array();
  const auto& right = b.get_array();
  if (left.size() != right.size()) return false;
  for (std::size_t i = 0; i < left.size(); ++i)
    if (!same_tree(left[i], right[i])) return false;
  return true;
}

}  // namespace pgsteer::sql
