#include "proxy/console/sql_diff.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>

#include "proxy/console/words.hpp"
#include "rewriter/sql/tree.hpp"

namespace pgsteer::proxy::console {
namespace {

bool is_identifier(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || static_cast<unsigned char>(c) >= 0x80; }

/// End of the quoted text, comment or dollar-quoted text that starts at `at`; `at` when none does.
std::size_t end_of_quoted(std::string_view sql, std::size_t at) {
  const char c = sql[at];
  if (c == '\'' || c == '"') {
    for (std::size_t i = at + 1; i < sql.size(); ++i)
      if (sql[i] == c) {
        if (i + 1 < sql.size() && sql[i + 1] == c) ++i;
        else return i + 1;
      }
    return sql.size();
  }
  const auto until = [&](std::string_view end, std::size_t from) {
    const auto found = sql.find(end, from);
    return found == std::string_view::npos ? sql.size() : found + end.size();
  };
  if (sql.substr(at, 2) == "--") return until("\n", at);
  if (sql.substr(at, 2) == "/*") return until("*/", at);
  if (c == '$') {
    std::size_t i = at + 1;
    while (i < sql.size() && is_identifier(sql[i])) ++i;
    if (i < sql.size() && sql[i] == '$' && !(i > at + 1 && std::isdigit(static_cast<unsigned char>(sql[at + 1]))))
      return until(sql.substr(at, i + 1 - at), i + 1);
  }
  return at;
}

constexpr std::array<std::string_view, 24> clause_words = {
    "select", "from",  "where",  "group",  "having", "order",  "limit", "offset",    "union", "intersect", "except", "join",
    "left",   "right", "full",   "inner",  "cross",  "window", "set",   "returning", "values", "with",     "and",    "or"};

/// "join" goes on the line of the word before it ("left join"), and so does a "left" or "right" that is a function.
bool starts_line(const std::string& word, const std::string& previous, char next) {
  if (std::find(clause_words.begin(), clause_words.end(), word) == clause_words.end()) return false;
  if (word == "join") return previous != "left" && previous != "right" && previous != "full" && previous != "inner" &&
                             previous != "cross" && previous != "outer" && previous != "natural";
  if (word == "left" || word == "right") return next != '(';
  return true;
}

class Lines {
 public:
  void append(std::string_view text) { current_ += text; }
  void blank() {
    if (!current_.empty() && current_.back() != ' ' && current_.back() != '(') current_ += ' ';
  }
  void next(int depth) {
    while (!current_.empty() && current_.back() == ' ') current_.pop_back();
    if (!current_.empty()) lines_.push_back(std::string(2 * static_cast<std::size_t>(std::clamp(indent_, 0, 20)), ' ') + current_);
    current_.clear();
    indent_ = depth;
  }
  std::vector<std::string> take() {
    next(0);
    return std::move(lines_);
  }

 private:
  std::vector<std::string> lines_;
  std::string current_;
  int indent_ = 0;
};

std::optional<std::string> printed(std::string_view sql) {
  const auto tree = sql::Tree::parse(sql);
  return tree ? tree->print() : std::nullopt;
}

}  // namespace

std::vector<std::string> break_clauses(std::string_view sql) {
  Lines lines;
  std::string previous;
  int depth = 0;
  bool between = false;
  for (std::size_t at = 0; at < sql.size();) {
    const char c = sql[at];
    if (const auto quoted_end = end_of_quoted(sql, at); quoted_end != at) {
      const bool comment = sql.substr(at, 2) == "--";
      lines.append(sql.substr(at, quoted_end - at - (comment && sql[quoted_end - 1] == '\n')));
      if (comment) lines.next(depth);  // what follows must not join the comment
      at = quoted_end;
    } else if (std::isspace(static_cast<unsigned char>(c))) {
      lines.blank();
      ++at;
    } else if (is_identifier(c)) {
      std::size_t end = at;
      while (end < sql.size() && is_identifier(sql[end])) ++end;
      const std::string word = lower(sql.substr(at, end - at));
      const bool range_and = between && word == "and";
      if (word == "between") between = true;
      if (range_and) between = false;
      else if (starts_line(word, previous, end < sql.size() ? sql[end] : ' ')) lines.next(depth);
      lines.append(sql.substr(at, end - at));
      previous = word;
      at = end;
    } else {
      depth += (c == '(') - (c == ')');
      lines.append(sql.substr(at, 1));
      ++at;
    }
  }
  return lines.take();
}

std::vector<std::string> diff_lines(const std::vector<std::string>& before, const std::vector<std::string>& after) {
  std::vector<std::string> result;
  const std::size_t n = before.size(), m = after.size();
  if (n > 300 || m > 300) {
    for (const auto& line : before) result.push_back("- " + line);
    for (const auto& line : after) result.push_back("+ " + line);
    return result;
  }
  // common[i][j]: length of the longest common subsequence of before[i..] and after[j..]
  std::vector<std::vector<int>> common(n + 1, std::vector<int>(m + 1, 0));
  for (std::size_t i = n; i-- > 0;)
    for (std::size_t j = m; j-- > 0;)
      common[i][j] = before[i] == after[j] ? common[i + 1][j + 1] + 1 : std::max(common[i + 1][j], common[i][j + 1]);
  std::size_t i = 0, j = 0;
  while (i < n || j < m) {
    if (i < n && j < m && before[i] == after[j]) {
      result.push_back("  " + before[i++]);
      ++j;
    } else if (i < n && (j == m || common[i + 1][j] >= common[i][j + 1])) {
      result.push_back("- " + before[i++]);
    } else {
      result.push_back("+ " + after[j++]);
    }
  }
  return result;
}

std::vector<std::string> diff_statements(std::string_view before, std::string_view after) {
  const auto before_printed = printed(before), after_printed = printed(after);
  if (before_printed && after_printed) return diff_lines(break_clauses(*before_printed), break_clauses(*after_printed));
  return diff_lines(break_clauses(before), break_clauses(after));
}

}  // namespace pgsteer::proxy::console
