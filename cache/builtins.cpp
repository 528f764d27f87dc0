// Names from pg_proc of PostgreSQL 15 (oid < 16384), sorted for binary search.
#include "cache/builtins.hpp"

#include <algorithm>
#include <iterator>

namespace pgsteer::cache {
namespace {

// Not here on purpose: the now family, current_setting, to_reg*, has_*_privilege (say what the catalog or clock says);
// json_populate_record, json_to_record and their kin (a JSON string "now" becomes a time); one-argument age (today).
constexpr std::string_view stable[] = {
    "age",                "anytextcat",           "array_to_json",         "array_to_string",
    "concat",             "concat_ws",            "convert",               "convert_from",
    "convert_to",         "date",                 "date_part",             "date_trunc",
    "enum_first",         "enum_last",            "enum_range",            "extract",
    "format",             "generate_series",      "interval_pl_timestamptz", "json_agg",
    "json_build_array",   "json_build_object",    "json_object_agg",       "jsonb_agg",
    "jsonb_build_array",  "jsonb_build_object",   "jsonb_object_agg",      "jsonb_path_exists_tz",
    "jsonb_path_match_tz", "jsonb_path_query_array_tz", "jsonb_path_query_first_tz", "length",
    "make_timestamptz",   "money",                "numeric",               "overlaps",
    "phraseto_tsquery",   "plainto_tsquery",      "quote_literal",         "quote_nullable",
    "row_to_json",        "textanycat",           "time",                  "timestamp",
    "timestamptz",        "timestamptz_mi_interval", "timestamptz_pl_interval", "timetz",
    "timezone",           "to_char",              "to_date",               "to_json",
    "to_jsonb",           "to_number",            "to_timestamp",          "to_tsquery",
    "to_tsvector",        "ts_headline",          "websearch_to_tsquery",
};

constexpr std::string_view in_from[] = {
    "generate_series",     "generate_subscripts",      "json_array_elements", "json_array_elements_text",
    "json_each",           "json_each_text",           "json_object_keys",    "jsonb_array_elements",
    "jsonb_array_elements_text", "jsonb_each",         "jsonb_each_text",     "jsonb_object_keys",
    "jsonb_path_query",    "regexp_matches",           "regexp_split_to_table", "string_to_table",
    "unnest",
};

// nextval and setval write sequences, which are never cached; set_config writes a setting of the session.
constexpr std::string_view harmless[] = {
    "clock_timestamp",
    "currval",
    "gen_random_uuid",
    "lastval",
    "nextval",
    "pg_advisory_lock",
    "pg_advisory_lock_shared",
    "pg_advisory_unlock",
    "pg_advisory_unlock_all",
    "pg_advisory_unlock_shared",
    "pg_advisory_xact_lock",
    "pg_advisory_xact_lock_shared",
    "pg_blocking_pids",
    "pg_cancel_backend",
    "pg_current_wal_flush_lsn",
    "pg_current_wal_insert_lsn",
    "pg_current_wal_lsn",
    "pg_database_size",
    "pg_export_snapshot",
    "pg_indexes_size",
    "pg_is_in_recovery",
    "pg_last_wal_receive_lsn",
    "pg_last_wal_replay_lsn",
    "pg_last_xact_replay_timestamp",
    "pg_lock_status",
    "pg_notify",
    "pg_relation_size",
    "pg_sleep",
    "pg_sleep_for",
    "pg_sleep_until",
    "pg_table_size",
    "pg_tablespace_size",
    "pg_terminate_backend",
    "pg_total_relation_size",
    "pg_try_advisory_lock",
    "pg_try_advisory_lock_shared",
    "pg_try_advisory_xact_lock",
    "pg_try_advisory_xact_lock_shared",
    "random",
    "set_config",
    "setseed",
    "setval",
    "timeofday",
    "txid_status",
};

constexpr std::string_view runs_sql[] = {
    "cursor_to_xml",           "cursor_to_xmlschema",     "database_to_xml",        "database_to_xml_and_xmlschema",
    "database_to_xmlschema",   "query_to_xml",            "query_to_xml_and_xmlschema", "query_to_xmlschema",
    "schema_to_xml",           "schema_to_xml_and_xmlschema", "schema_to_xmlschema", "table_to_xml",
    "table_to_xml_and_xmlschema", "table_to_xmlschema",   "ts_rewrite",             "ts_stat",
};

template <class List>
bool listed(const List& list, std::string_view name) {
  return std::binary_search(std::begin(list), std::end(list), name);
}

static_assert(std::is_sorted(std::begin(stable), std::end(stable)));
static_assert(std::is_sorted(std::begin(in_from), std::end(in_from)));
static_assert(std::is_sorted(std::begin(harmless), std::end(harmless)));
static_assert(std::is_sorted(std::begin(runs_sql), std::end(runs_sql)));

}  // namespace

bool cacheable_stable_function(std::string_view name, int arguments) {
  if (name == "age" && arguments != 2) return false;
  return listed(stable, name);
}
bool cacheable_function_in_from(std::string_view name) { return listed(in_from, name); }
bool harmless_volatile_function(std::string_view name) { return listed(harmless, name); }
bool runs_sql_text(std::string_view name) { return listed(runs_sql, name); }

}  // namespace pgsteer::cache
