"""Clients that keep books while things break, and the judge of their books.

Bank clients move money and leave a line for each transfer in the same transaction; append clients add to lists and read them. What they were
told is compared with what the database holds when all is over (`verify`):

    the sum of all balances is what it was, and each balance is what the transfers make it
    an acknowledged transfer or append is there exactly once; one that failed is not there; one of unknown fate is there at most once
    lists are in the order in which their appends were acknowledged
    what nobody changes reads the same at all times, from whatever cache
    a read shows a beginning of the list as it is in the end, with everything acknowledged before it, and nothing ever disappears

    ledger.py self                 the judge on recorded bad books: it must find each fault
    ledger.py run DIRECT PORT SECONDS [retry]    the clients and the judge. retry: clients that wrongly repeat what may have happened
"""
import bisect
import os
import random
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from wire import SYNC, Closed, Failed, Wire, errors, execution, parse, query, rows  # noqa: E402

ACCOUNTS, BALANCE, LIST_LENGTH = 40, 1000, 150
GONE = (Closed, ConnectionError, OSError)
SCHEMA = f"""
create table if not exists accounts (id int primary key, balance bigint not null);
create table if not exists transfers (id bigint not null, source int not null, target int not null, amount bigint not null);
create table if not exists lists (key int primary key, items text not null);
create table if not exists words (id int primary key, word text not null);
truncate accounts, transfers, lists, words;
insert into words select g, 'word ' || g from generate_series(1, 100) g;
insert into accounts select g, {BALANCE} from generate_series(1, {ACCOUNTS}) g;
analyze accounts, lists, words;
"""


class Operation:
    """fate: acknowledged, failed (certainly not done) or unknown. what: (source, target, amount) or the key of a list."""

    def __init__(self, number, client, what, invoked, returned=float("inf"), fate="unknown"):
        self.number, self.client, self.what, self.invoked, self.returned, self.fate = number, client, what, invoked, returned, fate


class Books:
    """What all clients were told. Filled by their threads, read when they rest."""

    def __init__(self):
        self.lock, self.number = threading.Lock(), 0
        self.transfers, self.appends, self.reads = {}, {}, []
        self.troubles = []   # (time, client, SQLSTATE or lost, refused, late; text)
        self.faults = []     # what is wrong at once
        self.slowest = 0.0   # of the acknowledged, since it was set to 0

    def begin(self, kind, client, what):
        with self.lock:
            self.number += 1
            operation = Operation(self.number, client, what, time.monotonic())
            getattr(self, kind)[self.number] = operation
            return operation

    def list_to_use(self):
        return len(self.appends) // LIST_LENGTH

    def end(self, operation, fate):
        operation.returned, operation.fate = time.monotonic(), fate
        if fate == "acknowledged":
            self.slowest = max(self.slowest, operation.returned - operation.invoked)

    def trouble(self, client, kind, text=""):
        with self.lock:
            self.troubles.append((time.monotonic(), client, kind, text))

    def acknowledged(self):
        return [sum(o.fate == "acknowledged" for o in list(book.values())) for book in (self.transfers, self.appends)] + [len(self.reads)]


def verify(books, balances, transfers, lists):
    """Every fault as text. balances: id -> balance; transfers: [(number, source, target, amount)]; lists: key -> [number]."""
    faults = list(books.faults)
    if sum(balances.values()) != ACCOUNTS * BALANCE:
        faults.append(f"money: all balances together are {sum(balances.values())}, not {ACCOUNTS * BALANCE}")
    should = dict.fromkeys(range(1, ACCOUNTS + 1), BALANCE)
    for _, source, target, amount in transfers:
        should[source] -= amount
        should[target] += amount
    wrong = [account for account in should if balances.get(account) != should[account]]
    if wrong:
        faults.append(f"money: balances of {wrong} are not what the transfers make them")
    appended = [number for items in lists.values() for number in items]
    for name, book, present in (("transfer", books.transfers, [t[0] for t in transfers]), ("append", books.appends, appended)):
        times = {}
        for number in present:
            times[number] = times.get(number, 0) + 1
        for number, count in times.items():
            if number not in book:
                faults.append(f"{name} {number} is there, and nobody asked for it")
            elif book[number].fate == "failed":
                faults.append(f"{name} {number} is there, and its client was told that it failed")
            if count > 1:
                faults.append(f"{name} {number} was done {count} times")
        faults += [f"{name} {number} was acknowledged and is not there" for number, o in book.items() if o.fate == "acknowledged" and number not in times]
    for key, items in lists.items():
        faults += order_faults(key, [books.appends[n] for n in items if n in books.appends])
    return faults + read_faults(books, lists)


