"""Monotone registers through the cache: `UPDATE r SET v = v + 1 ... RETURNING v` by several writers, readers by every path, and a check that
decides linearizability in O(n log n).

    history_check.py self                            the checker on recorded bad histories: it must find each fault
    history_check.py run DIRECT PROXY[,PROXY] SECONDS [FILE]
                                                     traffic, then the check; a history with violations is kept in FILE
    history_check.py again FILE                      the check on such a file

A value is counted up under the row lock, so it names its version. Rolled back values are counted up again by the next writer: a
transaction that rolls back first adds 1000000, which nobody may ever read.
"""
import bisect
import json
import os
import random
import socket
import struct
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
UNREAL = 1000000
KEYS = 4


def condition(key, chance):
    """Of one row, as the cache can tell or not."""
    return f"k = {key}" if chance.random() < 0.7 else f"k + 0 = {key}"


class Event:
    """One operation of a client: kind w (acknowledged write), u (write of unknown fate) or r (read); value None for an unknown one."""

    def __init__(self, client, kind, key, value, invoked, returned):
        self.client, self.kind, self.key, self.value, self.invoked, self.returned = client, kind, key, value, invoked, returned

    def __repr__(self):
        return f"{self.kind} k={self.key} v={self.value} by {self.client} [{self.invoked:.6f}, {self.returned:.6f}]"


def check(events, final):
    """Every violation as (name, event). `final`: key -> value in the database when all is over."""
    faults = []
    for key in sorted({event.key for event in events}):
        mine = [event for event in events if event.key == key]
        writes = sorted((e for e in mine if e.kind == "w"), key=lambda e: e.returned)
        reads = sorted((e for e in mine if e.kind == "r"), key=lambda e: e.returned)
        known = {e.value: e for e in writes}
        unknown = [e for e in mine if e.kind == "u"]
        faults += [("two writes of one value", e) for e in writes if known[e.value] is not e]

        def largest(events):
            """Running maximum by time of return: what must be visible to whoever asks later."""
            times, values, top = [], [], 0
            for e in events:
                top = max(top, e.value)
                times.append(e.returned)
                values.append(top)
            return lambda when: values[i - 1] if (i := bisect.bisect_left(times, when)) else 0

        acknowledged, seen = largest(writes), largest(reads)
        for e in reads:
            if e.value >= UNREAL or e.value > final.get(key, 0):
                faults.append(("read a value that was rolled back or never written", e))
            elif e.value < acknowledged(e.invoked):
                faults.append(("stale: a larger value had been acknowledged", e))
            elif e.value < seen(e.invoked):
                faults.append(("went back: a larger value had been read", e))
            elif e.value in known and known[e.value].invoked > e.returned:
                faults.append(("read from the future", e))
            elif e.value and e.value not in known and not any(u.invoked < e.returned for u in unknown):
                faults.append(("read a value that nobody wrote", e))
        top = max(known, default=0)
        if final.get(key, 0) < top:
            faults.append(("an acknowledged write was lost", known[top]))
        last = {}
        for e in sorted((e for e in mine if e.kind in "wr"), key=lambda e: e.invoked):  # one session's own order
            if e.kind == "r" and e.value < last.get(e.client, 0):
                faults.append(("session: went behind its own", e))
            last[e.client] = max(last.get(e.client, 0), e.value)
    return faults


BAD = {
    "stale: a larger value had been acknowledged": [("a", "w", 1, 0, 1), ("a", "w", 2, 2, 3), ("b", "r", 1, 4, 5)],
    "went back: a larger value had been read": [("a", "w", 1, 0, 1), ("a", "w", 2, 2, 9), ("b", "r", 2, 3, 4), ("c", "r", 1, 5, 6)],
    "read a value that was rolled back or never written": [("a", "w", 1, 0, 1), ("b", "r", UNREAL + 2, 2, 3)],
    "read from the future": [("a", "w", 1, 5, 6), ("b", "r", 1, 1, 2)],
    "an acknowledged write was lost": [("a", "w", 1, 0, 1), ("a", "w", 2, 2, 3), ("a", "w", 3, 4, 5)],
    "session: went behind its own": [("a", "w", 1, 0, 1), ("a", "w", 2, 2, 3), ("a", "r", 1, 4, 5)],
    "two writes of one value": [("a", "w", 1, 0, 1), ("b", "w", 1, 2, 3)],
    "read a value that nobody wrote": [("a", "w", 2, 0, 5), ("b", "r", 1, 1, 2)],
}
GOOD = [
    [("a", "w", 1, 0, 1), ("b", "r", 0, 0.5, 2), ("b", "r", 1, 3, 4), ("a", "w", 2, 5, 9), ("b", "r", 1, 6, 7), ("c", "r", 2, 6, 8), ("c", "r", 2, 8, 9)],
    [("a", "w", 1, 0, 1), ("a", "u", None, 2, 3), ("b", "r", 2, 2.5, 4), ("c", "w", 3, 5, 6), ("b", "r", 3, 7, 8)],
]


