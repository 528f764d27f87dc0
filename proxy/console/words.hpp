#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace pgsteer::proxy::console {

/// One word of an admin command: a bare word, a quoted one ('x' or "x", quotes removed), or one punctuation character.
struct Word {
  std::string text;
  enum class Kind : unsigned char { bare, quoted, punctuation } kind = Kind::bare;
  bool is(std::string_view upper_case) const;  ///< a bare word equal to it, whatever its case
};

/// Splits a command into words; `--` and nested `/* */` comments are dropped, trailing semicolons too. An unclosed quote or
/// comment ends with the text.
std::vector<Word> split_words(std::string_view text);

std::string upper(std::string_view text);
std::string lower(std::string_view text);

/// The words with single blanks between them, for messages; at most `limit` bytes.
std::string join_words(const std::vector<Word>& words, std::size_t limit = 60);

}  // namespace pgsteer::proxy::console
