#pragma once
// The catalog's questions to PostgreSQL, apart from the code that reads the answers. All run with
// search_path = pg_catalog and name nothing that PostgreSQL 12 does not have.

namespace pgsteer::proxy::learning::queries {

// Temporary objects are left out: other sessions make and drop them all day, and nobody sees another's.
inline constexpr const char* kStructure = R"(
WITH lasting AS MATERIALIZED (
  SELECT oid, xmin, relfilenode FROM pg_class WHERE oid >= 16384 AND relpersistence <> 't' AND relkind <> 't')
SELECT concat_ws(' ',
 (SELECT concat(count(*), ',', sum(xmin::text::bigint), ',', sum(relfilenode::bigint), ',', sum(oid::bigint)) FROM lasting),
 (SELECT concat(count(*), ',', sum(a.xmin::text::bigint)) FROM pg_attribute a JOIN lasting c ON c.oid = a.attrelid WHERE a.attnum > 0),
 (SELECT concat(count(*), ',', sum(i.xmin::text::bigint)) FROM pg_index i JOIN lasting c ON c.oid = i.indexrelid),
 (SELECT concat(count(*), ',', sum(xmin::text::bigint)) FROM pg_constraint WHERE oid >= 16384),
 (SELECT concat(count(*), ',', sum(t.xmin::text::bigint)) FROM pg_trigger t JOIN lasting c ON c.oid = t.tgrelid),
 (SELECT concat(count(*), ',', sum(r.xmin::text::bigint)) FROM pg_rewrite r JOIN lasting c ON c.oid = r.ev_class),
 (SELECT concat(count(*), ',', sum(n.xmin::text::bigint)) FROM pg_inherits n JOIN lasting c ON c.oid = n.inhrelid),
 (SELECT concat(count(*), ',', sum(xmin::text::bigint)) FROM pg_policy),
 (SELECT concat(count(*), ',', sum(xmin::text::bigint)) FROM pg_proc),
 (SELECT concat(count(*), ',', sum(xmin::text::bigint)) FROM pg_operator),
 (SELECT concat(count(*), ',', sum(xmin::text::bigint)) FROM pg_cast),
 (SELECT concat(count(*), ',', sum(xmin::text::bigint)) FROM pg_enum),
 (SELECT concat(count(*), ',', sum(xmin::text::bigint)) FROM pg_type WHERE typtype IN ('d', 'e', 'r')),
 (SELECT concat(count(*), ',', sum(xmin::text::bigint)) FROM pg_namespace WHERE nspname !~ '^pg_(toast_)?temp'),
 (SELECT concat(count(*), ',', sum(xmin::text::bigint)) FROM pg_auth_members),
 (SELECT concat(count(*), ',', sum(xmin::text::bigint)) FROM pg_db_role_setting)))";

inline constexpr const char* kStatistics = R"(
SELECT concat_ws(' ',
 (SELECT concat(sum(hashint8(oid::bigint)::bigint * round(8 * ln(greatest(reltuples, 0) + 1))::bigint), ',',
                sum(hashint8(oid::bigint)::bigint * round(8 * ln(greatest(relpages, 0) + 1))::bigint))
    FROM pg_class WHERE oid >= 16384 AND relpersistence <> 't' AND relkind IN ('r', 'p', 'm', 'i')),
 (SELECT sum(analyze_count + autoanalyze_count) FROM pg_stat_user_tables)))";

inline constexpr const char* kDatabase = R"(
SELECT d.oid, current_setting('server_version_num')::int, current_setting('TimeZone'),
       coalesce((SELECT substr(entry, 13) FROM pg_db_role_setting s, unnest(s.setconfig) entry
                  WHERE s.setdatabase = d.oid AND s.setrole = 0 AND entry LIKE 'search_path=%'),
                (SELECT reset_val FROM pg_settings WHERE name = 'search_path')),
       NOT EXISTS (SELECT FROM pg_operator WHERE oid >= 16384 AND oprname = '=' AND oprleft IN (20, 21, 23) AND oprright IN (20, 21, 23))
  FROM pg_database d WHERE d.datname = current_database())";

