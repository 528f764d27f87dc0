#include "rewriter/sql/lexer.hpp"

#include <array>

namespace pgsteer::sql {
namespace {

enum Class : std::uint8_t { other, space, word_start, digit, operator_char, self };

constexpr std::array<std::uint8_t, 256> make_classes() {
  std::array<std::uint8_t, 256> table{};
  for (int c = 'a'; c <= 'z'; ++c) table[c] = word_start;
  for (int c = 'A'; c <= 'Z'; ++c) table[c] = word_start;
  for (int c = 128; c < 256; ++c) table[c] = word_start;
  table['_'] = word_start;
  for (int c = '0'; c <= '9'; ++c) table[c] = digit;
  for (char c : {' ', '\t', '\n', '\r', '\f'}) table[static_cast<unsigned char>(c)] = space;
  for (char c : {'~', '!', '@', '#', '^', '&', '|', '`', '?', '+', '-', '*', '/', '%', '<', '>', '='})
    table[static_cast<unsigned char>(c)] = operator_char;
  for (char c : {'(', ')', '[', ']', ',', ';', ':', '.'}) table[static_cast<unsigned char>(c)] = self;
  return table;
}
constexpr auto classes = make_classes();

std::uint8_t class_of(char c) { return classes[static_cast<unsigned char>(c)]; }
constexpr std::array<bool, 256> make_word_chars() {
  std::array<bool, 256> table{};
  for (std::size_t c = 0; c < table.size(); ++c) table[c] = classes[c] == word_start || classes[c] == digit || c == '$';
  return table;
}
constexpr auto word_chars = make_word_chars();
bool is_digit(char c) { return class_of(c) == digit; }

/// Characters that let a multi-character operator end in + or - (scan.l, "operator").
bool keeps_sign(char c) {
  return c == '~' || c == '!' || c == '@' || c == '#' || c == '^' || c == '&' || c == '|' || c == '`' || c == '?' ||
         c == '%';
}

}  // namespace

bool equals_folded(std::string_view text, std::string_view lower) {
  if (text.size() != lower.size()) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i] >= 'A' && text[i] <= 'Z' ? static_cast<char>(text[i] + 32) : text[i];
    if (c != lower[i]) return false;
  }
  return true;
}

Token Lexer::finish(TokenKind kind, std::size_t begin, std::size_t end) {
  position_ = end;
  return Token{kind, begin, end, 0};
}

Token Lexer::next() {
  while (position_ < text_.size() && class_of(text_[position_]) == space) ++position_;
  const std::size_t begin = position_;
  if (begin >= text_.size()) return finish(TokenKind::end, begin, begin);
  const char c = text_[begin];
  switch (class_of(c)) {
    case word_start: return word();
    case digit: return number();
    case operator_char:
      if (c == '-' && at(begin + 1) == '-') {
        std::size_t end = begin;
        while (end < text_.size() && text_[end] != '\n' && text_[end] != '\r') ++end;
        return finish(TokenKind::comment, begin, end);
      }
      if (c == '/' && at(begin + 1) == '*') return block_comment();
      return operator_run();
    case self:
      if (c == '.' && is_digit(at(begin + 1))) return number();
      if ((c == ':' && (at(begin + 1) == ':' || at(begin + 1) == '=')) || (c == '.' && at(begin + 1) == '.'))
        return finish(TokenKind::punctuation, begin, begin + 2);
      return finish(TokenKind::punctuation, begin, begin + 1);
    default: break;
  }
  if (c == '\'') return quoted(begin, '\'', false, TokenKind::string);
  if (c == '"') return quoted(begin, '"', false, TokenKind::quoted_word);
  if (c == '$') return dollar();
  return finish(TokenKind::bad, begin, begin + 1);
}

void Lexer::count_comment_start(std::size_t start) {
  if (start >= run_end_) run_end_ = start;
  while (run_end_ < text_.size() && class_of(text_[run_end_]) == operator_char) ++run_end_;
  comment_work_ += run_end_ - start;
}

Token Lexer::block_comment() {
  const std::size_t begin = position_;
  int depth = 0, deepest = 0;
  for (std::size_t i = begin; i + 1 < text_.size();) {
    if (text_[i] == '/' && text_[i + 1] == '*') {
      if (++depth > deepest) deepest = depth;
      count_comment_start(i);
      i += 2;
    } else if (text_[i] == '*' && text_[i + 1] == '/') {
      i += 2;
      if (--depth == 0) {
        Token token = finish(TokenKind::comment, begin, i);
        token.comment_nesting = deepest;
        return token;
      }
    } else {
      ++i;
    }
  }
  Token token = finish(TokenKind::bad, begin, text_.size());
  token.comment_nesting = deepest;
  return token;
}

