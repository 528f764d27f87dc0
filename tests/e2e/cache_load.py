"""What cache_load.sh checks: cache_load.py DIRECT PROXY SERVER_LOG SECONDS [off]. Every check is a line "ok ..." or "FAILED ..."."""
import os
import random
import select
import struct
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from extended import Extended
from wire import CANCEL_REQUEST, Wire, fields, rows

direct, proxy, log = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
seconds, switched_off = float(sys.argv[4]), sys.argv[5:] == ["off"]
STALENESS = 1.5
failures = 0
server, console = Wire(direct).login(), Wire(proxy).login(database="pgsteer")


def check(name, good, detail=""):
    global failures
    print("ok     " if good else "FAILED ", name, "" if good else detail, flush=True)
    failures += not good


def shown(name):
    return next(int(row[1]) for row in rows(console.query("show cache")) if row[0] == name)


def asked(text):
    """How often the server was asked this, by anybody but the probes of the background."""
    with open(log, errors="replace") as lines:
        return sum(text in line and "EXPLAIN" not in line and "PREPARE" not in line and "VIEW" not in line for line in lines)


def heavy(marker, rounds=30000):
    """What it takes is known by its shape, so that each length has one of its own."""
    return f"select sum(v) as for_{rounds}, {marker}, count(pg_catalog.repeat(md5(g::text), 2)) from t, generate_series(1, {rounds}) g"


def value(wire, text):
    got = wire.query(text)
    found = rows(got)
    return found[0][0] if found else [fields(body)["C"] for kind, body in got if kind == b"E"]


def until_hit(wire, text):
    end = time.monotonic() + 60
    while time.monotonic() < end:
        before = shown("hits")
        got = value(wire, text)
        if shown("hits") > before:
            return got
        time.sleep(0.02)
    raise SystemExit(f"FAILED  never answered from the cache: {text}")


def crowd(sessions, text):
    for session in sessions:
        session.message(b"Q", text.encode() + b"\0")
    return [rows(session.until_ready()) for session in sessions]


def cancel(session):
    canceller = Wire(proxy)
    canceller.packet(struct.pack("!III", CANCEL_REQUEST, session.pid, session.key))
    canceller.ends()


