"""Every statement direct and through pgsteer with everything on: the same answer.

    transparency.py generated DIRECT PROXY FILE   statements of tests/rewriter's generators, as print_statements_test.cpp writes them
    transparency.py plain DIRECT PROXY FILE          one statement a line (sqlsmith): compared where two direct runs agree

Statements run in groups (a data set; 400 lines of plain): direct, then through pgsteer as simple queries, in the extended protocol, and after
a pause in which it can learn about them (until SHOW HEALTH says that nothing is waiting, PAUSE seconds at most) the same again, so that the cache, statement reuse and what it has decided have their turn; plain
ones direct once more at the end. Rows are compared as a multiset, in order where the statement fixes it; names, types and origins of
columns and the command tag always; of errors the SQLSTATE. An error of the original may vanish (a rewrite evaluates less), a new one may
not appear. New rows are written through pgsteer, so that its cache has to notice.
"""
import json
import os
import struct
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from wire import Wire, fields

BATCH = 40
PAUSE = float(os.environ.get("PAUSE", "1.5"))
PLANNER_MAY_CHOOSE = {"57014"}  # a time-out: says nothing about the answer


class Session(Wire):
    """Sends many statements at once and reads their answers."""

    def answers(self, statements, extended):
        data = bytearray()
        for sql in statements:
            text = sql.encode() + b"\0"
            if extended:
                data += b"P" + struct.pack("!I", len(text) + 7) + b"\0" + text + b"\0\0"
                data += b"B\0\0\0\x0c\0\0\0\0\0\0\0\0" + b"D\0\0\0\x06P\0" + b"E\0\0\0\x09\0\0\0\0\0" + b"S\0\0\0\x04"
            else:
                data += b"Q" + struct.pack("!I", len(text) + 4) + text
        self.raw(bytes(data))
        return [self.answer() for _ in statements]

    def answer(self):
        columns = tag = error = None
        rows = []
        while True:
            kind, body = self.quick_receive()
            if kind == b"D":
                rows.append(body)
            elif kind == b"T":
                columns = body
            elif kind == b"C":
                tag = body
            elif kind == b"E":
                error = fields(body)["C"]
            elif kind == b"Z":
                return columns, tag, error, rows

    buffer, at = b"", 0

    def quick_receive(self):
        while True:
            have = len(self.buffer) - self.at
            if have >= 5:
                size = int.from_bytes(self.buffer[self.at + 1 : self.at + 5], "big") + 1
                if have >= size:
                    start = self.at
                    self.at += size
                    return self.buffer[start : start + 1], self.buffer[start + 5 : start + size]
            part = self.socket.recv(1 << 18)
            if not part:
                raise ConnectionError("closed")
            self.buffer = self.buffer[self.at :] + part
            self.at = 0


def same(want, got, ordered):
    if want[2] is not None:
        return got[2] == want[2] or got[2] is None or want[2] in PLANNER_MAY_CHOOSE
    if got[2] in PLANNER_MAY_CHOOSE:
        return True
    if want[:3] != got[:3]:
        return False
    return want[3] == got[3] if ordered else want[3] == got[3] or sorted(want[3]) == sorted(got[3])


def show(answer):
    columns, tag, error, rows = answer
    return f"error {error}" if error else f"{tag} {len(rows)} rows {sorted(rows)[:6]} columns {columns}"


