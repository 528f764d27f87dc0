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

void Printer::statement(const value& v) {
  const json::Node n = node_of(v);
  if (n.type == "SelectStmt") return select(*n.fields);
  if (n.type == "InsertStmt") return insert(*n.fields);
  if (n.type == "UpdateStmt") return update(*n.fields);
  if (n.type == "DeleteStmt") return delete_(*n.fields);
  if (n.type == "MergeStmt") return merge(*n.fields);
  fail();
}

void Printer::with(const object& s) {
  const object* clause_fields = json::fields(s, "withClause");
  if (clause_fields == nullptr) return;
  put(json::flag(*clause_fields, "recursive") ? "WITH RECURSIVE " : "WITH ");
  bool first = true;
  for (const value& item : list(*clause_fields, "ctes")) {
    const json::Node cte = node_of(item);
    if (cte.type != "CommonTableExpr") return fail();
    if (!first) put(", ");
    first = false;
    common_table(*cte.fields);
  }
  put(" ");
}

void Printer::common_table(const object& cte) {
  if (cte.contains("search_clause") || cte.contains("cycle_clause")) return fail();
  name(text(cte, "ctename"));
  if (cte.contains("aliascolnames")) name_list(list(cte, "aliascolnames"));
  const std::string_view materialized = text(cte, "ctematerialized");
  put(" AS ");
  if (materialized == "CTEMaterializeAlways") put("MATERIALIZED ");
  if (materialized == "CTEMaterializeNever") put("NOT MATERIALIZED ");
  const value* query = get(cte, "ctequery");
  if (query == nullptr) return fail();
  put("(");
  statement(*query);
  put(")");
}

void Printer::select(const object& s) {
  if (s.contains("intoClause")) return fail();
  with(s);
  if (s.contains("larg"))
    set_operation(s);
  else if (s.contains("valuesLists"))
    values(list(s, "valuesLists"));
  else
    select_core(s);
  if (s.contains("sortClause")) {
    put(" ORDER BY ");
    sort_clause(list(s, "sortClause"));
  }
  limit(s);
  locking(list(s, "lockingClause"));
}

void Printer::set_operation(const object& s) {
  const object* left = json::fields(s, "larg");
  const object* right = json::fields(s, "rarg");
  const std::string_view op = text(s, "op");
  if (left == nullptr || right == nullptr) return fail();
  put("(");
  select(*left);
  put(")");
  if (op == "SETOP_UNION")
    put(" UNION ");
  else if (op == "SETOP_INTERSECT")
    put(" INTERSECT ");
  else if (op == "SETOP_EXCEPT")
    put(" EXCEPT ");
  else
    return fail();
  if (json::flag(s, "all")) put("ALL ");
  put("(");
  select(*right);
  put(")");
}

void Printer::values(const array& rows) {
  put("VALUES ");
  bool first = true;
  for (const value& row_value : rows) {
    const json::Node items = node_of(row_value);
    if (items.type != "List" || list(*items.fields, "items").empty()) return fail();
    put(first ? "(" : ", (");
    first = false;
    expression_list(list(*items.fields, "items"));
    put(")");
  }
}

void Printer::select_core(const object& s) {
  put("SELECT");
  if (s.contains("distinctClause")) {
    const array& on = list(s, "distinctClause");
    put(" DISTINCT");
    const bool plain = on.size() == 1 && on[0].is_object() && on[0].get_object().empty();
    if (!plain) {
      put(" ON (");
      expression_list(on);
      put(")");
    }
  }
  if (!list(s, "targetList").empty()) put(" ");
  target_list(list(s, "targetList"));
  from_list(" FROM ", list(s, "fromClause"));
  clause(" WHERE ", s, "whereClause");
  group_clause(s);
  clause(" HAVING ", s, "havingClause");
  bool first = true;
  for (const value& item : list(s, "windowClause")) {
    const json::Node window = node_of(item);
    if (window.type != "WindowDef") return fail();
    put(first ? " WINDOW " : ", ");
    first = false;
    name(text(*window.fields, "name"));
    put(" AS ");
    window_definition(*window.fields);
  }
}

void Printer::target_list(const array& targets) {
  bool first = true;
  for (const value& item : targets) {
    const json::Node target = node_of(item);
    if (target.type != "ResTarget") return fail();
    if (!first) put(", ");
    first = false;
    expression_of(*target.fields, "val");
    if (!target.fields->contains("name")) continue;
    put(" AS ");
    name(text(*target.fields, "name"));
  }
}

void Printer::group_clause(const object& s) {
  const array& items = list(s, "groupClause");
  if (items.empty()) return;
  put(json::flag(s, "groupDistinct") ? " GROUP BY DISTINCT " : " GROUP BY ");
  bool first = true;
  for (const value& item : items) {
    if (!first) put(", ");
    first = false;
    group_item(item);
  }
}

