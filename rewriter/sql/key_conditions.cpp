#include "rewriter/sql/key_conditions.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include "rewriter/sql/lexer.hpp"

namespace pgsteer::sql {

using json::array;
using json::get;
using json::list;
using json::node_of;
using json::object;
using json::text;
using json::value;

namespace {

/// What brings other rows into a statement than those of its one table, or other rows of it.
constexpr std::array<std::string_view, 10> kOtherRows{"SubLink",         "RangeSubselect", "JoinExpr",   "RangeFunction", "RangeTableFunc",
                                                      "RangeTableSample", "withClause",     "CurrentOfExpr", "larg",       "rarg"};

bool is_literal(TokenKind kind) {
  return kind == TokenKind::string || kind == TokenKind::bit_string || kind == TokenKind::integer || kind == TokenKind::number;
}

class Reader {
 public:
  Reader(std::string_view text, Analysis& analysis) : text_(text), analysis_(analysis) {}

  void statement(const json::Node& node) {
    if (node.type != "SelectStmt" && node.type != "UpdateStmt" && node.type != "DeleteStmt") return;
    const object& s = *node.fields;
    const bool select = node.type == "SelectStmt";
    if (!list(s, select ? "fromClause" : "usingClause").empty() != select) return;
    if (node.type == "UpdateStmt" && !list(s, "fromClause").empty()) return;
    const object* table = json::fields(s, "relation");
    if (select) {
      if (list(s, "fromClause").size() != 1) return;
      const json::Node from = node_of(list(s, "fromClause")[0]);
      if (from.type != "RangeVar") return;
      table = from.fields;
    }
    const value* where = get(s, "whereClause");
    if (table == nullptr || where == nullptr || !alone(s)) return;
    name_ = text(*table, "relname");
    if (const object* alias = json::fields(*table, "alias")) name_ = text(*alias, "aliasname");
    statement_ = &s;
    conjunct(*where);
    if (node.type != "UpdateStmt" || analysis_.key_conditions.empty()) return;
    for (const value& target : list(s, "targetList")) {
      const json::Node column = node_of(target);
      if (column.type != "ResTarget") return analysis_.key_conditions.clear();
      analysis_.assigned.emplace_back(text(*column.fields, "name"));
    }
  }

 private:
  static bool alone(const object& fields) {
    return std::all_of(fields.begin(), fields.end(), [](const auto& member) {
      return std::find(kOtherRows.begin(), kOtherRows.end(), member.key()) == kOtherRows.end() && alone(member.value());
    });
  }
  static bool alone(const value& v) {
    if (const object* fields = v.if_object()) return alone(*fields);
    const array* items = v.if_array();
    return items == nullptr || std::all_of(items->begin(), items->end(), [](const value& item) { return alone(item); });
  }

  void conjunct(const value& v) {
    const json::Node node = node_of(v);
    if (node.type == "BoolExpr" && text(*node.fields, "boolop") == "AND_EXPR")
      for (const value& part : list(*node.fields, "args")) conjunct(part);
    if (node.type != "A_Expr" || text(*node.fields, "kind") != "AEXPR_OP") return;
    std::string_view operation;
    const array& names = list(*node.fields, "name");
    if (names.size() != 1 || !json::string_node(names[0], operation) || operation != "=") return;
    const value *left = get(*node.fields, "lexpr"), *right = get(*node.fields, "rexpr");
    if (left == nullptr || right == nullptr) return;
    KeyCondition condition;
    if (column(*left, condition) && given(*right, condition)) analysis_.key_conditions.push_back(std::move(condition));
  }

  bool column(const value& v, KeyCondition& condition) const {
    const json::Node node = node_of(v);
    if (node.type != "ColumnRef") return false;
    const array& names = list(*node.fields, "fields");
    std::string_view name, qualifier = name_;
    if (names.empty() || names.size() > 2 || !json::string_node(names[names.size() - 1], name)) return false;
    if (names.size() == 2 && !json::string_node(names[0], qualifier)) return false;
    condition.column = name;
    return qualifier == name_;
  }

  bool given(const value& v, KeyCondition& condition) const {
    const json::Node node = node_of(v);
    if (node.type == "ParamRef") {
      condition.parameter = static_cast<int>(json::number(*node.fields, "number"));
      return condition.parameter > 0 && uses(*statement_, condition.parameter) == 1;
    }
    const std::int64_t at = node.type == "A_Const" ? json::number(*node.fields, "location") : 0;
    if (at <= 0) return false;
    Lexer lexer(text_);
    for (Token token = lexer.next(); token.kind != TokenKind::end && token.begin <= static_cast<std::size_t>(at); token = lexer.next()) {
      if (!is_literal(token.kind)) continue;
      if (token.begin == static_cast<std::size_t>(at)) return true;
      ++condition.literal;
    }
    return false;
  }

  static int uses(const object& fields, int parameter) {
    int count = 0;
    for (const auto& member : fields) {
      const object* inner = member.value().if_object();
      if (member.key() == "ParamRef" && inner != nullptr) count += json::number(*inner, "number") == parameter;
      else count += uses(member.value(), parameter);
    }
    return count;
  }
  static int uses(const value& v, int parameter) {
    if (const object* fields = v.if_object()) return uses(*fields, parameter);
    int count = 0;
    if (const array* items = v.if_array())
      for (const value& item : *items) count += uses(item, parameter);
    return count;
  }

  const std::string_view text_;
  Analysis& analysis_;
  const object* statement_ = nullptr;
  std::string_view name_;  ///< by which columns may be qualified
};

}  // namespace

void read_key_conditions(const json::Node& statement, std::string_view text, Analysis& analysis) { Reader(text, analysis).statement(statement); }

std::string_view literal_of(std::string_view text, std::size_t n) {
  Lexer lexer(text);
  for (Token token = lexer.next(); token.kind != TokenKind::end; token = lexer.next())
    if (is_literal(token.kind) && n-- == 0) return lexer.text(token);
  return {};
}

}  // namespace pgsteer::sql
