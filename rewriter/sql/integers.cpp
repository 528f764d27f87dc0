#include "rewriter/sql/integers.hpp"

#include <charconv>
#include <optional>

#include "rewriter/sql/json.hpp"
#include "rewriter/sql/lexer.hpp"

namespace pgsteer::sql {
namespace {

/// The literal that begins at `at`: signs and brackets in any number (`-(-(5))` is one literal), comments between them,
/// then digits. The grammar gives the folded literal the place of its first minus. nullopt for anything else.
std::optional<std::int64_t> integer_at(std::string_view text, std::size_t at) {
  Lexer lexer(text.substr(at));
  bool negative = false;
  for (bool first = true;; first = false) {
    const Token token = lexer.next();
    const std::string_view word = lexer.text(token);
    // READ WRITE and NOT DEFERRABLE are the literal 0 to the grammar; a folded literal begins with its minus.
    if (first && token.kind == TokenKind::word) return 0;
    if (token.kind == TokenKind::integer) {
      std::int64_t value = 0;
      const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
      if (error != std::errc() || end != word.data() + word.size() || value > INT32_MAX) return std::nullopt;
      return negative ? -value : value;
    }
    if (token.kind == TokenKind::op && word == "-") {
      negative = !negative;
    } else if (token.kind != TokenKind::comment && !(token.kind == TokenKind::op && word == "+") &&
               !(token.kind == TokenKind::punctuation && word == "(")) {
      return std::nullopt;
    }
  }
}

bool restore(json::object& constant, std::string_view text) {
  json::value* integer = constant.if_contains("ival");
  if (integer == nullptr || !integer->is_object() || !integer->get_object().empty()) return true;
  const std::int64_t at = json::number(constant, "location", -2);
  // Literals that the grammar makes up (FETCH FIRST ROW, xmlroot's STANDALONE) have no place and are never negative.
  if (at == -1) return true;
  if (at < 0 || static_cast<std::size_t>(at) >= text.size()) return false;
  const auto value = integer_at(text, static_cast<std::size_t>(at));
  if (!value || *value > 0) return false;  // a positive literal would have been written
  if (*value < 0) integer->get_object()["ival"] = *value;
  return true;
}

}  // namespace

bool has_lost_integers(std::string_view json) { return json.find("\"ival\":{}") != std::string_view::npos; }

bool restore_negative_integers(json::value& tree, std::string_view text) {
  if (json::object* fields = tree.if_object()) {
    for (auto& member : *fields) {
      if (member.key() == "A_Const" && member.value().is_object()) {
        if (!restore(member.value().get_object(), text)) return false;
      } else if (!restore_negative_integers(member.value(), text)) {
        return false;
      }
    }
  } else if (json::array* items = tree.if_array()) {
    for (json::value& item : *items)
      if (!restore_negative_integers(item, text)) return false;
  }
  return true;
}

}  // namespace pgsteer::sql
