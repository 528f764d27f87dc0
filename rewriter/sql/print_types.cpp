#include <array>
#include <utility>

#include "rewriter/sql/identifiers.hpp"
#include "rewriter/sql/print_context.hpp"

namespace pgsteer::sql::printer {

using json::array;
using json::list;
using json::node_of;
using json::object;
using json::text;
using json::value;

void Printer::name(std::string_view identifier) {
  if (identifier.empty()) return fail();
  put(quoted_identifier(identifier));
}

void Printer::names(const array& parts) {
  if (parts.empty()) fail();
  bool first = true;
  for (const value& part : parts) {
    std::string_view piece;
    if (!json::string_node(part, piece)) return fail();
    if (!first) put(".");
    first = false;
    name(piece);
  }
}

void Printer::name_list(const array& items) {
  put("(");
  bool first = true;
  for (const value& item : items) {
    std::string_view piece;
    if (!json::string_node(item, piece)) return fail();
    if (!first) put(", ");
    first = false;
    name(piece);
  }
  put(")");
}

void Printer::operator_name(const array& parts) {
  const std::string_view op = json::last_name(parts);
  if (op.empty() || op.find_first_not_of("~!@#^&|`?+-*/%<>=") != std::string_view::npos) return fail();
  if (parts.size() == 1) return put(op);
  put("OPERATOR(");
  for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
    std::string_view schema;
    if (!json::string_node(parts[i], schema)) return fail();
    name(schema);
    put(".");
  }
  put(op);
  put(")");
}

void Printer::indirection(const array& parts) {
  for (const value& part : parts) {
    const json::Node node = node_of(part);
    if (node.type == "String") {
      put(".");
      name(text(*node.fields, "sval"));
    } else if (node.type == "A_Star") {
      put(".*");
    } else if (node.type == "A_Indices") {
      put("[");
      const bool slice = json::flag(*node.fields, "is_slice");
      if (slice) {
        if (node.fields->contains("lidx")) operand_of(*node.fields, "lidx");
        put(":");
      }
      if (node.fields->contains("uidx"))
        operand_of(*node.fields, "uidx");
      else if (!slice)
        fail();
      put("]");
    } else {
      fail();
    }
  }
}

void Printer::constant(const object& n) {
  if (json::flag(n, "isnull")) return put("NULL");
  if (const object* v = json::fields(n, "ival")) return put(std::to_string(json::number(*v, "ival")));
  if (const object* v = json::fields(n, "boolval")) return put(json::flag(*v, "boolval") ? "TRUE" : "FALSE");
  if (const object* v = json::fields(n, "sval")) return put(quoted_literal(text(*v, "sval")));
  if (const object* v = json::fields(n, "fval")) {
    const std::string_view number = text(*v, "fval");
    if (number.empty() || number.find_first_not_of("0123456789.eE+-") != std::string_view::npos) return fail();
    return put(number);
  }
  const object* v = json::fields(n, "bsval");
  const std::string_view bits = v != nullptr ? text(*v, "bsval") : std::string_view();
  if (bits.empty() || (bits[0] != 'b' && bits[0] != 'x')) return fail();
  put(bits[0] == 'b' ? "B" : "X");
  put(quoted_literal(bits.substr(1)));
}

namespace {

/// Spellings that the grammar turns into exactly these pg_catalog names without a type modifier.
std::string_view plain_spelling(std::string_view type) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 6> spellings = {{
      {"bool", "boolean"},
      {"float4", "real"},
      {"float8", "double precision"},
      {"int2", "smallint"},
      {"int4", "integer"},
      {"int8", "bigint"},
  }};
  for (const auto& [internal, spelling] : spellings)
    if (internal == type) return spelling;
  return {};
}

}  // namespace

/// Written as a generic type with its modifiers as numbers: varchar(5) is pg_catalog.varchar(5), INTERVAL DAY is
/// pg_catalog.interval(8). x::pg_catalog.bpchar stays that, where `char` would mean char(1).
void Printer::type_name(const object& n) {
  if (json::flag(n, "pct_type") || n.contains("typeOid")) return fail();
  if (json::flag(n, "setof")) put("SETOF ");
  const array& parts = list(n, "names");
  const array& modifiers = list(n, "typmods");
  std::string_view schema, type;
  if (!json::qualified_name(parts, schema, type)) return fail();
  const std::string_view spelling =
      parts.size() == 2 && schema == "pg_catalog" && modifiers.empty() ? plain_spelling(type) : std::string_view();
  if (spelling.empty())
    names(parts);
  else
    put(spelling);
  if (!modifiers.empty()) {
    put("(");
    expression_list(modifiers);
    put(")");
  }
  for (const value& bound : list(n, "arrayBounds")) {
    const json::Node node = node_of(bound);
    if (node.type != "Integer") return fail();
    const std::int64_t size = json::number(*node.fields, "ival");
    put("[");
    if (size >= 0) put(std::to_string(size));
    put("]");
  }
}

}  // namespace pgsteer::sql::printer
