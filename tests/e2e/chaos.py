"""Chaos: chaos.py DIRECT PROXY PGSTEER_PID SECONDS SEED REPORT [POOL_SIZE]. See chaos.sh."""
import os
import random
import struct
import sys
import threading
import time
import uuid

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from wire import SYNC, Closed, Failed, Wire, errors, execution, parse, query, rows  # noqa: E402

direct, proxy, pid, seconds, seed, report = *map(int, sys.argv[1:6]), sys.argv[6]
pool = int(sys.argv[7]) if len(sys.argv) > 7 else 0
GONE = (Closed, ConnectionError, BrokenPipeError, OSError, Failed)
stop = time.time() + seconds
faults, counts, lock = [], {}, threading.Lock()


def count(what, n=1):
    with lock:
        counts[what] = counts.get(what, 0) + n


def fault(text):
    with lock:
        faults.append(text)


class Bystander:
    """Asks for what only it can have asked for: its own words, in every protocol, alone and in pipelines."""

    def __init__(self, number):
        self.number, self.random = number, random.Random(seed * 1000 + number)
        self.marked = None

    def work(self, wire):
        for at in range(self.random.randrange(5, 40)):
            if time.time() > stop:
                return
            word, kind = str(uuid.UUID(int=self.random.getrandbits(128))), self.random.randrange(7)
            if kind == 0:
                self.expect([[word]], wire.query(f"select '{word}'"))
            elif kind == 1:
                wire.raw(parse("select $1::text") + execution([word.encode()]))
                self.expect([[word]], wire.until_ready())
            elif kind == 2:
                if not self.prepared:
                    wire.raw(parse(f"select $1::text || '{self.number}'", "own") + SYNC)
                    wire.until_ready()
                    self.prepared = True
                wire.raw(execution([word.encode()], "own"))
                self.expect([[word + str(self.number)]], wire.until_ready())
            elif kind == 3:  # a pipeline with an error in its middle
                words = [word + str(n) for n in range(4)]
                wire.raw(query(f"select '{words[0]}'") + parse("select $1::text") + execution([words[1].encode()]) + query("select 1/0")
                         + parse("select $1::text") + execution([words[2].encode()]) + query(f"select '{words[3]}'"))
                got = [wire.until_ready() for _ in range(5)]
                for n, reply in zip((0, 1, 3, 4), (got[0], got[1], got[3], got[4])):
                    self.expect([[words[n if n < 2 else n - 1]]], reply)
                if not errors(got[2]):
                    fault("1/0 gave no error")
            elif kind == 4:  # answered from the cache
                n = self.random.randrange(1, 100)
                wire.raw(parse("select id, word from words where id = $1") + execution([str(n).encode()]))
                self.expect([[str(n), f"word {n}"]], wire.until_ready())
            elif kind == 5:
                n = self.random.randrange(1, 4)
                self.expect([[str(n), f"word {n}"]], wire.query(f"select w.id, w.word from words w where id = {n}"))
            else:  # reads its own write, whatever is cached
                self.write(wire)

    def write(self, wire):
        if self.marked is None:
            got = wire.query(f"select n from marks where client = {self.number}")
            if not errors(got):
                self.marked = int(rows(got)[0][0])
        value = (self.marked or 0) + 1
        self.marked = None  # unknown until the answer is there
        if errors(wire.query(f"update marks set n = {value} where client = {self.number}")):
            return
        self.marked = value
        for text in (f"select n from marks where client = {self.number}",) * 2:
            self.expect([[str(value)]], wire.query(text))

    def expect(self, want, reply):
        failed = errors(reply)
        if failed:
            count("errors " + failed[0]["C"])
            if failed[0]["C"] not in ("57P01", "57P02", "57P03", "08006", "40001", "40P01"):
                fault(f"client {self.number}: {failed[0]}")
        elif rows(reply) != want:
            fault(f"client {self.number}: wanted {want}, got {rows(reply)}")
        else:
            count("rows right")

    def run(self):
        while time.time() < stop:
            self.prepared, self.marked = False, None
            try:
                wire = Wire(proxy, timeout=20).login(application_name="chaos")
            except TimeoutError:
                fault(f"client {self.number}: no login in 20 s")
                continue
            except GONE:
                count("no login")
                time.sleep(0.05)
                continue
            try:
                self.work(wire)
            except TimeoutError:
                fault(f"client {self.number}: no answer in 20 s")
            except GONE:
                count("connections lost")
            wire.close()


class Bank(Bystander):
    def work(self, wire):
        for _ in range(self.random.randrange(5, 60)):
            if time.time() > stop:
                return
            a, b = self.random.sample(range(1, 51), 2)
            amount = self.random.randrange(1, 20)
            steps = ["begin", f"update accounts set balance = balance - {amount} where id = {a}",
                     f"update accounts set balance = balance + {amount} where id = {b}", "commit"]
            kind = self.random.randrange(3)
            if kind == 0:
                for step in steps:
                    if errors(wire.query(step)):
                        wire.query("rollback")
                        break
            elif kind == 1:
                wire.query("; ".join(steps))
                wire.query("rollback")
            else:
                wire.raw(query(steps[0]) + parse(f"update accounts set balance = balance + $1::bigint where id = {a}") + execution([str(-amount).encode()])
                         + parse(f"update accounts set balance = balance + $1::bigint where id = {b}") + execution([str(amount).encode()]) + query("commit"))
                for _ in range(4):
                    wire.until_ready()
            count("transfers")
            if self.random.random() < 0.3:
                got = wire.query("select sum(balance) from accounts")
                if not errors(got) and rows(got) != [["50000"]]:
                    fault(f"sum of balances {rows(got)}")


