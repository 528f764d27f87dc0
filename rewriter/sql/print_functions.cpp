#include <array>
#include <utility>

#include "rewriter/sql/print_context.hpp"

namespace pgsteer::sql::printer {

using json::array;
using json::get;
using json::list;
using json::node_of;
using json::object;
using json::text;
using json::value;

void Printer::arguments(const object& n) {
  const array& items = list(n, "args");
  const bool variadic = json::flag(n, "func_variadic");
  if (json::flag(n, "agg_star")) return put("*");
  if (json::flag(n, "agg_distinct")) put("DISTINCT ");
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (i > 0) put(", ");
    if (variadic && i + 1 == items.size()) put("VARIADIC ");
    const json::Node item = node_of(items[i]);
    if (item.type == "NamedArgExpr") {
      name(text(*item.fields, "name"));
      put(" => ");
      expression_of(*item.fields, "arg");
    } else {
      expression(items[i]);
    }
  }
}

void Printer::function(const object& n) {
  const array& function_name = list(n, "funcname");
  if (text(n, "funcformat") == "COERCE_SQL_SYNTAX") {
    if (!sql_syntax(json::last_name(function_name), list(n, "args"))) fail();
  } else {
    const bool within = json::flag(n, "agg_within_group");
    names(function_name);
    put("(");
    arguments(n);
    if (n.contains("agg_order") && !within) {
      put(" ORDER BY ");
      sort_clause(list(n, "agg_order"));
    }
    put(")");
    if (within) {
      put(" WITHIN GROUP (ORDER BY ");
      sort_clause(list(n, "agg_order"));
      put(")");
    }
  }
  if (n.contains("agg_filter")) {
    put(" FILTER (WHERE ");
    expression_of(n, "agg_filter");
    put(")");
  }
  const object* over = json::fields(n, "over");
  if (over == nullptr) return;
  put(" OVER ");
  over->contains("name") ? name(text(*over, "name")) : window_definition(*over);
}

/// Functions that the standard gives a syntax; the tree remembers that it was used (COERCE_SQL_SYNTAX).
bool Printer::sql_syntax(std::string_view function_name, const array& a) {
  const std::size_t count = a.size();
  if (function_name == "timezone" && count == 2) {
    operand(a[1]);
    put(" AT TIME ZONE ");
    operand(a[0]);
    return true;
  }
  if (function_name == "overlaps" && count == 4) {
    for (const std::size_t i : {0U, 2U}) {
      put(i == 0 ? "(" : " OVERLAPS (");
      expression(a[i]);
      put(", ");
      expression(a[i + 1]);
      put(")");
    }
    return true;
  }
  const auto form = [&](const value& v) {  // NFC, NFD ... stand as a string in the tree
    const json::Node node = node_of(v);
    const object* word = node.type == "A_Const" ? json::fields(*node.fields, "sval") : nullptr;
    const std::string_view spelled = word != nullptr ? text(*word, "sval") : std::string_view();
    if (spelled != "NFC" && spelled != "NFD" && spelled != "NFKC" && spelled != "NFKD") fail();
    put(spelled);
  };
  if (function_name == "is_normalized" && (count == 1 || count == 2)) {
    operand(a[0]);
    put(" IS ");
    if (count == 2) form(a[1]);
    put(" NORMALIZED");
    return true;
  }
  if (function_name == "normalize" && (count == 1 || count == 2)) {
    put("NORMALIZE(");
    expression(a[0]);
    if (count == 2) put(", ");
    if (count == 2) form(a[1]);
    put(")");
    return true;
  }
  if (function_name == "extract" && count == 2) {
    put("EXTRACT(");
    const json::Node field = node_of(a[0]);
    if (field.type != "A_Const" || !field.fields->contains("sval")) return false;
    constant(*field.fields);
    put(" FROM ");
    operand(a[1]);
    put(")");
    return true;
  }
  if (function_name == "btrim" || function_name == "ltrim" || function_name == "rtrim") {
    if (count == 0) return false;
    put(function_name == "btrim" ? "TRIM(BOTH FROM " : function_name == "ltrim" ? "TRIM(LEADING FROM " : "TRIM(TRAILING FROM ");
    expression_list(a);
    put(")");
    return true;
  }
  struct Words {
    std::string_view function, open, second, third, fourth;
    std::size_t fewest, most;
    bool swapped;
  };
  static constexpr std::array<Words, 5> syntaxes = {{
      {"pg_collation_for", "COLLATION FOR (", "", "", "", 1, 1, false},
      {"overlay", "OVERLAY(", " PLACING ", " FROM ", " FOR ", 3, 4, false},
      {"position", "POSITION(", " IN ", "", "", 2, 2, true},
      {"substring", "SUBSTRING(", " FROM ", " FOR ", "", 2, 3, false},
      {"xmlexists", "XMLEXISTS(", " PASSING ", "", "", 2, 2, false},
  }};
  for (const Words& w : syntaxes) {
    if (w.function != function_name || count < w.fewest || count > w.most) continue;
    put(w.open);
    operand(a[w.swapped ? 1 : 0]);
    if (count > 1) put(w.second), operand(a[w.swapped ? 0 : 1]);
    if (count > 2) put(w.third), operand(a[2]);
    if (count > 3) put(w.fourth), operand(a[3]);
    put(")");
    return true;
  }
  return false;
}