def self_test():
    def events(rows):
        return [Event(client, kind, 0, value, invoked, returned) for client, kind, value, invoked, returned in rows]
    wrong = 0
    for name, rows in BAD.items():
        found = {fault for fault, _ in check(events(rows), {0: 2})}
        wrong += name not in found
        print("ok     " if name in found else "FAILED ", f"finds: {name}", "" if name in found else found)
    for rows in GOOD:
        found = check(events(rows), {0: 3})
        wrong += bool(found)
        print("FAILED " if found else "ok     ", "a good history passes", found or "")
    return 1 if wrong else 0


def save(path, events, final):
    with open(path, "w") as file:
        print(json.dumps({"final": final}), file=file)
        for e in sorted(events, key=lambda e: e.invoked):
            print(json.dumps([e.client, e.kind, e.key, e.value, e.invoked, e.returned]), file=file)


def check_again(path):
    with open(path) as file:
        final = {int(key): value for key, value in json.loads(file.readline())["final"].items()}
        faults = check([Event(*json.loads(line)) for line in file], final)
    for fault, event in faults:
        print("FAILED ", fault, event)
    print(f"{len(faults)} violations")
    return 1 if faults else 0


class Run:
    def __init__(self, direct, proxies, seconds):
        self.direct, self.proxies, self.until = direct, proxies, time.monotonic() + seconds
        self.events, self.lock, self.notes = [], threading.Lock(), {}
        self.pace = float(os.environ.get("CACHE_HISTORY_PACE", "0"))  # seconds between two operations of a client: for long runs beside others
        self.bypass = int(os.environ.get("CACHE_HISTORY_BYPASS", "0"))  # writers that do not pass through any proxy

    def note(self, what):
        with self.lock:
            self.notes[what] = self.notes.get(what, 0) + 1

    def add(self, *event):
        with self.lock:
            self.events.append(Event(*event))

    def client(self, name, work, ports):
        """Reconnects after every fault, to any of the ports; `work` does one operation."""
        from extended import Extended
        chance, number, wire = random.Random(name), 0, None
        while time.monotonic() < self.until:
            try:
                if wire is None:
                    number += 1
                    wire = Extended(chance.choice(ports), timeout=20).login()
                elif len(ports) > 1 and chance.random() < 0.02:
                    wire.close()
                    wire = None
                    continue
                if self.pace:
                    time.sleep(self.pace * 2 * chance.random())
                if work(wire, f"{name}.{number}", chance) is False:
                    wire.close()
                    wire = None
            except Exception as error:
                self.note(f"connection: {type(error).__name__}")
                if wire is not None:
                    wire.close()
                wire = None
                time.sleep(0.05)

    def writer(self, wire, name, chance):
        key, how = chance.randrange(KEYS), chance.random()
        update = f"update r set v = v + 1 where {condition(key, chance)} returning v"
        start = time.monotonic()
        value = None
        acknowledged = False
        try:
            if how < 0.25:  # rolled back, after writing what nobody may see
                texts = ("begin", f"update r set v = v + {UNREAL} where k = {key} returning v", chance.choice(("rollback", "rollback", "select 1/0; commit")))
                for text in texts:
                    wire.simple(text)
                if wire.simple("rollback") is None:
                    pass
                self.note("rolled back")
                return
            if how < 0.45:
                wire.simple("begin")
                value = self.value(wire.simple(update))
                if how < 0.28:  # COMMIT sent, its answer never read; some take a while to commit, some leave with a reset
                    if how < 0.265:
                        wire.simple("insert into slow values (1)")
                    wire.message(b"Q", b"commit\0")
                    self.note("left at COMMIT")
                    if chance.random() < 0.5:
                        time.sleep(0.002)
                        wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    return False
                acknowledged = any(m == ("C", b"COMMIT\0") for m in wire.simple("commit"))
            else:
                got = wire.simple(update) if how < 0.65 else wire.run(update) if how < 0.85 else wire.prepared(update)
                value = self.value(got)
                acknowledged = value is not None and not any(m[0] == "E" for m in got)
        finally:
            if how >= 0.25:
                end = time.monotonic()
                if acknowledged and value is not None:
                    self.add(name, "w", key, value, start, end)
                else:
                    self.add(name, "u", key, None, start, end)
        time.sleep(chance.random() * 0.02)

    def reader(self, wire, name, chance):
        key, how = chance.randrange(KEYS), chance.random()
        read = f"select sum(v) from r where {condition(key, chance)}"
        start = time.monotonic()
        if how < 0.05:  # every statement of a READ COMMITTED block sees the latest
            wire.simple("begin")
            start = time.monotonic()
            got = wire.simple(read)
        else:
            got = wire.simple(read) if how < 0.4 else wire.run(read) if how < 0.7 else wire.prepared(read)
        value = self.value(got)
        if value is not None:
            self.add(name, "r", key, value, start, time.monotonic())
            if how < 0.05:
                wire.simple("rollback")
        else:
            self.note(f"read refused: {[m for m in got if m[0] == 'E']}")
            return False

    @staticmethod
    def value(messages):
        rows = [m[1] for m in messages if m[0] == "D"]
        return int(rows[0][0]) if len(rows) == 1 else None

    def run(self, keep=None, writers=3, readers=6):
        import psycopg2

        def hits_of(port):
            try:
                console = psycopg2.connect(host="127.0.0.1", port=port, user="postgres", dbname="pgsteer", connect_timeout=5)
                console.autocommit = True
                with console.cursor() as cursor:
                    cursor.execute("SHOW CACHE")
                    found = int(dict(cursor.fetchall())["hits"])
                console.close()
                return found
            except psycopg2.Error:
                return 0
        counted = {port: hits_of(port) for port in self.proxies}
        total = [0]

        def hits():
            """Of all proxies since the start; one that is killed takes at most those of the last second with it."""
            for port in self.proxies:
                now = hits_of(port)
                total[0] += now - counted[port] if now >= counted[port] else now
                counted[port] = now
            return total[0]

        def watch():
            while time.monotonic() < self.until:
                hits()
                time.sleep(1)
        threads = [threading.Thread(target=self.client, args=(f"w{n}", self.writer, self.proxies)) for n in range(writers)]
        threads += [threading.Thread(target=self.client, args=(f"r{n}", self.reader, self.proxies)) for n in range(readers)]
        # What one reader has seen past the proxy no later reader may go behind.
        threads += [threading.Thread(target=self.client, args=("d0", self.reader, [self.direct]))]
        threads += [threading.Thread(target=self.client, args=(f"b{n}", self.writer, [self.direct])) for n in range(self.bypass)]
        if len(self.proxies) > 1:
            threads.append(threading.Thread(target=watch))
        before = hits()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        time.sleep(1.0)
        database = psycopg2.connect(host="127.0.0.1", port=self.direct, user="postgres")
        with database.cursor() as cursor:
            cursor.execute("select k, v from r")
            final = dict(cursor.fetchall())
        faults = check(self.events, final)
        # Quiescence: every key by every path is what the database holds, also after the cache had time to fill.
        from extended import Extended
        wires, middle = [Extended(port).login() for port in self.proxies], hits()
        for _ in range(40):
            for key, read in ((key, f"select sum(v) from r where {form}") for key in range(KEYS) for form in (f"k = {key}", f"k + 0 = {key}")):
                for got in (ask(read) for wire in wires for ask in (wire.simple, wire.run, wire.prepared)):
                    if self.value(got) != final[key]:
                        faults.append((f"quiescence: {self.value(got)} instead of {final[key]}", Event("end", "r", key, 0, 0, 0)))
            time.sleep(0.02)
        at_end = hits()
        count = {kind: sum(e.kind == kind for e in self.events) for kind in "wur"}
        print(f"{count['w']} writes, {count['u']} of unknown fate, {count['r']} reads, {middle - before} hits, {at_end - middle} hits at the end; {self.notes}")
        for fault, event in faults[:20]:
            print("FAILED ", fault, event, "final", final.get(event.key))
        print(f"{len(faults)} violations")
        if faults and keep:
            save(keep, self.events, final)
            print(f"the history is in {keep}")
        asleep = middle - before < 20 or at_end - middle < 20 or count["w"] < 50
        if asleep:
            print("FAILED  the cache hardly acted: this history proves nothing")
        return 1 if faults or asleep else 0


if __name__ == "__main__":
    if sys.argv[1] == "self":
        sys.exit(self_test())
    if sys.argv[1] == "again":
        sys.exit(check_again(sys.argv[2]))
    sys.exit(Run(int(sys.argv[2]), [int(port) for port in sys.argv[3].split(",")], float(sys.argv[4])).run(*sys.argv[5:6]))