def vanishing(number):
    """Logs in, sends a part of something and is gone, politely or with a reset."""
    dice = random.Random(seed * 77 + number)
    while time.time() < stop:
        try:
            wire = Wire(proxy)
            data = struct.pack("!II", 0, 196608) + b"user\0postgres\0database\0postgres\0application_name\0chaos\0\0"
            data = struct.pack("!I", len(data)) + data[4:]
            text = dice.choice([query("begin; update accounts set balance = balance - 1 where id = 1; select pg_sleep(0.05)"),
                                parse("update accounts set balance = balance + $1::bigint where id = 2") + execution([b"0"]),
                                query("select repeat('x', 1000000) from generate_series(1, 20)"),
                                parse("select id, word from words where id = $1", "s") + execution([b"5"], "s")])
            if dice.random() < 0.8:
                wire.raw(data)
                wire.until_ready()
                data = text
            data = data[: dice.randrange(len(data) + 1)]
            for at in range(0, len(data), 7):
                wire.raw(data[at : at + 7])
            if dice.random() < 0.5:
                wire.socket.setsockopt(1, 13, struct.pack("ii", 1, 0))  # SO_LINGER: a reset
            wire.close()
            count("vanished")
        except GONE:
            pass
        time.sleep(0.01)


def killer():
    dice = random.Random(seed)
    wire = Wire(direct).login(application_name="killer")
    while time.time() < stop - 1:
        time.sleep(0.1)
        got = wire.query(f"select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'chaos' order by random() limit {dice.randrange(1, 3)}")
        count("backends killed", len(rows(got)))


def operator():
    dice, panic, turn = random.Random(seed + 1), False, 0
    while time.time() < stop:
        time.sleep(0.4)
        try:
            wire = Wire(proxy).login(database="pgsteer")
            panic = not panic and dice.random() < 0.25
            turn += 1  # a reload makes everything unjudged for a while: the cache needs time in between
            for text in ("PANIC" if panic else "PANIC OFF", "PAUSE", "RESUME", *(("RELOAD", "FLUSH CACHE") if turn % 12 == 0 else ())):
                failed = errors(wire.query(text))
                if failed:
                    fault(f"{text}: {failed}")
                count(text)
            wire.close()
        except GONE as error:
            fault(f"console: {error}")
    wire = Wire(proxy).login(database="pgsteer")
    wire.query("PANIC OFF")
    totals = {row[0]: row[1] for row in rows(wire.query("SHOW TOTALS"))}
    for name in ("cache_hits", "rewritten", "tracking_lost"):
        count(name, int(totals.get(name, 0)))


def memory():
    if not pid:
        return 0
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) // 1024


def warm():
    """Before it begins: until something is answered from the cache, or the run would say nothing about it."""
    wire, end = Wire(proxy).login(), time.time() + 30
    while time.time() < end:
        wire.raw(parse("select id, word from words where id = $1") + execution([b"1"]))
        wire.until_ready()
        ask = Wire(proxy).login(database="pgsteer")
        if any(row[0] == "cache_hits" and float(row[1]) > 0 for row in rows(ask.query("SHOW TOTALS"))):
            return
        ask.close()
        time.sleep(0.1)
    fault(f"nothing is answered from the cache within 30 s: {rows(Wire(proxy).login().query('explain (pgsteer) select id, word from words where id = 1'))}")


if pid:
    warm()
stop = time.time() + seconds
work = [Bystander(n).run for n in range(12)] + [Bank(20 + n).run for n in range(4)] + [lambda n=n: vanishing(n) for n in range(3)] + [killer]
if pid:
    work.append(operator)
threads = [threading.Thread(target=f) for f in work]
for thread in threads:
    thread.start()
series = []
while time.time() < stop:
    time.sleep(seconds / 10)
    series.append(memory())
for thread in threads:
    thread.join()
early, late = series[len(series) // 2], series[-1]  # arenas and the learner's tables fill up in the first half
watch, left = Wire(direct).login(), None
for _ in range(100):
    left = rows(watch.query("select count(*) from pg_stat_activity where application_name = 'chaos'"))[0][0]
    if int(left) <= pool:
        break
    time.sleep(0.1)
if int(left) > pool:
    fault(f"{left} connections left at the server")
total = rows(watch.query("select sum(balance) from accounts"))
if total != [["50000"]]:
    fault(f"balances sum up to {total}")
if pid and late > early * 1.2 + 8:
    fault(f"memory grew from {early} to {late} MB")
for what in ("rows right", "transfers", "backends killed", "vanished") + (("cache_hits",) if pid else ()):
    if counts.get(what, 0) < 10:
        fault(f"only {counts.get(what, 0)} {what}: this proves nothing")
with open(report, "w") as out:
    print(", ".join(f"{n} {what}" for what, n in sorted(counts.items())), f"; memory {series} MB", file=out)
for text in faults[:20]:
    print(text)
sys.exit(1 if faults else 0)