/// FROM takes functions and what looks like one; a cast only in its CAST(..) form.
void Printer::function_item(const value& v) {
  const json::Node n = node_of(v);
  if (n.type == "TypeCast") {
    const object* type = json::fields(*n.fields, "typeName");
    put("CAST(");
    expression_of(*n.fields, "arg");
    put(" AS ");
    type != nullptr ? type_name(*type) : fail();
    return put(")");
  }
  if (n.type != "FuncCall" && n.type != "SQLValueFunction" && n.type != "CoalesceExpr" && n.type != "MinMaxExpr" &&
      n.type != "XmlExpr" && n.type != "A_Expr")
    return fail();
  expression(v);
}

void Printer::sql_value(const object& n) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 15> words = {{
      {"SVFOP_CURRENT_DATE", "CURRENT_DATE"},
      {"SVFOP_CURRENT_TIME", "CURRENT_TIME"},
      {"SVFOP_CURRENT_TIME_N", "CURRENT_TIME"},
      {"SVFOP_CURRENT_TIMESTAMP", "CURRENT_TIMESTAMP"},
      {"SVFOP_CURRENT_TIMESTAMP_N", "CURRENT_TIMESTAMP"},
      {"SVFOP_LOCALTIME", "LOCALTIME"},
      {"SVFOP_LOCALTIME_N", "LOCALTIME"},
      {"SVFOP_LOCALTIMESTAMP", "LOCALTIMESTAMP"},
      {"SVFOP_LOCALTIMESTAMP_N", "LOCALTIMESTAMP"},
      {"SVFOP_CURRENT_ROLE", "CURRENT_ROLE"},
      {"SVFOP_CURRENT_USER", "CURRENT_USER"},
      {"SVFOP_USER", "USER"},
      {"SVFOP_SESSION_USER", "SESSION_USER"},
      {"SVFOP_CURRENT_CATALOG", "CURRENT_CATALOG"},
      {"SVFOP_CURRENT_SCHEMA", "CURRENT_SCHEMA"},
  }};
  const std::string_view op = text(n, "op");
  for (const auto& [code, word] : words) {
    if (code != op) continue;
    put(word);
    if (!op.ends_with("_N")) return;
    put("(");
    put(std::to_string(json::number(n, "typmod")));
    return put(")");
  }
  fail();
}

void Printer::xml(const object& n) {
  const std::string_view op = text(n, "op");
  const array& a = list(n, "args");
  const auto named = [&] {  // XMLATTRIBUTES and XMLFOREST: ResTargets
    target_list(list(n, "named_args"));
  };
  if (op == "IS_DOCUMENT" && a.size() == 1) {
    operand(a[0]);
    return put(" IS DOCUMENT");
  }
  if (op == "IS_XMLCONCAT") {
    put("XMLCONCAT(");
    expression_list(a);
    return put(")");
  }
  if (op == "IS_XMLFOREST") {
    put("XMLFOREST(");
    named();
    return put(")");
  }
  if (op == "IS_XMLELEMENT" || op == "IS_XMLPI") {
    put(op == "IS_XMLPI" ? "XMLPI(NAME " : "XMLELEMENT(NAME ");
    name(text(n, "name"));
    if (n.contains("named_args")) {
      put(", XMLATTRIBUTES(");
      named();
      put(")");
    }
    if (!a.empty()) put(", ");
    expression_list(a);
    return put(")");
  }
  if (op == "IS_XMLPARSE" && a.size() == 2) {  // the second says whether white space is kept
    const json::Node keep = node_of(a[1]);
    const object* flag = keep.type == "A_Const" ? json::fields(*keep.fields, "boolval") : nullptr;
    if (flag == nullptr) return fail();
    put(text(n, "xmloption") == "XMLOPTION_DOCUMENT" ? "XMLPARSE(DOCUMENT " : "XMLPARSE(CONTENT ");
    operand(a[0]);
    return put(json::flag(*flag, "boolval") ? " PRESERVE WHITESPACE)" : " STRIP WHITESPACE)");
  }
  if (op == "IS_XMLROOT" && a.size() == 3) {
    // The third is a number: XML_STANDALONE_YES, _NO, _NO_VALUE, _OMITTED of PostgreSQL's utils/xml.h.
    const json::Node standalone = node_of(a[2]);
    const object* code = standalone.type == "A_Const" ? json::fields(*standalone.fields, "ival") : nullptr;
    if (code == nullptr) return fail();
    put("XMLROOT(");
    expression(a[0]);
    put(", VERSION ");
    const json::Node version = node_of(a[1]);
    version.type == "A_Const" && json::flag(*version.fields, "isnull") ? put("NO VALUE") : operand(a[1]);
    switch (json::number(*code, "ival")) {
      case 0: return put(", STANDALONE YES)");
      case 1: return put(", STANDALONE NO)");
      case 2: return put(", STANDALONE NO VALUE)");
      case 3: return put(")");
      default: return fail();
    }
  }
  fail();
}

void Printer::xml_serialize(const object& n) {
  const object* type = json::fields(n, "typeName");
  if (type == nullptr) return fail();
  put(text(n, "xmloption") == "XMLOPTION_DOCUMENT" ? "XMLSERIALIZE(DOCUMENT " : "XMLSERIALIZE(CONTENT ");
  operand_of(n, "expr");
  put(" AS ");
  type_name(*type);
  put(")");
}

}  // namespace pgsteer::sql::printer
