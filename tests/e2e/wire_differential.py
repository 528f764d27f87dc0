"""Runs every script of wire_scripts.py directly and through pgsteer and compares all messages: wire_differential.py DIRECT PROXY MODE.

In mode auto each script runs three times through the proxy, so that the second and third meet a warm cache, and the run
fails when nothing was rewritten, steered, cached or sent again: equal traces prove nothing then."""
import os
import struct
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import reuse_scripts  # noqa: E402
import wire_scripts  # noqa: E402
from wire import Closed, Wire, rows  # noqa: E402

direct, proxy, mode = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
only = sys.argv[4] if len(sys.argv) > 4 else ""


def plain(kind, body):
    """What may differ between two connections is taken out; nothing else."""
    if kind == b"K":
        return kind, b"<pid, key>"
    if kind == b"A":
        return kind, b"<pid>" + body[4:]
    if kind == b"T":  # the table's OID changes when a script makes the table anew
        count, at, out = struct.unpack("!H", body[:2])[0], 2, [body[:2]]
        for _ in range(count):
            end = body.index(b"\0", at) + 1
            oid = struct.unpack("!I", body[end : end + 4])[0]
            out += [body[at:end], b"<table>" if oid >= 16384 else body[end : end + 4], body[end + 4 : end + 18]]
            at = end + 18
        return kind, b"".join(out) + body[at:]
    return kind, body


class Client(Wire):
    """A wire client that writes down everything it receives, and builds messages by their names in the manual."""

    def __init__(self, port, timeout=20):
        super().__init__(port, timeout)
        self.port, self.log, self.out = port, [], b""

    def receive(self):
        kind, body = super().receive()
        self.log.append(plain(kind, body))
        return kind, body

    def begin(self, **who):
        self.login(**who)
        return self

    def add(self, kind, body=b""):
        self.out += kind + struct.pack("!I", len(body) + 4) + body
        return self

    def Q(self, text):
        return self.add(b"Q", text.encode() + b"\0")

    def P(self, text, name="", types=()):
        return self.add(b"P", name.encode() + b"\0" + text.encode() + b"\0" + struct.pack("!H", len(types)) + b"".join(struct.pack("!I", t) for t in types))

    def B(self, values=(), name="", portal="", binary=False):
        parts = [struct.pack("!i", -1) if v is None else struct.pack("!i", len(v)) + v for v in (x.encode() if isinstance(x, str) else x for x in values)]
        formats = struct.pack("!HH", 1, 1) if binary else struct.pack("!H", 0)
        return self.add(b"B", portal.encode() + b"\0" + name.encode() + b"\0" + struct.pack("!HH", 0, len(values)) + b"".join(parts) + formats)

    def D(self, kind="P", name=""):
        return self.add(b"D", kind.encode() + name.encode() + b"\0")

    def E(self, portal="", limit=0):
        return self.add(b"E", portal.encode() + b"\0" + struct.pack("!I", limit))

    def C(self, kind="S", name=""):
        return self.add(b"C", kind.encode() + name.encode() + b"\0")

    def S(self):
        return self.add(b"S")

    def H(self):
        return self.add(b"H")

    def send(self, drip=False):
        data, self.out = self.out, b""
        if drip:
            for byte in data:
                self.raw(bytes([byte]))
        else:
            self.raw(data)
        return self

    def ready(self, count=1):
        self.send()
        for _ in range(count):
            self.until_ready()
        return self

    def take(self, count):
        self.send()
        for _ in range(count):
            self.receive()
        return self

    def until(self, kind):
        self.send()
        while self.receive()[0] != kind:
            pass
        return self

    def ended(self):
        """Reads to the end of the connection and writes down that it came (a reset and an end of file are alike)."""
        self.send()
        try:
            while True:
                self.receive()
        except (Closed, ConnectionResetError, BrokenPipeError):
            self.log.append((b"closed", b""))
        return self

    def x(self, text, values=(), **more):
        """One execution of the extended protocol as drivers do it."""
        return self.P(text).B(values, **more).D().E().S().ready()


class Stage:
    """What a script gets: clients to the port under test, and a connection beside it for what others do meanwhile."""

    def __init__(self, port, admin):
        self.port, self.admin, self.clients, self.notes = port, admin, [], []

    def client(self, **who):
        client = Client(self.port)
        self.clients.append(client)
        return client.begin(**who)

    def bare(self):
        client = Client(self.port)
        self.clients.append(client)
        return client

    def note(self, value):
        self.notes.append(value)

    def beside(self, text):
        """By somebody else, who goes through the proxy where there is one (a strict cache hears of all writes)."""
        result = self.admin.query(text)
        assert not [1 for k, _ in result if k == b"E"], (text, result)
        return rows(result)

    def behind(self, text):
        """By somebody else whom the proxy does not see."""
        wire = Wire(direct).login()
        result = wire.query(text)
        # A standby that lags may say for a while what was true; the scripts ask what is.
        while rows(wire.query("select 1 from pg_stat_replication where replay_lsn < pg_current_wal_lsn()")):
            time.sleep(0.02)
        wire.close()
        return rows(result)

    def pid_of(self, client):
        return client.pid

    def trace(self):
        return [c.log for c in self.clients] + self.notes


def run(script, port):
    admin = Wire(proxy, timeout=20).login()
    stage = Stage(port, admin)
    try:
        script(stage)
    except (TimeoutError, Closed, ConnectionResetError, BrokenPipeError) as error:
        stage.note(f"broke off: {type(error).__name__} {error}")
    for client in stage.clients:
        client.close()
    admin.close()
    return stage.trace()


