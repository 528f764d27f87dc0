#include "rewriter/sql/comments.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "rewriter/sql/lexer.hpp"

namespace pgsteer::sql {
namespace {

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f'; }

std::string_view trim(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

/// Modes, durations and switches: off, canary, 30s, 1.5h. Anything else is not a directive of ours.
bool is_plain_value(std::string_view text) {
  return !text.empty() && text.size() <= 32 && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
  });
}

bool set_directive(Directive& directive, std::string_view key, std::string_view value) {
  if (!is_plain_value(value)) return false;
  if (key == "mode")
    directive.mode = value;
  else if (key == "cache")
    directive.cache = value;
  else
    return false;
  return true;
}

/// `off` or `{mode=observe,cache=off}`, after "pgsteer:". All or nothing: a directive half understood is none.
void read_directive(std::string_view body, Directive& directive) {
  Directive read = directive;
  if (body.size() >= 2 && body.front() == '{' && body.back() == '}') {
    body = body.substr(1, body.size() - 2);
    while (!body.empty()) {
      const std::size_t comma = std::min(body.find(','), body.size());
      const std::string_view item = body.substr(0, comma);
      const std::size_t equals = item.find('=');
      if (equals == std::string_view::npos) return;
      if (!set_directive(read, trim(item.substr(0, equals)), trim(item.substr(equals + 1)))) return;
      body.remove_prefix(std::min(comma + 1, body.size()));
    }
  } else if (!set_directive(read, "mode", body)) {
    return;
  }
  directive = std::move(read);
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

std::string url_decode(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 && hex_digit(text[i + 2]) >= 0) {
      out += static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
      i += 2;
    } else if (text[i] == '\\' && i + 1 < text.size() && text[i + 1] == '\'') {
      out += text[++i];
    } else {
      out += text[i];
    }
  }
  return out;
}

/// One key='value' at the front of `rest`, taken off it.
std::optional<std::pair<std::string, std::string>> take_pair(std::string_view& rest) {
  const std::size_t equals = rest.find("='");
  if (equals == std::string_view::npos) return std::nullopt;
  const std::string_view key = trim(rest.substr(0, equals));
  const bool plain = !key.empty() && std::ranges::all_of(key, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           c == '.' || c == '%';
  });
  if (!plain) return std::nullopt;
  std::size_t end = equals + 2;
  while (end < rest.size() && rest[end] != '\'') end += rest[end] == '\\' ? 2 : 1;
  if (end >= rest.size()) return std::nullopt;
  std::pair<std::string, std::string> pair{url_decode(key), url_decode(rest.substr(equals + 2, end - equals - 2))};
  rest = trim(rest.substr(end + 1));
  return pair;
}

/// sqlcommenter: key='value',key='value', URL-encoded. A comment that is anything else has no tags.
void read_tags(std::string_view body, Analysis& analysis) {
  std::map<std::string, std::string> tags;
  Directive directive = analysis.directive;
  while (!body.empty()) {
    auto pair = take_pair(body);
    if (!pair || (!body.empty() && body.front() != ',')) return;
    if (!body.empty()) body = trim(body.substr(1));
    if (pair->first.starts_with("pgsteer_"))
      set_directive(directive, std::string_view(pair->first).substr(8), pair->second);
    else
      tags.insert(std::move(*pair));
  }
  analysis.tags = std::move(tags);
  analysis.directive = std::move(directive);
}

}  // namespace

void read_comments(std::string_view text, const TextScan& scan, Analysis& analysis) {
  constexpr std::string_view prefix = "pgsteer:";
  for (const Comment& comment : scan.comments) {
    if (!comment.block) continue;
    std::string_view body = text.substr(comment.begin + 2, comment.end - comment.begin - 4);
    if (body.starts_with('+')) analysis.flags.hint_comment = true;
    body = trim(body);
    if (body.starts_with(prefix)) read_directive(trim(body.substr(prefix.size())), analysis.directive);
  }
  if (scan.comments.empty()) return;
  const Comment& last = scan.comments.back();
  if (last.block && last.begin >= scan.code_end)
    read_tags(trim(text.substr(last.begin + 2, last.end - last.begin - 4)), analysis);
}

std::string without_comments_and_strings(std::string_view text) {
  std::string out;
  std::size_t kept = 0;
  Lexer lexer(text);
  for (Token token = lexer.next(); token.kind != TokenKind::end; token = lexer.next()) {
    if (token.kind == TokenKind::string || token.kind == TokenKind::bit_string) {
      out.append(text.substr(kept, token.begin - kept)).append("'...'");
      kept = token.end;
    }
    if (token.kind != TokenKind::comment) continue;
    out += trim(text.substr(kept, token.begin - kept));
    out += ' ';
    kept = token.end;
    while (kept < text.size() && is_space(text[kept])) ++kept;
  }
  out += text.substr(kept);
  return std::string(trim(out));
}

}  // namespace pgsteer::sql
