"""Cases of routing.sh: routing_cases.py DIRECT PROXY REPLICA PRIMARY_LOG REPLICA_LOG."""
import os
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import psycopg2  # noqa: E402
from cases import equal, run_cases  # noqa: E402
from wire import Wire, rows  # noqa: E402

direct, proxy, replica = (int(a) for a in sys.argv[1:4])
logs = {"primary": sys.argv[4], "standby": sys.argv[5]}


def connect(port, **more):
    connection = psycopg2.connect(host="127.0.0.1", port=port, user="postgres", dbname="postgres", **more)
    connection.autocommit = True
    return connection


def run(connection, text, values=None):
    with connection.cursor() as cursor:
        cursor.execute(text, values)
        return cursor.fetchall() if cursor.description else cursor.statusmessage


def where(marker, within=2):
    """Which server's log has it; both if both."""
    end = time.time() + within
    while True:
        found = sorted(name for name, path in logs.items() if marker in open(path, errors="replace").read())
        if found or time.time() > end:
            return "+".join(found)
        time.sleep(0.02)


marks = 0


def routes(count=3):
    """The newest decisions' routes, for whoever looks at a failure."""
    time.sleep(0.3)
    console = Wire(proxy).login(database="pgsteer")
    got = [(row[4][:6], row[-1]) for row in rows(console.query("SHOW DECISIONS %d" % count))]
    console.close()
    return got


def mark():
    global marks
    marks += 1
    return "mark_%d_" % marks


def settle():
    """Until the standby has everything, and pgsteer knows. A commit takes along what nobody's commit has waited for."""
    run(connect(direct), "insert into notes values (0, 'settle')")
    position = run(connect(direct), "select pg_current_wal_flush_lsn()")[0][0]
    with_standby = connect(replica)
    while not run(with_standby, "select pg_last_wal_replay_lsn() >= %s", (position,))[0][0]:
        time.sleep(0.02)
    time.sleep(0.35)


def eventually_on_standby(session, text, want, within=15):
    """A session that wrote reads there again when it is certain that nothing is missing."""
    end = time.time() + within
    while True:
        marker = mark()
        equal(text, want, run(session, text % marker))
        got = where(marker)
        if got == "standby" or time.time() > end:
            return equal(text + ": on the standby again", "standby", got)
        settle()


def what_goes_where():
    session = connect(proxy)
    run(session, "select 1")
    table = [
        ("select v, '{}' from t where i = 1", "standby"),
        ("select count(*), '{}' from t", "standby"),
        ("select lower(v), '{}', now() is not null from t where i = 2", "standby"),
        ("with x as (select * from t) select '{}', count(*) from x", "standby"),
        ("select '{}', random() is not null from t where i = 1", "primary"),
        ("select '{}' from t where i = 1 for update", "primary"),
        ("select '{}' from t where i = 1 for key share", "primary"),
        ("select '{}', nextval('s') is not null", "primary"),
        ("select '{}', pg_backend_pid() is not null from t where i = 1", "primary"),
        ("select '{}', mine(1)", "primary"),
        ("select '{}' from u", "primary"),
        ("select '{}', count(*) from pg_class", "primary"),
        ("with x as (insert into notes values (0, '{}') returning 1) select * from x", "primary"),
        ("insert into notes values (0, '{}')", "primary"),
        ("select '{}'; select 2", "primary"),
        ("begin; select '{}' from t where i = 1; commit", "primary"),
        ("explain select '{}' from t", "primary"),
    ]
    for text, expected in table:
        marker = mark()
        other = connect(direct)
        equal(text, run(other, text.format(marker)), run(session, text.format(marker)))
        got = where(marker)
        # Sent directly as well: the primary's log has it in any case.
        equal(text, "standby" if expected == "standby" else "no standby", "standby" if "standby" in got else "no standby")


def in_a_block_everything_is_the_primarys():
    session = connect(proxy)
    session.autocommit = False
    marker = mark()
    run(session, "select '%s' from t where i = 1" % marker)
    equal("in a block", "primary", where(marker))
    session.commit()
    session.autocommit = True
    marker = mark()
    run(session, "select '%s' from t where i = 1" % marker)
    equal("after it", "standby", where(marker))


