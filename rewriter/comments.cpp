#include "rewriter/comments.hpp"

#include <cctype>
#include <string>

namespace pgsteer::rewriter {
namespace {

bool space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
bool identifier(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '$' || static_cast<unsigned char>(c) >= 0x80;
}

/// End of the whitespace or comment that starts at `at`; `at` itself when a token starts there.
std::size_t skip_blank(std::string_view text, std::size_t at) {
  if (space(text[at])) return at + 1;
  if (text.substr(at, 2) == "--") {
    const auto end = text.find_first_of("\r\n", at);
    return end == std::string_view::npos ? text.size() : end;
  }
  if (text.substr(at, 2) != "/*") return at;
  int depth = 0;
  for (auto i = at; i < text.size();) {
    if (text.substr(i, 2) == "/*") {
      ++depth;
      i += 2;
    } else if (text.substr(i, 2) == "*/") {
      i += 2;
      if (--depth == 0) return i;
    } else {
      ++i;
    }
  }
  return text.size();
}

std::size_t skip_quoted(std::string_view text, std::size_t at, char quote, bool backslashes) {
  for (auto i = at + 1; i < text.size(); ++i) {
    if (backslashes && text[i] == '\\') {
      ++i;
    } else if (text[i] == quote) {
      return i + 1;  // a doubled quote simply starts the next piece
    }
  }
  return text.size();
}

std::size_t skip_dollar_quoted(std::string_view text, std::size_t at) {
  auto end = at + 1;
  while (end < text.size() && identifier(text[end]) && text[end] != '$') ++end;
  if (end >= text.size() || text[end] != '$' || (end > at + 1 && std::isdigit(static_cast<unsigned char>(text[at + 1]))))
    return at + 1;  // a parameter or a lone sign
  const auto tag = text.substr(at, end + 1 - at);
  const auto close = text.find(tag, end + 1);
  return close == std::string_view::npos ? text.size() : close + tag.size();
}

/// End of the token at `at`; pieces of one token may come one by one.
std::size_t skip_token(std::string_view text, std::size_t at) {
  const char c = text[at];
  if (c == '\'' || c == '"') {
    const bool escapes = c == '\'' && at > 0 && (text[at - 1] == 'e' || text[at - 1] == 'E') &&
                         (at < 2 || !identifier(text[at - 2]));
    return skip_quoted(text, at, c, escapes);
  }
  if (c == '$') return skip_dollar_quoted(text, at);
  if (!identifier(c)) return at + 1;
  auto end = at + 1;
  while (end < text.size() && identifier(text[end])) ++end;
  return end;
}

}  // namespace

Surroundings comments_around(std::string_view text) {
  std::size_t begin = text.size(), end = text.size();
  for (std::size_t at = 0; at < text.size();) {
    const auto after_blank = skip_blank(text, at);
    if (after_blank != at) {
      at = after_blank;
      continue;
    }
    const auto after = skip_token(text, at);
    if (begin == text.size()) begin = at;
    if (text[at] != ';') end = after;
    at = after;
  }
  return {text.substr(0, begin), begin == text.size() ? std::string_view() : text.substr(end)};
}

}  // namespace pgsteer::rewriter
