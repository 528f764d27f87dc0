#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace pgsteer::sql {

enum class TokenKind : std::uint8_t {
  end,
  word,         ///< identifier or keyword without quotes
  quoted_word,  ///< "x", U&"x"
  string,       ///< 'x', E'x', N'x', U&'x', $$x$$ with all its continuation lines
  bit_string,   ///< B'01', X'1F'
  integer,
  number,       ///< with a point or an exponent
  parameter,    ///< $1
  op,           ///< operator, one or more of ~!@#^&|`?+-*/%<>=
  punctuation,  ///< one of ( ) [ ] , ; : . or :: := =>(as op) ..
  comment,      ///< -- to the end of line, or a whole block comment
  bad,          ///< NUL, unterminated quote or comment, or a byte no token starts with
};

struct Token {
  TokenKind kind = TokenKind::end;
  std::size_t begin = 0, end = 0;
  int comment_nesting = 0;  ///< of a block comment: 1 for a plain one
};

/// Splits a text into the tokens PostgreSQL's scan.l sees (standard_conforming_strings = on), comments included and
/// white space left out. Linear in the text; holds a view, so the text must outlive it.
class Lexer {
 public:
  explicit Lexer(std::string_view text) : text_(text) {}

  Token next();
  std::string_view text(const Token& token) const { return text_.substr(token.begin, token.end - token.begin); }

  /// Bytes that PostgreSQL's own scanner reads again because of comments so far: at every `/*`, also a nested one, it
  /// first takes the whole run of operator characters that follows. `/**//**//**/...` makes that quadratic.
  std::size_t comment_work() const { return comment_work_; }

 private:
  char at(std::size_t i) const { return i < text_.size() ? text_[i] : '\0'; }
  Token block_comment();
  Token quoted(std::size_t begin, char quote, bool backslash, TokenKind kind);
  Token dollar();
  Token number();
  Token operator_run();
  Token word();
  Token finish(TokenKind kind, std::size_t begin, std::size_t end);
  bool continues_string(std::size_t& position) const;

  void count_comment_start(std::size_t at);

  std::string_view text_;
  std::size_t position_ = 0;
  std::size_t comment_work_ = 0;
  std::size_t run_end_ = 0;  ///< of the run of operator characters last measured
};

/// ASCII case-insensitive comparison with a lower-case word.
bool equals_folded(std::string_view text, std::string_view lower);

}  // namespace pgsteer::sql
