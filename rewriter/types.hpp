#pragma once
#include "rewriter/binder.hpp"

/// What is known of an expression's type and value without asking the server. Built-in types only: for every other
/// type the answer is "unknown", and rules then stand aside.
namespace pgsteer::rewriter {

namespace oid {
inline constexpr sql::Oid boolean = 16, bytea = 17, int8 = 20, int2 = 21, int4 = 23, text = 25, oid = 26, float4 = 700,
                          float8 = 701, bpchar = 1042, varchar = 1043, date = 1082, time = 1083, timestamp = 1114,
                          timestamptz = 1184, interval = 1186, timetz = 1266, numeric = 1700, uuid = 2950;
}

inline bool is_integer(sql::Oid type) { return type == oid::int2 || type == oid::int4 || type == oid::int8; }
inline bool is_text(sql::Oid type) { return type == oid::text || type == oid::varchar; }

/// OID of a built-in type by its catalogue name; 0 when it is not one of ours.
sql::Oid builtin_type(std::string_view name);

Type type_of(const Json& node, const Bound& bound);
bool provably_not_null(const Json& node, const Bound& bound);

/// The name the server gives an unnamed output column (FigureColname); "" when we do not know.
std::string output_name(const Json& value);

/// Both types compare with one built-in btree family whose operators neither raise errors nor depend on a setting:
/// the integers, text and varchar, and each of the other plain types with itself.
bool comparable(const Type& a, const Type& b);
/// A literal or parameter (or a cast of one) that takes the column's type, or a type of its family.
bool comparable_value(const Json& value, const Type& column, const Bound& bound);

/// Equal values of this type are the same bytes: no 1.0 and 1.00, no -0, no case-blind collation, no '1 day' = '24:00'.
bool equal_means_identical(const Type& type);

/// The expression is built of columns, values, comparisons of comparable() types, IS tests and AND/OR/NOT: it cannot
/// raise an error on any row, so it may be evaluated on rows the original would not have reached.
bool cannot_fail(const Json& node, const Bound& bound);

/// The value of an integer literal, when column + literal and column - literal are computed in a type that holds them for every value of
/// the column's type.
std::optional<std::int64_t> shift_within(const Json& literal, sql::Oid column);

}  // namespace pgsteer::rewriter
