#include <algorithm>
#include <array>

#include "rewriter/sql/lexer.hpp"
#include "rewriter/sql/walker.hpp"

namespace pgsteer::sql {

using json::array;
using json::get;
using json::list;
using json::node_of;
using json::object;
using json::text;
using json::value;

namespace {

/// Built-in aggregates that are called without any aggregate syntax; user-defined ones are found by the catalog.
bool is_known_aggregate(std::string_view name) {
  static constexpr std::array names = {
      std::string_view("array_agg"), std::string_view("avg"),        std::string_view("bit_and"),
      std::string_view("bit_or"),    std::string_view("bool_and"),   std::string_view("bool_or"),
      std::string_view("corr"),      std::string_view("count"),      std::string_view("every"),
      std::string_view("json_agg"),  std::string_view("json_object_agg"), std::string_view("jsonb_agg"),
      std::string_view("jsonb_object_agg"), std::string_view("max"), std::string_view("min"),
      std::string_view("stddev"),    std::string_view("string_agg"), std::string_view("sum"),
      std::string_view("variance"),  std::string_view("xmlagg")};
  return std::ranges::find(names, name) != names.end();
}

bool is_word_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

constexpr std::size_t max_kept_constants = 64;
constexpr std::size_t max_kept_constant_bytes = 64;

}  // namespace

bool has_time_word(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    if (!is_word_char(text[i])) {
      ++i;
      continue;
    }
    std::size_t end = i;
    while (end < text.size() && is_word_char(text[end])) ++end;
    const std::string_view word = text.substr(i, end - i);
    if (equals_folded(word, "now") || equals_folded(word, "today") || equals_folded(word, "tomorrow") ||
        equals_folded(word, "yesterday"))
      return true;
    i = end;
  }
  return false;
}

void Walker::join(const object& n) {
  ++analysis_.features.joins;
  if (text(n, "jointype") != "JOIN_INNER") ++analysis_.features.outer_joins;
  // Sides before the condition, so that tables come in the order they are written.
  for (const std::string_view side : {"larg", "rarg"})
    if (const value* v = get(n, side)) visit(*v);
  predicate(n, "quals");
}

void Walker::subselect(const object& n) {
  ++analysis_.features.subqueries;
  analysis_.features.lateral += json::flag(n, "lateral");
  visit_field(n, "subquery");
}

void Walker::range_function(const object& n) {
  analysis_.flags.function_in_from = true;
  analysis_.features.lateral += json::flag(n, "lateral");
  for (const value& item : list(n, "functions")) {
    in_from_function_ = true;  // holds for the function itself; function() clears it for the arguments
    visit(item);
  }
  in_from_function_ = false;
}

void Walker::table_function(const object& n) {
  analysis_.flags.function_in_from = true;
  visit_fields(n);
}

void Walker::table_sample(const object& n) {
  analysis_.flags.tablesample = true;
  visit_fields(n);
}

void Walker::column(const object& n) {
  const array& parts = list(n, "fields");
  if (parts.empty()) return;
  std::string_view name = "*", qualifier;
  if (!json::string_node(parts[parts.size() - 1], name)) ++analysis_.features.stars;
  if (parts.size() > 1) json::string_node(parts[parts.size() - 2], qualifier);
  if (level_ != nullptr && !qualifier.empty() && std::ranges::find(level_->names, qualifier) == level_->names.end())
    for (const Level* outer = level_->outer; outer != nullptr && !level_->correlated; outer = outer->outer)
      level_->correlated = std::ranges::find(outer->names, qualifier) != outer->names.end();
  auto& places = column_places_[name];
  for (const std::size_t place : places) {
    ColumnUse& known = analysis_.columns[place];
    if (known.qualifier != qualifier) continue;
    known.in_predicate = known.in_predicate || in_predicate_;
    return;
  }
  places.push_back(analysis_.columns.size());
  analysis_.columns.push_back({std::string(qualifier), std::string(name), in_predicate_});
}

void Walker::function(const object& n) {
  SyntaxFeatures& f = analysis_.features;
  std::string_view schema, name;
  if (!json::qualified_name(list(n, "funcname"), schema, name)) return;
  const bool star = json::flag(n, "agg_star"), window = n.contains("over");
  const bool aggregate_only = star || json::flag(n, "agg_distinct") || n.contains("agg_order") ||
                              n.contains("agg_filter") || json::flag(n, "agg_within_group");
  const array& arguments = list(n, "args");
  ++f.functions;
  if (window)
    ++f.window_functions;
  else if (aggregate_only || is_known_aggregate(name))
    ++f.aggregates;
  analysis_.functions.push_back({std::string(schema), std::string(name), static_cast<int>(arguments.size()),
                                 aggregate_only || window, in_from_function_});
  in_from_function_ = false;
  if (name == "set_config" && (schema.empty() || schema == "pg_catalog")) literal_set_config(n);
  visit_fields(n);
}

