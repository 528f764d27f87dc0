#pragma once
#include <string_view>
#include <vector>

#include "rewriter/sql/lexer.hpp"

namespace pgsteer::sql {

/// An upper bound, token by token, of how deep the parse tree of a text can get, counted in brackets and in links of
/// chains that the grammar nests to the left without any bracket: operators, casts, COLLATE, AT TIME ZONE, NOT,
/// CASE, JOIN and set operations. libpg_query recurses over its tree without a guard, so this must hold before it runs.
class DepthEstimate {
 public:
  explicit DepthEstimate(int limit) : limit_(limit) { levels_.push_back({}); }

  /// false once the bound is passed.
  bool add(TokenKind kind, std::string_view text);
  int deepest() const { return deepest_; }

 private:
  /// One bracket (or CASE ... END) that is open. Links add up within a list element; AND and OR are flat lists in the
  /// tree, so a new operand starts a new chain, but joins and set operations go on.
  struct Level {
    bool is_case = false;
    int above = 0;  ///< links in the enclosing levels when this one opened
    int chain = 0, chain_child = 0, joins = 0, set_operations = 0;
    int best = 0;   ///< deepest finished element
  };

  int current() const;
  bool check();
  void open(bool is_case);
  void close();
  void end_operand();
  void end_element();
  bool add_word(std::string_view word);

  int limit_;
  int deepest_ = 0;
  std::vector<Level> levels_;
};

}  // namespace pgsteer::sql
