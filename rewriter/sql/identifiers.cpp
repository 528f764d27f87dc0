#include "rewriter/sql/identifiers.hpp"

#include <algorithm>
#include <array>

namespace pgsteer::sql {
namespace {

/// The keywords of PostgreSQL 15 in byte order, of whatever category: quoting an unreserved one does no harm, and some
/// of them mean something only next to certain words (OVER, UNBOUNDED, ROWS). Left out are unreserved ones that are
/// common as column names and mean nothing in any place where a name is printed: name, type, value, text, key, ...
constexpr std::array<std::string_view, 435> keywords = {
    "abort", "absolute", "access", "add", "admin", "after", "aggregate", "all", "also", "alter", "always", "analyse",
    "analyze", "and", "any", "array", "as", "asc", "asensitive", "assertion", "assignment", "asymmetric", "at",
    "atomic", "attach", "attribute", "authorization", "backward", "before", "begin", "between", "bigint", "binary",
    "bit", "boolean", "both", "breadth", "by", "cache", "call", "called", "cascade", "cascaded", "case", "cast",
    "catalog", "chain", "char", "character", "characteristics", "check", "checkpoint", "close", "cluster", "coalesce",
    "collate", "collation", "column", "columns", "comments", "commit", "committed", "compression", "concurrently",
    "configuration", "conflict", "connection", "constraint", "constraints", "continue", "conversion", "copy", "cost",
    "create", "cross", "csv", "cube", "current", "current_catalog", "current_date", "current_role", "current_schema",
    "current_time", "current_timestamp", "current_user", "cursor", "cycle", "database", "deallocate", "dec",
    "decimal", "declare", "default", "defaults", "deferrable", "deferred", "definer", "delete", "delimiter",
    "delimiters", "depends", "depth", "desc", "detach", "dictionary", "disable", "discard", "distinct", "do",
    "document", "double", "drop", "each", "else", "enable", "encoding", "encrypted", "end", "enum", "escape", "event",
    "except", "exclude", "excluding", "exclusive", "execute", "exists", "explain", "expression", "extension",
    "external", "extract", "false", "family", "fetch", "filter", "finalize", "first", "float", "following", "for",
    "force", "foreign", "forward", "freeze", "from", "full", "function", "functions", "generated", "global", "grant",
    "granted", "greatest", "group", "grouping", "groups", "handler", "having", "header", "hold", "identity", "if",
    "ilike", "immediate", "immutable", "implicit", "import", "in", "include", "including", "increment", "index",
    "indexes", "inherit", "inherits", "initially", "inline", "inner", "inout", "input", "insensitive", "insert",
    "instead", "int", "integer", "intersect", "interval", "into", "invoker", "is", "isnull", "isolation", "join",
    "large", "last", "lateral", "leading", "leakproof", "least", "left", "like", "limit", "listen", "load", "local",
    "localtime", "localtimestamp", "lock", "locked", "logged", "mapping", "match", "matched", "materialized",
    "maxvalue", "merge", "method", "minvalue", "mode", "move", "names", "national", "natural", "nchar", "new", "next",
    "nfc", "nfd", "nfkc", "nfkd", "no", "none", "normalize", "normalized", "not", "nothing", "notify", "notnull",
    "nowait", "null", "nullif", "nulls", "numeric", "object", "of", "off", "offset", "oids", "old", "on", "only",
    "operator", "option", "options", "or", "order", "ordinality", "others", "out", "outer", "over", "overlaps",
    "overlay", "overriding", "owned", "parallel", "parameter", "parser", "partial", "partition", "passing", "placing",
    "plans", "policy", "position", "preceding", "precision", "prepare", "prepared", "preserve", "primary", "prior",
    "privileges", "procedural", "procedure", "procedures", "program", "publication", "quote", "range", "read", "real",
    "reassign", "recheck", "recursive", "ref", "references", "referencing", "refresh", "reindex", "relative",
    "release", "rename", "repeatable", "replace", "replica", "reset", "restart", "restrict", "return", "returning",
    "returns", "revoke", "right", "rollback", "rollup", "routine", "routines", "row", "rows", "rule", "savepoint",
    "schema", "schemas", "scroll", "search", "security", "select", "sequence", "sequences", "serializable", "server",
    "session", "session_user", "set", "setof", "sets", "share", "show", "similar", "simple", "skip", "smallint",
    "snapshot", "some", "sql", "stable", "standalone", "start", "statement", "statistics", "stdin", "stdout",
    "storage", "stored", "strict", "strip", "subscription", "substring", "support", "symmetric", "sysid", "system",
    "table", "tables", "tablesample", "tablespace", "temp", "template", "temporary", "then", "ties", "time",
    "timestamp", "to", "trailing", "transaction", "transform", "treat", "trigger", "trim", "true", "truncate",
    "trusted", "types", "uescape", "unbounded", "uncommitted", "unencrypted", "union", "unique", "unknown",
    "unlisten", "unlogged", "until", "update", "user", "using", "vacuum", "valid", "validate", "validator", "values",
    "varchar", "variadic", "varying", "verbose", "view", "views", "volatile", "when", "where", "whitespace", "window",
    "with", "within", "without", "work", "wrapper", "write", "xml", "xmlattributes", "xmlconcat", "xmlelement",
    "xmlexists", "xmlforest", "xmlnamespaces", "xmlparse", "xmlpi", "xmlroot", "xmlserialize", "xmltable", "yes",
    "zone"};

static_assert(std::ranges::is_sorted(keywords));

bool is_plain(std::string_view name) {
  if (name.empty() || (name[0] >= '0' && name[0] <= '9')) return false;
  return std::ranges::all_of(
      name, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; });
}

}  // namespace

std::string quoted_identifier(std::string_view name) {
  if (is_plain(name) && !std::ranges::binary_search(keywords, name)) return std::string(name);
  std::string out = "\"";
  for (const char c : name) {
    if (c == '"') out += c;
    out += c;
  }
  return out + '"';
}

/// With a backslash the E'' form is written, which reads the same under either standard_conforming_strings.
std::string quoted_literal(std::string_view text) {
  const bool escapes = text.find('\\') != std::string_view::npos;
  std::string out = escapes ? "E'" : "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') out += c;
    out += c;
  }
  return out + '\'';
}

}  // namespace pgsteer::sql
