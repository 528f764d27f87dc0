#include "rewriter/sql/print_context.hpp"
#include "rewriter/sql/printer.hpp"

namespace pgsteer::sql::printer {

using json::array;
using json::get;
using json::list;
using json::node_of;
using json::object;
using json::text;
using json::value;

namespace {

bool is_negative(const object& constant) {
  if (const object* v = json::fields(constant, "ival")) return json::number(*v, "ival") < 0;
  if (const object* v = json::fields(constant, "fval")) return text(*v, "fval").starts_with('-');
  return false;
}

/// Functions with a syntax of their own that is no primary (c_expr of the grammar).
bool is_operator_syntax(const object& function) {
  if (text(function, "funcformat") != "COERCE_SQL_SYNTAX") return false;
  const std::string_view name = json::last_name(list(function, "funcname"));
  return name == "timezone" || name == "overlaps" || name == "is_normalized";
}

bool is_primary(const json::Node& n) {
  if (n.type == "A_Const") return !is_negative(*n.fields);
  if (n.type == "FuncCall") return !is_operator_syntax(*n.fields);
  if (n.type == "A_Expr") return text(*n.fields, "kind") == "AEXPR_NULLIF";
  if (n.type == "SubLink") {
    const std::string_view kind = text(*n.fields, "subLinkType");
    return kind != "ANY_SUBLINK" && kind != "ALL_SUBLINK";
  }
  if (n.type == "XmlExpr") return text(*n.fields, "op") != "IS_DOCUMENT";
  return n.type == "ColumnRef" || n.type == "ParamRef" || n.type == "CaseExpr" || n.type == "CoalesceExpr" ||
         n.type == "MinMaxExpr" || n.type == "RowExpr" || n.type == "A_ArrayExpr" || n.type == "SQLValueFunction" ||
         n.type == "GroupingFunc" || n.type == "A_Indirection" || n.type == "XmlSerialize";
}

bool is_scalar_subquery(const value& v) {
  const json::Node n = node_of(v);
  return n.type == "SubLink" && text(*n.fields, "subLinkType") == "EXPR_SUBLINK";
}

}  // namespace

void Printer::expression(const value& v) {
  const json::Node n = node_of(v);
  if (!n) return fail();
  node(n);
}

void Printer::operand(const value& v) {
  const json::Node n = node_of(v);
  if (!n) return fail();
  const bool brackets = !is_primary(n);
  if (brackets) put("(");
  node(n);
  if (brackets) put(")");
}

void Printer::expression_of(const object& n, std::string_view key) {
  const value* v = get(n, key);
  if (v == nullptr) return fail();
  expression(*v);
}

void Printer::operand_of(const object& n, std::string_view key) {
  const value* v = get(n, key);
  if (v == nullptr) return fail();
  operand(*v);
}

void Printer::expression_list(const array& items) {
  bool first = true;
  for (const value& item : items) {
    if (!first) put(", ");
    first = false;
    expression(item);
  }
}

void Printer::clause(std::string_view word, const object& n, std::string_view key) {
  if (!n.contains(key)) return;
  put(word);
  expression_of(n, key);
}

void Printer::bracketed_select(const object& n, std::string_view key) {
  const value* v = get(n, key);
  const json::Node query = v != nullptr ? node_of(*v) : json::Node{};
  if (query.type != "SelectStmt") return fail();
  put("(");
  select(*query.fields);
  put(")");
}

void Printer::node(const json::Node& n) {
  const object& f = *n.fields;
  if (n.type == "ColumnRef") return column(f);
  if (n.type == "A_Const") return constant(f);
  if (n.type == "A_Expr") return operation(f);
  if (n.type == "BoolExpr") return boolean(f);
  if (n.type == "FuncCall") return function(f);
  if (n.type == "SubLink") return sublink(f);
  if (n.type == "CaseExpr") return case_expression(f);
  if (n.type == "RowExpr") return row(f);
  if (n.type == "NullTest" || n.type == "BooleanTest") return boolean_test(f);
  if (n.type == "SQLValueFunction") return sql_value(f);
  if (n.type == "XmlExpr") return xml(f);
  if (n.type == "XmlSerialize") return xml_serialize(f);
  if (n.type == "SetToDefault") return put("DEFAULT");
  if (n.type == "ParamRef") {
    const std::int64_t number = json::number(f, "number");
    if (number < 1) return fail();
    put("$");
    put(std::to_string(number));
  } else if (n.type == "TypeCast") {
    const object* type = json::fields(f, "typeName");
    operand_of(f, "arg");
    put("::");
    type != nullptr ? type_name(*type) : fail();
  } else if (n.type == "CollateClause") {
    operand_of(f, "arg");
    put(" COLLATE ");
    names(list(f, "collname"));
  } else if (n.type == "A_Indirection") {
    put("(");
    expression_of(f, "arg");
    put(")");
    if (list(f, "indirection").empty()) fail();
    indirection(list(f, "indirection"));
  } else if (n.type == "A_ArrayExpr") {
    put("ARRAY[");
    expression_list(list(f, "elements"));
    put("]");
  } else if (n.type == "CoalesceExpr" || n.type == "MinMaxExpr" || n.type == "GroupingFunc") {
    if (list(f, "args").empty()) return fail();
    if (n.type == "CoalesceExpr")
      put("COALESCE(");
    else if (n.type == "GroupingFunc")
      put("GROUPING(");
    else
      put(text(f, "op") == "IS_LEAST" ? "LEAST(" : "GREATEST(");
    expression_list(list(f, "args"));
    put(")");
  } else if (n.type == "CurrentOfExpr" && f.contains("cursor_name")) {
    put("CURRENT OF ");
    name(text(f, "cursor_name"));
  } else {
    fail();
  }
}

void Printer::column(const object& n) {
  const array& parts = list(n, "fields");
  if (parts.empty()) return fail();
  if (node_of(parts[0]).type == "A_Star") {
    if (parts.size() != 1) fail();
    return put("*");
  }
  std::string_view first;
  if (!json::string_node(parts[0], first)) return fail();
  name(first);
  for (std::size_t i = 1; i < parts.size(); ++i) {
    const json::Node part = node_of(parts[i]);
    put(".");
    if (part.type == "A_Star")
      put("*");
    else if (part.type == "String")
      name(text(*part.fields, "sval"));
    else
      fail();
  }
}

void Printer::operation(const object& n) {
  const std::string_view kind = text(n, "kind");
  const array& op = list(n, "name");
  const std::string_view op_name = json::last_name(op);
  if (kind == "AEXPR_OP") {
    if (n.contains("lexpr")) {
      operand_of(n, "lexpr");
      put(" ");
    } else if (const value* right = get(n, "rexpr"); right != nullptr && op.size() == 1 && op_name == "-") {
      // The grammar folds a minus into a number: such a tree has no text.
      const json::Node number = node_of(*right);
      if (number.type == "A_Const" && (number.fields->contains("ival") || number.fields->contains("fval"))) fail();
    }
    operator_name(op);
    put(" ");
    return operand_of(n, "rexpr");
  }
  if (kind == "AEXPR_OP_ANY") return any_all(n, " ANY (");
  if (kind == "AEXPR_OP_ALL") return any_all(n, " ALL (");
  if (kind == "AEXPR_IN") return in_list(n, op_name);
  if (kind == "AEXPR_LIKE" || kind == "AEXPR_ILIKE" || kind == "AEXPR_SIMILAR") return like(n, kind, op_name);
  if (kind == "AEXPR_BETWEEN") return between(n, " BETWEEN ");
  if (kind == "AEXPR_NOT_BETWEEN") return between(n, " NOT BETWEEN ");
  if (kind == "AEXPR_BETWEEN_SYM") return between(n, " BETWEEN SYMMETRIC ");
  if (kind == "AEXPR_NOT_BETWEEN_SYM") return between(n, " NOT BETWEEN SYMMETRIC ");
  if (kind == "AEXPR_NULLIF") {
    put("NULLIF(");
    expression_of(n, "lexpr");
    put(", ");
    expression_of(n, "rexpr");
    return put(")");
  }
  if (kind != "AEXPR_DISTINCT" && kind != "AEXPR_NOT_DISTINCT") return fail();
  operand_of(n, "lexpr");
  put(kind == "AEXPR_DISTINCT" ? " IS DISTINCT FROM " : " IS NOT DISTINCT FROM ");
  operand_of(n, "rexpr");
}

void Printer::any_all(const object& n, std::string_view word) {
  const value* right = get(n, "rexpr");
  // `= ANY ((SELECT ..))` would read as the subquery form, over rows instead of one array.
  if (right == nullptr || is_scalar_subquery(*right)) return fail();
  operand_of(n, "lexpr");
  put(" ");
  operator_name(list(n, "name"));
  put(word);
  expression(*right);
  put(")");
}

void Printer::in_list(const object& n, std::string_view op) {
  const value* right = get(n, "rexpr");
  const json::Node items = right != nullptr ? node_of(*right) : json::Node{};
  if (items.type != "List" || (op != "=" && op != "<>")) return fail();
  const array& elements = list(*items.fields, "items");
  // IN ((SELECT ..)) would read as IN (SELECT ..).
  if (elements.empty() || (elements.size() == 1 && is_scalar_subquery(elements[0]))) return fail();
  operand_of(n, "lexpr");
  put(op == "=" ? " IN (" : " NOT IN (");
  expression_list(elements);
  put(")");
}

void Printer::like(const object& n, std::string_view kind, std::string_view op) {
  const bool negated = op.starts_with('!');
  operand_of(n, "lexpr");
  put(negated ? " NOT " : " ");
  if (kind != "AEXPR_SIMILAR") {  // ESCAPE is the function like_escape() in the tree
    put(kind == "AEXPR_LIKE" ? "LIKE " : "ILIKE ");
    return operand_of(n, "rexpr");
  }
  const value* right = get(n, "rexpr");
  const json::Node call = right != nullptr ? node_of(*right) : json::Node{};
  if (call.type != "FuncCall" || json::last_name(list(*call.fields, "funcname")) != "similar_to_escape") return fail();
  const array& arguments = list(*call.fields, "args");
  if (arguments.empty() || arguments.size() > 2) return fail();
  put("SIMILAR TO ");
  operand(arguments[0]);
  if (arguments.size() == 2) {
    put(" ESCAPE ");
    operand(arguments[1]);
  }
}

void Printer::between(const object& n, std::string_view words) {
  const value* right = get(n, "rexpr");
  const json::Node bounds = right != nullptr ? node_of(*right) : json::Node{};
  if (bounds.type != "List" || list(*bounds.fields, "items").size() != 2) return fail();
  const array& items = list(*bounds.fields, "items");
  operand_of(n, "lexpr");
  put(words);
  operand(items[0]);
  put(" AND ");
  operand(items[1]);
}

void Printer::boolean(const object& n) {
  const std::string_view op = text(n, "boolop");
  const array& arguments = list(n, "args");
  if (arguments.empty()) return fail();
  if (op == "NOT_EXPR") {
    put("NOT ");
    return operand(arguments[0]);
  }
  bool first = true;
  for (const value& argument : arguments) {
    if (!first) put(op == "AND_EXPR" ? " AND " : " OR ");
    first = false;
    operand(argument);
  }
}

void Printer::sublink(const object& n) {
  const std::string_view kind = text(n, "subLinkType");
  if (kind == "ANY_SUBLINK" || kind == "ALL_SUBLINK") {
    operand_of(n, "testexpr");
    put(" ");
    if (n.contains("operName")) {
      operator_name(list(n, "operName"));
      put(kind == "ANY_SUBLINK" ? " ANY " : " ALL ");
    } else {
      if (kind == "ALL_SUBLINK") fail();
      put("IN ");
    }
  } else if (kind == "EXISTS_SUBLINK") {
    put("EXISTS ");
  } else if (kind == "ARRAY_SUBLINK") {
    put("ARRAY");
  } else if (kind != "EXPR_SUBLINK") {
    return fail();
  }
  bracketed_select(n, "subselect");
}

void Printer::case_expression(const object& n) {
  put("CASE");
  if (n.contains("arg")) {
    put(" ");
    operand_of(n, "arg");
  }
  if (list(n, "args").empty()) fail();
  for (const value& item : list(n, "args")) {
    const json::Node when = node_of(item);
    if (when.type != "CaseWhen") return fail();
    clause(" WHEN ", *when.fields, "expr");
    clause(" THEN ", *when.fields, "result");
  }
  clause(" ELSE ", n, "defresult");
  put(" END");
}

void Printer::row(const object& n) {
  const array& arguments = list(n, "args");
  const bool is_explicit = text(n, "row_format") == "COERCE_EXPLICIT_CALL";
  if (!is_explicit && arguments.size() < 2) return fail();
  put(is_explicit ? "ROW(" : "(");
  expression_list(arguments);
  put(")");
}

void Printer::boolean_test(const object& n) {
  operand_of(n, "arg");
  const std::string_view kind = text(n, n.contains("nulltesttype") ? "nulltesttype" : "booltesttype");
  if (kind == "IS_NULL") return put(" IS NULL");
  if (kind == "IS_NOT_NULL") return put(" IS NOT NULL");
  if (kind == "IS_TRUE") return put(" IS TRUE");
  if (kind == "IS_NOT_TRUE") return put(" IS NOT TRUE");
  if (kind == "IS_FALSE") return put(" IS FALSE");
  if (kind == "IS_NOT_FALSE") return put(" IS NOT FALSE");
  if (kind == "IS_UNKNOWN") return put(" IS UNKNOWN");
  if (kind == "IS_NOT_UNKNOWN") return put(" IS NOT UNKNOWN");
  fail();
}

std::optional<std::string> expression(const value& node) {
  Printer printer;
  printer.expression(node);
  return printer.failed() ? std::nullopt : std::optional(printer.take());
}

}  // namespace pgsteer::sql::printer
