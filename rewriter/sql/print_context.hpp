#pragma once
#include <string>
#include <string_view>

#include "rewriter/sql/json.hpp"

namespace pgsteer::sql::printer {

/// Writes SQL for a tree. Every operand that is not a primary goes in brackets, so no precedence is relied on. What it
/// does not know makes it fail(); the text is then worthless.
class Printer {
 public:
  bool failed() const { return failed_; }
  std::string take() { return std::move(out_); }

  // print_select.cpp
  void statement(const json::value& node);
  void select(const json::object& s);
  void with(const json::object& s);
  void target_list(const json::array& targets);
  void sort_clause(const json::array& items);
  void window_definition(const json::object& w);

  // print_from.cpp
  void from_list(std::string_view word, const json::array& items);
  void from_item(const json::value& item);
  void range_var(const json::object& n);
  void alias(const json::object& n);

  // print_dml.cpp
  void insert(const json::object& s);
  void update(const json::object& s);
  void delete_(const json::object& s);
  void merge(const json::object& s);

  // print_expressions.cpp
  void expression(const json::value& v);
  void operand(const json::value& v);  ///< in brackets unless a primary

  // print_functions.cpp
  void function(const json::object& n);
  void function_item(const json::value& v);  ///< as an item of FROM
  void sql_value(const json::object& n);
  void xml(const json::object& n);
  void xml_serialize(const json::object& n);

  // print_types.cpp
  void type_name(const json::object& n);
  void names(const json::array& parts);
  void operator_name(const json::array& parts);
  void indirection(const json::array& parts);
  void constant(const json::object& n);

 private:
  void fail() { failed_ = true; }
  void put(std::string_view text) { out_ += text; }
  void name(std::string_view identifier);
  void expression_of(const json::object& n, std::string_view key);
  void operand_of(const json::object& n, std::string_view key);
  void expression_list(const json::array& items);
  void name_list(const json::array& items);
  void bracketed_select(const json::object& n, std::string_view key);
  void clause(std::string_view word, const json::object& n, std::string_view key);

  // of print_expressions.cpp
  void node(const json::Node& n);
  void operation(const json::object& n);
  void between(const json::object& n, std::string_view words);
  void in_list(const json::object& n, std::string_view op);
  void like(const json::object& n, std::string_view kind, std::string_view op);
  void any_all(const json::object& n, std::string_view word);
  void boolean(const json::object& n);
  void sublink(const json::object& n);
  void case_expression(const json::object& n);
  void row(const json::object& n);
  void boolean_test(const json::object& n);
  void column(const json::object& n);

  // of print_functions.cpp
  bool sql_syntax(std::string_view function_name, const json::array& arguments);
  void arguments(const json::object& n);

  // of print_select.cpp
  void select_core(const json::object& s);
  void group_clause(const json::object& s);
  void group_item(const json::value& item);
  void limit(const json::object& s);
  void locking(const json::array& clauses);
  void frame(const json::object& w);
  void set_operation(const json::object& s);
  void common_table(const json::object& cte);
  void values(const json::array& rows);

  // of print_from.cpp
  void join(const json::object& n);
  void range_function(const json::object& n);
  void column_definitions(const json::array& columns);
  void table_sample(const json::object& n);
  void xml_table(const json::object& n);

  // of print_dml.cpp
  void column_targets(const json::array& targets);
  void set_list(const json::array& targets);
  void conflict(const json::object& c);
  void returning(const json::object& s);
  void overriding(const json::object& s);
  void merge_when(const json::object& w);

  std::string out_;
  bool failed_ = false;
};

}  // namespace pgsteer::sql::printer