def order_faults(key, operations):
    faults, earliest = [], float("inf")
    for later in reversed(operations):  # whoever stands behind must not have been acknowledged before this one was asked for
        if earliest < later.invoked:
            faults.append(f"list {key}: append {later.number} stands before one that was acknowledged earlier")
        earliest = min(earliest, later.returned)
    return faults


def read_faults(books, lists):
    faults, by_key, latest = [], {}, {}
    for o in books.appends.values():
        if o.fate == "acknowledged" and o.what in lists:
            by_key.setdefault(o.what, []).append(o)
    positions = {key: {number: at for at, number in enumerate(items)} for key, items in lists.items()}
    visible = {}
    for key, operations in by_key.items():  # how long the list had to be at a time: running maximum over acknowledged appends
        operations.sort(key=lambda o: o.returned)
        times, lengths, top = [], [], 0
        for o in operations:
            top = max(top, positions[key].get(o.number, -1) + 1)
            times.append(o.returned)
            lengths.append(top)
        visible[key] = (times, lengths)
    for key, items, invoked, returned, client in sorted(books.reads, key=lambda r: r[3]):
        if items != lists.get(key, [])[: len(items)]:
            faults.append(f"list {key}: client {client} read {items[-3:]} at its end, which it never was")
            continue
        times, lengths = visible.get(key, ([], []))
        at = bisect.bisect_left(times, invoked)
        if at and len(items) < lengths[at - 1]:
            faults.append(f"list {key}: client {client} read {len(items)} items when {lengths[at - 1]} had been acknowledged")
        seen, sizes = latest.setdefault(key, ([], []))  # reads in order of their return, with the running maximum
        at = bisect.bisect_left(seen, invoked)
        if at and len(items) < sizes[at - 1]:
            faults.append(f"list {key}: client {client} read {len(items)} items after somebody had read {sizes[at - 1]}")
        seen.append(returned)
        sizes.append(max(len(items), sizes[-1] if sizes else 0))
    return faults


class Refused(Exception):
    """The server said no before anything could be done."""


class Client(threading.Thread):
    """Works until `stop`, over one connection after another; rests while `rest` is set."""

    def __init__(self, books, port, number, pause=0.005, patience=15, retry=False):
        super().__init__(daemon=True)
        self.books, self.port, self.number, self.pause, self.patience, self.retry = books, port, number, pause, patience, retry
        self.random = random.Random(number)
        self.stop, self.rest, self.resting = threading.Event(), threading.Event(), threading.Event()
        self.last_success = 0.0
        self.wire, self.parsed, self.last_words = None, set(), "lost"

    def run(self):
        while not self.stop.is_set():
            if self.rest.is_set():
                self.resting.set()
                time.sleep(0.01)
                continue
            self.resting.clear()
            try:
                if self.wire is None:
                    self.last_words = "lost"
                    self.wire, self.parsed = Wire(self.port, timeout=self.patience).login(application_name="ledger"), set()
                self.work()
                time.sleep(self.pause)
                continue
            except Refused:
                if self.wire.status in (b"E", b"T"):
                    self.try_rollback()
                time.sleep(0.02)
                continue
            except Failed as error:
                self.books.trouble(self.number, error.args[0].get("C", "?"), error.args[0].get("M", ""))
            except TimeoutError:
                self.books.trouble(self.number, "late", f"nothing for {self.patience} s")
            except ConnectionRefusedError:
                self.books.trouble(self.number, "refused")
            except GONE as error:
                self.books.trouble(self.number, self.last_words, repr(error))
            self.drop()
            time.sleep(0.05)
        self.drop()

    def try_rollback(self):
        try:
            self.ask(query("rollback"))
        except (Failed, *GONE):
            self.drop()

    def drop(self):
        if self.wire:
            self.wire.close()
        self.wire = None

    def ask(self, data, replies=1):
        """Sends and reads so many replies; an error in any of them is noted."""
        got, self.last_words = [], "lost"
        try:
            self.wire.raw(data)
            while replies:
                got.append(self.wire.receive())
                replies -= got[-1][0] == b"Z"
        except GONE:
            if errors(got):
                self.last_words = errors(got)[-1]["C"]
            raise
        self.wire.status = got[-1][1]
        failed = errors(got)
        if failed:
            self.books.trouble(self.number, failed[0]["C"], failed[0]["M"])
            raise Refused(failed[0]["C"])
        return got

    def prepared(self, text, values, name):
        if name not in self.parsed:
            self.ask(parse(text, name) + SYNC)
            self.parsed.add(name)
        return self.ask(execution([str(v).encode() for v in values], name))

    def settle(self, operation, steps, last_commits):
        """Runs the steps; what is sent before the last one can be taken back."""
        for at, step in enumerate(steps):
            may_be_done = at == len(steps) - 1
            try:
                got = step()
            except Refused:  # the server's own word: its transaction did not happen
                self.books.end(operation, "failed")
                raise
            except (Failed, *GONE):
                self.books.end(operation, "unknown" if may_be_done else "failed")
                raise
        done = not last_commits or any(k == b"C" and b.startswith(b"COMMIT") for k, b in got)
        self.books.end(operation, "acknowledged" if done else "failed")
        if done:
            self.last_success = operation.returned


