#include "rewriter/binder.hpp"

#include <algorithm>
#include <array>
#include <boost/json.hpp>

#include "rewriter/types.hpp"

namespace pgsteer::rewriter {
namespace {

constexpr int max_scopes = 64;

/// Raised inside the binder only; bind() turns it into the reason.
struct Refusal {
  std::string why;
};

[[noreturn]] void refuse(std::string why) { throw Refusal{std::move(why)}; }

bool system_column(std::string_view name) {
  static constexpr std::array names{"ctid", "xmin", "xmax", "cmin", "cmax", "tableoid", "oid"};
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// Node kinds an expression may consist of. Anything else is unbound territory.
bool known_expression(std::string_view tag) {
  static constexpr std::array tags{
      "A_Const",   "A_Expr",    "A_ArrayExpr", "A_Indirection", "A_Indices",  "BoolExpr",         "BooleanTest",
      "CaseExpr",  "CaseWhen",  "CoalesceExpr", "CollateClause", "ColumnRef", "FuncCall",         "GroupingFunc",
      "List",      "MinMaxExpr", "NullTest",   "ParamRef",      "ResTarget",  "RowExpr",          "SQLValueFunction",
      "SortBy",    "String",    "SubLink",     "TypeCast",      "WindowDef",  "GroupingSet"};
  return std::find(tags.begin(), tags.end(), tag) != tags.end();
}

}  // namespace

bool Source::trusted() const {
  return kind == Kind::table && relation && (relation->kind == 'p' || (relation->kind == 'r' && !relation->has_children));
}

int Source::column_index(std::string_view column) const {
  for (std::size_t i = 0; i < columns.size(); ++i)
    if (columns[i].name == column) return static_cast<int>(i);
  return -1;
}

const Source* Scope::source(std::string_view name) const {
  for (const auto& item : sources)
    if (item->name == name) return item.get();
  return nullptr;
}

bool Reference::not_null() const { return source && !source->nullable && output()->not_null; }

const sql::Column* Reference::table_column() const {
  if (!source || source->kind != Source::Kind::table || !source->relation) return nullptr;
  return &source->relation->columns[static_cast<std::size_t>(column)];
}

const Reference* Bound::reference(const Json& node) const {
  const auto* column = as(node, "ColumnRef");
  if (!column) return nullptr;
  const auto found = references_.find(column);
  return found == references_.end() ? nullptr : &found->second;
}

Scope* Bound::scope_of(const Object* select) const {
  const auto found = by_select_.find(select);
  return found == by_select_.end() ? nullptr : found->second;
}

int Bound::uses(const Source* source) const {
  return static_cast<int>(std::count_if(references_.begin(), references_.end(),
                                        [&](const auto& item) { return item.second.source == source; }));
}

bool Bound::starred(const Source* source) const {
  return std::find(starred_.begin(), starred_.end(), source) != starred_.end();
}

/// One pass over the statement, outside in, as the server's parse analysis goes.
class Binder {
 public:
  Binder(Bound& bound, const sql::Catalog& catalog, const sql::Query& query)
      : bound_(bound), catalog_(catalog), query_(query) {}

  void statement(Json& root) {
    if (!as(root, "SelectStmt")) refuse("not a SELECT");
    select(*as(root, "SelectStmt"), &root, nullptr, nullptr, Use::top);
  }

 private:
  struct Merged {
    std::string name;
    const Source* source = nullptr;  ///< null: known to exist, no more
    int column = -1;
  };
  /// What a name may mean at one place, innermost first.
  struct Names {
    std::vector<const Source*> visible;
    std::vector<Merged> merged;
    const Names* outer = nullptr;
    Scope* scope = nullptr;
  };
  struct Cte {
    std::string name;
    Object* select;
    Scope* scope;
    std::vector<OutputColumn> columns;
    bool opaque;
  };

  /// The query that a WITH RECURSIVE entry is about to be bound as.
  struct Itself {
    std::string_view name;
    const Array* columns;
    const Object* select;
  };

