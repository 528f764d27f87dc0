#pragma once
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <string_view>

/// Reading libpg_query's JSON: nodes are {"TypeName": {fields}}; a field that is zero, false, empty or null is left out.
namespace pgsteer::sql::json {

using boost::json::array;
using boost::json::object;
using boost::json::value;

struct Node {
  std::string_view type;           ///< "" when the value is no node
  const object* fields = nullptr;  ///< never null when type is not empty
  explicit operator bool() const { return fields != nullptr; }
};

/// Type names begin with a capital, field names do not.
inline Node node_of(const value& v) {
  const object* o = v.if_object();
  if (o == nullptr || o->size() != 1) return {};
  const auto& member = *o->begin();
  const std::string_view key = member.key();
  if (key.empty() || key[0] < 'A' || key[0] > 'Z' || !member.value().is_object()) return {};
  return {key, &member.value().get_object()};
}

inline const value* get(const object& o, std::string_view key) { return o.if_contains(key); }

inline std::string_view text(const object& o, std::string_view key) {
  const value* v = o.if_contains(key);
  return v != nullptr && v->is_string() ? std::string_view(v->get_string()) : std::string_view();
}

inline const array& list(const object& o, std::string_view key) {
  static const array empty;
  const value* v = o.if_contains(key);
  return v != nullptr && v->is_array() ? v->get_array() : empty;
}

inline bool flag(const object& o, std::string_view key) {
  const value* v = o.if_contains(key);
  return v != nullptr && v->is_bool() && v->get_bool();
}

inline std::int64_t number(const object& o, std::string_view key, std::int64_t missing = 0) {
  const value* v = o.if_contains(key);
  return v != nullptr && v->is_int64() ? v->get_int64() : missing;
}

/// A struct that the JSON holds without its type name, or a node: its fields; null when missing.
inline const object* fields(const object& o, std::string_view key) {
  const value* v = o.if_contains(key);
  return v != nullptr ? v->if_object() : nullptr;
}

/// The text of {"String": {"sval": "x"}}; false for any other value.
inline bool string_node(const value& v, std::string_view& out) {
  const Node node = node_of(v);
  if (node.type != "String") return false;
  out = text(*node.fields, "sval");
  return true;
}

/// The last name of a qualified one ([String, ...]); "" when empty.
inline std::string_view last_name(const array& names) {
  std::string_view name;
  if (!names.empty()) string_node(names[names.size() - 1], name);
  return name;
}

inline bool qualified_name(const array& names, std::string_view& schema, std::string_view& name) {
  if (names.empty() || !string_node(names[names.size() - 1], name)) return false;
  schema = {};
  return names.size() < 2 || string_node(names[names.size() - 2], schema);
}

}  // namespace pgsteer::sql::json
