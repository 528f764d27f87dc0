#include "proxy/console/words.hpp"

#include <cctype>

namespace pgsteer::proxy::console {
namespace {

bool is_word_character(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.' || c == ':' || c == '+' || c == '-' || c == '*' ||
         c == '%' || c == '/' || c == '$' || static_cast<unsigned char>(c) >= 0x80;
}

std::size_t skip_block_comment(std::string_view text, std::size_t at) {
  int depth = 0;
  while (at < text.size()) {
    if (text.substr(at, 2) == "/*") {
      ++depth;
      at += 2;
    } else if (text.substr(at, 2) == "*/") {
      at += 2;
      if (--depth == 0) break;
    } else {
      ++at;
    }
  }
  return at;
}

/// Past a comment or blanks at `at`; `at` itself when there is none.
std::size_t skip_blank(std::string_view text, std::size_t at) {
  if (std::isspace(static_cast<unsigned char>(text[at]))) return at + 1;
  if (text.substr(at, 2) == "--") {
    const auto end = text.find('\n', at);
    return end == std::string_view::npos ? text.size() : end + 1;
  }
  if (text.substr(at, 2) == "/*") return skip_block_comment(text, at);
  return at;
}

std::size_t read_quoted(std::string_view text, std::size_t at, std::string& into) {
  const char quote = text[at++];
  while (at < text.size()) {
    if (text[at] == quote) {
      if (at + 1 < text.size() && text[at + 1] == quote) ++at;  // a doubled quote is one
      else return at + 1;
    }
    into += text[at++];
  }
  return at;
}

}  // namespace

std::string upper(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return result;
}

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return result;
}

bool Word::is(std::string_view upper_case) const { return kind == Kind::bare && upper(text) == upper_case; }

std::vector<Word> split_words(std::string_view text) {
  std::vector<Word> words;
  std::size_t at = 0;
  while (at < text.size()) {
    if (const auto next = skip_blank(text, at); next != at) {
      at = next;
      continue;
    }
    Word word;
    if (text[at] == '\'' || text[at] == '"') {
      word.kind = Word::Kind::quoted;
      at = read_quoted(text, at, word.text);
    } else if (is_word_character(text[at])) {
      while (at < text.size() && is_word_character(text[at]) && skip_blank(text, at) == at) word.text += text[at++];
    } else {
      word.kind = Word::Kind::punctuation;
      word.text = text[at++];
    }
    words.push_back(std::move(word));
  }
  while (!words.empty() && words.back().kind == Word::Kind::punctuation && words.back().text == ";") words.pop_back();
  return words;
}

std::string join_words(const std::vector<Word>& words, std::size_t limit) {
  std::string result;
  for (const Word& word : words) {
    if (!result.empty()) result += ' ';
    result += word.kind == Word::Kind::quoted ? "'" + word.text + "'" : word.text;
    if (result.size() > limit) {
      result.resize(limit);
      while (!result.empty() && (static_cast<unsigned char>(result.back()) & 0xC0) == 0x80) result.pop_back();  // whole UTF-8
      if (!result.empty() && static_cast<unsigned char>(result.back()) >= 0x80) result.pop_back();
      return result + "...";
    }
  }
  return result;
}

}  // namespace pgsteer::proxy::console
