#pragma once
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "rewriter/node.hpp"
#include "rewriter/sql/catalog.hpp"
#include "rewriter/sql/query.hpp"
#include "rewriter/sql/tree.hpp"

/// Name binding: which column of which table a ColumnRef means. Everything a rule knows comes from here; what cannot be
/// bound with certainty makes the whole statement unbound, and then nothing is rewritten.
namespace pgsteer::rewriter {

struct Type {
  sql::Oid oid = 0;  ///< 0: not known
  std::int32_t modifier = -1;
  sql::Oid collation = 0;
};

struct Source;

/// A column of a FROM item, or of a query's output.
struct OutputColumn {
  std::string name;  ///< "" when it cannot be told
  Type type;
  bool not_null = false;                ///< before any outer join above
  const Source* source = nullptr;       ///< for outputs that are a plain column: where it comes from
  int source_column = -1;
};

struct Scope;

/// One leaf of a FROM clause.
struct Source {
  enum class Kind { table, subquery, cte };
  Kind kind = Kind::table;
  std::string name;                         ///< alias, or the table's name
  std::string schema;                       ///< as written
  const sql::Relation* relation = nullptr;  ///< of a table
  Object* select = nullptr;                 ///< SelectStmt of a subquery or a CTE
  Scope* query = nullptr;                   ///< its scope
  Json* item = nullptr;                     ///< the FROM item in the tree
  std::vector<OutputColumn> columns;
  bool opaque = false;    ///< has columns whose names are not known
  bool nullable = false;  ///< on the nullable side of an outer join of its own FROM clause
  bool lateral = false;
  Scope* scope = nullptr;  ///< the query whose FROM clause it stands in

  /// Table whose catalogue facts (NOT NULL, unique) hold: one without inheritance children, or a partitioned root.
  bool trusted() const;
  int column_index(std::string_view column) const;
};

/// How a SelectStmt is used by what is around it.
enum class Use { top, from, cte, exists, in, scalar, array, arm };

struct Scope {
  Object* select = nullptr;
  Json* node = nullptr;  ///< the {"SelectStmt": ...} value; null for an arm of a set operation
  Scope* parent = nullptr;
  Use use = Use::top;
  bool set_operation = false, values = false;
  bool has_using = false;                        ///< a JOIN .. USING merges columns
  std::vector<std::unique_ptr<Source>> sources;  ///< leaves of FROM, left to right
  std::vector<OutputColumn> outputs;
  bool opaque_outputs = false;

  const Source* source(std::string_view name) const;
};

/// What a ColumnRef means. `source` null: a merged column of a FULL JOIN USING, known to exist but no more.
struct Reference {
  const Source* source = nullptr;
  int column = -1;
  const Scope* used_in = nullptr;
  bool outer() const { return source && source->scope != used_in; }
  bool not_null() const;
  const OutputColumn* output() const { return source ? &source->columns[static_cast<std::size_t>(column)] : nullptr; }
  /// The table column, when the reference is one.
  const sql::Column* table_column() const;
};

/// A statement with every name bound. Points into the tree: any change of the tree ends its validity.
class Bound {
 public:
  static std::unique_ptr<Bound> bind(sql::Tree& tree, const sql::Catalog& catalog, const sql::Query& query,
                                     std::string* why_not);
  const std::vector<std::unique_ptr<Scope>>& scopes() const { return scopes_; }
  Scope* top() const { return scopes_.front().get(); }
  /// nullptr when `node` is not a bound ColumnRef.
  const Reference* reference(const Json& node) const;
  Scope* scope_of(const Object* select) const;
  const sql::Catalog& catalog() const { return *catalog_; }
  /// References of a column of `source` anywhere in the statement.
  int uses(const Source* source) const;
  const std::unordered_map<const Object*, Reference>& references() const { return references_; }
  /// Some star (`*`, `t.*`, a whole row) expands `source`.
  bool starred(const Source* source) const;
  /// A WITH RECURSIVE stands in it: bound, so that the outcome of a rule that writes one can be checked, but no rule acts.
  bool recursive() const { return recursive_; }

 private:
  friend class Binder;
  const sql::Catalog* catalog_ = nullptr;
  std::vector<std::unique_ptr<Scope>> scopes_;
  std::unordered_map<const Object*, Reference> references_;
  std::unordered_map<const Object*, Scope*> by_select_;
  std::vector<const Source*> starred_;
  bool recursive_ = false;
};

}  // namespace pgsteer::rewriter