inline constexpr const char* kRelations = R"(
SELECT c.oid, n.nspname, c.relname, c.relkind, c.relpersistence, c.reltuples, c.relpages,
       EXISTS (SELECT 1 FROM pg_inherits i WHERE i.inhparent = c.oid),
       coalesce((SELECT i.inhparent FROM pg_inherits i WHERE i.inhrelid = c.oid ORDER BY i.inhseqno LIMIT 1), 0),
       c.relrowsecurity,
       EXISTS (SELECT 1 FROM pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal),
       EXISTS (SELECT 1 FROM pg_rewrite r WHERE r.ev_class = c.oid AND r.rulename <> '_RETURN')
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND c.relpersistence <> 't' AND n.nspname !~ '^pg_(toast|temp)')";

// A parent has two rows in pg_stats: its own and the whole tree's. A query on it reads the tree.
inline constexpr const char* kColumns = R"(
SELECT a.attrelid, a.attname, a.attnum, a.atttypid, a.atttypmod, a.attcollation, a.attnotnull,
       s.n_distinct, s.null_frac, s.correlation, s.avg_width, a.attgenerated <> ''
  FROM pg_attribute a
  JOIN pg_class c ON c.oid = a.attrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN (SELECT DISTINCT ON (schemaname, tablename, attname) * FROM pg_stats
              ORDER BY schemaname, tablename, attname, inherited DESC) s
         ON s.schemaname = n.nspname AND s.tablename = c.relname AND s.attname = a.attname
 WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
   AND c.relpersistence <> 't' AND n.nspname !~ '^pg_(toast|temp)'
 ORDER BY a.attrelid, a.attnum)";

inline constexpr const char* kIndexes = R"(
SELECT i.indrelid, i.indexrelid, c.relname, array_to_string((i.indkey::int2[])[0:i.indnkeyatts - 1], ' '),
       i.indisunique, i.indisprimary, i.indisvalid AND i.indisready AND i.indislive, i.indimmediate,
       i.indpred IS NOT NULL, i.indexprs IS NOT NULL,
       coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::bool, false),
       m.amname = 'btree' AND NOT EXISTS (
         SELECT 1 FROM generate_series(0, i.indnkeyatts - 1) k JOIN pg_opclass o ON o.oid = i.indclass[k]
           LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[k]
          WHERE NOT o.opcdefault OR a.attcollation <> i.indcollation[k])
  FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am m ON m.oid = c.relam
 WHERE c.relpersistence <> 't' ORDER BY i.indexrelid)";

inline constexpr const char* kForeignKeys = R"(
SELECT conrelid, oid, conname, array_to_string(conkey, ' '), confrelid, array_to_string(confkey, ' '),
       convalidated, condeferrable, confdeltype, confupdtype
  FROM pg_constraint WHERE contype = 'f' ORDER BY oid)";

inline constexpr const char* kFunctions = R"(
SELECT n.nspname, p.proname, max(p.provolatile::text COLLATE "C"), bool_and(p.proleakproof), bool_and(p.proisstrict),
       bool_or(p.proretset), bool_or(p.prokind = 'a'), bool_or(p.oid >= 16384)
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
 GROUP BY 1, 2)";

// pg_hint_plan must be seen to act, whatever the server's cost settings: two opposite hints give two plans.
inline constexpr const char* kHintedIndexScan =
    "/*+ IndexScan(c) */ EXPLAIN (COSTS OFF) SELECT 1 FROM pg_catalog.pg_class c WHERE c.oid = 1259";
inline constexpr const char* kHintedSeqScan =
    "/*+ SeqScan(c) */ EXPLAIN (COSTS OFF) SELECT 1 FROM pg_catalog.pg_class c WHERE c.oid = 1259";

}  // namespace pgsteer::proxy::learning::queries
