#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace pgsteer::sql {

using Oid = std::uint32_t;

struct Column {
  std::string name;
  std::int16_t number = 0;  ///< attnum, 1-based
  Oid type = 0;
  std::int32_t type_modifier = -1;
  Oid collation = 0;
  bool not_null = false;
  bool generated = false;     ///< from other columns
  double n_distinct = 0;      ///< pg_stats: > 0 a count, < 0 minus a fraction of rows, 0 unknown
  double null_fraction = 0;
  double correlation = 0;
  int average_width = 0;      ///< bytes
};

struct Index {
  Oid oid = 0;
  std::string name;
  std::vector<std::int16_t> columns;  ///< attnums of the key columns in order; 0 for an expression
  bool unique = false, primary = false, valid = false, immediate = false;
  bool partial = false, has_expressions = false, nulls_not_distinct = false;
  /// A btree over the columns' own collations and their types' default operator classes: it orders, and knows equal values, as
  /// ORDER BY and = do. A unique index over (word COLLATE "C") lets two words through that a case-blind column calls equal.
  bool usual_order = false;
};

struct ForeignKey {
  Oid oid = 0;
  std::string name;
  std::vector<std::int16_t> columns;
  Oid referenced = 0;
  std::vector<std::int16_t> referenced_columns;
  bool validated = false, deferrable = false;
  char on_delete = 'a', on_update = 'a';  ///< pg_constraint.confdeltype / confupdtype
};

struct Relation {
  Oid oid = 0;
  std::string schema, name;
  char kind = 'r';         ///< pg_class.relkind
  char persistence = 'p';  ///< p, u, t
  double rows = 0;         ///< reltuples; -1 when never analysed
  double pages = 0;        ///< relpages, 8 KiB each
  bool has_children = false;      ///< inheritance children or partitions
  Oid parent = 0;                 ///< of a partition or inheritance child (first one)
  bool row_security = false;
  bool has_user_triggers = false;
  bool has_rules = false;         ///< other than a view's own _RETURN
  std::vector<Column> columns;    ///< live ones in attnum order
  std::vector<Index> indexes;
  std::vector<ForeignKey> foreign_keys;
  std::vector<Oid> referencing;   ///< tables whose foreign keys point here

  const Column* column(std::string_view column_name) const;
  const Column* column(std::int16_t number) const;
};

/// All overloads of one function name taken together: a name is as safe as its worst overload.
struct FunctionGroup {
  std::string schema, name;
  char worst_volatility = 'v';  ///< i, s or v
  bool all_leakproof = false, all_strict = false, any_set_returning = false, any_aggregate = false;
  bool any_user_defined = false;  ///< some overload has an OID >= 16384
};

/// An immutable picture of one database's catalog and statistics. Built in the background (proxy), read everywhere.
/// No I/O here.
class Catalog {
 public:
  std::string database;
  Oid database_oid = 0;
  std::uint64_t version = 0;  ///< grows with every reload that found a difference
  int server_version = 0;     ///< server_version_num
  std::string default_search_path = "\"$user\", public";
  bool usual_integers = false;  ///< nobody has defined an operator = of integers beside PostgreSQL's
  bool hint_plan = false;     ///< pg_hint_plan is loaded in sessions of this database and was seen to act
  std::string timezone;

  void add(Relation relation);
  void add(FunctionGroup function);

  const Relation* by_oid(Oid oid) const;
  /// Resolves a name as PostgreSQL would with this search_path text ("" = default_search_path) for `user`;
  /// nullptr when not found. pg_catalog is searched first, as the server does. Temporary schemas are not known here.
  const Relation* find(std::string_view schema, std::string_view name, std::string_view search_path,
                       std::string_view user) const;
  /// Every relation of that name, whatever its schema: what an unqualified name may mean when search_path is unknown.
  std::vector<const Relation*> named(std::string_view name) const;
  /// All functions of that name visible (qualified: in that schema; else anywhere, worst of all schemas).
  const FunctionGroup* function(std::string_view schema, std::string_view name) const;

  const std::unordered_map<Oid, Relation>& relations() const { return relations_; }

 private:
  std::unordered_map<Oid, Relation> relations_;
  std::map<std::pair<std::string, std::string>, Oid, std::less<>> names_;  ///< (schema, name)
  std::map<std::string, std::vector<Oid>, std::less<>> by_name_;           ///< name, in any schema
  std::map<std::pair<std::string, std::string>, FunctionGroup, std::less<>> functions_;
  std::map<std::string, FunctionGroup, std::less<>> functions_by_name_;
};

/// Splits a search_path text into schema names, with quotes removed and "$user" replaced.
std::vector<std::string> split_search_path(std::string_view text, std::string_view user);

}  // namespace pgsteer::sql
