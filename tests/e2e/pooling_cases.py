"""Cases of pooling.sh: pooling_cases.py DIRECT PROXY. Each must behave as on a connection of its own."""
import os
import random
import struct
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import psycopg2  # noqa: E402
from cases import equal, run_cases  # noqa: E402
from wire import CANCEL_REQUEST, Wire, fields, rows  # noqa: E402

direct, proxy = int(sys.argv[1]), int(sys.argv[2])


def connect(port, **more):
    connection = psycopg2.connect(host="127.0.0.1", port=port, user="postgres", dbname="postgres", **more)
    connection.autocommit = True
    return connection


def run(cursor, text, values=None):
    try:
        cursor.execute(text, values)
        return cursor.fetchall() if cursor.description else cursor.statusmessage
    except psycopg2.Error as error:
        return error.pgcode


def pins(want, within=5):
    """What SHOW CLIENTS gives as reasons; the answer comes a moment after the transaction."""
    end = time.time() + within
    while True:
        console = Wire(proxy).login(database="pgsteer")
        got = sorted(row[-1] for row in rows(console.query("SHOW CLIENTS")) if row[1] == "postgres" and row[2] == "postgres" and row[-1])
        console.close()
        if got == sorted(want) or time.time() > end:
            return got
        time.sleep(0.05)


def settings_never_leak():
    """Twelve clients change settings at random; each sees what the same statements do on a connection of its own."""
    rnd = random.Random(7)
    changes = ["set work_mem = '{}MB'", "set application_name = 'app {}'", "set datestyle = 'SQL, DMY'", "set datestyle = 'ISO'", "reset all", "reset work_mem",
               "set search_path = pg_catalog, s{}", "begin; set local work_mem = '{}MB'; commit", "discard all",
               "set timezone = 'Asia/Tokyo'", "set timezone = 'UTC'", "do $$ begin perform set_config('statement_timeout', '{}s', false); end $$",
               "begin; set work_mem = '{}MB'; rollback", "set client_encoding = 'LATIN1'", "set client_encoding = 'UTF8'"]
    seen = ["work_mem", "application_name", "datestyle", "search_path", "timezone", "statement_timeout", "client_encoding"]
    couples = [(connect(direct), connect(proxy)) for _ in range(12)]
    for step in range(240):
        a, b = rnd.choice(couples)
        change = rnd.choice(changes).format(rnd.randrange(1, 60))
        with a.cursor() as x, b.cursor() as y:
            equal(f"step {step}: {change}", run(x, change), run(y, change))
        a, b = rnd.choice(couples)
        for name in rnd.sample(seen, 3):
            with a.cursor() as x, b.cursor() as y:
                equal(f"step {step}: show {name}", run(x, "show " + name), run(y, "show " + name))
    for a, b in couples:
        a.close(), b.close()


def custom_settings():
    """No view of the server lists them: they pin, and what a function has set out of sight is nobody else's."""
    value = "select coalesce(current_setting('app.tenant', true), '')"
    a, b = connect(proxy), connect(proxy)
    x, y = a.cursor(), b.cursor()
    for text in ("set app.tenant = 'ann'", "select set_config('app.tenant', 'ann', false)", "do $$ begin perform set_config('app.tenant', 'ann', false); end $$"):
        run(x, text)
        equal(f"{text}: pinned", ["custom setting"], pins(["custom setting"]))
        equal("its owner sees it", [("ann",)], run(x, value))
        equal("nobody else does", [("",)], run(y, value))
        run(x, "reset all")
        equal("free after RESET ALL", [], pins([]))
    run(x, "create or replace function quietly() returns void language plpgsql as $$ begin execute 'select set_' || 'config(''app.tenant'', ''ann'', false)'; end $$")
    for _ in range(10):
        run(x, "select quietly()")
        equal("set out of sight: nobody else sees it", [("",)], run(y, value))
    a.close(), b.close()


def startup_settings():
    for more in ({"options": "-c work_mem=9MB -c search_path=pg_catalog"}, {"application_name": "ann"}, {"client_encoding": "LATIN1"}, {}):
        a, b = connect(direct, **more), connect(proxy, **more)
        for name in ("work_mem", "search_path", "application_name", "client_encoding"):
            with a.cursor() as x, b.cursor() as y:
                equal(f"startup {more}: {name}", run(x, "show " + name), run(y, "show " + name))
        a.close(), b.close()


def what_pins():
    c = connect(proxy)
    cursor = c.cursor()
    for reason, take, free in [("LISTEN", "listen news", "unlisten *"), ("advisory lock", "select pg_advisory_lock(5)", "select pg_advisory_unlock(5)"),
                               ("temporary objects", "create temp table mine (i int)", "drop table mine"), ("SET ROLE", "set role other", "reset role"),
                               ("cursor WITH HOLD", "begin; declare h cursor with hold for select 1; commit", "close h")]:
        run(cursor, take)
        equal(f"{take}: pinned", [reason], pins([reason]))
        run(cursor, free)
        equal(f"{free}: free again", [], pins([]))
    run(cursor, "create temp table mine (i int)"), run(cursor, "insert into mine values (1)")
    equal("a temporary table stays with its owner", [(1,)], run(cursor, "select * from mine"))
    d = connect(proxy)
    equal("and with nobody else", "42P01", run(d.cursor(), "select * from mine"))
    run(cursor, "listen news"), run(d.cursor(), "notify news, 'hello'")
    time.sleep(0.3)
    c.poll(), d.poll()
    equal("a notification reaches who listens", ["hello"], [n.payload for n in c.notifies])
    equal("and nobody else", [], d.notifies)
    c.close(), d.close()


