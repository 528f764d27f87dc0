"""The load and the samples of soak.sh: soak_load.py SECONDS CSV, the rest by the environment. Everything that pgsteer can do is asked of it.

Two pgsteer behind one server and one Redis. One is pooled: the clients of ledger.py, whose books must be right in the end. One relays logins:
clients that come and go, with statements to rewrite, to repeat, to cache, large and wrong ones, COPY, cursors, temporary tables, LISTEN.
SOAK_LEAK=1: one client that opens connections and never closes them; the judge must find it.
"""
import csv
import os
import random
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from ledger import GONE, Load  # noqa: E402
from wire import SYNC, Failed, Wire, errors, execution, parse, query, rows  # noqa: E402

INTERVAL = 5
SCHEMA = """
create table orders (id int primary key, customer int not null, note text not null, total numeric not null);
insert into orders select g, g % 500, 'order ' || g, g % 97 from generate_series(1, 20000) g;
create table customers (id int primary key, name text not null);
insert into customers select g, 'customer ' || g from generate_series(0, 499) g;
create index on orders (customer);
analyze orders, customers;
"""


class Visitor(threading.Thread):
    """Comes, does some things, goes; some without a word."""

    def __init__(self, port, number, stop):
        super().__init__(daemon=True)
        self.port, self.random, self.stop, self.done, self.wrong = port, random.Random(number), stop, 0, []

    def run(self):
        while not self.stop.is_set():
            try:
                wire = Wire(self.port, timeout=60).login(application_name="visitor")
                self.parsed = False
                for _ in range(self.random.randrange(3, 60)):
                    if self.stop.is_set():
                        break
                    self.one(wire)
                    self.done += 1
                    time.sleep(0.01)
                if self.random.random() < 0.7:
                    wire.message(b"X")
                wire.close()
            except (Failed, *GONE) as error:
                self.wrong.append(repr(error))
                time.sleep(0.2)

    def expect(self, got, want):
        if rows(got) != want:
            self.wrong.append(f"wanted {want}, got {errors(got) or rows(got)}")

    def one(self, wire):
        dice, n = self.random, self.random.randrange(1, 20000)
        kind = dice.randrange(12)
        if kind == 0:  # to be rewritten
            self.expect(wire.query(f"select note from orders where id::text = '{n}'"), [[f"order {n}"]])
        elif kind == 1:  # repeated without being prepared
            self.expect(wire.query(f"select o.note, c.name from orders o join customers c on c.id = o.customer where o.id = {n}"), [[f"order {n}", f"customer {n % 500}"]])
        elif kind == 2:  # from the cache
            self.expect(wire.query(f"select count(*) from orders where customer = {n % 3}"), [["40"]])
        elif kind == 3:
            if not self.parsed:
                wire.raw(parse("select note from orders where id = $1::int", "mine") + SYNC)
                wire.until_ready()
                self.parsed = True
            wire.raw(execution([str(n).encode()], "mine"))
            self.expect(wire.until_ready(), [[f"order {n}"]])
        elif kind == 4:
            wire.raw(parse("select name from customers where id = $1::int") + execution([str(n % 500).encode()]))
            self.expect(wire.until_ready(), [[f"customer {n % 500}"]])
        elif kind == 5:  # a text nobody has sent before
            self.expect(wire.query(f"select {n} as c{dice.getrandbits(60)}"), [[str(n)]])
        elif kind == 6:
            self.expect(wire.query("select repeat('x', 200000)"), [["x" * 200000]])
        elif kind == 7:
            if not errors(wire.query(f"select 1 / 0, {n}")):
                self.wrong.append("1/0 gave no error")
        elif kind == 8:
            wire.query("begin; set local work_mem = '8MB'; declare c cursor for select id from orders order by id")
            self.expect(wire.query("fetch 2 from c"), [["1"], ["2"]])
            wire.query("rollback")
        elif kind == 9:
            wire.query("create temp table if not exists mine (n int)")
            wire.query(f"listen l{n % 5}")
            wire.query("discard all")
            self.parsed = False
        elif kind == 10:
            wire.message(b"Q", b"copy (select id from orders limit 500) to stdout\0")
            if sum(k == b"d" for k, _ in wire.until_ready()) != 500:
                self.wrong.append("COPY did not give 500 lines")
        else:
            self.expect(wire.query(f"update orders set total = total + 1 where id = {n} returning id"), [[str(n)]])


class Probe(threading.Thread):
    """The same statement directly and through pgsteer, in turn."""

    def __init__(self, ports, stop):
        super().__init__(daemon=True)
        self.ports, self.stop, self.lock, self.times = ports, stop, threading.Lock(), {port: [] for port in ports}

    def run(self):
        wires = {port: Wire(port, timeout=60).login(application_name="probe") for port in self.ports}
        while not self.stop.is_set():
            for port, wire in wires.items():
                data = parse("select id + $1::int from orders where id = 77") + execution([b"1"])
                start = time.perf_counter()
                wire.raw(data)
                wire.until_ready()
                with self.lock:
                    self.times[port].append(1000 * (time.perf_counter() - start))
            time.sleep(0.01)

    def take(self):
        with self.lock:
            taken, self.times = self.times, {port: [] for port in self.ports}
        quantile = lambda times, q: sorted(times)[min(len(times) - 1, int(len(times) * q))] if times else float("nan")  # noqa: E731
        return {port: (quantile(times, 0.5), quantile(times, 0.99)) for port, times in taken.items()}


