#!/usr/bin/env python3
"""What psql and pgAdmin ask behind the user's back. Usage: console_tools.py PORT
Prints one line per answer; console.sh compares them."""
import os
import pty
import select
import sys
import time

import psycopg2
import psycopg2.extras

port = sys.argv[1]


def completed(typed):
    """What psql makes of `typed`, a tab and a return, at a terminal of its own."""
    child, terminal = pty.fork()
    if child == 0:
        os.environ.update(PGPORT=port, PGHOST="127.0.0.1", PGUSER="postgres", TERM="dumb", PAGER="cat", INPUTRC="/dev/null", HISTFILE="/dev/null")
        os.execvp("psql", ["psql", "-X", "-A", "-t", "-d", "pgsteer"])
    seen, sent, end = b"", 0, time.monotonic() + 20
    steps = [(b"=> ", typed.encode() + b"\t"), (None, b";\r"), (b"=> ", b"\\q\r")]
    at = 0
    while time.monotonic() < end:
        if select.select([terminal], [], [], 0.3)[0]:
            try:
                block = os.read(terminal, 65536)
            except OSError:
                break
            if not block:
                break
            seen += block
        elif sent < len(steps):  # it has fallen silent
            wait, keys = steps[sent]
            if wait is None or wait in seen[at:]:
                at = len(seen)
                os.write(terminal, keys)
                sent += 1
    os.close(terminal)
    os.waitpid(child, 0)
    return seen.decode(errors="replace")


shown = completed("show lane")
print("psql completes a name after SHOW:", "show lanes" in shown and "unknown command" not in shown)
print("psql completes a name after SET:", "set mode" in completed("set mo"))

# pgAdmin 4, on connecting and before its query window shows a result
connection = psycopg2.connect(host="127.0.0.1", port=port, user="postgres", dbname="pgsteer", cursor_factory=psycopg2.extras.RealDictCursor)
connection.autocommit = True
cursor = connection.cursor()
cursor.execute("SET DateStyle=ISO; SET client_min_messages=notice; SELECT set_config('bytea_output','hex',false)"
               " FROM pg_show_all_settings() WHERE name = 'bytea_output'; SET client_encoding='UTF8';")
cursor.execute("SELECT version()")
print("version:", cursor.fetchone()["version"].startswith("PostgreSQL 15"))
for text in ("""
SELECT
    db.oid as did, db.datname, db.datallowconn,
    pg_encoding_to_char(db.encoding) AS serverencoding,
    has_database_privilege(db.oid, 'CREATE') as cancreate,
    datistemplate
FROM
    pg_catalog.pg_database db
WHERE db.datname = current_database()""", """
        SELECT
             gss_authenticated, encrypted
        FROM
            pg_catalog.pg_stat_gssapi
        WHERE pid = pg_backend_pid()""", """
        SELECT
            roles.oid as id, roles.rolname as name,
            roles.rolsuper as is_superuser,
            CASE WHEN roles.rolsuper THEN true ELSE roles.rolcreaterole END as
            can_create_role,
            CASE WHEN roles.rolsuper THEN true
            ELSE roles.rolcreatedb END as can_create_db,
            CASE WHEN 'pg_signal_backend'=ANY(ARRAY(WITH RECURSIVE cte AS (
            SELECT pg_roles.oid,pg_roles.rolname FROM pg_catalog.pg_roles
                WHERE pg_roles.oid = roles.oid
            UNION ALL
            SELECT m.roleid,pgr.rolname FROM cte cte_1
                JOIN pg_catalog.pg_auth_members m ON m.member = cte_1.oid
                JOIN pg_catalog.pg_roles pgr ON pgr.oid = m.roleid)
            SELECT rolname  FROM cte)) THEN True
            ELSE False END as can_signal_backend
        FROM
            pg_catalog.pg_roles as roles
        WHERE
            rolname = current_user""", """
SELECT CASE WHEN usesuper
       THEN pg_catalog.pg_is_in_recovery()
       ELSE FALSE
       END as inrecovery,
       CASE WHEN usesuper AND pg_catalog.pg_is_in_recovery()
       THEN pg_is_wal_replay_paused()
       ELSE FALSE
       END as isreplaypaused
FROM pg_catalog.pg_user WHERE usename=current_user"""):
    cursor.execute(text)
    print(dict(cursor.fetchone()))
cursor.execute("SHOW LANES")
oids = [column.type_code for column in cursor.description]
cursor.execute("SELECT oid, pg_catalog.format_type(oid, NULL) AS typname FROM pg_catalog.pg_type WHERE oid = ANY(%s) ORDER BY oid;", [oids])
print("types:", set(oids) <= {row["oid"] for row in cursor.fetchall()})
try:
    cursor.execute("SELECT * FROM pg_catalog.pg_class")
except psycopg2.Error as error:
    print("any other question:", error.pgcode)