  Scope* select(Object& node, Json* wrapper, const Names* outer, Scope* parent, Use use) {
    if (static_cast<int>(bound_.scopes_.size()) >= max_scopes) refuse("too many subqueries");
    bound_.scopes_.push_back(std::make_unique<Scope>());
    Scope* scope = bound_.scopes_.back().get();
    scope->select = &node;
    scope->node = wrapper;
    scope->parent = parent;
    scope->use = use;
    bound_.by_select_[&node] = scope;
    if (field(node, "lockingClause")) refuse("FOR UPDATE/SHARE");
    if (field(node, "intoClause")) refuse("SELECT INTO");
    const auto cte_mark = ctes_.size();
    if (auto* with = object_field(node, "withClause")) with_clause(*with, outer, scope);
    if (string_field(node, "op") != "SETOP_NONE") {
      set_operation(node, outer, scope);
    } else if (auto* rows = array_field(node, "valuesLists")) {
      values(*rows, node, outer, scope);
    } else {
      plain(node, outer, scope);
    }
    ctes_.resize(cte_mark);
    return scope;
  }

  void with_clause(Object& with, const Names* outer, Scope* scope) {
    const bool recursive = bool_field(with, "recursive");
    bound_.recursive_ = bound_.recursive_ || recursive;
    auto* list = array_field(with, "ctes");
    if (!list) return;
    for (auto& item : *list) {
      auto* cte = as(item, "CommonTableExpr");
      auto* query = cte ? field(*cte, "ctequery") : nullptr;
      auto* inner = query ? as(*query, "SelectStmt") : nullptr;
      if (!inner) refuse("data-modifying WITH");
      for (const auto& member : *cte) {
        const auto key = member.key();
        if (key != "ctename" && key != "aliascolnames" && key != "ctematerialized" && key != "ctequery" &&
            key != "location")
          refuse("WITH ... " + std::string(key));
      }
      itself_ = recursive ? std::optional(Itself{string_field(*cte, "ctename"), array_field(*cte, "aliascolnames"), inner}) : std::nullopt;
      Scope* inner_scope = select(*inner, query, outer, scope, Use::cte);
      Cte entry{std::string(string_field(*cte, "ctename")), inner, inner_scope, inner_scope->outputs,
                inner_scope->opaque_outputs};
      rename(entry.columns, array_field(*cte, "aliascolnames"));
      ctes_.push_back(std::move(entry));
    }
  }

  void set_operation(Object& node, const Names* outer, Scope* scope) {
    scope->set_operation = true;
    auto* left = object_field(node, "larg");
    auto* right = object_field(node, "rarg");
    if (!left || !right) refuse("set operation without arms");
    const auto itself = itself_ && itself_->select == &node ? itself_ : std::nullopt;
    itself_.reset();
    Scope* l = select(*left, nullptr, outer, scope, Use::arm);
    if (itself) {  // its name is seen in the second arm; what its columns hold comes of both
      Cte entry{std::string(itself->name), &node, scope, l->outputs, l->opaque_outputs};
      for (auto& column : entry.columns) column = OutputColumn{column.name, column.type};
      rename(entry.columns, itself->columns);
      ctes_.push_back(std::move(entry));
    }
    Scope* r = select(*right, nullptr, outer, scope, Use::arm);
    scope->opaque_outputs = l->opaque_outputs || r->opaque_outputs;
    if (!scope->opaque_outputs && l->outputs.size() != r->outputs.size()) refuse("arms of different width");
    for (std::size_t i = 0; !scope->opaque_outputs && i < l->outputs.size(); ++i) {
      OutputColumn column;
      column.name = l->outputs[i].name;
      const auto& a = l->outputs[i].type;
      const auto& b = r->outputs[i].type;
      if (a.oid == b.oid && a.collation == b.collation) column.type = Type{a.oid, a.modifier == b.modifier ? a.modifier : -1, a.collation};
      column.not_null = l->outputs[i].not_null && r->outputs[i].not_null;
      scope->outputs.push_back(std::move(column));
    }
    if (auto* sort = array_field(node, "sortClause")) {
      for (auto& item : *sort) {
        auto* by = as(item, "SortBy");
        auto* key = by ? field(*by, "node") : nullptr;
        if (!key || !(as(*key, "ColumnRef") || as(*key, "A_Const"))) refuse("ORDER BY expression on a set operation");
      }
    }
    Names names{{}, {}, outer, scope};
    for (const auto* limit : {"limitCount", "limitOffset"})
      if (auto* value = field(node, limit)) expression(*value, names);
  }