def fill_tables(port):
    """More distinct statements than pgsteer remembers (12000 in its statistics, 20000 in its book): filling up would look like a leak."""
    wire = Wire(port, timeout=60).login(application_name="filler")
    for first in range(0, 26000, 100):
        wire.raw(b"".join(query(f"select {n} as f{n}") for n in range(first, first + 100)))
        for _ in range(100):
            wire.until_ready()
    wire.close()


def leak(port, stop):
    kept = []
    while not stop.is_set():
        kept.append(Wire(port, timeout=60).login(application_name="leak"))
        stop.wait(float(os.environ.get("SOAK_LEAK_EVERY", 2)))


def of_process(pid):
    with open(f"/proc/{pid}/status") as file:
        status = dict(line.split(":", 1) for line in file if ":" in line)
    folder, links = f"/proc/{pid}/fd", []
    for name in os.listdir(folder):
        try:
            links.append(os.readlink(f"{folder}/{name}"))
        except OSError:
            pass
    return int(status["VmRSS"].split()[0]) / 1024, len(links), sum(link.startswith("socket:") for link in links), int(status["Threads"])


def console(port, text):
    wire = Wire(port, timeout=60).login(database="pgsteer")
    got = rows(wire.query(text))
    wire.close()
    return got


def main():
    seconds, path = float(sys.argv[1]), sys.argv[2]
    direct, pooled, relayed = (int(os.environ[name]) for name in ("DIRECT_PORT", "POOLED_PORT", "RELAYED_PORT"))
    pids, states = os.environ["PIDS_WATCHED"].split(), os.environ["STATES"].split()
    wire = Wire(direct).login()
    wire.query(SCHEMA)
    for port in (relayed, pooled):
        fill_tables(port)
    stop, begin = threading.Event(), time.monotonic()
    load = Load(direct, pooled, clients=8, pause=0.02, patience=60)
    visitors = [Visitor(relayed if n % 3 else pooled, n, stop) for n in range(6)]
    probe = Probe((direct, relayed, pooled), stop)
    others = [threading.Thread(target=leak, args=(relayed, stop), daemon=True)] if os.environ.get("SOAK_LEAK") else []
    for thread in [*visitors, probe, *others]:
        thread.start()
    columns, told = None, 0
    with open(path, "w", newline="") as file:
        while time.monotonic() < begin + seconds:
            time.sleep(INTERVAL)
            latency, processes = probe.take(), [of_process(pid) for pid in pids]
            feedback = [dict((row[0], row[1]) for row in console(port, "show feedback")) for port in (pooled, relayed)]
            sample = {
                "seconds": round(time.monotonic() - begin, 1), "rss_mb": sum(p[0] for p in processes), "descriptors": sum(p[1] for p in processes),
                "sockets": sum(p[2] for p in processes), "threads": sum(p[3] for p in processes),
                "sessions": int(rows(wire.query("select count(*) from pg_stat_activity where backend_type = 'client backend'"))[0][0]),
                "p50_direct_ms": latency[direct][0], "p99_direct_ms": latency[direct][1], "p50_relayed_ms": latency[relayed][0],
                "p99_relayed_ms": latency[relayed][1], "p50_pooled_ms": latency[pooled][0], "p99_pooled_ms": latency[pooled][1],
                "p50_ratio": (latency[relayed][0] + latency[pooled][0]) / 2 / latency[direct][0],
                "p99_ratio": (latency[relayed][1] + latency[pooled][1]) / 2 / latency[direct][1],
                "store_rows": max(int(f["rows_in_store"]) for f in feedback), "store_max_rows": int(os.environ["MAX_ROWS"]),
                "store_mb": sum(os.path.getsize(os.path.join(state, name)) for state in states for name in os.listdir(state) if name.startswith("feedback.db")) / 1e6,
                "operations": sum(load.books.acknowledged()) + sum(v.done for v in visitors),
            }
            if columns is None:
                columns = csv.DictWriter(file, sample)
                columns.writeheader()
            columns.writerow({k: round(v, 3) if isinstance(v, float) else v for k, v in sample.items()})
            file.flush()
            if time.monotonic() - begin > told:
                told += 60
                print(f"{sample['seconds']:.0f} s: {sample['rss_mb']:.0f} MB, {sample['descriptors']} descriptors, p50 {sample['p50_relayed_ms']:.2f} ms, {sample['operations']} operations", flush=True)
    stop.set()
    faults = load.verify()
    load.stop()
    for visitor in visitors:
        visitor.join(60)
    wrong = [text for visitor in visitors for text in visitor.wrong] + [f"ledger: {t[2]} {t[3]}" for t in load.books.troubles]
    print("{} transfers, {} appends, {} reads".format(*load.books.acknowledged()), f"; {sum(v.done for v in visitors)} statements of visitors;",
          f"{len(wrong)} of them wrong" + "".join(f"\n  {text}" for text in wrong[:10]))
    for port, name in ((pooled, "pooled"), (relayed, "relayed")):
        totals = {row[0]: row[1] for row in console(port, "show totals")}
        print(name, ", ".join(f"{key} {totals.get(key, '?')}" for key in ("cache_hits", "rewritten", "reused", "steered", "transactions", "tracking_lost", "fallbacks")))
    for text in faults[:10]:
        print(text)
    sys.exit(1 if faults or wrong else 0)


if __name__ == "__main__":
    main()
