#include "rewriter/sql/compare.hpp"
#include "rewriter/sql/print_context.hpp"

namespace pgsteer::sql::printer {

using json::array;
using json::get;
using json::list;
using json::node_of;
using json::object;
using json::text;
using json::value;

void Printer::column_targets(const array& targets) {
  put("(");
  bool first = true;
  for (const value& item : targets) {
    const json::Node target = node_of(item);
    if (target.type != "ResTarget") return fail();
    if (!first) put(", ");
    first = false;
    name(text(*target.fields, "name"));
    indirection(list(*target.fields, "indirection"));
  }
  put(")");
}

namespace {

/// Each member repeats the source: a rule that changes one copy and forgets another has made no legal tree.
bool is_group_member(const value& target, const object& first, std::size_t position) {
  const json::Node column = node_of(target);
  const value* source = column.type == "ResTarget" ? get(*column.fields, "val") : nullptr;
  const json::Node reference = source != nullptr ? node_of(*source) : json::Node{};
  if (reference.type != "MultiAssignRef") return false;
  const value* a = get(first, "source");
  const value* b = get(*reference.fields, "source");
  return json::number(*reference.fields, "colno") == static_cast<std::int64_t>(position) &&
         json::number(*reference.fields, "ncolumns") == json::number(first, "ncolumns") && a != nullptr &&
         b != nullptr && same_tree(*a, *b);
}

}  // namespace

/// SET a = 1, (b, c) = (..): the grammar spreads a group over its columns, each with the same source and its number.
void Printer::set_list(const array& targets) {
  if (targets.empty()) fail();
  for (std::size_t i = 0; i < targets.size();) {
    const json::Node target = node_of(targets[i]);
    const value* source = target.type == "ResTarget" ? get(*target.fields, "val") : nullptr;
    if (source == nullptr) return fail();
    if (i > 0) put(", ");
    const json::Node group = node_of(*source);
    if (group.type != "MultiAssignRef") {
      name(text(*target.fields, "name"));
      indirection(list(*target.fields, "indirection"));
      put(" = ");
      expression(*source);
      ++i;
      continue;
    }
    const auto columns = static_cast<std::size_t>(json::number(*group.fields, "ncolumns"));
    if (columns < 1 || columns > targets.size() - i) return fail();
    array part;
    for (std::size_t k = 0; k < columns; ++k) {
      if (!is_group_member(targets[i + k], *group.fields, k + 1)) return fail();
      part.push_back(targets[i + k]);
    }
    column_targets(part);
    put(" = ");
    expression_of(*group.fields, "source");
    i += columns;
  }
}

void Printer::returning(const object& s) {
  if (!s.contains("returningList")) return;
  put(" RETURNING ");
  target_list(list(s, "returningList"));
}

void Printer::overriding(const object& s) {
  const std::string_view kind = text(s, "override");
  if (kind == "OVERRIDING_USER_VALUE") put(" OVERRIDING USER VALUE");
  if (kind == "OVERRIDING_SYSTEM_VALUE") put(" OVERRIDING SYSTEM VALUE");
}

void Printer::insert(const object& s) {
  const object* relation = json::fields(s, "relation");
  if (relation == nullptr) return fail();
  with(s);
  put("INSERT INTO ");
  range_var(*relation);
  if (s.contains("cols")) {
    put(" ");
    column_targets(list(s, "cols"));
  }
  overriding(s);
  if (const value* source = get(s, "selectStmt")) {
    const json::Node query = node_of(*source);
    if (query.type != "SelectStmt") return fail();
    put(" ");
    select(*query.fields);
  } else {
    put(" DEFAULT VALUES");
  }
  if (const object* on_conflict = json::fields(s, "onConflictClause")) conflict(*on_conflict);
  returning(s);
}

void Printer::conflict(const object& c) {
  put(" ON CONFLICT");
  if (const object* infer = json::fields(c, "infer")) {
    if (infer->contains("conname")) {
      put(" ON CONSTRAINT ");
      name(text(*infer, "conname"));
    } else {
      put(" (");
      bool first = true;
      for (const value& item : list(*infer, "indexElems")) {
        const json::Node element = node_of(item);
        if (element.type != "IndexElem") return fail();
        if (!first) put(", ");
        first = false;
        if (element.fields->contains("expr")) {
          put("(");
          expression_of(*element.fields, "expr");
          put(")");
        } else {
          name(text(*element.fields, "name"));
        }
        if (element.fields->contains("collation")) {
          put(" COLLATE ");
          names(list(*element.fields, "collation"));
        }
        if (element.fields->contains("opclass")) {
          put(" ");
          names(list(*element.fields, "opclass"));
        }
      }
      put(")");
      clause(" WHERE ", *infer, "whereClause");
    }
  }
  if (text(c, "action") == "ONCONFLICT_NOTHING") return put(" DO NOTHING");
  if (text(c, "action") != "ONCONFLICT_UPDATE") return fail();
  put(" DO UPDATE SET ");
  set_list(list(c, "targetList"));
  clause(" WHERE ", c, "whereClause");
}

void Printer::update(const object& s) {
  const object* relation = json::fields(s, "relation");
  if (relation == nullptr) return fail();
  with(s);
  put("UPDATE ");
  range_var(*relation);
  put(" SET ");
  set_list(list(s, "targetList"));
  from_list(" FROM ", list(s, "fromClause"));
  clause(" WHERE ", s, "whereClause");
  returning(s);
}

void Printer::delete_(const object& s) {
  const object* relation = json::fields(s, "relation");
  if (relation == nullptr) return fail();
  with(s);
  put("DELETE FROM ");
  range_var(*relation);
  from_list(" USING ", list(s, "usingClause"));
  clause(" WHERE ", s, "whereClause");
  returning(s);
}

void Printer::merge(const object& s) {
  const object* relation = json::fields(s, "relation");
  const value* source = get(s, "sourceRelation");
  if (relation == nullptr || source == nullptr) return fail();
  with(s);
  put("MERGE INTO ");
  range_var(*relation);
  put(" USING ");
  from_item(*source);
  put(" ON ");
  expression_of(s, "joinCondition");
  for (const value& item : list(s, "mergeWhenClauses")) {
    const json::Node when = node_of(item);
    if (when.type != "MergeWhenClause") return fail();
    merge_when(*when.fields);
  }
}

void Printer::merge_when(const object& w) {
  put(json::flag(w, "matched") ? " WHEN MATCHED" : " WHEN NOT MATCHED");
  clause(" AND ", w, "condition");
  put(" THEN ");
  const std::string_view command = text(w, "commandType");
  if (command == "CMD_NOTHING") return put("DO NOTHING");
  if (command == "CMD_DELETE") return put("DELETE");
  if (command == "CMD_UPDATE") {
    put("UPDATE SET ");
    return set_list(list(w, "targetList"));
  }
  if (command != "CMD_INSERT") return fail();
  put("INSERT");
  if (w.contains("targetList")) {
    put(" ");
    column_targets(list(w, "targetList"));
  }
  overriding(w);
  if (!w.contains("values")) return put(" DEFAULT VALUES");
  put(" VALUES (");
  expression_list(list(w, "values"));
  put(")");
}

}  // namespace pgsteer::sql::printer