  void values(Array& rows, Object& node, const Names* outer, Scope* scope) {
    scope->values = true;
    Names names{{}, {}, outer, scope};
    std::size_t width = 0;
    for (auto& row : rows) {
      expression(row, names);
      const auto* list = as(row, "List");
      const auto* items = list ? array_field(*list, "items") : nullptr;
      if (items) width = items->size();
    }
    for (std::size_t i = 0; i < width; ++i) {
      OutputColumn column;
      column.name = "column" + std::to_string(i + 1);
      scope->outputs.push_back(std::move(column));
    }
    if (field(node, "sortClause")) refuse("ORDER BY on VALUES");
    for (const auto* limit : {"limitCount", "limitOffset"})
      if (auto* value = field(node, limit)) expression(*value, names);
  }

  void plain(Object& node, const Names* outer, Scope* scope) {
    Names names{{}, {}, outer, scope};
    if (auto* from = array_field(node, "fromClause")) {
      for (auto& item : *from) {
        Names part = from_item(item, names, scope);
        append(names, part);
      }
    }
    targets(node, names, scope);
    if (auto* where = field(node, "whereClause")) expression(*where, names);
    if (auto* having = field(node, "havingClause")) expression(*having, names);
    if (auto* group = array_field(node, "groupClause"))
      for (auto& item : *group) labelled(item, names, scope, /*column_first=*/true);
    if (auto* sort = array_field(node, "sortClause"))
      for (auto& item : *sort) {
        auto* by = as(item, "SortBy");
        auto* key = by ? field(*by, "node") : nullptr;
        if (!key) refuse("ORDER BY without a key");
        if (by->contains("useOp")) refuse("ORDER BY ... USING");
        labelled(*key, names, scope, /*column_first=*/false);
      }
    if (auto* distinct = array_field(node, "distinctClause"))
      for (auto& item : *distinct)
        if (item.is_object() && !item.get_object().empty()) labelled(item, names, scope, /*column_first=*/false);
    for (const auto* clause : {"windowClause", "limitCount", "limitOffset"})
      if (auto* value = field(node, clause)) expression(*value, names);
  }

  /// ORDER BY, DISTINCT ON and GROUP BY items: a bare name may be an output column's.
  void labelled(Json& item, const Names& names, Scope* scope, bool column_first) {
    const auto* column = as(item, "ColumnRef");
    const auto fields = column ? name_list(array_field(*column, "fields")) : std::nullopt;
    if (fields && fields->size() == 1) {
      const bool is_output = std::any_of(scope->outputs.begin(), scope->outputs.end(),
                                         [&](const auto& out) { return out.name == fields->front(); });
      bool is_input = false;
      for (const auto* source : names.visible) is_input = is_input || source->column_index(fields->front()) >= 0;
      if (is_output && !(column_first && is_input)) return;
      if (!is_input && scope->opaque_outputs) refuse("a name that may be an output column's");
    }
    expression(item, names);
  }

  void targets(Object& node, const Names& names, Scope* scope) {
    auto* list = array_field(node, "targetList");
    if (!list) return;
    for (auto& item : *list) {
      auto* target = as(item, "ResTarget");
      auto* value = target ? field(*target, "val") : nullptr;
      if (!value) refuse("a target without a value");
      if (target->contains("indirection")) refuse("a target with indirection");
      if (star(*value, names, scope)) continue;
      expression(*value, names);
      OutputColumn column;
      column.name = string_field(*target, "name");
      if (column.name.empty()) column.name = output_name(*value);
      column.type = type_of(*value, bound_);
      column.not_null = provably_not_null(*value, bound_);
      if (const auto* reference = bound_.reference(*value)) {
        column.source = reference->source;
        column.source_column = reference->column;
      }
      if (column.name.empty()) scope->opaque_outputs = true;
      scope->outputs.push_back(std::move(column));
    }
  }

  /// `*` and `t.*` in a target list.
  bool star(Json& value, const Names& names, Scope* scope) {
    auto* column = as(value, "ColumnRef");
    auto* fields = column ? array_field(*column, "fields") : nullptr;
    if (!fields || fields->empty() || !as(fields->back(), "A_Star")) return false;
    std::vector<const Source*> expanded;
    if (fields->size() == 1) {
      expanded = names.visible;
      if (!names.merged.empty()) scope->opaque_outputs = true;
    } else {
      const auto* qualifier = as(fields->front(), "String");
      if (fields->size() != 2 || !qualifier) refuse("a star with a schema");
      for (const Names* level = &names; level && expanded.empty(); level = level->outer)
        for (const auto* source : level->visible)
          if (source->name == string_field(*qualifier, "sval")) expanded.push_back(source);
      if (expanded.size() != 1) refuse("a star of an unknown table");
    }
    for (const auto* source : expanded) {
      bound_.starred_.push_back(source);
      if (source->opaque) scope->opaque_outputs = true;
      for (std::size_t i = 0; i < source->columns.size(); ++i) {
        OutputColumn out = source->columns[i];
        out.not_null = out.not_null && !source->nullable;
        out.source = source;
        out.source_column = static_cast<int>(i);
        scope->outputs.push_back(std::move(out));
      }
    }
    return true;
  }