class Bank(Client):
    def work(self):
        source, target = self.random.sample(range(1, ACCOUNTS + 1), 2)
        amount = self.random.randrange(1, 20)
        operation = self.books.begin("transfers", self.number, (source, target, amount))
        n = operation.number
        take, give = f"update accounts set balance = balance - {amount} where id = {source}", f"update accounts set balance = balance + {amount} where id = {target}"
        if source > target:  # locks in one order
            take, give = give, take
        note = f"insert into transfers values ({n}, {source}, {target}, {amount})"
        # Several statements in one string are opaque: they void the whole cache, which then has nothing to say. So, few of them.
        kind = self.random.choices(range(6), (20, 1, 20, 20, 20, 20))[0]
        if kind == 0:
            steps, commits = [lambda text=text: self.ask(query(text)) for text in ("begin", take, give, note, "commit")], True
        elif kind == 1:  # a transaction by itself
            steps, commits = [lambda: self.ask(query(f"{take}; {give}; {note}"))], False
        elif kind == 2:
            locks = f"select id from accounts where id in ({source}, {target}) order by id for update"  # as well
            both = f"update accounts a set balance = balance + case when a.id = {source} then -{amount} else {amount} end from l where a.id = l.id"
            steps, commits = [lambda: self.ask(query(f"with l as materialized ({locks}), u as ({both}) {note}"))], False
        elif kind == 3:  # a pipeline with one Sync
            steps, commits = [lambda: self.ask(b"".join(parse(text) + execution([], sync=False) for text in (take, give, note)) + SYNC)], False
        elif kind == 4:
            steps, commits = [lambda: self.ask(query("begin") + b"".join(parse(text) + execution([]) for text in (take, give, note)), 4), lambda: self.ask(query("commit"))], True
        else:
            sign = 1 if source < target else -1
            texts = "update accounts set balance = balance + $1::bigint where id = $2::int", "insert into transfers values ($1, $2, $3, $4)"
            steps = [lambda: self.ask(query("begin")), lambda: self.prepared(texts[0], [-amount * sign, min(source, target)], "move"),
                     lambda: self.prepared(texts[0], [amount * sign, max(source, target)], "move"), lambda: self.prepared(texts[1], [n, source, target, amount], "note"),
                     lambda: self.ask(query("commit"))]
            commits = True
        try:
            self.settle(operation, steps, commits)
        except GONE:
            if self.retry and operation.fate == "unknown":  # wrong: it may have been done
                Wire(self.port).login().query(f"with a as ({take}), b as ({give}) {note}")
                self.books.end(operation, "acknowledged")
            raise
        if self.random.random() < 0.1:
            got = rows(self.ask(query("select sum(balance) from accounts")))
            if got != [[str(ACCOUNTS * BALANCE)]]:
                self.books.faults.append(f"money: client {self.number} read a sum of {got}")


