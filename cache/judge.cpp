#include <algorithm>

#include "cache/builtins.hpp"
#include "cache/cache.hpp"
#include "cache/resolve.hpp"

namespace pgsteer::cache {
namespace {

Reason judge_relation(const sql::TableUse& use, const sql::Catalog& catalog, const sql::SessionFacts& session) {
  if (is_temporary_schema(use.schema)) return Reason::temporary_table;
  if (is_system_relation(use)) return Reason::catalog_relation;
  const sql::Relation* relation = resolve(use, catalog, session);
  if (relation == nullptr) return Reason::unknown_relation;
  if (relation->oid < first_user_oid || is_system_schema(relation->schema)) return Reason::catalog_relation;
  if (relation->persistence == 't') return Reason::temporary_table;
  if (relation->persistence == 'u') return Reason::unlogged_table;
  switch (relation->kind) {
    case 'f': return Reason::foreign_table;
    case 'S': return Reason::sequence;
    case 'r': case 'p': case 'm': case 'v': break;
    default: return Reason::unknown_relation;
  }
  return relation->row_security ? Reason::row_security : Reason::none;
}

Reason judge_function(const sql::FunctionUse& use, const sql::Catalog& catalog) {
  if (use.in_from && !cacheable_function_in_from(use.name)) return Reason::function_in_from;
  const sql::FunctionGroup* group = catalog.function(use.schema, use.name);
  if (group == nullptr) return Reason::unknown_function;
  if (runs_sql_text(use.name)) return Reason::volatile_function;
  // One overload of the user's own is enough: which one is called depends on types that the text does not show.
  if (group->any_user_defined) return Reason::user_function;
  switch (group->worst_volatility) {
    case 'i': return Reason::none;
    case 's': return cacheable_stable_function(use.name, use.arguments) ? Reason::none : Reason::stable_function;
    default: return Reason::volatile_function;
  }
}

std::string written(std::string_view schema, std::string_view name) {
  return schema.empty() ? std::string(name) : std::string(schema) + "." + std::string(name);
}

}  // namespace

Reason judge_syntax(const sql::Analysis& analysis) {
  if (analysis.kind == sql::StatementKind::unparsed) return Reason::syntax_unknown;
  if (analysis.kind != sql::StatementKind::select || analysis.statements > 1) return Reason::not_select;
  const sql::Flags& flags = analysis.flags;
  if (flags.into || flags.creates_temporary) return Reason::into;
  if (flags.locking_clause || flags.current_of) return Reason::locking_clause;
  if (flags.data_modifying_cte) return Reason::data_modifying_cte;
  for (const auto& table : analysis.tables)
    if (table.written) return Reason::data_modifying_cte;
  if (flags.tablesample) return Reason::tablesample;
  if (flags.sql_value_function) return Reason::sql_value_function;
  if (flags.time_literal) return Reason::time_literal;
  for (const auto& constant : analysis.string_constants)
    if (mentions_current_time(constant)) return Reason::time_literal;
  bool named_in_from = false;
  for (const auto& function : analysis.functions) {
    if (!function.in_from) continue;
    if (!cacheable_function_in_from(function.name)) return Reason::function_in_from;
    named_in_from = true;
  }
  return flags.function_in_from && !named_in_from ? Reason::function_in_from : Reason::none;
}

Reason judge_catalog(const sql::Analysis& analysis, const sql::Catalog& catalog, const sql::SessionFacts& session,
                     std::string* detail) {
  const auto refuse = [&](Reason reason, std::string what) {
    if (detail != nullptr) *detail = std::move(what);
    return reason;
  };
  if (session.settings_uncertain) return refuse(Reason::settings_unknown, "settings may have changed unseen");
  if (session.has_temporary_objects) return refuse(Reason::session_temp_objects, "names may be shadowed");
  if (session.catalog_uncertain) return refuse(Reason::in_transaction_after_write, "the transaction changed the catalog");
  for (const auto& table : analysis.tables)
    if (const Reason reason = judge_relation(table, catalog, session); reason != Reason::none)
      return refuse(reason, written(table.schema, table.name));
  for (const auto& function : analysis.functions)
    if (const Reason reason = judge_function(function, catalog); reason != Reason::none)
      return refuse(reason, written(function.schema, function.name));
  return Reason::none;
}

}  // namespace pgsteer::cache