/// A quoted string goes on after white space with a line break and another quote, in the mode it began with.
bool Lexer::continues_string(std::size_t& position) const {
  bool line_break = false;
  for (std::size_t i = position; i < text_.size();) {
    if (text_[i] == '\n' || text_[i] == '\r') {
      line_break = true;
      ++i;
    } else if (class_of(text_[i]) == space) {
      ++i;
    } else if (text_[i] == '-' && at(i + 1) == '-') {
      while (i < text_.size() && text_[i] != '\n' && text_[i] != '\r') ++i;
    } else {
      if (text_[i] != '\'' || !line_break) return false;
      position = i + 1;
      return true;
    }
  }
  return false;
}

Token Lexer::quoted(std::size_t begin, char quote, bool backslash, TokenKind kind) {
  std::size_t i = text_.find(quote, begin) + 1;
  while (i < text_.size()) {
    const char c = text_[i];
    if (backslash && c == '\\') {
      i += 2;
    } else if (c != quote) {
      ++i;
    } else if (at(i + 1) == quote) {
      i += 2;
    } else {
      ++i;
      if (quote == '"' || !continues_string(i)) return finish(kind, begin, i);
    }
  }
  return finish(TokenKind::bad, begin, text_.size());
}

Token Lexer::dollar() {
  const std::size_t begin = position_;
  std::size_t i = begin + 1;
  if (is_digit(at(i))) {
    while (is_digit(at(i))) ++i;
    return finish(TokenKind::parameter, begin, i);
  }
  if (class_of(at(i)) == word_start)
    while (class_of(at(i)) == word_start || is_digit(at(i))) ++i;
  if (at(i) != '$' || i >= text_.size()) return finish(TokenKind::bad, begin, begin + 1);
  const std::string_view tag = text_.substr(begin, i + 1 - begin);
  const std::size_t close = text_.find(tag, i + 1);
  if (close == std::string_view::npos) return finish(TokenKind::bad, begin, text_.size());
  return finish(TokenKind::string, begin, close + tag.size());
}

Token Lexer::number() {
  const std::size_t begin = position_;
  std::size_t i = begin;
  bool real = false;
  while (is_digit(at(i))) ++i;
  if (at(i) == '.' && at(i + 1) != '.') {
    real = true;
    ++i;
    while (is_digit(at(i))) ++i;
  }
  if (at(i) == 'e' || at(i) == 'E') {
    std::size_t exponent = i + 1;
    if (at(exponent) == '+' || at(exponent) == '-') ++exponent;
    if (is_digit(at(exponent))) {
      real = true;
      i = exponent;
      while (is_digit(at(i))) ++i;
    }
  }
  return finish(real ? TokenKind::number : TokenKind::integer, begin, i);
}

Token Lexer::operator_run() {
  const std::size_t begin = position_;
  std::size_t end = begin;
  bool keeps = false;
  while (end < text_.size() && class_of(text_[end]) == operator_char) {
    if (end > begin && ((text_[end] == '-' && at(end + 1) == '-') || (text_[end] == '/' && at(end + 1) == '*'))) break;
    keeps = keeps || keeps_sign(text_[end]);
    ++end;
  }
  if (!keeps)
    while (end > begin + 1 && (text_[end - 1] == '+' || text_[end - 1] == '-')) --end;
  return finish(TokenKind::op, begin, end);
}

Token Lexer::word() {
  const std::size_t begin = position_;
  const char c = text_[begin];
  if (at(begin + 1) == '\'') {
    if (c == 'e' || c == 'E') return quoted(begin, '\'', true, TokenKind::string);
    if (c == 'n' || c == 'N') return quoted(begin, '\'', false, TokenKind::string);
    if (c == 'b' || c == 'B' || c == 'x' || c == 'X') return quoted(begin, '\'', false, TokenKind::bit_string);
  }
  if ((c == 'u' || c == 'U') && at(begin + 1) == '&') {
    if (at(begin + 2) == '\'') return quoted(begin, '\'', false, TokenKind::string);
    if (at(begin + 2) == '"') return quoted(begin, '"', false, TokenKind::quoted_word);
  }
  const char *end = text_.data() + begin + 1, *const last = text_.data() + text_.size();
  while (end < last && word_chars[static_cast<unsigned char>(*end)]) ++end;
  return finish(TokenKind::word, begin, static_cast<std::size_t>(end - text_.data()));
}

}  // namespace pgsteer::sql