def console(text):
    wire = Wire(proxy).login(database="pgsteer")
    result = wire.query(text)
    wire.close()
    return rows(result)


def plan_of(client, text):
    return "\n".join(row[0] for row in rows(client.query("explain (pgsteer) " + text)))


def totals():
    return {row[0]: int(float(row[1])) for row in console("SHOW TOTALS") if row[1].replace(".", "").isdigit()}


def wait_for(client, texts, good, seconds):
    """Until what EXPLAIN (PGSTEER) says of every text is good. Statements are judged in the background after they were seen."""
    end = time.time() + seconds
    while time.time() < end:
        left = [text for text in texts if not good(plan_of(client, text))]
        if not left:
            return []
        for text in left:
            client.query(text)
        time.sleep(0.1)
    return left


def warm():
    """The statements to be changed are pinned to their change, as a DBA would do it: chance has no say then."""
    client = Client(proxy).begin()
    for _ in range(3):
        for text in wire_scripts.REWRITTEN + wire_scripts.STEERED + wire_scripts.CACHED:
            client.query(text)
        for text, values in wire_scripts.PARAMETRISED:
            client.x(text, values)
    wait_for(client, wire_scripts.REWRITTEN + wire_scripts.STEERED + wire_scripts.CACHED, lambda plan: "has not looked at" not in plan, 40)
    for row in console("SHOW QUERIES"):
        for part, label in wire_scripts.PINS:
            if part in " ".join(row[-1].split()).lower():
                wire = Wire(proxy).login(database="pgsteer")
                for kind, body in wire.query(f"PIN '{row[0]}' TO '{label}'"):
                    if kind == b"E":
                        print("not pinned:", part, body)
                wire.close()
    acting(30)
    client.close()


def acting(seconds=4):
    client = Client(proxy).begin()
    for text in wait_for(client, wire_scripts.REWRITTEN[3:] + wire_scripts.STEERED[1:], lambda plan: "send [0]" not in plan, seconds):
        print("note: not changed:", text, plan_of(client, text)[-900:])
    wait_for(client, wire_scripts.CACHED, lambda plan: "not_judged_yet" not in plan, seconds)
    client.close()


def shown(entry):
    if not isinstance(entry, list):
        return str(entry)
    return "\n".join(f"    {k.decode(errors='replace')} {b[:300]!r}" for k, b in entry)


def compare(name, want, got):
    if want == got:
        return True
    print(f"FAILED {mode}: {name}")
    for left, right in zip(want + [None] * len(got), got + [None] * len(want)):
        if left != right:
            if isinstance(left, list) and isinstance(right, list):
                at = next((i for i, (a, b) in enumerate(zip(left, right)) if a != b), min(len(left), len(right)))
                left, right = left[max(0, at - 2) : at + 4], right[max(0, at - 2) : at + 4]
                print(f"  from message {at}:")
            print(f"  direct\n{shown(left)}\n  through\n{shown(right)}")
    return False


scripts = [(n, f) for module in (wire_scripts, reuse_scripts) for n, f in vars(module).items()
           if callable(f) and getattr(f, "__module__", "") == module.__name__ and "t" in f.__code__.co_varnames[:1] and f.__code__.co_argcount == 1 and only in n]
faults = ran = 0
if mode == "auto":
    warm()
# proxy/pool/README.md: after DDL a server that did not have a statement parses it anew.
# Logins and their refusals are pgsteer's (no file and line of the server; protocol 3.2, which server 15 does not speak), the process id is no server's, servers outlive their clients.
DIFFERENT = {"transaction": ["steered_and_a_type_changes_behind_our_back", "startup_newer_protocol_and_unknown_option", "startup_wrong", "types_that_are_unknown",
                             "backend_killed_while_idle", "backend_killed_in_a_query", "dropped_at_every_byte"]}
DIFFERENT["reuse, transaction"] = DIFFERENT["transaction"]
TIMES = {"auto": 3, "reuse": 2, "reuse, transaction": 2}
for name, script in scripts:
    if name in DIFFERENT.get(mode, []):
        continue
    script.__globals__["MODE"] = mode
    want = run(script, direct)
    for again in range(TIMES.get(mode, 1)):
        ran += 1
        if mode == "auto":
            acting()  # a script with DDL has made everything unjudged
        start = time.time()
        if not compare(f"{name} (run {again + 1})", want, run(script, proxy)):
            faults += 1
            break
        if time.time() - start > 15:
            print(f"note: {name} took {time.time() - start:.0f} s")
if mode == "auto" and not only:
    seen = totals()
    print({k: seen.get(k) for k in ("rewritten", "steered", "cache_hits", "cache_stores", "fallbacks", "tracking_lost")})
    for what in ("rewritten", "steered", "cache_hits", "fallbacks"):
        if not seen.get(what):
            print(f"FAILED auto: nothing counted as {what}: the comparison proves nothing for it")
            faults += 1
if mode.startswith("reuse") and not only:
    seen = totals()
    print({k: seen.get(k) for k in ("reused", "fallbacks", "tracking_lost")})
    if seen["reused"] < 200 or not seen["fallbacks"]:
        print("FAILED reuse: nothing was reused, or never taken back")
        faults += 1
print(f"{mode}: {len(scripts)} scripts, {ran} comparisons, {faults} differences")
if not only and len(scripts) < 60:
    faults += 1
sys.exit(1 if faults else 0)