def crowds():
    sessions = [Extended(proxy, timeout=60).login() for _ in range(60)]
    for n in range(6):
        until_hit(sessions[0], heavy(100 + n))  # what it costs is known by its shape
    for session in sessions:
        session.query(heavy(100))  # settings are asked for
    waits = shown("waits")
    got = crowd(sessions, heavy(1001))
    if switched_off:
        check("fill_wait = 0: everybody asks", asked(heavy(1001)) > 5 and shown("waits") == waits, f"{asked(heavy(1001))} asked")
        return
    check("60 sessions, one question", asked(heavy(1001)) == 1 and len(set(map(str, got))) == 1, f"{asked(heavy(1001))} asked")
    check("the others have waited", shown("waits") - waits >= 50, f"{shown('waits') - waits} have")
    waits = shown("waits")
    for n in range(3):
        value(server if n == 2 else sessions[0], "update t set v = v + 1 /* pgsteer:off */" if n == 2 else "update t set v = v + 1")
        if n == 2:
            console.query("flush cache")
        want = rows(server.query(heavy(1001)))
        before = asked(heavy(1001))
        wrong = sum(answer != want for answer in crowd(sessions, heavy(1001)))
        check(("after a write", "after another", "after FLUSH CACHE")[n], wrong == 0 and asked(heavy(1001)) - before == 1, f"{wrong} wrong, {asked(heavy(1001)) - before} asked")

    for rounds in (100000, 150000, 600000):
        for n in range(3):
            until_hit(sessions[0], heavy(n, rounds))

    # A write is acknowledged while the answer is under way: who comes then does not get it.
    wrong = 0
    for n in range(8):
        sessions[0].message(b"Q", heavy(2000 + n, 100000).encode() + b"\0")
        time.sleep(0.03)
        sessions[1].query("update t set v = v + 1")
        want = str(100000 * int(value(server, "select sum(v) from t")))
        wrong += sum(answer[0][0] != want for answer in crowd(sessions[2:8], heavy(2000 + n, 100000)))
        sessions[0].until_ready()
        wrong += value(sessions[0], heavy(2000 + n, 100000)) != want
    check("who comes after a write does not get the answer that was asked for before it", wrong == 0, f"{wrong} stale")

    # Whoever asked goes away, and another asks.
    sessions[9].message(b"Q", heavy(3000, 150000).encode() + b"\0")
    time.sleep(0.05)
    for session in sessions[10:20]:
        session.message(b"Q", heavy(3000, 150000).encode() + b"\0")
    time.sleep(0.05)
    sessions[9].close()
    answers = [rows(session.until_ready()) for session in sessions[10:20]]
    check("the one that asked has left", len(set(map(str, answers))) == 1 and answers[0] != [] and asked(heavy(3000, 150000)) <= 3, f"{answers[:2]} {asked(heavy(3000, 150000))}")

    # A cancel request ends the wait.
    text = heavy(3001, 600000)
    sessions[20].message(b"Q", text.encode() + b"\0")
    time.sleep(0.1)
    for how in ("simple", "extended"):
        start = time.monotonic()
        if how == "simple":
            sessions[21].message(b"Q", text.encode() + b"\0")
        else:
            sessions[22].parse(text).bind().describe().execute().message(b"S")
        time.sleep(0.05)
        waiting = sessions[21 if how == "simple" else 22]
        while not select.select([waiting.socket], [], [], 0.1)[0]:  # one that comes too early meets nothing
            cancel(waiting)
        got = sessions[21 if how == "simple" else 22].until_ready()
        took = time.monotonic() - start
        check(f"who waits can be cancelled ({how})", [fields(body)["C"] for kind, body in got if kind == b"E"] == ["57014"] and not select.select([sessions[20].socket], [], [], 0)[0], f"{[k for k, _ in got]} after {took:.2f} s")
    check("and asks again", value(sessions[21], "select 7") == "7" and sessions[22].run("select 7")[-2:] == Extended(direct).login().run("select 7")[-2:])
    sessions[20].until_ready()

    # The wait is bounded: whoever is waited for stands in a lock.
    blocker = Wire(direct).login()
    blocker.query("begin; lock table t")
    text = heavy(4000)
    sessions[30].message(b"Q", text.encode() + b"\0")
    time.sleep(0.1)
    start = time.monotonic()
    sessions[31].message(b"Q", text.encode() + b"\0")
    while asked(text) < 2 and time.monotonic() < start + 60:
        time.sleep(0.02)
    check("who has waited far longer than it takes asks for itself", asked(text) == 2, f"{time.monotonic() - start:.2f} s")
    blocker.query("commit")
    check("and both are answered", rows(sessions[30].until_ready()) == rows(sessions[31].until_ready()) != [])
    for session in sessions:
        session.close()


def bounded():
    read = "select sum(v) from b where k = 0"
    reader, other, writer = (Extended(proxy).login() for _ in range(3))
    guest = Wire(proxy).login(user="guest")
    kept, fresh = 0, 0
    for _ in range(10):
        until_hit(other, read)
        value(other, "select 1")       # it has spoken to the server since: it may not see what is older
        until_hit(reader, read)
        time.sleep(0.01)
        old = value(server, read)
        writer.query("update b set v = v + 1 where k = 0")
        new = value(server, read)
        fresh += value(writer, read) == new and value(other, read) == new
        kept += value(reader, read) in (old, new)
    check("who writes, or has asked the server since, sees the newest", fresh == 10, f"{fresh} of 10 times")
    check("who reads sees the old or the new", kept == 10)

    # One session refreshes, the others go on with the old answer.
    dear = "select sum(b.v), count(pg_catalog.repeat(md5(g::text), 2)) from b, generate_series(1, 5000) g"
    until_hit(reader, dear)
    sessions, old_hits, asked_again = [Extended(proxy).login() for _ in range(8)], 0, 0
    for _ in range(5):
        time.sleep(STALENESS)
        value(sessions[0], dear)
        for session in sessions[1:]:
            value(session, dear)  # from the cache
        before = shown("old_hits"), asked(dear)
        writer.query("update b set v = v + 1 where k = 0")
        crowd(sessions[1:], dear)
        old_hits += shown("old_hits") - before[0]
        asked_again += asked(dear) - before[1]
    if switched_off:
        check("serve_old = false: no old answer", old_hits == 0, f"{old_hits}")
    else:
        check("old answers are given while one session asks again", old_hits >= 10 and asked_again <= 10, f"{old_hits} of 35 were old, {asked_again} asked")

    # REVOKE, FLUSH and DDL are at once.
    if not switched_off:
        beyond_bounds(reader, sessions[0], writer)
    until_hit(guest, read)
    value(guest, read)
    writer.query("revoke select on b from guest")
    check("REVOKE is at once", value(guest, read) == ["42501"])
    writer.query("grant select on b to guest")
    for command in ("flush cache b", "flush cache"):
        until_hit(reader, read)
        server.query("update b set v = v + 1 where k = 0")
        console.query(command)
        check(f"{command} is at once", value(reader, read) == value(server, read))