  Names from_item(Json& item, const Names& left, Scope* scope) {
    if (auto* range = as(item, "RangeVar")) return table(*range, item, left, scope);
    if (auto* sub = as(item, "RangeSubselect")) return subquery(*sub, item, left, scope);
    if (auto* join = as(item, "JoinExpr")) return joined(*join, left, scope);
    refuse("a FROM item that is not a table, a join or a subquery");
  }

  Names table(Object& range, Json& item, const Names& left, Scope* scope) {
    const auto schema = string_field(range, "schemaname");
    const std::string name(string_field(range, "relname"));
    if (range.contains("catalogname")) refuse("a name with a database");
    if (!bool_field(range, "inh")) refuse("ONLY");
    auto source = std::make_unique<Source>();
    source->item = &item;
    source->scope = scope;
    source->schema = schema;
    source->name = name;
    const Cte* cte = nullptr;
    if (schema.empty())
      for (const auto& entry : ctes_)
        if (entry.name == name) cte = &entry;  // the last one is the innermost
    if (cte) {
      source->kind = Source::Kind::cte;
      source->select = cte->select;
      source->query = cte->scope;
      source->columns = cte->columns;
      source->opaque = cte->opaque;
    } else {
      source->relation = relation(schema, name);
      for (const auto& column : source->relation->columns) {
        OutputColumn out;
        out.name = column.name;
        out.type = Type{column.type, column.type_modifier, column.collation};
        source->columns.push_back(std::move(out));
      }
      if (source->trusted())
        for (std::size_t i = 0; i < source->columns.size(); ++i)
          source->columns[i].not_null = source->relation->columns[i].not_null;
    }
    return aliased(range, std::move(source), left, scope);
  }

  const sql::Relation* relation(std::string_view schema, const std::string& name) const {
    const std::string path = query_.session ? query_.session->search_path : std::string();
    const std::string user = query_.session ? query_.session->user : std::string();
    const auto* found = catalog_.find(schema, name, path, user);
    if (!found) refuse("table " + name + " is not in the catalogue");
    if (found->kind != 'r' && found->kind != 'p') refuse(name + " is not a plain table");
    if (found->persistence == 't') refuse(name + " is temporary");
    if (found->schema == "pg_catalog" || found->schema == "information_schema") refuse(name + " is a system table");
    if (found->row_security) refuse(name + " has row security");
    if (found->has_rules) refuse(name + " has rules");
    return found;
  }

  Names subquery(Object& sub, Json& item, const Names& left, Scope* scope) {
    auto* query = field(sub, "subquery");
    auto* inner = query ? as(*query, "SelectStmt") : nullptr;
    if (!inner) refuse("a FROM subquery that is not a SELECT");
    auto source = std::make_unique<Source>();
    source->kind = Source::Kind::subquery;
    source->lateral = bool_field(sub, "lateral");
    source->item = &item;
    source->scope = scope;
    source->select = inner;
    source->query = select(*inner, query, source->lateral ? &left : left.outer, scope, Use::from);
    source->columns = source->query->outputs;
    source->opaque = source->query->opaque_outputs;
    if (!object_field(sub, "alias")) refuse("a FROM subquery without an alias");
    return aliased(sub, std::move(source), left, scope);
  }

  Names aliased(Object& item, std::unique_ptr<Source> source, const Names& left, Scope* scope) {
    if (auto* alias = object_field(item, "alias")) {
      source->name = string_field(*alias, "aliasname");
      rename(source->columns, array_field(*alias, "colnames"));
    }
    for (const auto* other : left.visible)
      if (other->name == source->name) refuse("two FROM items named " + source->name);
    Names names{{source.get()}, {}, left.outer, scope};
    scope->sources.push_back(std::move(source));
    return names;
  }

