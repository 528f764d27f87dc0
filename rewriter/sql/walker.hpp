#pragma once
#include <string_view>
#include <unordered_map>
#include <vector>

#include "rewriter/sql/analysis.hpp"
#include "rewriter/sql/json.hpp"

namespace pgsteer::sql {

/// Collects tables, columns, functions, features and flags from parse trees into an Analysis. Used once per text, from
/// one thread; the trees must outlive it.
class Walker {
 public:
  explicit Walker(Analysis& analysis) : analysis_(analysis) {}

  /// One statement: {"SelectStmt": ...}. `writes`: tables named outside of queries count as written (DDL).
  void statement(const json::value& node, bool writes);

 private:
  /// Names that one query level brings into scope, to tell a correlated subquery.
  struct Level {
    Level* outer = nullptr;
    std::vector<std::string_view> names;
    bool correlated = false;
  };
  using Handler = void (Walker::*)(const json::object&);
  static Handler handler_of(std::string_view type);

  void visit(const json::value& v);
  void visit_list(const json::array& nodes);
  void visit_fields(const json::object& fields);
  void visit_unnamed(std::string_view key, const json::object& fields);
  void visit_field(const json::object& fields, std::string_view key);
  void predicate(const json::object& fields, std::string_view key);

  void select(const json::object& s);
  void insert(const json::object& s);
  void update(const json::object& s);
  void delete_(const json::object& s);
  void merge(const json::object& s);
  void copy(const json::object& s);
  void drop(const json::object& s);
  void declare_cursor(const json::object& s);

  void range_var(const json::object& n);
  void join(const json::object& n);
  void subselect(const json::object& n);
  void range_function(const json::object& n);
  void table_function(const json::object& n);
  void table_sample(const json::object& n);

  void column(const json::object& n);
  void function(const json::object& n);
  void constant(const json::object& n);
  void parameter(const json::object& n);
  void operation(const json::object& n);
  void boolean(const json::object& n);
  void sublink(const json::object& n);
  void null_test(const json::object& n);
  void cast(const json::object& n);
  void case_expression(const json::object& n);
  void current_of(const json::object& n);
  void sql_value(const json::object& n);

  void with(const json::object& statement);
  void target(const json::object& relation, bool read);
  void add_table(const json::object& relation, bool read, bool written);
  void collect_names(const json::value& from_item, Level& level) const;
  void select_body(const json::object& s);
  void count_limit(const json::object& s);
  void predicate_operator(std::string_view kind, const json::object& n);
  void literal_set_config(const json::object& n);
  void string_constant(std::string_view text);
  bool is_cte(std::string_view name) const;

  Analysis& analysis_;
  Level* level_ = nullptr;
  std::vector<std::string_view> ctes_;  ///< visible here, innermost last
  std::unordered_map<std::string_view, std::vector<std::size_t>> column_places_;
  int depth_ = 0;
  bool in_predicate_ = false;
  bool writes_ = false;
  bool in_from_function_ = false;
};

/// \b(now|today|tomorrow|yesterday)\b, case-insensitively: what date and time input folds to the current time.
bool has_time_word(std::string_view text);

}  // namespace pgsteer::sql
