"""Clients that vanish in every state over a small pool; nothing of them stays: pool_leaks.py DIRECT PROXY PGSTEER_PID SIZE SECONDS SEED."""
import os
import random
import socket
import struct
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from cases import equal, finish  # noqa: E402
from wire import CANCEL_REQUEST, Closed, Failed, Wire, rows  # noqa: E402

direct, proxy, pid, size, seconds, seed = map(int, sys.argv[1:7])
GONE = (Closed, Failed, OSError)


def message(kind, body=b""):
    return kind + struct.pack("!I", len(body) + 4) + body


def query(text):
    return message(b"Q", text.encode() + b"\0")


PARSE = message(b"P", b"\0select pg_sleep(0.02), repeat('x', 100) from generate_series(1, 5)\0\0\0")
BIND, EXECUTE, FLUSH, SYNC = message(b"B", b"\0\0\0\0\0\0\0\0"), message(b"E", b"\0\0\0\0\0"), message(b"H"), message(b"S")
# What a client has sent when it vanishes; a number: so many bytes of the last one only.
STATES = {
    "in a transaction": [query("begin"), query("select 1")],
    "in a failed transaction": [query("begin"), query("select 1/0")],
    "in a long query": [query("select pg_sleep(1)")],
    "with a write under way": [query("begin"), query("insert into t values (1)"), query("select pg_sleep(0.1)"), query("commit")],
    "in the middle of a message": [query("begin"), query("select 'half'")[:9]],
    "in the middle of a header": [b"Q\0"],
    "without a Sync": [PARSE + BIND + EXECUTE],
    "behind a Flush": [PARSE + BIND + EXECUTE + FLUSH],
    "in a pipeline": [(PARSE + BIND + EXECUTE + SYNC) * 5],
    "in a failed COPY": [query("copy t from stdin"), message(b"d", b"one\n") * 3 + message(b"f", b"no more\0")],
    "in COPY IN": [query("copy t from stdin"), message(b"d", b"1\n") * 3],
    "in COPY OUT that it does not read": [query("copy (select repeat('x', 1000) from generate_series(1, 20000)) to stdout")],
    "in a result that it does not read": [query("select repeat('x', 1000) from generate_series(1, 20000)")],
    "with a large message begun": [b"Q" + struct.pack("!I", 1 << 20) + b"select '" + b"x" * 100000],
    "pinned": [query("listen news"), query("select pg_advisory_lock(1)"), query("select pg_advisory_unlock(1)")],
    "with settings changed": [query("set work_mem = '7MB'"), query("begin; set local work_mem = '8MB'")],
    "with its query cancelled": [query("select pg_sleep(5)"), "cancel"],
    "while it waits": [query("begin"), query("select pg_sleep(0.05)")],
}
counts = dict.fromkeys(STATES, 0)
end = time.time() + seconds


def vanish(number):
    rnd = random.Random(seed * 100 + number)
    while time.time() < end:
        name = rnd.choice(list(STATES))
        try:
            wire = Wire(proxy, timeout=20).login()
            for part in STATES[name]:
                if part == "cancel":
                    time.sleep(0.02)
                    killer = Wire(proxy)
                    killer.packet(struct.pack("!III", CANCEL_REQUEST, wire.pid, wire.key))
                    killer.close()
                else:
                    wire.raw(part)
                if rnd.random() < 0.7:
                    time.sleep(rnd.choice((0, 0.001, 0.03)))
            if rnd.random() < 0.5:  # a reset, not an end
                wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            if rnd.random() < 0.2:
                wire.raw(message(b"X"))
            wire.close()
            counts[name] += 1
        except GONE as error:
            print(f"note: {name}: {type(error).__name__} {error}")
    for _ in range(20):  # logins that go no further
        wire = Wire(proxy)
        wire.packet(struct.pack("!I", 196608) + b"user\0postgres\0"[: rnd.randrange(1, 14)])
        wire.close()


def console(text):
    wire = Wire(proxy).login(database="pgsteer")
    result = wire.query(text)
    wire.close()
    names, at, out = [], 2, []
    description = next(body for kind, body in result if kind == b"T")
    for _ in range(struct.unpack("!H", description[:2])[0]):
        zero = description.index(b"\0", at)
        names.append(description[at:zero].decode())
        at = zero + 19
    for row in rows(result):
        out.append(dict(zip(names, row)))
    return out


def ours():
    wire = Wire(direct).login()
    got = rows(wire.query("select count(*) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid() and application_name !~ '^pgsteer'"))
    wire.close()
    return int(got[0][0])


def sockets():
    links = []
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            links.append(os.readlink(f"/proc/{pid}/fd/{fd}"))
        except OSError:
            pass
    return sum(link.startswith("socket") for link in links)


def settled():
    """The pool's line of SHOW POOLS once nothing is under way."""
    stop = time.time() + 15
    while True:
        pool = next((p for p in console("SHOW POOLS") if p["database"] == "postgres"), {})
        calm = pool.get("cl_active") == "0" and pool.get("cl_waiting") == "0" and pool.get("sv_active") == "0"
        if calm or time.time() > stop:
            return pool


Wire(proxy).login().query("select 1")
before = sockets()
threads = [threading.Thread(target=vanish, args=(n,)) for n in range(12)]
for thread in threads:
    thread.start()
most = 0
while any(thread.is_alive() for thread in threads):
    most = max(most, ours())
    time.sleep(0.1)
pool = settled()
if pool["cl_active"] != "0":
    print("left:", [c for c in console("SHOW CLIENTS") if c["database"] == "postgres"])
    print("at the server:", rows(Wire(direct).login().query("select pid, state, wait_event, left(query, 60) from pg_stat_activity where application_name !~ '^pgsteer' and backend_type = 'client backend'")))
equal("clients left", ("0", "0"), (pool["cl_active"], pool["cl_waiting"]))
equal("server connections that nobody holds and nobody may have", "0", pool["sv_active"])
equal("what the pool has is what the server has", int(pool["sv_idle"]), ours())
equal("never more than the pool's size", True, most <= size)
held = []
for number in range(size):  # every place of the pool can be used, at once
    wire = Wire(proxy, timeout=10).login()
    equal(f"place {number + 1} of {size}", [["ok"]], rows(wire.query("begin; select 'ok'")))
    equal("in no state of somebody else's", [["4MB"]], rows(wire.query("show work_mem")))
    held.append(wire)
more = Wire(proxy, timeout=1).login()
more.raw(query("select 'served'"))
try:
    equal("one more than the pool's size waits", None, more.receive())
except TimeoutError:
    pass
held[0].query("rollback")
more.socket.settimeout(10)
equal("and is served next", [["served"]], rows(more.until_ready()))
for wire in held + [more]:
    wire.close()
settled()
after = sockets()
equal("sockets left in the process", True, after <= before + size)
equal("every state was met", [], [name for name, n in counts.items() if n < 3])
print(f"{sum(counts.values())} clients vanished, at most {most} servers, sockets {before} -> {after}")
finish()
