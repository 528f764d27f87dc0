"""What happens while something is broken: scenarios.py WORLD [NAME_PART...]. See scenarios.sh; the table is scenario_table.py.

A scenario is a row: a fault that comes and goes under the load of ledger.py, and what must hold: which errors clients may see meanwhile, how
long the slowest answer may take, how soon after it everybody is served again. For all of them: the books are right, pgsteer lives and has
as many descriptors as before, the server has no session of somebody who is gone. What varies is in the environment (`World`).
"""
import dataclasses
import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from gate import Control  # noqa: E402
from ledger import Load  # noqa: E402
from wire import Wire, errors, rows  # noqa: E402

LOST = {"lost", "refused"}
SHUTDOWN = {"57P01", "57P02", "57P03"}
UNREACHABLE = LOST | SHUTDOWN | {"08006", "08001", "08000"}


@dataclasses.dataclass
class Row:
    name: str
    fault: object                  # generator function of the world: what breaks it, yield, what mends it
    errors: set = frozenset()      # SQLSTATEs, lost, refused, late that clients may see until it is over
    back: float = 5                # seconds after its end until every client has been served
    lasts: float = 0.7             # seconds; the long form takes more
    slowest: float = 0             # seconds the slowest answer may take; 0: any
    worlds: tuple = ("relay", "pooled")
    short: tuple = ()              # where it is run in the short form; (): in all its worlds


class Daemon:
    """A process of our own, or one that somebody else has started, which can be started again in the same way."""

    def __init__(self, pid=0, command=None):
        self.pid, self.child, self.command, self.cwd, self.environment = pid, None, command, "/", None
        if pid:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                self.command = file.read().split(b"\0")[:-1]
            self.cwd = os.readlink(f"/proc/{pid}/cwd")
            with open(f"/proc/{pid}/environ", "rb") as file:
                self.environment = dict(entry.split(b"=", 1) for entry in file.read().split(b"\0") if b"=" in entry)

    def kill(self, number=signal.SIGKILL):
        os.kill(self.pid, number)

    def start(self, port, log):
        """In the place of one that was killed."""
        if self.child:
            self.child.wait(30)
        with open(log, "ab") as out:
            self.child = subprocess.Popen(self.command, cwd=self.cwd, env=self.environment, stdout=out, stderr=out)
        self.pid = self.child.pid
        for _ in range(400):
            try:
                return socket.create_connection(("127.0.0.1", port), timeout=5).close()
            except OSError:
                time.sleep(0.025)
        raise SystemExit(f"{self.command[0]} does not come up again")

    def alive(self):
        try:
            with open(f"/proc/{self.pid}/stat") as file:
                return file.read().rsplit(")", 1)[1].split()[0] not in "ZX"
        except OSError:
            return False

    def end(self):
        if self.child and self.child.poll() is None:
            self.child.terminate()
            self.child.wait(30)

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def megabytes(self):
        with open(f"/proc/{self.pid}/status") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmRSS")) // 1024


class World:
    """Everything around one pgsteer, as the script has set it up."""

    def __init__(self, name):
        get = os.environ.get
        self.name, self.work = name, get("WORK")
        self.direct, self.proxy = int(get("DIRECT_PORT")), int(get("PROXY_PORT"))
        self.pgsteer = Daemon(int(get("PGSTEER_PID")))
        self.redis_port = int(get("REDIS_PORT") or 0)
        self.redis = Daemon(command=shlex.split(get("REDIS_COMMAND"))) if get("REDIS_COMMAND") else None
        if self.redis:
            self.redis.start(self.redis_port, self.work + "/redis.log")
        self.gates = {end: Control(int(get(f"{end.upper()}_CONTROL"))) for end in ("client", "server", "cache") if get(f"{end.upper()}_CONTROL")}
        self.client_gate = int(get("CLIENT_GATE") or 0)
        self.long = get("LONG") == "1"
        self.faults, self.notes, self.load = [], [], None

    def note(self, text):
        self.notes.append(text)

    def fault(self, text):
        self.faults.append(text)

    def expect(self, good, text):
        if not good:
            self.fault(text)

    def server(self, *arguments):
        """pg_ctl as the server's user."""
        command = [os.path.join(os.environ["BIN"], "pg_ctl"), "-D", os.environ["PG_DATA"], "-l", os.environ["PG_DATA"] + "/log", "-w", *arguments]
        if os.getuid() == 0:
            command = ["runuser", "-u", "nobody", "--", *command]
        subprocess.run(command, cwd="/", stdout=subprocess.DEVNULL, check=True)

    def sql(self, *texts, port=None, **who):
        """Rows of the last statement, straight from the server."""
        wire = Wire(port or self.direct, timeout=60).login(**who)
        for text in texts:
            got = wire.query(text)
            if errors(got):
                raise SystemExit(f"{text}: {errors(got)}")
        wire.close()
        return rows(got)

    def console(self, text):
        wire = Wire(self.proxy, timeout=60).login(database="pgsteer")
        got = wire.query(text)
        wire.close()
        return [error["M"] for error in errors(got)] or rows(got)

    def redis_says(self, *words):
        with socket.create_connection(("127.0.0.1", self.redis_port), timeout=10) as end:
            end.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w.encode()) for w in words))
            return end.recv(65536)

    def redis_in_use(self):
        """Look-ups go there and are answered."""
        before = self.gates["cache"]("status")

        def grown():
            now = self.gates["cache"]("status")
            return min(now[way] - before[way] for way in ("up", "down")) > 500
        return self.until(grown, 15)

    def server_sessions(self):
        return int(self.sql("select count(*) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid() and query <> 'keeper'")[0][0])

    def until(self, what, seconds=5):
        """Whether it becomes true."""
        end = time.monotonic() + seconds
        while not what():
            if time.monotonic() > end:
                return False
            time.sleep(0.05)
        return True


