#pragma once
// Gate B's questions, asked while the temporary view pgsteer_gate exists.

namespace pgsteer::proxy::learning::queries {

// Every query tree in reach: the view's own and those of the views it reads. `:relid` names what pg_depend leaves out
// (pinned catalogs); pg_depend is asked as well in case a node names a relation otherwise.
inline constexpr const char* kTrees = R"(
CREATE TEMP TABLE pgsteer_trees ON COMMIT DROP AS
WITH RECURSIVE reached(oid) AS (
  SELECT 'pg_temp.pgsteer_gate'::regclass::oid
  UNION
  SELECT found.oid FROM reached
    JOIN pg_catalog.pg_class v ON v.oid = reached.oid AND v.relkind = 'v'
    JOIN pg_catalog.pg_rewrite r ON r.ev_class = reached.oid
   CROSS JOIN LATERAL (
     SELECT m[1]::oid FROM pg_catalog.regexp_matches(r.ev_action::text, ':relid (\d+)', 'g') m
     UNION
     SELECT d.refobjid FROM pg_catalog.pg_depend d
      WHERE d.classid = 'pg_catalog.pg_rewrite'::regclass AND d.objid = r.oid
        AND d.refclassid = 'pg_catalog.pg_class'::regclass) found(oid)
   WHERE found.oid <> 0)
SELECT reached.oid, r.ev_action::text AS tree
  FROM reached LEFT JOIN pg_catalog.pg_class v ON v.oid = reached.oid AND v.relkind = 'v'
  LEFT JOIN pg_catalog.pg_rewrite r ON r.ev_class = v.oid AND r.rulename = '_RETURN')";

// Relations, with everything below a partitioned table or an inheritance parent.
inline constexpr const char* kReached = R"(
WITH RECURSIVE tree(oid) AS (
  SELECT oid FROM pg_temp.pgsteer_trees
  UNION SELECT i.inhrelid FROM tree JOIN pg_catalog.pg_inherits i ON i.inhparent = tree.oid)
SELECT c.oid, c.relkind, c.relpersistence, c.relrowsecurity, c.relname,
       EXISTS (SELECT 1 FROM pg_catalog.pg_rewrite r WHERE r.ev_class = c.oid AND r.rulename <> '_RETURN')
  FROM tree JOIN pg_catalog.pg_class c ON c.oid = tree.oid
 WHERE c.oid <> 'pg_temp.pgsteer_gate'::regclass ORDER BY c.oid)";

// Functions called as such, by operators (opfuncid, and opno/eqop/sortop by their code), aggregates and windows, and
// the input function of every type reached through text (CoerceViaIO).
inline constexpr const char* kCalled = R"(
WITH called(oid) AS (
  SELECT m[1]::oid FROM pg_temp.pgsteer_trees t,
         pg_catalog.regexp_matches(t.tree, ':(?:funcid|opfuncid|aggfnoid|winfnoid|hashfuncid|negfuncid) (\d+)', 'g') m
  UNION
  SELECT o.oprcode::oid FROM pg_temp.pgsteer_trees t,
         pg_catalog.regexp_matches(t.tree, ':(?:opno|eqop|sortop) (\d+)', 'g') m
    JOIN pg_catalog.pg_operator o ON o.oid = m[1]::oid
  UNION
  SELECT o.oprcode::oid FROM pg_temp.pgsteer_trees t,
         pg_catalog.regexp_matches(t.tree, ':opnos \(o ([0-9 ]+)\)', 'g') m,
         pg_catalog.unnest(pg_catalog.string_to_array(m[1], ' ')) n
    JOIN pg_catalog.pg_operator o ON o.oid = n::oid)
SELECT p.oid, p.proname, p.provolatile, p.oid >= 16384, p.pronargs
  FROM called JOIN pg_catalog.pg_proc p ON p.oid = called.oid ORDER BY p.oid)";

inline constexpr const char* kThroughText = R"(
SELECT DISTINCT p.proname, p.provolatile FROM pg_temp.pgsteer_trees t,
       pg_catalog.regexp_matches(t.tree, '\{COERCEVIAIO ', 'g') any_
  JOIN pg_catalog.pg_type y ON true JOIN pg_catalog.pg_proc p ON p.oid = y.typinput
 WHERE p.provolatile <> 'i'
   AND y.oid IN (SELECT m[1]::oid FROM pg_temp.pgsteer_trees s,
                        pg_catalog.regexp_matches(s.tree, ':resulttype (\d+) :resultcollid \d+ :coerceformat', 'g') m))";

inline constexpr const char* kNodes = R"(
SELECT DISTINCT m[1] FROM pg_temp.pgsteer_trees t, pg_catalog.regexp_matches(t.tree,
  '\{(SQLVALUEFUNCTION|NEXTVALUEEXPR|TABLESAMPLECLAUSE|ROWMARKCLAUSE|COERCETODOMAIN|TABLEFUNC|CURRENTOFEXPR) ', 'g') m)";

}  // namespace pgsteer::proxy::learning::queries
