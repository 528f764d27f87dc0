"""Limits and time-outs of pools, as [pool] says them: pool_limits.py DIRECT PROXY CONFIG_FILE."""
import os
import struct
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from cases import equal, run_cases  # noqa: E402
from wire import Wire, rows  # noqa: E402

direct, proxy, config = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]


def console(text):
    wire = Wire(proxy).login(database="pgsteer")
    result = wire.query(text)
    wire.close()
    return result


def settings(**pool):
    with open(config, "w", encoding="utf-8") as f:
        f.write("[pool]\nmode = \"transaction\"\n" + "".join(f"{name} = {value}\n" for name, value in pool.items()))
    equal(f"RELOAD {pool}", [b"C", b"Z"], [kind for kind, _ in console("reload")])
    console("reconnect")
    least = pool.get("min_pool_size", 0)  # opened again at once
    equal("begins with no server connection", True, until(True, lambda: servers() <= least))


def servers(where="true"):
    wire = Wire(direct).login()
    got = rows(wire.query("select count(*) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid() "
                          f"and application_name !~ '^pgsteer' and {where}"))
    wire.close()
    return int(got[0][0])


def until(want, look, within=8):
    end = time.time() + within
    while True:
        got = look()
        if got == want or time.time() > end:
            return got
        time.sleep(0.05)


def client(user="postgres", database="postgres"):
    return Wire(proxy, timeout=20).login(user=user, database=database)


def begun(count, **who):
    wires = [client(**who) for _ in range(count)]
    for wire in wires:
        wire.query("begin; select 1")
    return wires


def end(wires):
    for wire in wires:
        wire.close()


def ask(wire, text):
    wire.message(b"Q", text.encode() + b"\0")


def waits(wire, seconds=0.5):
    wire.socket.settimeout(seconds)
    try:
        wire.receive()
        return False
    except TimeoutError:
        return True
    finally:
        wire.socket.settimeout(20)


def pool_size():
    settings(default_pool_size=2)
    held, more = begun(2), client()
    ask(more, "select 'more'")
    equal("default_pool_size: one more waits", True, waits(more))
    held[0].query("commit")
    equal("and is served when one is free", [["more"]], rows(more.until_ready()))
    equal("no more than so many", 2, servers())
    end(held + [more])


def lifetime():
    settings(server_lifetime='"700ms"')
    wire = client()
    first = rows(wire.query("select pg_backend_pid()"))[0][0]
    equal("server_lifetime: closed when too old", 0, until(0, lambda: servers(f"pid = {first}")))
    wire.query("begin")
    second = rows(wire.query("select pg_backend_pid()"))[0][0]
    time.sleep(1.2)
    equal("never under its client", [[second]], rows(wire.query("select pg_backend_pid()")))
    wire.query("commit")
    equal("at its next hand-over", 0, until(0, lambda: servers(f"pid = {second}")))
    end([wire])


def idle_and_min():
    settings(server_idle_timeout='"700ms"', min_pool_size=2)
    end(begun(4))
    held = begun(4)
    for wire in held:
        wire.query("commit")
    equal("four are open", 4, servers())
    equal("server_idle_timeout closes all but min_pool_size", 2, until(2, servers))
    time.sleep(1)
    equal("these stay", 2, servers())
    end(held)
    settings(server_idle_timeout='"500ms"')
    wire = client()
    wire.query("select 1")
    equal("without it none stays", 0, until(0, servers))
    equal("its client does not notice", [["5"]], rows(wire.query("select 5")))
    end([wire])


def reserve():
    settings(default_pool_size=1, reserve_pool=1, reserve_pool_timeout='"600ms"')
    held, second, third = begun(1), client(), client()
    start = time.time()
    ask(second, "begin; select 'second'")
    second.until_ready()
    equal("reserve_pool: after reserve_pool_timeout", True, 0.5 < time.time() - start < 5)
    ask(third, "select 'third'")
    equal("and not for more than reserve_pool", True, waits(third, 1.5))
    end(held + [second])
    equal("in the end everybody is served", [["third"]], rows(third.until_ready()))
    end([third])


def per_database():
    settings(max_db_connections=2)
    one, two = client("ann"), client("bob")
    one.query("select 1"), two.query("select 1")
    equal("one each", 2, servers())
    held = begun(2, user="bob")
    equal("max_db_connections: an idle one of another user makes room", (0, 2), (servers("usename = 'ann'"), servers()))
    ask(one, "select 'ann'")
    equal("but no more than so many", True, waits(one))
    elsewhere = client("ann", "other")
    equal("another database is another limit", [["1"]], rows(elsewhere.query("select 1")))
    end(held)
    equal("whoever waited is served", [["ann"]], rows(one.until_ready()))
    end([one, two, elsewhere])


def per_user():
    settings(max_user_connections=1)
    here, there = begun(1, user="ann"), client("ann", "other")
    ask(there, "select 'there'")
    equal("max_user_connections counts over databases", True, waits(there))
    equal("not other users", [["1"]], rows(client("bob").query("select 1")))
    end(here)
    equal("then served", [["there"]], rows(there.until_ready()))
    end([there])


def too_long():
    settings(transaction_timeout='"900ms"')
    wire = client()
    for _ in range(2):
        equal("short ones are not concerned", [["1"]], rows(wire.query("select 1")))
        time.sleep(0.6)
    wire.query("begin")
    error = wire.ends()
    equal("transaction_timeout", ("25P03", "transaction timeout"), (error["C"], error["M"]))
    equal("its server is free", 0, until(0, lambda: servers("state like 'idle in%'")))


def modes():
    settings(session='["*/own"]')
    shown = {}
    for user in ("ann", "own"):
        wire = client(user)
        wire.query("select 1")
        a = rows(wire.query("select pg_backend_pid()"))
        equal(f"{user}: its server", a, rows(wire.query("select pg_backend_pid()")))
        wire.query("create temp table mine (i int)")
        wire.close()
        shown[user] = servers(f"usename = '{user}'")
    equal("pool.session: a connection goes with its client", 0, until(0, lambda: servers("usename = 'own'")))
    listed = {row[1]: row[-1] for row in rows(console("show pools")) if row[0] == "postgres"}
    equal("SHOW POOLS", "transaction", listed.get("ann"))


def statements():
    settings(default_pool_size=1, max_prepared_statements=3)
    wire = client()
    for turn in range(3):
        for number in range(8):
            name = b"s%d" % number
            if turn == 0:
                wire.message(b"P", name + b"\0select %d\0\0\0" % number)
            wire.message(b"B", b"\0" + name + b"\0\0\0\0\0\0\0")
            wire.message(b"E", b"\0" + struct.pack("!I", 0))
            wire.message(b"S")
            equal("evicted and taught again", [[str(number)]], rows(wire.until_ready()))
    listing = "select count(*) as c from pg_prep' || 'ared_statements where name ~ ''^pgsteer_s''"  # a look that is seen to be one shows the client's own
    count = int(rows(wire.query(f"select (xpath('//c/text()', query_to_xml('{listing}', true, false, '')))[1]::text"))[0][0])
    equal("max_prepared_statements", True, 1 <= count <= 3)
    end([wire])


def waiting_too_long():
    settings(default_pool_size=1, query_wait_timeout='"500ms"')
    held, wire = begun(1), client()
    ask(wire, "select 1")
    error = wire.ends()
    equal("query_wait_timeout", "53300", error["C"])
    end(held)


run_cases((pool_size, lifetime, idle_and_min, reserve, per_database, per_user, too_long, modes, statements, waiting_too_long), sys.argv[4:])
