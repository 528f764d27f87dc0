#include "rewriter/sql/walker.hpp"

#include <algorithm>

namespace pgsteer::sql {

using json::array;
using json::get;
using json::list;
using json::node_of;
using json::object;
using json::text;
using json::value;

namespace {

/// Restores a member when a tree level is left.
template <typename T>
class Restore {
 public:
  Restore(T& member, T now) : member_(member), before_(member) { member_ = now; }
  ~Restore() { member_ = before_; }
  Restore(const Restore&) = delete;
  Restore& operator=(const Restore&) = delete;

 private:
  T& member_;
  T before_;
};

}  // namespace

Walker::Handler Walker::handler_of(std::string_view type) {
  static const std::unordered_map<std::string_view, Handler> handlers = {
      {"SelectStmt", &Walker::select},
      {"InsertStmt", &Walker::insert},
      {"UpdateStmt", &Walker::update},
      {"DeleteStmt", &Walker::delete_},
      {"MergeStmt", &Walker::merge},
      {"CopyStmt", &Walker::copy},
      {"DropStmt", &Walker::drop},
      {"DeclareCursorStmt", &Walker::declare_cursor},
      {"RangeVar", &Walker::range_var},
      {"JoinExpr", &Walker::join},
      {"RangeSubselect", &Walker::subselect},
      {"RangeFunction", &Walker::range_function},
      {"RangeTableFunc", &Walker::table_function},
      {"RangeTableSample", &Walker::table_sample},
      {"ColumnRef", &Walker::column},
      {"FuncCall", &Walker::function},
      {"A_Const", &Walker::constant},
      {"ParamRef", &Walker::parameter},
      {"A_Expr", &Walker::operation},
      {"BoolExpr", &Walker::boolean},
      {"SubLink", &Walker::sublink},
      {"NullTest", &Walker::null_test},
      {"BooleanTest", &Walker::null_test},
      {"TypeCast", &Walker::cast},
      {"CaseExpr", &Walker::case_expression},
      {"CurrentOfExpr", &Walker::current_of},
      {"SQLValueFunction", &Walker::sql_value},
  };
  const auto found = handlers.find(type);
  return found == handlers.end() ? nullptr : found->second;
}

void Walker::statement(const value& node, bool writes) {
  writes_ = writes;
  visit(node);
}

void Walker::visit(const value& v) {
  if (const array* nodes = v.if_array()) return visit_list(*nodes);
  const json::Node node = node_of(v);
  if (!node) {
    if (const object* fields = v.if_object()) visit_unnamed({}, *fields);
    return;
  }
  if (node.type == "String") return;
  if (const Handler handler = handler_of(node.type))
    (this->*handler)(*node.fields);
  else
    visit_fields(*node.fields);
}

void Walker::visit_list(const array& nodes) {
  for (const value& v : nodes) visit(v);
}

/// Some fields hold a struct of a fixed type, which the JSON does not name.
void Walker::visit_unnamed(std::string_view key, const object& fields) {
  if (fields.contains("relname")) return range_var(fields);
  if (key == "larg" || key == "rarg") return select(fields);
  if (key == "funccall") return function(fields);
  if (key != "typeName") visit_fields(fields);
}

void Walker::visit_fields(const object& fields) {
  for (const auto& [key, v] : fields) {
    if (v.is_array())
      visit_list(v.get_array());
    else if (v.is_object() && !node_of(v))
      visit_unnamed(key, v.get_object());
    else if (v.is_object())
      visit(v);
  }
}

void Walker::visit_field(const object& fields, std::string_view key) {
  const value* v = get(fields, key);
  if (v == nullptr) return;
  if (v->is_object() && !node_of(*v)) return visit_unnamed(key, v->get_object());
  visit(*v);
}

void Walker::predicate(const object& fields, std::string_view key) {
  const Restore scope(in_predicate_, true);
  visit_field(fields, key);
}

bool Walker::is_cte(std::string_view name) const { return std::ranges::find(ctes_, name) != ctes_.end(); }

void Walker::add_table(const object& relation, bool read, bool written) {
  ++analysis_.features.tables;
  if (text(relation, "relpersistence") == "t" || text(relation, "schemaname") == "pg_temp")
    analysis_.flags.creates_temporary = analysis_.flags.creates_temporary || written;
  TableUse use{std::string(text(relation, "schemaname")), std::string(text(relation, "relname")), {}, read, written};
  if (const object* alias = json::fields(relation, "alias")) use.alias = text(*alias, "aliasname");
  const auto same = [&](const TableUse& t) {
    return t.name == use.name && t.schema == use.schema && t.alias == use.alias;
  };
  const auto known = std::ranges::find_if(analysis_.tables, same);
  if (known == analysis_.tables.end()) {
    analysis_.tables.push_back(std::move(use));
  } else {
    known->read = known->read || read;
    known->written = known->written || written;
  }
}

void Walker::range_var(const object& n) {
  if (!n.contains("schemaname") && !writes_ && is_cte(text(n, "relname"))) return;
  add_table(n, !writes_, writes_);
}

void Walker::target(const object& relation, bool read) {
  if (level_ != nullptr) {
    const object* alias = json::fields(relation, "alias");
    level_->names.push_back(alias != nullptr ? text(*alias, "aliasname") : text(relation, "relname"));
  }
  add_table(relation, read, true);
}

void Walker::collect_names(const value& from_item, Level& level) const {
  const json::Node node = node_of(from_item);
  if (!node) return;
  if (const object* alias = json::fields(*node.fields, "alias")) level.names.push_back(text(*alias, "aliasname"));
  if (node.type == "RangeVar" && !node.fields->contains("alias")) level.names.push_back(text(*node.fields, "relname"));
  for (const std::string_view side : {"larg", "rarg", "relation"})
    if (const value* v = get(*node.fields, side); v != nullptr && node.type != "RangeVar") collect_names(*v, level);
}

/// CTE names are visible to the statement, to later CTEs, and to all of them when RECURSIVE. The caller takes them off.
void Walker::with(const object& statement) {
  const object* clause = json::fields(statement, "withClause");
  if (clause == nullptr) return;
  const bool recursive = json::flag(*clause, "recursive");
  const array& ctes = list(*clause, "ctes");
  if (recursive)
    for (const value& cte : ctes)
      if (const json::Node node = node_of(cte)) ctes_.push_back(text(*node.fields, "ctename"));
  for (const value& cte : ctes) {
    ++analysis_.features.ctes;
    const json::Node node = node_of(cte);
    if (!node) continue;
    const value* query = get(*node.fields, "ctequery");
    if (query == nullptr) continue;
    if (node_of(*query).type != "SelectStmt") analysis_.flags.data_modifying_cte = true;
    const Restore scope(level_, static_cast<Level*>(nullptr));  // a CTE sees no outer columns of its own query
    visit(*query);
    if (!recursive) ctes_.push_back(text(*node.fields, "ctename"));
  }
}

void Walker::count_limit(const object& s) {
  const value* limit = get(s, "limitCount");
  const json::Node constant_node = limit != nullptr ? node_of(*limit) : json::Node{};
  const bool literal = constant_node.type == "A_Const";
  if (limit != nullptr && !(literal && json::flag(*constant_node.fields, "isnull"))) {
    ++analysis_.features.has_limit;
    if (depth_ == 1 && literal)
      if (const object* whole = json::fields(*constant_node.fields, "ival"))
        if (const std::int64_t rows = json::number(*whole, "ival"); rows >= 0)  // a negative LIMIT is the server's error
          analysis_.features.limit_value = static_cast<double>(rows);
  }
  if (s.contains("limitOffset")) ++analysis_.features.has_offset;
}

void Walker::select(const object& s) {
  const Restore depth(depth_, depth_ + 1);
  analysis_.features.depth = std::max(analysis_.features.depth, depth_);
  const Restore predicate_scope(in_predicate_, false);
  const Restore write_scope(writes_, false);
  const Restore from_scope(in_from_function_, false);
  Level level;
  level.outer = level_;
  const Restore level_scope(level_, &level);
  const std::size_t visible = ctes_.size();
  with(s);
  select_body(s);
  ctes_.resize(visible);
  if (level.correlated) ++analysis_.features.correlated_hint;
}

void Walker::select_body(const object& s) {
  SyntaxFeatures& f = analysis_.features;
  const array& from = list(s, "fromClause");
  for (const value& item : from) collect_names(item, *level_);
  if (from.size() > 1) f.joins += static_cast<int>(from.size()) - 1;
  visit_list(from);
  const array& targets = list(s, "targetList");
  if (depth_ == 1) f.target_columns += static_cast<int>(targets.size());
  visit_list(targets);
  predicate(s, "whereClause");
  predicate(s, "havingClause");
  f.having += s.contains("havingClause");
  f.group_by += static_cast<int>(list(s, "groupClause").size());
  f.order_by += static_cast<int>(list(s, "sortClause").size());
  f.distinct += s.contains("distinctClause");
  f.values_rows += static_cast<int>(list(s, "valuesLists").size());
  for (const std::string_view key : {"groupClause", "sortClause", "distinctClause", "valuesLists", "windowClause",
                                     "limitCount", "limitOffset"})
    visit_field(s, key);
  count_limit(s);
  if (s.contains("lockingClause")) analysis_.flags.locking_clause = true;
  if (const object* into = json::fields(s, "intoClause")) {
    analysis_.flags.into = true;
    const Restore write_scope(writes_, true);
    visit_fields(*into);
  }
  if (s.contains("larg")) {
    ++f.set_operations;
    const Restore depth(depth_, depth_ - 1);  // arms are no deeper than the whole
    visit_field(s, "larg");
    visit_field(s, "rarg");
  }
}

void Walker::insert(const object& s) {
  const std::size_t visible = ctes_.size();
  const Restore write_scope(writes_, false);
  Level level;
  const Restore level_scope(level_, &level);
  with(s);
  if (const object* relation = json::fields(s, "relation")) target(*relation, s.contains("returningList"));
  for (const std::string_view key : {"cols", "selectStmt"}) visit_field(s, key);
  if (const object* conflict = json::fields(s, "onConflictClause")) {
    if (const object* infer = json::fields(*conflict, "infer")) visit_fields(*infer);
    visit_field(*conflict, "targetList");
    predicate(*conflict, "whereClause");
  }
  analysis_.features.returning += s.contains("returningList");
  visit_field(s, "returningList");
  ctes_.resize(visible);
}

void Walker::update(const object& s) {
  const std::size_t visible = ctes_.size();
  const Restore write_scope(writes_, false);
  Level level;
  const Restore level_scope(level_, &level);
  with(s);
  if (const object* relation = json::fields(s, "relation")) target(*relation, true);
  for (const value& item : list(s, "fromClause")) collect_names(item, level);
  analysis_.features.joins += static_cast<int>(list(s, "fromClause").size());
  visit_field(s, "fromClause");
  visit_field(s, "targetList");
  predicate(s, "whereClause");
  analysis_.features.returning += s.contains("returningList");
  visit_field(s, "returningList");
  ctes_.resize(visible);
}

void Walker::delete_(const object& s) {
  const std::size_t visible = ctes_.size();
  const Restore write_scope(writes_, false);
  Level level;
  const Restore level_scope(level_, &level);
  with(s);
  if (const object* relation = json::fields(s, "relation")) target(*relation, true);
  for (const value& item : list(s, "usingClause")) collect_names(item, level);
  analysis_.features.joins += static_cast<int>(list(s, "usingClause").size());
  visit_field(s, "usingClause");
  predicate(s, "whereClause");
  analysis_.features.returning += s.contains("returningList");
  visit_field(s, "returningList");
  ctes_.resize(visible);
}

void Walker::merge(const object& s) {
  const std::size_t visible = ctes_.size();
  const Restore write_scope(writes_, false);
  Level level;
  const Restore level_scope(level_, &level);
  with(s);
  if (const object* relation = json::fields(s, "relation")) target(*relation, true);
  if (const value* source = get(s, "sourceRelation")) {
    collect_names(*source, level);
    visit(*source);
  }
  ++analysis_.features.joins;
  predicate(s, "joinCondition");
  visit_field(s, "mergeWhenClauses");
  ctes_.resize(visible);
}

void Walker::copy(const object& s) {
  const bool from = json::flag(s, "is_from");
  if (const object* relation = json::fields(s, "relation")) add_table(*relation, !from, from);
  visit_field(s, "query");
  predicate(s, "whereClause");
}

void Walker::declare_cursor(const object& s) { visit_field(s, "query"); }

/// DROP names its objects as lists of strings.
void Walker::drop(const object& s) {
  const std::string_view type = text(s, "removeType");
  if (type != "OBJECT_TABLE" && type != "OBJECT_VIEW" && type != "OBJECT_MATVIEW" && type != "OBJECT_FOREIGN_TABLE" &&
      type != "OBJECT_INDEX" && type != "OBJECT_SEQUENCE")
    return;
  for (const value& item : list(s, "objects")) {
    const json::Node node = node_of(item);
    std::string_view schema, name;
    if (node.type != "List" || !json::qualified_name(list(*node.fields, "items"), schema, name)) continue;
    ++analysis_.features.tables;
    analysis_.tables.push_back({std::string(schema), std::string(name), {}, false, true});
  }
}

}  // namespace pgsteer::sql
