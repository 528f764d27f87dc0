#pragma once
#include <boost/json/value.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "rewriter/sql/analysis.hpp"

namespace pgsteer::sql {

/// The parse tree of one statement, held as libpg_query's JSON ({"SelectStmt": {...}}): measured 4-5 times cheaper than
/// its protobuf form, and safe to change by value. Only rewriter/ looks inside; analysis hides it from the rest.
class Tree {
 public:
  /// Parses a text of exactly one statement within `limits`; the reason otherwise.
  static std::optional<Tree> parse(std::string_view text, const Limits& limits = {}, WhyNot* why = nullptr);

  boost::json::value& root() { return root_; }
  const boost::json::value& root() const { return root_; }

  /// SQL text of the tree, by our own printer (SELECT, INSERT, UPDATE, DELETE, MERGE; every operand that is not a
  /// primary is put in brackets). nullopt for a node the printer does not know.
  std::optional<std::string> print() const;

  /// print(), then parse that text again and compare with this tree (locations apart): only a text that means this
  /// tree is returned. This is the only way a text of ours may reach a server.
  std::optional<std::string> print_verified(const Limits& limits = {}) const;

  /// Equality without source locations.
  bool same_as(const Tree& other) const;

 private:
  boost::json::value root_;
};

/// Text of any expression node (for reasons and tests); "" when unknown.
std::string print_expression(const boost::json::value& node);

}  // namespace pgsteer::sql