def beyond_bounds(reader, other, writer):
    """No old answer is given beyond its bound, however long whoever asks again takes, nor any of before DDL."""
    slow = "select sum(b.v), count(md5(g::text)) from b, generate_series(1, 200000) g"
    until_hit(reader, slow)
    writer.query("update b set v = v + 1 where k = 0")
    time.sleep(STALENESS)
    other.message(b"Q", slow.encode() + b"\0")
    time.sleep(0.1)
    late, now = value(reader, slow), value(server, slow)
    other.until_ready()
    check("nobody gets what is beyond its bound while another asks again", late == now, f"{late}, not {now}")

    for number in range(2):
        until_hit(reader, "select v from c")
        writer.query(f"alter table c alter v type {('numeric(9, 2)', 'int')[number]}")
        end, stale = time.monotonic() + 3, 0
        while time.monotonic() < end:  # by when the statement has been judged anew
            stale += value(Extended(proxy).login(), "select v from c") != value(server, "select v from c")
            time.sleep(0.05)
        check("nobody gets an answer of before DDL", stale == 0, f"{stale} did")


class Registers:
    """Counted-up registers: a session never goes back behind what it has read or written, and nobody reads what was overtaken longer ago than the bound."""

    def __init__(self):
        self.lock, self.acknowledged, self.faults, self.reads = threading.Lock(), {k: [(0.0, 0)] for k in range(4)}, [], 0

    def least(self, key, when):
        with self.lock:
            return max((v for t, v in self.acknowledged[key] if t < when), default=0)

    def work(self, name, writes, until):
        wire, mine, chance = Extended(proxy).login(), [0] * 4, random.Random(name)
        while time.monotonic() < until:
            key = chance.randrange(4)
            if writes and chance.random() < 0.3:
                got = int(value(wire, f"update b set v = v + 1 where k = {key} returning v"))
                mine[key] = max(mine[key], got)
                with self.lock:
                    self.acknowledged[key].append((time.monotonic(), got))
                time.sleep(0.05 * chance.random())
                continue
            start = time.monotonic()
            text = f"select sum(v) from b where k = {key}" if chance.random() < 0.5 else f"select sum(v) from b where k + 0 = {key}"
            got = int(value(wire, text))
            least = self.least(key, start - STALENESS)
            if got < mine[key]:
                self.faults.append(f"{name} went back: {got} after {mine[key]}")
            if got < least:
                self.faults.append(f"{name} read {got}, {least} was acknowledged longer than {STALENESS} s ago")
            mine[key] = max(mine[key], got)
            self.reads += 1

    def run(self, readers=6, writers=2):
        start = {key: int(value(server, f"select v from b where k = {key}")) for key in range(4)}
        self.acknowledged = {key: [(0.0, v)] for key, v in start.items()}
        before, until = (shown("hits"), shown("old_hits")), time.monotonic() + seconds
        threads = [threading.Thread(target=self.work, args=(f"r{n}", n < writers, until)) for n in range(readers + writers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        hits, old = shown("hits") - before[0], shown("old_hits") - before[1]
        print(f"        {self.reads} reads, {hits} hits, {old} of them old; {self.faults[:3]}")
        check("nobody goes back, and nothing is older than its bound", not self.faults, f"{len(self.faults)} faults")
        check("the cache answered", hits > self.reads / 10 and (old > 0) != switched_off)


crowds()
bounded()
Registers().run()
sys.exit(1 if failures else 0)