def run(world, row):
    """One scenario; True: all of it held."""
    load, books, start = world.load, world.load.books, time.monotonic()
    world.faults, world.notes = [], []
    descriptors, sessions, before = world.pgsteer.descriptors(), world.server_sessions(), books.acknowledged()
    books.slowest, seen = 0.0, len(books.troubles)
    fault = row.fault(world)
    next(fault)
    time.sleep(row.lasts * (4 if world.long else 1))
    for _ in fault:
        raise SystemExit(f"{row.name}: yields twice")
    over = time.monotonic()
    back = load.back_since(over, row.back)
    if back is None:
        world.fault(f"not everybody was served within {row.back} s: {[c.number for c in load.clients if c.last_success <= over]}")
        for what in "pools", "clients":
            world.fault(f"{what}: {world.console('show ' + what)}")
    done = lambda: [now - then for now, then in zip(books.acknowledged(), before)]  # noqa: E731
    world.expect(world.until(lambda: sum(done()) > 20), f"hardly anything was done: {done()}")
    troubles = books.troubles[seen:]
    told = sorted({kind for _, _, kind, _ in troubles})
    for when, client, kind, text in troubles:
        if kind not in row.errors and kind != "40P01":  # deadlocks happen
            world.fault(f"client {client} saw {kind} {text} after {when - start:.2f} s")
    settled = len(books.troubles)
    if row.slowest and books.slowest > row.slowest:
        world.fault(f"an answer took {books.slowest:.2f} s, more than {row.slowest} s")
    world.expect(world.pgsteer.alive(), "pgsteer is dead")
    for fault_found in load.verify():
        world.fault(fault_found)
    if world.pgsteer.alive():
        grown = lambda: world.pgsteer.descriptors() - descriptors  # noqa: E731
        world.expect(world.until(lambda: grown() <= 6), f"{grown()} descriptors more than before")
    more = lambda: world.server_sessions() - sessions  # noqa: E731
    world.expect(world.until(lambda: more() <= 4), f"{more()} sessions more than before at the server")
    world.expect(world.until(lambda: world.sql("select count(*) from pg_stat_activity where application_name = 'victim'") == [["0"]]), "sessions of clients that are gone are left at the server")
    for _, client, kind, text in [trouble for trouble in books.troubles[settled:] if trouble[2] != "40P01"]:
        world.fault(f"client {client} saw {kind} {text} when all was over")
    transfers, appends, reads = done()
    print("ok     " if not world.faults else "FAILED ", f"{world.name}: {row.name}: {transfers} transfers, {appends} appends, {reads} reads;",
          f"{len(troubles)} errors {told};" if troubles else "no errors;", f"back after {back or -1:.2f} s; slowest {books.slowest:.2f} s;",
          f"{world.pgsteer.megabytes() if world.pgsteer.alive() else 0} MB", "".join("; " + note for note in world.notes), flush=True)
    for text in world.faults[:12]:
        print("        ", text)
    return not world.faults


def main():
    from scenario_table import TABLE
    world = World(sys.argv[1])
    where = lambda row: row.worlds if world.long or len(sys.argv) > 2 or not row.short else row.short  # noqa: E731
    chosen = [row for row in TABLE if world.name in where(row) and (len(sys.argv) < 3 or any(part in row.name for part in sys.argv[2:]))]
    if not chosen:
        raise SystemExit("no such scenario")
    world.load = Load(world.direct, world.proxy)
    threading.excepthook = lambda arguments: (sys.__excepthook__(*arguments[:3]), os._exit(1))  # a broken client proves nothing
    wrong = []
    try:
        if world.load.back_since(time.monotonic(), 20) is None:
            raise SystemExit("the load does not begin")
        time.sleep(1.5)
        first = world.pgsteer.megabytes()
        for row in chosen:
            if not run(world, row):
                wrong.append(row.name)
        if world.redis and "cache" in world.gates:
            if not world.redis_in_use():
                wrong.append(f"Redis is not used again when all is over: {world.console('show cache')}")
        holes = int(os.environ["CROWD"]) * 15 // 1000 if world.name == "crowd" else 0  # 15 kB a client: pages with something else in them
        if not world.until(lambda: world.pgsteer.megabytes() <= first * 1.5 + 40 + holes, 25):
            wrong.append(f"memory grew from {first} to {world.pgsteer.megabytes()} MB")
    finally:
        world.load.stop()
        for daemon in (world.pgsteer, world.redis):
            if daemon:
                daemon.end()  # only those that were started here
    print(f"{world.name}: {len(chosen)} scenarios, {len(wrong)} failed", *(f"; {name}" for name in wrong))
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
