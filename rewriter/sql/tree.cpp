#include "rewriter/sql/tree.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "rewriter/sql/parser.hpp"
#include "rewriter/sql/printer.hpp"
#include "rewriter/sql/text_scan.hpp"

namespace pgsteer::sql {
namespace {

bool is_location(std::string_view key) { return key == "location" || key == "stmt_location" || key == "stmt_len"; }

std::size_t size_without_locations(const boost::json::object& object) {
  std::size_t size = object.size();
  for (const std::string_view key : {"location", "stmt_location", "stmt_len"})
    if (object.contains(key)) --size;
  return size;
}

bool same(const boost::json::value& a, const boost::json::value& b);

bool same_objects(const boost::json::object& a, const boost::json::object& b) {
  if (size_without_locations(a) != size_without_locations(b)) return false;
  for (const auto& [key, value] : a) {
    if (is_location(key)) continue;
    const boost::json::value* other = b.if_contains(key);
    if (other == nullptr || !same(value, *other)) return false;
  }
  return true;
}

bool same(const boost::json::value& a, const boost::json::value& b) {
  if (a.is_object() && b.is_object()) return same_objects(a.get_object(), b.get_object());
  if (!a.is_array() || !b.is_array()) return a == b;
  const auto& left = a.get_array();
  const auto& right = b.get_array();
  if (left.size() != right.size()) return false;
  for (std::size_t i = 0; i < left.size(); ++i)
    if (!same(left[i], right[i])) return false;
  return true;
}

}  // namespace

std::optional<Tree> Tree::parse(std::string_view text, const Limits& limits, WhyNot* why) {
  WhyNot unused = WhyNot::none;
  WhyNot& reason = why != nullptr ? *why : unused;
  reason = scan_text(text, limits).why;
  if (reason != WhyNot::none) return std::nullopt;
  auto parsed = parser::parse(std::string(text), limits, {}, reason);
  if (!parsed) return std::nullopt;
  auto& statements = parsed->as_object()["stmts"];
  if (!statements.is_array() || statements.get_array().size() != 1) {
    reason = WhyNot::syntax;
    return std::nullopt;
  }
  Tree tree;
  tree.root_ = std::move(statements.get_array()[0].as_object()["stmt"]);
  return tree;
}

bool Tree::same_as(const Tree& other) const { return same(root_, other.root_); }

}  // namespace pgsteer::sql