def a_temporary_table_keeps_the_session():
    session = connect(proxy)
    run(session, "create temporary table t (i int, v text)")
    run(session, "insert into t values (1, 'mine')")
    equal("its own t", [("mine",)], run(session, "select v from t where i = 1"))
    run(session, "drop table t")
    equal("everybody's t", [("v1",)], run(session, "select v from t where i = 1"))


def settings_travel():
    session = connect(proxy)
    run(session, "set datestyle = 'SQL, DMY'")
    run(session, "set search_path = nowhere, public")
    settle()
    for _ in range(3):
        marker = mark()
        equal("formatted as the session wants", [("21/11/2026",)], run(session, "select (date '2026-11-21')::text from t where i = 1 and '%s' <> ''" % marker))
        equal("on the standby", "standby", where(marker))
        marker = mark()
        equal("nobody else's", [("2026-11-21",)], run(connect(proxy), "select (date '2026-11-21')::text from t where i = 1 and '%s' <> ''" % marker))


def own_writes_are_seen():
    """The standby replays late; a session that wrote must not notice."""
    pause = connect(replica)
    session, other = connect(proxy), connect(proxy)
    run(session, "select 1")
    settle()
    run(pause, "select pg_wal_replay_pause()")
    try:
        run(session, "insert into notes values (1, 'late')")
        for _ in range(20):
            equal("what was just written", [(1,)], run(session, "select count(*) from notes where session = 'late'"))
            time.sleep(0.02)
        marker = mark()
        equal("who has not written may be told of before", [(0,)], run(other, "select count(*) from notes where session = 'late' and '%s' <> ''" % marker))
        if where(marker) != "standby":
            equal("by the standby", "standby", routes())
    finally:
        run(pause, "select pg_wal_replay_resume()")
    settle()
    eventually_on_standby(session, "select count(*) from notes where session = 'late' and '%s' <> ''", [(1,)])
    for i in range(60):
        run(session, "insert into notes values (%s, 'many')", (i,))
        equal("insert after insert", [(i + 1,)], run(session, "select count(*) from notes where session = 'many'"))
    session.autocommit = False
    run(session, "update notes set session = 'block' where session = 'many'")
    session.commit()
    session.autocommit = True
    equal("after a block", [(60,)], run(session, "select count(*) from notes where session = 'block'"))


def one_too_far_behind_is_not_read():
    pause = connect(replica)
    settle()
    run(pause, "select pg_wal_replay_pause()")
    try:
        run(connect(direct), "insert into notes values (2, 'behind')")
        session = connect(proxy)
        time.sleep(2.8)  # routing.max_lag is 2 s
        marker = mark()
        equal("the primary's answer", [(1,)], run(session, "select count(*) from notes where session = 'behind' and '%s' <> ''" % marker))
        equal("from there", "primary", where(marker))
        plan = "\n".join(row[0] for row in run(session, "explain (pgsteer) select * from t"))
        equal("EXPLAIN says why", True, "s behind" in plan and "route primary" in plan)
    finally:
        run(pause, "select pg_wal_replay_resume()")
    settle()


def what_fails_on_the_standby_is_asked_of_the_primary():
    slow = "select count(*), '%s' from big, generate_series(1, 6000000) g where g > i - 2"
    for what in ("kill", "conflict", "unknown table", "error of its own"):
        settle()
        session = connect(proxy)
        run(session, "select 1")
        marker = mark()
        got = []

        def ask(text):
            try:
                got.append(run(session, text))
            except psycopg2.Error as error:
                got.append(error.pgcode)

        if what in ("kill", "conflict"):
            asking = threading.Thread(target=ask, args=(slow % marker,))
            asking.start()
            if where(marker) != "standby":
                asking.join(60)
                equal(what + ": on the standby", "standby", routes())
                continue
            if what == "kill":
                while not run(connect(replica), "select count(pg_terminate_backend(pid)) from pg_stat_activity where query like '%" + marker + "%' and pid <> pg_backend_pid()")[0][0]:
                    time.sleep(0.02)
            else:
                run(connect(direct), "alter table big add column c%d int" % marks)
            asking.join(60)
            equal(what + ": answered all the same", [[(6000000, marker)]], got)
            equal(what + ": by the primary", "primary+standby", where(marker))
        elif what == "unknown table":
            pause = connect(replica)
            run(pause, "select pg_wal_replay_pause()")
            try:
                run(connect(direct), "create table fresh (i int); insert into fresh values (5)")
                for _ in range(50):
                    ask("select i from fresh")
            finally:
                run(pause, "select pg_wal_replay_resume()")
            equal(what, [[(5,)]] * 50, got)
        else:
            ask("select 1 / (i - 1) from t where i = 1")
            ask("select no_such_column from t")
            equal(what, ["22012", "42703"], got)
            equal("and the session goes on", [("v1",)], run(session, "select v from t where i = 1"))