class Appender(Client):
    TEXT = "insert into lists values ($1::int, $2::text) on conflict (key) do update set items = lists.items || ' ' || excluded.items"

    def work(self):
        key = self.books.list_to_use()
        if self.random.random() < 0.5:
            return self.read(key)
        operation = self.books.begin("appends", self.number, key)
        text = self.TEXT.replace("$1", str(key)).replace("$2", f"'{operation.number}'")
        kind = self.random.randrange(4)
        if kind == 0:
            self.settle(operation, [lambda: self.ask(query(text))], False)
        elif kind == 1:
            self.settle(operation, [lambda: self.ask(parse(text) + execution([]))], False)
        elif kind == 2:
            self.settle(operation, [lambda: self.prepared(self.TEXT, [key, operation.number], "append")], False)
        else:
            self.settle(operation, [lambda text=text: self.ask(query(text)) for text in ("begin", text, "commit")], True)
        if self.random.random() < 0.5:
            self.read(key)

    def read(self, key):
        invoked, kind = time.monotonic(), self.random.randrange(3)
        if kind == 0:
            got = self.ask(query(f"select items from lists where key = {key}"))
        elif kind == 1:
            got = self.ask(parse("select items from lists where key = $1::int") + execution([str(key).encode()]))
        else:
            got = self.prepared("select items from lists where key = $1::int", [key], "read")
        found = rows(got)
        returned = time.monotonic()
        with self.books.lock:
            self.books.reads.append((key, [int(n) for n in found[0][0].split()] if found else [], invoked, returned, self.number))
        self.last_success = returned
        number = self.random.randrange(1, 4)  # of a table that nobody writes: answered from the cache, wherever there is one
        for _ in range(2):
            found = rows(self.ask(query(f"select id, word from words where id = {number}")))
            if found != [[str(number), f"word {number}"]]:
                self.books.faults.append(f"words: client {self.number} read {found} for {number}")


class Load:
    """The clients of one pgsteer, and their judge. `direct` is the port of the server that counts in the end."""

    def __init__(self, direct, port, clients=8, retry=False, **more):
        self.direct, self.books = direct, Books()
        wire = Wire(direct).login()
        failed = errors(wire.query(SCHEMA))
        if failed:
            raise SystemExit(f"schema: {failed}")
        wire.close()
        self.clients = [Bank(self.books, port, n, retry=retry, **more) if n % 2 else Appender(self.books, port, n, **more) for n in range(clients)]
        for client in self.clients:
            client.start()

    def point_at(self, port):
        for client in self.clients:
            client.port = port

    def back_since(self, when, patience):
        """Seconds from `when` until each client has had a success; None: not within patience."""
        while time.monotonic() < when + patience:
            if all(client.last_success > when for client in self.clients):
                return max(client.last_success for client in self.clients) - when
            time.sleep(0.01)
        return None

    def verify(self):
        """Lets the clients rest, the server finish, and compares. They go on afterwards."""
        for client in self.clients:
            client.rest.set()
        for client in self.clients:
            if not client.resting.wait(40):
                return [f"client {client.number} does not come to rest"]
        wire = Wire(self.direct, timeout=60).login()
        for _ in range(200):  # whatever is still at work there for somebody who is gone
            if rows(wire.query("select count(*) from pg_stat_activity where application_name = 'ledger' and state not in ('idle', 'idle in transaction')")) == [["0"]]:
                break
            time.sleep(0.05)
        balances = {int(a): int(b) for a, b in rows(wire.query("select id, balance from accounts"))}
        transfers = [tuple(map(int, row)) for row in rows(wire.query("select * from transfers"))]
        lists = {int(key): [int(n) for n in items.split()] for key, items in rows(wire.query("select * from lists"))}
        wire.close()
        faults = verify(self.books, balances, transfers, lists)
        for client in self.clients:
            client.rest.clear()
            client.resting.clear()
        return faults

    def stop(self):
        for client in self.clients:
            client.stop.set()
        for client in self.clients:
            client.join(40)


def main():
    if sys.argv[1] == "self":
        from ledger_test import self_test
        sys.exit(self_test())
    direct, port, seconds = int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
    load = Load(direct, port, retry="retry" in sys.argv, patience=5)
    time.sleep(seconds)
    faults = load.verify()
    print("{} transfers, {} appends, {} reads".format(*load.books.acknowledged()), f"; {len(load.books.troubles)} troubles: {sorted({t[2] for t in load.books.troubles})}")
    for fault in faults[:20]:
        print(fault)
    load.stop()
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
