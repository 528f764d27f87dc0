#pragma once
#include <boost/json/value.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// Reading and building the nodes of sql::Tree (libpg_query's JSON). A node is {"Tag": {...}}; some fields hold the inner
/// object without its tag (SelectStmt.larg, TypeCast.typeName, aliases).
namespace pgsteer::rewriter {

using Json = boost::json::value;
using Object = boost::json::object;
using Array = boost::json::array;

/// The inner object of a node with this tag; nullptr for anything else.
Object* as(Json& node, std::string_view tag);
const Object* as(const Json& node, std::string_view tag);
/// The field of an object; nullptr when absent (the parser leaves out what is empty, zero or false).
Json* field(Object& object, std::string_view name);
const Json* field(const Object& object, std::string_view name);
Object* object_field(Object& object, std::string_view name);
const Object* object_field(const Object& object, std::string_view name);
Array* array_field(Object& object, std::string_view name);
const Array* array_field(const Object& object, std::string_view name);
std::string_view string_field(const Object& object, std::string_view name);
bool bool_field(const Object& object, std::string_view name);

/// The strings of a list of String nodes (column and function names); nullopt when something else is among them.
std::optional<std::vector<std::string>> name_list(const Array* list);

/// Structural equality, source locations apart.
bool same(const Json& a, const Json& b);

/// `left OP right` with a plain (unqualified) operator name.
struct Operation {
  std::string_view name;
  Json* left;
  Json* right;
};
std::optional<Operation> operation(Json& node);
/// The operator as seen from the other side: < becomes >; "" when it has none.
std::string_view commuted(std::string_view op);

/// Integer literal in int8 range; a quoted number is not one.
std::optional<std::int64_t> integer_constant(const Json& node);
std::optional<std::string> string_constant(const Json& node);
bool is_constant(const Json& node);       ///< a literal other than NULL
bool is_value(const Json& node);          ///< a literal, a parameter, or a cast of one to a built-in type: no column, no call
bool is_null_constant(const Json& node);
bool contains(const Json& node, std::string_view tag);

Json make_integer(std::int64_t value);
Json make_string(std::string_view value);
Json make_true();
Json make_column(const std::vector<std::string>& names);
Json make_operation(std::string_view op, Json left, Json right);
Json make_and(std::vector<Json> arguments);  ///< flat; one argument is returned as it is
Json make_or(std::vector<Json> arguments);
Json make_not(Json argument);
Json make_null_test(Json argument, bool is_null);
Json make_is_not_true(Json argument);
Json make_exists(Json select);
Json make_row(std::vector<Json> arguments);
Json make_target(Json value, std::string_view name = {});
Json make_cast(Json value, std::string_view type);
Json make_range_var(std::string_view schema, std::string_view name, std::string_view alias);
Json make_bool_expr(std::string_view op, std::vector<Json> arguments);

/// Adds a conjunct to a clause ("whereClause", "quals", "havingClause") of an object.
void add_conjunct(Object& object, std::string_view clause, Json conjunct);
/// The top-level conjuncts of a clause; empty when there is none.
std::vector<Json*> conjuncts(Object& object, std::string_view clause);
/// Takes one top-level conjunct away (compared by address); the clause disappears with its last one.
void remove_conjunct(Object& object, std::string_view clause, const Json* conjunct);

/// A type name without modifiers as its pg_catalog name ("int4", "text"); "" for arrays, modifiers, other schemas.
std::string plain_type_name(const Object& type_name);

}  // namespace pgsteer::rewriter
