#pragma once
#include <string_view>

#include "rewriter/sql/analysis.hpp"
#include "rewriter/sql/catalog.hpp"
#include "rewriter/sql/query.hpp"

namespace pgsteer::cache {

/// FirstNormalObjectId: everything below came with the server.
inline constexpr sql::Oid first_user_oid = 16384;

inline bool is_temporary_schema(std::string_view schema) { return schema.starts_with("pg_temp"); }
inline bool is_system_schema(std::string_view schema) {
  return schema == "pg_catalog" || schema == "information_schema" || schema.starts_with("pg_toast");
}
/// A relation of the server's own. An unqualified pg_... counts as one whatever the picture says: the server looks in
/// pg_catalog first, and the picture need not hold it.
inline bool is_system_relation(const sql::TableUse& use) {
  return is_system_schema(use.schema) || (use.schema.empty() && use.name.starts_with("pg_"));
}
inline const sql::Relation* resolve(const sql::TableUse& use, const sql::Catalog& catalog,
                                    const sql::SessionFacts& session) {
  return catalog.find(use.schema, use.name, session.search_path, session.user);
}

}  // namespace pgsteer::cache