  Names joined(Object& join, const Names& left, Scope* scope) {
    if (bool_field(join, "isNatural")) refuse("NATURAL JOIN");
    if (join.contains("alias") || join.contains("join_using_alias")) refuse("a join with an alias");
    auto* larg = field(join, "larg");
    auto* rarg = field(join, "rarg");
    if (!larg || !rarg) refuse("a join without sides");
    const auto first = scope->sources.size();
    Names l = from_item(*larg, left, scope);
    Names lateral = left;
    append(lateral, l);
    const auto middle = scope->sources.size();
    Names r = from_item(*rarg, lateral, scope);
    const auto type = string_field(join, "jointype");
    const bool left_null = type == "JOIN_RIGHT" || type == "JOIN_FULL";
    const bool right_null = type == "JOIN_LEFT" || type == "JOIN_FULL";
    if (type != "JOIN_INNER" && !left_null && !right_null) refuse("an unknown join");
    for (auto i = first; i < scope->sources.size(); ++i)
      if (i < middle ? left_null : right_null) scope->sources[i]->nullable = true;
    Names both = l;
    append(both, r);
    if (auto* columns = array_field(join, "usingClause")) {
      scope->has_using = true;
      const auto names = name_list(columns);
      if (!names) refuse("USING");
      for (const auto& name : *names) merge(both, l, r, name, type);
    }
    if (auto* quals = field(join, "quals")) expression(*quals, both);
    return both;
  }

  static void merge(Names& both, const Names& left, const Names& right, const std::string& name, std::string_view type) {
    const auto a = find_in(left, name);
    const auto b = find_in(right, name);
    if (!a || !b) refuse("USING column " + name + " not found");
    std::erase_if(both.merged, [&](const Merged& m) { return m.name == name; });
    Merged merged{name, nullptr, -1};
    const bool typed = a->source && b->source && a->output()->type.oid == b->output()->type.oid &&
                       a->output()->type.oid != 0;
    if (typed && type != "JOIN_FULL") {
      const auto& side = type == "JOIN_RIGHT" ? *b : *a;
      merged.source = side.source;
      merged.column = side.column;
    }
    both.merged.push_back(std::move(merged));
  }

  static void append(Names& names, const Names& part) {
    names.visible.insert(names.visible.end(), part.visible.begin(), part.visible.end());
    names.merged.insert(names.merged.end(), part.merged.begin(), part.merged.end());
  }

  /// An unqualified name at one level. Refuses what the server would call ambiguous.
  static std::optional<Reference> find_in(const Names& names, std::string_view name) {
    for (const auto& merged : names.merged)
      if (merged.name == name) return Reference{merged.source, merged.column, names.scope};
    std::optional<Reference> found;
    for (const auto* source : names.visible) {
      if (source->opaque) refuse("a subquery whose columns cannot be named");
      const int column = source->column_index(name);
      if (column < 0) continue;
      if (found) refuse("ambiguous column " + std::string(name));
      found = Reference{source, column, names.scope};
    }
    return found;
  }

  void column(const Object& node, const Names& names) {
    const auto fields = name_list(array_field(node, "fields"));
    if (!fields || fields->empty() || fields->size() > 2) refuse("a column name of more than two parts");
    if (system_column(fields->back())) refuse("system column " + fields->back());
    for (const Names* level = &names; level; level = level->outer) {
      if (fields->size() == 1) {
        if (auto found = find_in(*level, fields->front())) {
          found->used_in = names.scope;
          bound_.references_[&node] = *found;
          return;
        }
        continue;
      }
      for (const auto* source : level->visible) {
        if (source->name != fields->front()) continue;
        const int index = source->column_index(fields->back());
        if (index < 0) refuse("no column " + fields->back() + " in " + source->name);
        for (std::size_t i = static_cast<std::size_t>(index) + 1; i < source->columns.size(); ++i)
          if (source->columns[i].name == fields->back()) refuse("two columns " + fields->back());
        bound_.references_[&node] = Reference{source, index, names.scope};
        return;
      }
    }
    refuse("column " + fields->back() + " is not bound");
  }

  void expression(Json& value, const Names& names) {
    if (auto* list = value.if_array()) {
      for (auto& item : *list) expression(item, names);
      return;
    }
    auto* object = value.if_object();
    if (!object) return;
    if (object->size() == 1 && object->begin()->value().is_object() &&
        std::isupper(static_cast<unsigned char>(object->begin()->key().front()))) {
      node(object->begin()->key(), object->begin()->value().get_object(), names);
      return;
    }
    for (auto& member : *object) expression(member.value(), names);
  }