def prepared_statements_are_known_on_both():
    """Parse goes to the primary, Bind to whichever; groups of messages as drivers send them."""
    settle()
    pairs = [Wire(direct).login(), Wire(proxy).login()]
    prepare = [(b"P", b"one\0select v from t where i = $1::int\0\0\0"), (b"D", b"Sone\0"), (b"S", b"")]

    def execute(value, name=b"one"):
        text = str(value).encode()
        return [(b"B", b"\0" + name + b"\0\0\0\0\1" + len(text).to_bytes(4, "big") + text + b"\0\0"), (b"D", b"P\0"), (b"E", b"\0\0\0\0\0"), (b"S", b"")]

    def both(messages, syncs=1):
        answers = []
        for wire in pairs:
            for kind, body in messages:
                wire.message(kind, body)
            got = []
            while syncs > sum(1 for kind, _ in got if kind == b"Z"):
                got.append(wire.receive())
            answers.append([(kind, body if kind in b"DCZ12nst" else (body if kind == b"E" else b"")) for kind, body in got])
        equal("the same messages", [k for k, _ in answers[0]], [k for k, _ in answers[1]])
        equal("the same rows", [b for k, b in answers[0] if k == b"D"], [b for k, b in answers[1] if k == b"D"])

    both(prepare)
    before = standby_reads()
    for i in (1, 2, 3):
        both(execute(i))
    both(execute(5) + execute(6) + execute(7), 3)  # a pipeline of groups
    both([(b"P", b"\0select v from t where i = $1::int\0\0\0")] + execute(8, b""))
    both([(b"P", b"two\0select v || 'x' from t where i = $1::int\0\0\0")] + execute(9, b"two"))
    both(execute(10, b"two"))
    both(execute("x"))  # no number
    both(execute(11))
    both([(b"P", b"bad\0select nothing from t where i = $1::int\0\0\0")] + execute(12, b"bad"))
    both([(b"P", b"bad\0select v from t where i = $1::int\0\0\0")] + execute(13, b"bad"))
    both(execute(14, b"bad"))
    both([(b"C", b"Sone\0"), (b"S", b"")])
    both(execute(15))
    equal("read from the standby", True, standby_reads() - before >= 8)


def standby_reads():
    console = Wire(proxy).login(database="pgsteer")
    got = {row[0]: row[1] for row in rows(console.query("SHOW TOTALS"))}
    console.close()
    return int(got["reads_on_standbys"])


def decisions_tell():
    settle()
    session = connect(proxy)
    run(session, "select v from t where i = 3")
    run(session, "select v, random() from t where i = 3")
    time.sleep(0.8)
    console = Wire(proxy).login(database="pgsteer")
    decisions = [(row[10], row[-1]) for row in rows(console.query("SHOW DECISIONS 40"))]
    console.close()
    equal("one from the standby", True, any(source == "standby" and route.startswith("replica 127.0.0.1:%d: read-only, " % replica) for source, route in decisions))
    equal("one from the primary", True, ("server", "primary: volatile function random()") in decisions)


run_cases([what_goes_where, in_a_block_everything_is_the_primarys, a_temporary_table_keeps_the_session, settings_travel, own_writes_are_seen,
           one_too_far_behind_is_not_read, what_fails_on_the_standby_is_asked_of_the_primary, prepared_statements_are_known_on_both, decisions_tell], sys.argv[6:])
