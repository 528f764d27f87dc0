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

void Printer::from_list(std::string_view word, const array& items) {
  bool first = true;
  for (const value& item : items) {
    put(first ? word : ", ");
    first = false;
    from_item(item);
  }
}

void Printer::from_item(const value& item) {
  const json::Node n = node_of(item);
  if (n.type == "RangeVar") return range_var(*n.fields);
  if (n.type == "JoinExpr") return join(*n.fields);
  if (n.type == "RangeFunction") return range_function(*n.fields);
  if (n.type == "RangeTableSample") return table_sample(*n.fields);
  if (n.type == "RangeTableFunc") return xml_table(*n.fields);
  if (n.type != "RangeSubselect") return fail();
  if (json::flag(*n.fields, "lateral")) put("LATERAL ");
  bracketed_select(*n.fields, "subquery");
  alias(*n.fields);
}

void Printer::alias(const object& n) {
  const object* a = json::fields(n, "alias");
  if (a == nullptr) return;
  put(" AS ");
  name(text(*a, "aliasname"));
  if (a->contains("colnames")) name_list(list(*a, "colnames"));
}

void Printer::range_var(const object& n) {
  if (!json::flag(n, "inh")) put("ONLY ");
  for (const std::string_view part : {"catalogname", "schemaname"}) {
    if (!n.contains(part)) continue;
    name(text(n, part));
    put(".");
  }
  name(text(n, "relname"));
  alias(n);
}

void Printer::join(const object& n) {
  const value* left = get(n, "larg");
  const value* right = get(n, "rarg");
  if (left == nullptr || right == nullptr) return fail();
  const bool aliased = n.contains("alias");
  if (aliased) put("(");
  from_item(*left);
  const std::string_view type = text(n, "jointype");
  const bool conditional = n.contains("quals") || n.contains("usingClause");
  const bool natural = json::flag(n, "isNatural");
  if (natural) put(" NATURAL");
  if (type == "JOIN_INNER")
    put(conditional || natural ? " JOIN " : " CROSS JOIN ");
  else if (type == "JOIN_LEFT")
    put(" LEFT JOIN ");
  else if (type == "JOIN_RIGHT")
    put(" RIGHT JOIN ");
  else if (type == "JOIN_FULL")
    put(" FULL JOIN ");
  else
    return fail();
  const json::Node inner = node_of(*right);
  const bool brackets = inner.type == "JoinExpr" && !inner.fields->contains("alias");
  if (brackets) put("(");
  from_item(*right);
  if (brackets) put(")");
  clause(" ON ", n, "quals");
  if (n.contains("usingClause")) {
    put(" USING ");
    name_list(list(n, "usingClause"));
    if (const object* using_alias = json::fields(n, "join_using_alias")) {
      put(" AS ");
      name(text(*using_alias, "aliasname"));
    }
  }
  if (aliased) put(")");
  alias(n);
}

void Printer::column_definitions(const array& columns) {
  put("(");
  bool first = true;
  for (const value& item : columns) {
    const json::Node definition = node_of(item);
    const object* type = definition.type == "ColumnDef" ? json::fields(*definition.fields, "typeName") : nullptr;
    if (type == nullptr) return fail();
    if (!first) put(", ");
    first = false;
    name(text(*definition.fields, "colname"));
    put(" ");
    type_name(*type);
    if (const object* collation = json::fields(*definition.fields, "collClause")) {
      put(" COLLATE ");
      names(list(*collation, "collname"));
    }
  }
  put(")");
}

void Printer::range_function(const object& n) {
  const array& functions = list(n, "functions");
  const bool rows_from = json::flag(n, "is_rowsfrom");
  if (functions.empty() || (!rows_from && functions.size() != 1)) return fail();
  if (json::flag(n, "lateral")) put("LATERAL ");
  if (rows_from) put("ROWS FROM (");
  bool first = true;
  for (const value& item : functions) {  // a pair: the call and its column definitions
    const json::Node pair = node_of(item);
    if (pair.type != "List" || list(*pair.fields, "items").empty()) return fail();
    const array& parts = list(*pair.fields, "items");
    if (!first) put(", ");
    first = false;
    function_item(parts[0]);
    const json::Node definitions = parts.size() > 1 ? node_of(parts[1]) : json::Node{};
    if (definitions.type != "List") continue;
    put(" AS ");
    column_definitions(list(*definitions.fields, "items"));
  }
  if (rows_from) put(")");
  if (json::flag(n, "ordinality")) put(" WITH ORDINALITY");
  alias(n);
  if (!n.contains("coldeflist")) return;
  put(n.contains("alias") ? " " : " AS ");
  column_definitions(list(n, "coldeflist"));
}

void Printer::xml_table(const object& n) {
  if (json::flag(n, "lateral")) put("LATERAL ");
  put("XMLTABLE(");
  bool first = true;
  for (const value& item : list(n, "namespaces")) {
    const json::Node space = node_of(item);
    if (space.type != "ResTarget") return fail();
    put(first ? "XMLNAMESPACES(" : ", ");
    first = false;
    if (!space.fields->contains("name")) put("DEFAULT ");
    operand_of(*space.fields, "val");
    if (!space.fields->contains("name")) continue;
    put(" AS ");
    name(text(*space.fields, "name"));
  }
  if (!first) put("), ");
  operand_of(n, "rowexpr");
  put(" PASSING ");
  operand_of(n, "docexpr");
  first = true;
  for (const value& item : list(n, "columns")) {
    const json::Node column_node = node_of(item);
    if (column_node.type != "RangeTableFuncCol") return fail();
    const object& c = *column_node.fields;
    put(first ? " COLUMNS " : ", ");
    first = false;
    name(text(c, "colname"));
    if (json::flag(c, "for_ordinality")) {
      put(" FOR ORDINALITY");
      continue;
    }
    const object* type = json::fields(c, "typeName");
    if (type == nullptr) return fail();
    put(" ");
    type_name(*type);
    for (const auto& [word, key] : {std::pair(" PATH ", "colexpr"), std::pair(" DEFAULT ", "coldefexpr")}) {
      if (!c.contains(key)) continue;
      put(word);
      operand_of(c, key);
    }
    if (json::flag(c, "is_not_null")) put(" NOT NULL");
  }
  put(")");
  alias(n);
}

void Printer::table_sample(const object& n) {
  const value* relation = get(n, "relation");
  if (relation == nullptr || node_of(*relation).type != "RangeVar") return fail();
  from_item(*relation);
  put(" TABLESAMPLE ");
  names(list(n, "method"));
  put("(");
  expression_list(list(n, "args"));
  put(")");
  if (!n.contains("repeatable")) return;
  put(" REPEATABLE (");
  expression_of(n, "repeatable");
  put(")");
}

}  // namespace pgsteer::sql::printer
