#include "cache/cache.hpp"

namespace pgsteer::cache {

std::string_view to_string(Reason reason) {
  switch (reason) {
    case Reason::none: return "none";
    case Reason::rule_off: return "rule_off";
    case Reason::not_select: return "not_select";
    case Reason::syntax_unknown: return "syntax_unknown";
    case Reason::locking_clause: return "locking_clause";
    case Reason::into: return "into";
    case Reason::data_modifying_cte: return "data_modifying_cte";
    case Reason::tablesample: return "tablesample";
    case Reason::sql_value_function: return "sql_value_function";
    case Reason::time_literal: return "time_literal";
    case Reason::function_in_from: return "function_in_from";
    case Reason::volatile_function: return "volatile_function";
    case Reason::stable_function: return "stable_function";
    case Reason::user_function: return "user_function";
    case Reason::unknown_function: return "unknown_function";
    case Reason::unknown_relation: return "unknown_relation";
    case Reason::temporary_table: return "temporary_table";
    case Reason::foreign_table: return "foreign_table";
    case Reason::catalog_relation: return "catalog_relation";
    case Reason::row_security: return "row_security";
    case Reason::sequence: return "sequence";
    case Reason::isolation: return "isolation";
    case Reason::in_transaction_after_write: return "in_transaction_after_write";
    case Reason::failed_transaction: return "failed_transaction";
    case Reason::pipeline: return "pipeline";
    case Reason::settings_unknown: return "settings_unknown";
    case Reason::session_temp_objects: return "session_temp_objects";
    case Reason::row_limit: return "row_limit";
    case Reason::too_large: return "too_large";
    case Reason::not_judged_yet: return "not_judged_yet";
    case Reason::cheap: return "cheap";
    case Reason::first_sight: return "first_sight";
    case Reason::epoch_moved: return "epoch_moved";
    case Reason::notice_or_error: return "notice_or_error";
    case Reason::store_unavailable: return "store_unavailable";
    case Reason::unlogged_table: return "unlogged_table";
    case Reason::directive_off: return "directive_off";
  }
  return "unknown";
}

std::string_view to_string(Consistency mode) {
  switch (mode) {
    case Consistency::off: return "off";
    case Consistency::ttl: return "ttl";
    case Consistency::bounded: return "bounded";
    case Consistency::strict: return "strict";
    case Consistency::strict_wal: return "strict+wal";
  }
  return "unknown";
}

std::optional<Consistency> parse_consistency(std::string_view text) {
  for (const auto mode : {Consistency::off, Consistency::ttl, Consistency::bounded, Consistency::strict, Consistency::strict_wal})
    if (text == to_string(mode)) return mode;
  return std::nullopt;
}

}  // namespace pgsteer::cache