void Printer::group_item(const value& item) {
  const json::Node set = node_of(item);
  if (set.type != "GroupingSet") return expression(item);
  const std::string_view kind = text(*set.fields, "kind");
  if (kind == "GROUPING_SET_EMPTY") return put("()");
  if (kind == "GROUPING_SET_ROLLUP")
    put("ROLLUP (");
  else if (kind == "GROUPING_SET_CUBE")
    put("CUBE (");
  else if (kind == "GROUPING_SET_SETS")
    put("GROUPING SETS (");
  else
    return fail();
  bool first = true;
  for (const value& inner : list(*set.fields, "content")) {
    if (!first) put(", ");
    first = false;
    group_item(inner);
  }
  put(")");
}

void Printer::sort_clause(const array& items) {
  if (items.empty()) fail();
  bool first = true;
  for (const value& item : items) {
    const json::Node sort = node_of(item);
    if (sort.type != "SortBy") return fail();
    if (!first) put(", ");
    first = false;
    operand_of(*sort.fields, "node");
    const std::string_view direction = text(*sort.fields, "sortby_dir");
    if (direction == "SORTBY_ASC") put(" ASC");
    if (direction == "SORTBY_DESC") put(" DESC");
    if (direction == "SORTBY_USING") {
      put(" USING ");
      operator_name(list(*sort.fields, "useOp"));
    }
    const std::string_view nulls = text(*sort.fields, "sortby_nulls");
    if (nulls == "SORTBY_NULLS_FIRST") put(" NULLS FIRST");
    if (nulls == "SORTBY_NULLS_LAST") put(" NULLS LAST");
  }
}

void Printer::limit(const object& s) {
  const std::string_view option = text(s, "limitOption");
  if (s.contains("limitOffset")) {
    put(" OFFSET ");
    operand_of(s, "limitOffset");
  }
  if (!s.contains("limitCount")) return;
  if (option == "LIMIT_OPTION_WITH_TIES") {
    put(" FETCH FIRST (");
    expression_of(s, "limitCount");
    return put(") ROWS WITH TIES");
  }
  put(" LIMIT ");
  operand_of(s, "limitCount");
}

void Printer::locking(const array& clauses) {
  for (const value& item : clauses) {
    const json::Node lock = node_of(item);
    if (lock.type != "LockingClause") return fail();
    const std::string_view strength = text(*lock.fields, "strength");
    if (strength == "LCS_FORUPDATE")
      put(" FOR UPDATE");
    else if (strength == "LCS_FORNOKEYUPDATE")
      put(" FOR NO KEY UPDATE");
    else if (strength == "LCS_FORSHARE")
      put(" FOR SHARE");
    else if (strength == "LCS_FORKEYSHARE")
      put(" FOR KEY SHARE");
    else
      return fail();
    from_list(" OF ", list(*lock.fields, "lockedRels"));
    const std::string_view wait = text(*lock.fields, "waitPolicy");
    if (wait == "LockWaitSkip") put(" SKIP LOCKED");
    if (wait == "LockWaitError") put(" NOWAIT");
  }
}

void Printer::window_definition(const object& w) {
  put("(");
  std::string_view space;
  const auto separate = [&] {
    put(space);
    space = " ";
  };
  if (w.contains("refname")) {
    separate();
    name(text(w, "refname"));
  }
  if (w.contains("partitionClause")) {
    separate();
    put("PARTITION BY ");
    expression_list(list(w, "partitionClause"));
  }
  if (w.contains("orderClause")) {
    separate();
    put("ORDER BY ");
    sort_clause(list(w, "orderClause"));
  }
  if ((json::number(w, "frameOptions") & 1) != 0) {
    separate();
    frame(w);
  }
  put(")");
}

/// Bits of frameOptions, as in PostgreSQL's nodes/parsenodes.h (FRAMEOPTION_...).
void Printer::frame(const object& w) {
  const std::int64_t bits = json::number(w, "frameOptions");
  const auto has = [bits](std::int64_t bit) { return (bits & bit) != 0; };
  put(has(0x02) ? "RANGE " : has(0x04) ? "ROWS " : has(0x08) ? "GROUPS " : "");
  if (has(0x10)) put("BETWEEN ");
  const auto bound = [&](std::int64_t shift, std::string_view offset) {
    if (has(0x20 << shift)) return put("UNBOUNDED PRECEDING");
    if (has(0x80 << shift)) return put("UNBOUNDED FOLLOWING");
    if (has(0x200 << shift)) return put("CURRENT ROW");
    operand_of(w, offset);
    put(has(0x800 << shift) ? " PRECEDING" : " FOLLOWING");
  };
  bound(0, "startOffset");
  if (has(0x10)) {
    put(" AND ");
    bound(1, "endOffset");
  }
  if (has(0x8000)) put(" EXCLUDE CURRENT ROW");
  if (has(0x10000)) put(" EXCLUDE GROUP");
  if (has(0x20000)) put(" EXCLUDE TIES");
}

std::optional<std::string> statement(const value& node) {
  Printer printer;
  printer.statement(node);
  return printer.failed() ? std::nullopt : std::optional(printer.take());
}

}  // namespace pgsteer::sql::printer
