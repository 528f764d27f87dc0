#include "rewriter/sql/tree.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "rewriter/sql/canonical.hpp"
#include "rewriter/sql/compare.hpp"
#include "rewriter/sql/parser.hpp"
#include "rewriter/sql/printer.hpp"
#include "rewriter/sql/text_scan.hpp"

namespace pgsteer::sql {
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

bool Tree::same_as(const Tree& other) const { return same_tree(root_, other.root_); }

std::optional<std::string> Tree::print() const { return printer::statement(root_); }

std::optional<std::string> Tree::print_verified(const Limits& limits) const {
  Tree intended = *this;
  make_canonical(intended.root_);
  auto text = intended.print();
  if (!text) return std::nullopt;
  // Brackets around operands make the text longer and deeper than the one the tree came from.
  Limits wider = limits;
  wider.max_bytes *= 4;
  wider.max_tokens *= 3;
  wider.max_depth *= 3;
  auto read_back = parse(*text, wider);
  if (read_back) make_canonical(read_back->root_);
  if (!read_back || !read_back->same_as(intended)) return std::nullopt;
  return text;
}

std::string print_expression(const boost::json::value& node) { return printer::expression(node).value_or(""); }

}  // namespace pgsteer::sql
