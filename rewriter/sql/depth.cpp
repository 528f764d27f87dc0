#include "rewriter/sql/depth.hpp"

#include <algorithm>

namespace pgsteer::sql {
namespace {

enum class Role { none, link, join, set_operation, connective, open_case, close_case };

Role role_of(std::string_view word) {
  switch (word.size()) {
    case 2:
      if (equals_folded(word, "or")) return Role::connective;
      if (equals_folded(word, "is") || equals_folded(word, "in") || equals_folded(word, "at")) return Role::link;
      return Role::none;
    case 3:
      if (equals_folded(word, "and")) return Role::connective;
      if (equals_folded(word, "not")) return Role::link;
      if (equals_folded(word, "end")) return Role::close_case;
      return Role::none;
    case 4:
      if (equals_folded(word, "join")) return Role::join;
      if (equals_folded(word, "like")) return Role::link;
      if (equals_folded(word, "case")) return Role::open_case;
      return Role::none;
    case 5:
      if (equals_folded(word, "union")) return Role::set_operation;
      return equals_folded(word, "ilike") ? Role::link : Role::none;
    case 6:
      if (equals_folded(word, "except")) return Role::set_operation;
      return equals_folded(word, "isnull") ? Role::link : Role::none;
    case 7:
      return equals_folded(word, "collate") || equals_folded(word, "similar") || equals_folded(word, "between") ||
                     equals_folded(word, "notnull")
                 ? Role::link
                 : Role::none;
    case 8: return equals_folded(word, "operator") ? Role::link : Role::none;
    case 9: return equals_folded(word, "intersect") ? Role::set_operation : Role::none;
    default: return Role::none;
  }
}

}  // namespace

int DepthEstimate::current() const {
  const Level& level = levels_.back();
  return level.chain + level.chain_child + level.joins + level.set_operations;
}

bool DepthEstimate::check() {
  deepest_ = std::max(deepest_, levels_.back().above + current() + 1);
  return deepest_ <= limit_;
}

void DepthEstimate::end_operand() {
  Level& level = levels_.back();
  level.best = std::max(level.best, current());
  level.chain = level.chain_child = 0;
}

void DepthEstimate::end_element() {
  end_operand();
  levels_.back().joins = 0;
}

void DepthEstimate::open(bool is_case) {
  Level& parent = levels_.back();
  Level level;
  level.is_case = is_case;
  level.above = parent.above + parent.chain + parent.joins + parent.set_operations + 1;
  levels_.push_back(level);
}

void DepthEstimate::close() {
  if (levels_.size() < 2) return;
  end_operand();
  const int inner = levels_.back().best + 1;
  levels_.pop_back();
  levels_.back().chain_child = std::max(levels_.back().chain_child, inner);
}

bool DepthEstimate::add_word(std::string_view word) {
  Level& level = levels_.back();
  switch (role_of(word)) {
    case Role::none: return true;
    case Role::link: ++level.chain; break;
    case Role::join: ++level.joins; break;
    case Role::set_operation:
      end_element();
      ++levels_.back().set_operations;
      break;
    case Role::connective: end_operand(); break;
    case Role::open_case: open(true); break;
    case Role::close_case:
      if (level.is_case) close();
      break;
  }
  return check();
}

bool DepthEstimate::add(TokenKind kind, std::string_view text) {
  if (kind == TokenKind::word) return add_word(text);
  if (kind == TokenKind::op) {
    ++levels_.back().chain;
    return check();
  }
  if (kind != TokenKind::punctuation) return true;
  switch (text[0]) {
    case '(':
    case '[': open(false); break;
    case ')':
    case ']':
      while (levels_.size() > 1 && levels_.back().is_case) close();
      close();
      break;
    case ',': end_element(); break;
    case ';': levels_.assign(1, {}); break;
    case ':':
      if (text.size() == 2) ++levels_.back().chain;
      break;
    default: return true;
  }
  return check();
}

}  // namespace pgsteer::sql
