#include "rewriter/sql/text_scan.hpp"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <array>
#include <cstring>
#include <string>

#include "rewriter/sql/depth.hpp"
#include "rewriter/sql/lexer.hpp"

namespace pgsteer::sql {
namespace {

constexpr std::array<char, 256> make_folded() {
  std::array<char, 256> table{};
  for (int c = 0; c < 256; ++c) table[static_cast<std::size_t>(c)] = static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  return table;
}
constexpr auto folded = make_folded();

/// The text of a shape: every token followed by a byte no token holds. Literals appear as their kind only. Written for every text that was not
/// seen before, hence without a call for each token.
class ShapeText {
 public:
  ShapeText(std::string& buffer, std::size_t text_bytes) : buffer_(buffer) {
    const auto most = kMostForOne * text_bytes + 1;
    if (buffer_.size() < most) buffer_.resize(most);
    at_ = buffer_.data();
  }

  void add(TokenKind kind, std::string_view text) {
    char* at = at_;  // a member would be read again after every byte
    switch (kind) {
      case TokenKind::string: at = literal(at, 's'); break;
      case TokenKind::bit_string: at = literal(at, 'b'); break;
      case TokenKind::integer: at = literal(at, 'i'); break;
      case TokenKind::number: at = literal(at, 'f'); break;
      case TokenKind::word:
        for (const char c : text) *at++ = folded[static_cast<unsigned char>(c)];
        break;
      default:
        for (const char c : text) *at++ = c;
        break;
    }
    *at++ = '\x02';
    at_ = at;
  }

  Shape hash() const {
    const XXH128_hash_t h = XXH3_128bits(buffer_.data(), static_cast<std::size_t>(at_ - buffer_.data()));
    return Shape{h.high64, h.low64};
  }

 private:
  static constexpr std::size_t kMostForOne = 3;  ///< bytes that a token of one character becomes
  static char* literal(char* at, char kind) {
    *at++ = '\x01';
    *at++ = kind;
    return at;
  }

  std::string& buffer_;
  char* at_;
};

/// See Lexer::comment_work(); at some 10 ns a byte and four passes, under a millisecond.
constexpr std::size_t max_comment_work = 16 * 1024;

void refuse(TextScan& scan, WhyNot why) { scan.why = why; }

bool contains_folded(std::string_view text, std::string_view lower) {
  for (std::size_t i = 0; i + lower.size() <= text.size(); ++i)
    if (equals_folded(text.substr(i, lower.size()), lower)) return true;
  return false;
}

/// 'now' and its kin, also as part of something longer, and any spelling that could hide them (E'\x6eow', U&'n\006fw').
bool may_be_moving_time(std::string_view literal) {
  if (literal.size() < 5) return false;
  for (const std::string_view word : {"now", "today", "tomorrow", "yesterday", "\\"})
    if (contains_folded(literal, word)) return true;
  return false;
}

/// Keeps account of what makes two texts of one shape say different things.
class LiteralWatch {
 public:
  explicit LiteralWatch(TextScan& scan) : scan_(scan) {}
  void token(TokenKind kind, std::string_view text) {
    if (kind == TokenKind::string && may_be_moving_time(text)) scan_.shape_decides = false;
    if (kind == TokenKind::integer && limited_)
      scan_.read_literals = scan_.read_literals * 31 + XXH3_64bits(text.data(), text.size());
    limited_ = kind == TokenKind::word && (text.size() == 4 || text.size() == 5) &&
               (equals_folded(text, "limit") || equals_folded(text, "first") || equals_folded(text, "next"));
  }

 private:
  TextScan& scan_;
  bool limited_ = false;
};

void scan_tokens(std::string_view text, const Limits& limits, TextScan& scan) {
  static thread_local std::string buffer;
  ShapeText shape(buffer, text.size());
  DepthEstimate depth(limits.max_depth);
  Lexer lexer(text);
  LiteralWatch watch(scan);
  std::size_t semicolons = 0;  // trailing ones are no part of the shape
  for (Token token = lexer.next(); token.kind != TokenKind::end; token = lexer.next()) {
    if (token.comment_nesting > limits.max_comment_nesting || lexer.comment_work() > max_comment_work) {
      refuse(scan, WhyNot::nested_comments);
      return;
    }
    if (token.kind == TokenKind::comment) {
      scan.comments.push_back({token.begin, token.end, token.comment_nesting > 0});
      continue;
    }
    if (++scan.tokens > limits.max_tokens) {
      refuse(scan, WhyNot::too_many_tokens);
      return;
    }
    const std::string_view word = lexer.text(token);
    if (!depth.add(token.kind, word)) {
      refuse(scan, WhyNot::too_deep);
      return;
    }
    if (word == ";") {
      ++semicolons;
      continue;
    }
    for (; semicolons > 0; --semicolons)
      if (scan.code_end > 0) shape.add(TokenKind::punctuation, ";");
    shape.add(token.kind, word);
    watch.token(token.kind, word);
    scan.code_end = token.end;
  }
  scan.shape = shape.hash();
  if (!scan.comments.empty()) scan.shape_decides = false;
}

}  // namespace

TextScan scan_text(std::string_view text, const Limits& limits) {
  TextScan scan;
  if (text.size() > limits.max_bytes)
    refuse(scan, WhyNot::too_long);
  else if (std::memchr(text.data(), 0, text.size()) != nullptr)
    refuse(scan, WhyNot::nul_byte);
  else
    scan_tokens(text, limits, scan);
  return scan;
}

}  // namespace pgsteer::sql