  void node(std::string_view tag, Object& inner, const Names& names) {
    if (!known_expression(tag)) refuse("an expression of kind " + std::string(tag));
    if (tag == "ColumnRef") return column(inner, names);
    if (tag == "TypeCast") {
      if (auto* argument = field(inner, "arg")) expression(*argument, names);
      return;
    }
    if (tag == "SubLink") {
      if (auto* test = field(inner, "testexpr")) expression(*test, names);
      auto* query = field(inner, "subselect");
      auto* sub = query ? as(*query, "SelectStmt") : nullptr;
      if (!sub) refuse("a subquery that is not a SELECT");
      const auto type = string_field(inner, "subLinkType");
      const Use use = type == "EXISTS_SUBLINK" ? Use::exists : type == "EXPR_SUBLINK" ? Use::scalar
                      : type == "ARRAY_SUBLINK" ? Use::array : Use::in;
      if (type != "EXISTS_SUBLINK" && type != "EXPR_SUBLINK" && type != "ARRAY_SUBLINK" && type != "ANY_SUBLINK" &&
          type != "ALL_SUBLINK")
        refuse("a subquery of kind " + std::string(type));
      select(*sub, query, &names, names.scope, use);
      return;
    }
    if (tag == "FuncCall") function(inner);
    if (tag == "A_Expr") {
      const auto op = name_list(array_field(inner, "name"));
      if (op && op->size() != 1) refuse("OPERATOR(schema.op)");
    }
    for (auto& member : inner) expression(member.value(), names);
    if (tag == "FuncCall") own_aggregate(inner, names.scope);
  }

  /// An aggregate whose columns all belong to an outer query is that query's, wherever it is written: there it would be looked
  /// for in vain, and here it is none.
  void own_aggregate(const Object& call, const Scope* scope) const {
    const auto names = name_list(array_field(call, "funcname"));
    const auto* group = names ? catalog_.function(names->size() == 2 ? names->front() : std::string(), names->back()) : nullptr;
    if (!group || !group->any_aggregate) return;
    bool own = false, outer = false;
    for (const auto* part : {"args", "agg_order", "agg_filter"})
      if (const auto* value = field(call, part)) levels(*value, scope, own, outer);
    if (outer && !own) refuse("an aggregate of an outer query");
  }
  void levels(const Json& part, const Scope* scope, bool& own, bool& outer) const {
    if (const auto* reference = bound_.reference(part)) {
      const Scope* of = reference->source ? reference->source->scope : nullptr;
      own = own || of == scope;
      while (of && of != scope) of = of->parent;
      outer = outer || !of;
      return;
    }
    if (const auto* object = part.if_object())
      for (const auto& member : *object) levels(member.value(), scope, own, outer);
    if (const auto* list = part.if_array())
      for (const auto& item : *list) levels(item, scope, own, outer);
  }

  void function(const Object& call) const {
    const auto names = name_list(array_field(call, "funcname"));
    if (!names || names->empty() || names->size() > 2) refuse("a function name of more than two parts");
    const auto* group = catalog_.function(names->size() == 2 ? names->front() : std::string(), names->back());
    if (!group) refuse("function " + names->back() + " is not in the catalogue");
    if (group->worst_volatility == 'v') refuse("function " + names->back() + " is volatile");
    if (group->any_set_returning) refuse("function " + names->back() + " returns sets");
  }

  static void rename(std::vector<OutputColumn>& columns, const Array* names) {
    if (!names) return;
    const auto list = name_list(names);
    if (!list || list->size() > columns.size()) refuse("an alias list longer than its columns");
    for (std::size_t i = 0; i < list->size(); ++i) columns[i].name = (*list)[i];
  }

  Bound& bound_;
  const sql::Catalog& catalog_;
  const sql::Query& query_;
  std::vector<Cte> ctes_;
  std::optional<Itself> itself_;
};

std::unique_ptr<Bound> Bound::bind(sql::Tree& tree, const sql::Catalog& catalog, const sql::Query& query,
                                   std::string* why_not) {
  auto bound = std::make_unique<Bound>();
  bound->catalog_ = &catalog;
  try {
    Binder(*bound, catalog, query).statement(tree.root());
  } catch (const Refusal& refusal) {
    if (why_not) *why_not = refusal.why;
    return nullptr;
  }
  return bound;
}

}  // namespace pgsteer::rewriter