def extended(wire, *messages):
    wire.raw(b"".join(k + struct.pack("!I", len(b) + 4) + b for k, b in messages))
    return wire.until_ready()


def parse(name, text, types=()):
    return b"P", name + b"\0" + text + b"\0" + struct.pack("!H", len(types)) + b"".join(struct.pack("!I", t) for t in types)


def bind(name, *values):
    return b"B", b"\0" + name + b"\0" + struct.pack("!HH", 0, len(values)) + b"".join(struct.pack("!I", len(v)) + v for v in values) + b"\0\0"


EXECUTE, SYNC = (b"E", b"\0" + struct.pack("!I", 0)), (b"S", b"")


def statements():
    """Prepared by several clients under the same names; executed on whatever server comes."""
    clients = [Wire(proxy).login() for _ in range(10)]
    for number, wire in enumerate(clients):
        extended(wire, parse(b"mine", b"select %d, $1::int" % number), SYNC)
        extended(wire, parse(b"typed", b"select $1", (23 if number % 2 else 25,)), SYNC)
    threads = []

    def work(number, wire):
        for turn in range(30):
            got = rows(extended(wire, bind(b"mine", b"%d" % turn), EXECUTE, SYNC))
            equal("a statement of its own", [[str(number), str(turn)]], got)
            result = extended(wire, bind(b"typed", b"007"), EXECUTE, SYNC)
            equal("parameter types belong to a statement", [["7" if number % 2 else "007"]], rows(result))
    for number, wire in enumerate(clients):
        threads.append(threading.Thread(target=work, args=(number, wire)))
        threads[-1].start()
    for thread in threads:
        thread.join()
    for number, wire in enumerate(clients):
        extended(wire, parse(b"", b"select 'unnamed of %d'" % number), SYNC)
    for number, wire in enumerate(clients):
        equal("the unnamed statement is its client's", [[f"unnamed of {number}"]], rows(extended(wire, bind(b""), EXECUTE, SYNC)))
    a, b = clients[0], clients[1]
    a.query("prepare p as select 41 + 1")
    b.query("prepare p as select 'another'")
    for _ in range(5):
        equal("SQL PREPARE, EXECUTE in another transaction", [["42"]], rows(a.query("execute p")))
        equal("and the other's", [["another"]], rows(b.query("execute p")))
    equal("SQL EXECUTE of what the protocol prepared", [["0", "5"]], rows(a.query("execute mine(5)")))
    equal("DEALLOCATE of what the protocol prepared", [b"C", b"Z"], [k for k, _ in a.query("deallocate mine")])
    equal("it is gone", ["26000"], [fields(m)["C"] for k, m in extended(a, bind(b"mine", b"1"), EXECUTE, SYNC) if k == b"E"])
    equal("only there", [["1", "1"]], rows(extended(b, bind(b"mine", b"1"), EXECUTE, SYNC)))
    b.query("discard all")
    equal("DISCARD ALL", ["26000"], [fields(m)["C"] for k, m in extended(b, bind(b"mine", b"1"), EXECUTE, SYNC) if k == b"E"])
    equal("nothing of it for the others", [["2", "1"]], rows(extended(clients[2], bind(b"mine", b"1"), EXECUTE, SYNC)))
    for wire in clients:
        wire.close()


def statements_after_ddl():
    """Parsed after DDL, a statement has its new columns on a server, too, that knows the text from before."""
    clients = [Wire(proxy).login() for _ in range(4)]  # as many as servers

    def everywhere(act):
        """In a transaction on each server; by process id."""
        for wire in clients:
            wire.query("begin")
        found = {rows(wire.query("select pg_backend_pid()"))[0][0]: wire for wire in clients}
        for wire in clients:
            act(wire)
        return found
    clients[0].query("drop table if exists widened; create table widened (a int); insert into widened values (1)")
    everywhere(lambda wire: extended(wire, parse(b"wide", b"select * from widened"), SYNC))
    for wire in clients:
        wire.query("commit")
    clients[0].query("alter table widened add b int default 2")
    late = Wire(proxy).login()
    late.query("begin")
    extended(late, parse(b"wide", b"select * from widened"), SYNC)
    where = rows(late.query("select pg_backend_pid()"))[0][0]
    late.query("commit")
    servers = everywhere(lambda wire: None)
    next(wire for pid, wire in servers.items() if pid != where).query("commit")
    equal("the new columns, where the old ones are known", [["1", "2"]], rows(extended(late, bind(b"wide"), EXECUTE, SYNC)))
    for wire in clients:
        wire.query("rollback")
    clients[0].query("drop table widened")
    for wire in [*clients, late]:
        wire.close()