/// set_config('name', 'value', true): a SET in disguise. With other arguments it is opaque, and stays a function use.
void Walker::literal_set_config(const object& n) {
  const array& arguments = list(n, "args");
  if (arguments.size() != 3) return;
  std::array<const object*, 3> constants{};
  for (std::size_t i = 0; i < 3; ++i) {
    const json::Node node = node_of(arguments[i]);
    if (node.type != "A_Const") return;
    constants[i] = node.fields;
  }
  const object* name = json::fields(*constants[0], "sval");
  const object* setting = json::fields(*constants[1], "sval");
  const object* local = json::fields(*constants[2], "boolval");
  if (name == nullptr || setting == nullptr || local == nullptr) return;
  std::string lower(text(*name, "sval"));
  for (char& c : lower)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  analysis_.settings.push_back({std::move(lower), std::string(text(*setting, "sval")), json::flag(*local, "boolval")});
}

void Walker::string_constant(std::string_view constant) {
  if (!analysis_.flags.time_literal && has_time_word(constant)) analysis_.flags.time_literal = true;
  if (analysis_.string_constants.size() < max_kept_constants && constant.size() <= max_kept_constant_bytes)
    analysis_.string_constants.emplace_back(constant);
}

void Walker::constant(const object& n) {
  ++analysis_.features.constants;
  if (const object* string = json::fields(n, "sval")) string_constant(text(*string, "sval"));
}

void Walker::parameter(const object&) { ++analysis_.features.parameters; }

void Walker::predicate_operator(std::string_view kind, const object& n) {
  SyntaxFeatures& f = analysis_.features;
  const std::string_view name = json::last_name(list(n, "name"));
  if (kind == "AEXPR_LIKE" || kind == "AEXPR_ILIKE" || kind == "AEXPR_SIMILAR") {
    ++f.likes;
  } else if (kind.starts_with("AEXPR_BETWEEN") || kind.starts_with("AEXPR_NOT_BETWEEN")) {
    ++f.ranges;
  } else if (kind == "AEXPR_OP" || kind == "AEXPR_OP_ANY" || kind == "AEXPR_OP_ALL") {
    if (name == "=")
      ++f.equalities;
    else if (name == "<" || name == ">" || name == "<=" || name == ">=")
      ++f.ranges;
    else if (name == "~~" || name == "!~~" || name == "~~*" || name == "!~~*" || name == "~" || name == "~*")
      ++f.likes;
    else if (kind == "AEXPR_OP" && name != "<>" && name != "@>" && name != "<@" && name != "&&" && name != "@@" &&
             name != "?")
      return;  // arithmetic and the like
  } else if (kind == "AEXPR_NULLIF") {
    return;
  }
  ++f.predicates;
}

void Walker::operation(const object& n) {
  const std::string_view kind = text(n, "kind");
  if (kind == "AEXPR_IN") {
    ++analysis_.features.in_lists;
    if (const value* right = get(n, "rexpr"))
      if (const json::Node items = node_of(*right); items.type == "List")
        analysis_.features.in_list_items += static_cast<int>(list(*items.fields, "items").size());
  }
  if (in_predicate_) predicate_operator(kind, n);
  visit_field(n, "lexpr");
  visit_field(n, "rexpr");
}

void Walker::boolean(const object& n) {
  const std::string_view op = text(n, "boolop");
  if (op == "OR_EXPR") ++analysis_.features.ors;
  if (op == "NOT_EXPR") ++analysis_.features.nots;
  visit_field(n, "args");
}

void Walker::sublink(const object& n) {
  const std::string_view kind = text(n, "subLinkType");
  ++analysis_.features.subqueries;
  if (kind == "EXISTS_SUBLINK") ++analysis_.features.exists_sublinks;
  if (kind == "ANY_SUBLINK") ++analysis_.features.in_sublinks;
  if (in_predicate_ && kind != "EXPR_SUBLINK" && kind != "ARRAY_SUBLINK") ++analysis_.features.predicates;
  visit_field(n, "testexpr");
  visit_field(n, "subselect");
}

void Walker::null_test(const object& n) {
  if (in_predicate_) ++analysis_.features.predicates;
  visit_field(n, "arg");
}

void Walker::cast(const object& n) {
  ++analysis_.features.casts;
  visit_field(n, "arg");
}

void Walker::case_expression(const object& n) {
  ++analysis_.features.case_expressions;
  visit_fields(n);
}

void Walker::current_of(const object&) { analysis_.flags.current_of = true; }

void Walker::sql_value(const object&) { analysis_.flags.sql_value_function = true; }

}  // namespace pgsteer::sql
