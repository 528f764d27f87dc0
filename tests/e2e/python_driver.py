"""One program of psycopg2, run direct and through: its output must be the same."""
import datetime
import decimal
import io
import os
import select
import sys

import psycopg2
import psycopg2.extensions
import psycopg2.extras

DSN = f"host=127.0.0.1 port={os.environ['PGPORT']} user=postgres dbname=postgres"


def show(name, value):
    print(f"{name}: {value!r}")


def failure(cursor, statement, *arguments):
    try:
        cursor.execute(statement, *arguments)
        show(statement, "no error")
    except psycopg2.Error as error:
        d = error.diag
        show(statement, (type(error).__name__, error.pgcode, d.severity, d.message_primary, d.message_detail, d.message_hint,
                         d.statement_position, d.constraint_name, d.table_name))
        cursor.connection.rollback()


with psycopg2.connect(DSN) as connection:
    show("server_version", connection.server_version)
    show("parameters", [connection.get_parameter_status(n) for n in ("server_encoding", "client_encoding", "integer_datetimes", "TimeZone",
                                                                     "standard_conforming_strings", "is_superuser", "DateStyle")])
    cursor = connection.cursor()
    cursor.execute("drop table if exists py; create table py (id serial primary key, n numeric, t text, b bytea, j jsonb, a int[], at timestamptz, u uuid, x int unique)")
    cursor.execute("insert into py (n, t, b, j, a, at, x) values (%s, %s, %s, %s, %s, %s, 1) returning id",
                   (decimal.Decimal("12.50"), "ä'\"\\€😀", b"\x00\xff'\\", psycopg2.extras.Json({"k": [1, None, "ü"]}), [1, None, 3],
                    datetime.datetime(2026, 1, 2, 3, 4, 5, 678901, datetime.timezone.utc)))
    show("returning", cursor.fetchone())
    connection.commit()
    cursor.execute("select id, n, t, b, j, a, at::text, u from py")
    show("row", [bytes(v) if isinstance(v, memoryview) else v for v in cursor.fetchone()])
    show("description", [(c.name, c.type_code, c.internal_size, c.precision, c.scale) for c in cursor.description])
    failure(cursor, "select 1/0")
    failure(cursor, "selct 1")
    failure(cursor, "select nothere from py")
    failure(cursor, "insert into py (x) values (1)")
    failure(cursor, "select %s::int", ("abc",))
    show("status", connection.get_transaction_status())
    cursor.execute("select 1")
    show("status in a transaction", connection.get_transaction_status())
    connection.rollback()
    psycopg2.extras.execute_values(cursor, "insert into py (t, x) values %s", [(f"v{i}", i + 100) for i in range(5000)], page_size=1000)
    show("rowcount", cursor.rowcount)
    named = connection.cursor("server_side")
    named.itersize = 700
    named.execute("select t from py order by id")
    show("server-side cursor", (sum(1 for _ in named), named.rownumber))
    named.close()
    out = io.StringIO()
    cursor.copy_expert("copy (select x, t from py where x >= 100 order by x limit 3) to stdout", out)
    show("copy out", out.getvalue())
    cursor.copy_expert("copy py (x, t) from stdin", io.StringIO("".join(f"{i}\tline {i}\n" for i in range(10000, 30000))))
    show("copy in", cursor.rowcount)
    try:
        cursor.copy_expert("copy py (x, t) from stdin", io.StringIO("one\ttwo\n"))
    except psycopg2.Error as error:
        show("copy in, wrong", (error.pgcode, error.diag.message_primary, error.diag.context))
    connection.rollback()
    cursor.execute("select 1; select 2; select 'three'")
    show("several", cursor.fetchall())
    connection.commit()
    show("status message", cursor.statusmessage)
    cursor.execute("do $$ begin raise notice 'from python'; end $$")
    show("notices", connection.notices[-1:])

listener = psycopg2.connect(DSN)
listener.autocommit = True
listener.cursor().execute("listen snake")
with psycopg2.connect(DSN) as other:
    other.cursor().execute("notify snake, 'hiss'")
select.select([listener], [], [], 5)
listener.poll()
show("notify", [(n.channel, n.payload) for n in listener.notifies])

isolated = psycopg2.connect(DSN)
isolated.set_session(isolation_level="SERIALIZABLE", readonly=True, deferrable=True)
c = isolated.cursor()
c.execute("show transaction_isolation")
show("isolation", c.fetchone())
failure(c, "create table never (i int)")

cancelled = psycopg2.connect(DSN)
c = cancelled.cursor()
import threading
threading.Timer(0.7, cancelled.cancel).start()
failure(c, "select pg_sleep(20)")
c.execute("select 'still here'")
show("after cancel", c.fetchone())

two = psycopg2.connect(DSN)
large = two.lobject(0, "wb")
large.write(b"abc" * 1000)
large.close()
show("large object", len(two.lobject(large.oid, "rb").read()))
two.rollback()
for row in range(20):
    with psycopg2.connect(DSN) as many:
        many.cursor().execute("select %s", (row,))
show("done", True)
sys.stdout.flush()