class Comparison:
    def __init__(self, direct_port, proxy_port, user, twice):
        self.direct_port, self.proxy_port, self.user, self.twice = direct_port, proxy_port, user, twice
        self.compared = self.failing = self.undetermined = self.vanished = self.several = 0
        self.differences = []
        self.connect()

    def connect(self):
        self.direct = Session(self.direct_port, timeout=120).login(user=self.user)
        self.proxied = Session(self.proxy_port, timeout=120).login(user=self.user)
        self.console = Session(self.proxy_port, timeout=60).login(database="pgsteer")

    def both(self, sql):
        for session in (self.direct, self.proxied):
            session.answers([sql], False)

    def all_of(self, session, batch, extended, at_once=1):
        """One at a time through pgsteer: what is in a pipeline behind something else is only passed on."""
        answers = []
        for i in range(0, len(batch), at_once):
            answers += session.answers([sql for sql, _ in batch[i : i + at_once]], extended)
        return answers

    def run(self, batch, pause):
        wanted = self.all_of(self.direct, batch, False, BATCH)
        passes = []
        for name, extended, wait in (("simple", False, 0), ("extended", True, pause), ("simple again", False, 0), ("extended again", True, 0), ("simple, a third time", False, 0)):
            passes.append((name, self.all_of(self.proxied, batch, extended)))
            if wait:
                self.let_it_learn(wait)
        again = self.all_of(self.direct, batch, False, BATCH) if self.twice else wanted
        for i, (sql, ordered) in enumerate(batch):
            want = wanted[i]
            if not same(want, again[i], ordered) or want[2] != again[i][2]:
                self.undetermined += 1
                continue
            self.compared += 1
            self.failing += want[2] is not None
            for name, answers in passes:
                self.vanished += want[2] is not None and answers[i][2] is None
                if same(want, answers[i], ordered):
                    continue
                if self.one_of_several(sql, ordered, answers[i]):
                    self.several += 1
                else:
                    self.differences.append(sql)
                    print(f"FAILED  {name}: {sql}\n  direct  {show(want)}\n  through {show(answers[i])}", flush=True)
                    break

    def one_of_several(self, sql, ordered, got):
        """The server itself answers so: now, as its statistics have become, or under another plan. Rows that are equal in what they are sorted by,
        cut off by LIMIT, come in any order; an error that depends on the plan counts only where the server's own plan gives it."""
        if same(self.direct.answers([sql], False)[0], got, ordered):
            return True
        for plan in ("enable_hashjoin", "enable_mergejoin", "enable_nestloop", "enable_seqscan", "enable_sort", "enable_incremental_sort", "enable_memoize"):
            self.direct.answers([f"set {plan} = off"], False)
            answer = self.direct.answers([sql], False)[0]
            self.direct.answers([f"reset {plan}"], False)
            if answer[2] is None and got[2] is None and same(answer, got, ordered):
                return True
        return False

    def let_it_learn(self, seconds):
        until = time.time() + seconds
        while time.time() < until:
            time.sleep(min(1, seconds))
            rows = self.console.answers(["show health"], False)[0][3]
            if any(b"settled\0\0\0\x02ok" in row for row in rows):
                break

    def report(self, start):
        print(f"{self.compared} statements compared, {len(self.differences)} differ ({self.failing} fail direct, {self.vanished} answers where direct "
              f"failed, {self.several} answers that the server gives under another plan, {self.undetermined} left out: two direct runs differ), {time.time() - start:.0f} s", flush=True)


def generated(direct, proxy, path):
    comparison, start, batch = None, time.time(), []
    for text in [*open(path), '{"rows": ""}']:
        line = json.loads(text)
        if "schema" in line:
            Session(direct, timeout=60).login().answers([line["schema"]], False)
            comparison = Comparison(direct, proxy, "postgres", False)
        elif "rows" in line:
            if batch:
                comparison.run(batch, PAUSE)
            batch = []
            if not line["rows"] or len(comparison.differences) >= 20:
                break
            for sql in (f"set timezone = '{line['zone']}'", "set client_min_messages = error"):
                comparison.both(sql)
            for sql in ("set statement_timeout = 0", line["rows"], "reset statement_timeout"):
                *_, error, _ = comparison.proxied.answers([sql], False)[0]
                if error:
                    sys.exit(f"rows: {error}")
        else:
            batch.append((line["sql"], line["ordered"]))
    comparison.report(start)
    return not comparison.differences and comparison.compared > 0


def plain(direct, proxy, path):
    comparison, start = Comparison(direct, proxy, "smith", True), time.time()
    lines = [sql.strip().rstrip(";") for sql in open(path) if sql.strip()]
    for i in range(0, len(lines), 400):
        comparison.run([(sql, False) for sql in lines[i : i + 400]], PAUSE)
        if len(comparison.differences) >= 20:
            break
    comparison.report(start)
    return not comparison.differences and comparison.compared > 0


if __name__ == "__main__":
    kind, direct_port, proxy_port, file = sys.argv[1:]
    sys.exit(0 if {"generated": generated, "plain": plain}[kind](int(direct_port), int(proxy_port), file) else 1)