def cancels():
    """A cancel request stops its own client's query and never the next one on the same server."""
    stop, wrong = threading.Event(), []

    def victim():
        wire = Wire(proxy).login()
        while not stop.is_set():
            for kind, body in wire.query("select pg_sleep(0.005)"):
                if kind == b"E":
                    wrong.append(fields(body)["C"])
    threads = [threading.Thread(target=victim) for _ in range(8)]
    for thread in threads:
        thread.start()
    hit = 0
    for _ in range(15):
        wire = Wire(proxy).login()
        wire.message(b"Q", b"select pg_sleep(3)\0")
        time.sleep(0.03)
        killer = Wire(proxy)
        killer.packet(struct.pack("!III", CANCEL_REQUEST, wire.pid, wire.key))
        killer.ends()
        hit += any(k == b"E" and fields(b)["C"] == "57014" for k, b in wire.until_ready())
        late = Wire(proxy)  # nothing is under way now
        late.packet(struct.pack("!III", CANCEL_REQUEST, wire.pid, wire.key))
        late.ends()
        wire.close()
    stop.set()
    for thread in threads:
        thread.join()
    equal("cancelled", True, hit >= 10)
    equal("nobody else was", [], wrong)


def dropped():
    """Clients that vanish at every point of a request; the others see their own rows only."""
    stop, wrong = threading.Event(), []

    def honest(number):
        wire, turn = Wire(proxy).login(), 0
        while not stop.is_set():
            turn += 1
            want = f"{number}:{turn}"
            try:
                got = rows(wire.query(f"select '{want}'")) if turn % 2 else rows(extended(wire, parse(b"", b"select $1::text"), bind(b"", want.encode()), EXECUTE, SYNC))
            except Exception as failure:  # noqa: BLE001
                return wrong.append((want, repr(failure)))
            if got != [[want]]:
                wrong.append((want, got))
    threads = [threading.Thread(target=honest, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    request = b"".join(k + struct.pack("!I", len(b) + 4) + b for k, b in [(b"Q", b"begin\0"), parse(b"x", b"select pg_sleep(0.01), generate_series(1, 50)"), bind(b"x"), EXECUTE, SYNC, (b"Q", b"select 'stray'\0")])
    text = b"select length('" + b"x" * 200000 + b"')\0"
    large = b"Q" + struct.pack("!I", len(text) + 4) + text  # passed on before all of it is there
    for whole, cuts in (request, range(1, len(request) + 5, 5)), (large, (70000, 100000, 150000, 200000)):
        for cut in cuts:
            wire = Wire(proxy).login()
            wire.raw(whole[:cut])
            time.sleep(0.02 if whole is large else 0)
            wire.close()
    stop.set()
    for thread in threads:
        thread.join()
    equal("rows of somebody else, or none", [], wrong[:3])


def half_a_message_to_nobody():
    """What no answer is due for is a message all the same: its server is nobody else's before its end."""
    others = [Wire(proxy, timeout=5).login() for _ in range(8)]
    for size in (20000, 100000, 300000):
        wire = Wire(proxy).login()
        stray = b"d" + struct.pack("!I", size + 4) + b"Q" * size  # late COPY data, which a server ignores
        question = b"select 1\0"
        wire.raw(b"Q" + struct.pack("!I", len(question) + 4) + question + stray[:size // 2])
        equal(f"{size}: the question in front", [["1"]], rows(wire.until_ready()))
        for turn in range(3):
            for number, other in enumerate(others):
                equal(f"{size}: another client, turn {turn}", [[str(number)]], rows(other.query(f"select {number}")))
        wire.raw(stray[size // 2:])
        equal(f"{size}: and behind it", [["2"]], rows(wire.query("select 2")))


def nothing_new_is_told():
    """Two clients on one server: what the server goes through in between is no news to either."""
    clients = {name: Wire(proxy).login(application_name=name) for name in ("one", "two")}
    for turn in range(5):
        for name, wire in clients.items():
            got = wire.query("select current_setting('application_name')")
            equal(f"{name} turn {turn}", ([[name]], []), (rows(got), [body for kind, body in got if kind == b"S"]))


def own_notifications():
    """Come under the process id that the client was told, which is that of no backend."""
    wire = Wire(proxy).login()
    equal("no backend's", [["0"]], rows(wire.query(f"select count(*) from pg_stat_activity where pid = {wire.pid} or {wire.pid} < 4194304")))
    wire.query("listen mine")
    for text in ("notify mine, 'simple'", "select pg_notify('mine', 'called')", "begin; notify mine, 'block'; commit"):
        got = [struct.unpack("!I", body[:4])[0] for kind, body in wire.query(text) if kind == b"A"]
        equal(text, [wire.pid], got)
    other = Wire(proxy).login()
    other.query("notify mine, 'from another'")
    kind, body = wire.receive()
    equal("another's", (b"A", False), (kind, body[:4] == struct.pack("!I", wire.pid)))


run_cases((own_notifications, settings_never_leak, nothing_new_is_told, half_a_message_to_nobody, custom_settings, startup_settings, what_pins, statements, statements_after_ddl, cancels, dropped), sys.argv[3:])
