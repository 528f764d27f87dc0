"""The scenarios: faults, and the table of what must hold. See scenarios.py."""
import glob
import os
import resource
import signal
import socket
import struct
import subprocess
import threading
import time

from scenarios import LOST, UNREACHABLE, Row
from wire import Closed, Failed, Wire, errors, execution, parse, rows

GONE = (Closed, Failed, ConnectionError, OSError)


# The server

def server_killed(w):
    w.server("-m", "immediate", "stop")
    yield
    w.server("start")


def server_restarted(w):
    w.server("-m", "fast", "restart")
    yield


def backend_killed(w):
    """One of them by kill -9: the server takes all the others down and recovers."""
    pid = w.sql("select pid from pg_stat_activity where application_name = 'ledger' limit 1")
    os.kill(int(pid[0][0] if pid else w.sql("select pid from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()")[0][0]), signal.SIGKILL)
    yield


def backends_terminated(w):
    watch = Wire(w.direct).login()
    for _ in range(10):
        watch.query("select pg_terminate_backend(pid) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid() order by random() limit 2")
        time.sleep(0.1)
    watch.close()
    yield


def no_connections_left(w):
    """Somebody else holds them all while ours are taken away."""
    hog = []

    def take():
        try:
            while True:
                hog.append(Wire(w.direct).login(user="hog"))
        except GONE:
            pass
    w.sql("do $$ begin if not exists (select from pg_roles where rolname = 'hog') then create role hog login; end if; end $$")
    take()
    watch = hog.pop()
    watch.close()
    watch = Wire(w.direct).login()
    watch.query("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'ledger'")
    for _ in range(20):
        take()
        time.sleep(0.02)
    w.note(f"{len(hog)} connections held by others")
    yield
    for wire in hog:
        wire.close()
    watch.close()


def read_only(w):
    w.sql("alter system set default_transaction_read_only = on", "select pg_reload_conf()")
    yield
    w.sql("set default_transaction_read_only = off", "alter system reset default_transaction_read_only", "select pg_reload_conf()")


# Gates

def gate(end, *commands, keep=False):
    def fault(w):
        for command in commands:
            w.gates[end](command)
        yield
        w.gates[end]("clear")
    return fault


def cut_often(end, how):
    def fault(w):
        for _ in range(8):
            w.gates[end](how)
            time.sleep(0.1)
        yield
    return fault


class Victims:
    """Clients of a kind that comes to harm: they ask for what only they can have asked for, by a port that may be a gate's."""

    def __init__(self, w, port, number, work, timeout=3):
        self.stop, self.done, self.broken = threading.Event(), 0, 0
        self.w, self.port, self.work, self.timeout = w, port, work, timeout
        self.threads = [threading.Thread(target=self.run, args=(n,), daemon=True) for n in range(number)]
        for thread in self.threads:
            thread.start()

    def run(self, number):
        while not self.stop.is_set():
            try:
                wire = Wire(self.port, timeout=self.timeout)
                try:
                    self.work(self, wire, number)
                finally:
                    wire.close()
                self.done += 1
            except GONE + (struct.error, ValueError, IndexError, KeyError, UnicodeError, MemoryError, OverflowError):
                self.broken += 1

    def end(self):
        self.stop.set()
        for thread in self.threads:
            thread.join(15)
        self.w.note(f"{self.done} victims done, {self.broken} broken")


def ask_own(victims, wire, number):
    wire.login(application_name="victim")
    for n in range(3):
        got = wire.query(f"select 'victim {number} {n}'")
        if rows(got) != [[f"victim {number} {n}"]] and not errors(got):
            victims.w.fault(f"victim {number} was answered {got}")
            return


def ask_anything(victims, wire, number):
    """Where bytes are spoiled on the way, answers are whatever they are."""
    wire.login(application_name="victim")
    for n in range(10):
        wire.query(f"select repeat('victim {number} {n}', 20)")


def slow_clients(w):
    w.gates["client"]("both drip 1")
    victims = Victims(w, w.client_gate, 5, ask_own)
    yield
    w.expect(victims.done or not w.long, "no slow client came through")
    w.gates["client"]("clear")
    victims.end()
    w.expect(victims.done > 0, "no slow client came through")


def spoiled_clients(w):
    w.gates["client"]("both corrupt 120")
    victims = Victims(w, w.client_gate, 5, ask_anything)
    yield
    w.gates["client"]("clear")
    victims.end()
    w.expect(victims.broken > 0, "nothing was spoiled")


def cut_clients(w):
    """Each connection of theirs ends after some bytes, with a reset or in good order, at ever other places."""
    victims = Victims(w, w.client_gate, 5, ask_own)
    for size in range(1, 120, 5):
        w.gates["client"](f"up cut_after {size}")
        time.sleep(0.02)
        w.gates["client"]("reset" if size % 2 else "cut")
    yield
    w.gates["client"]("clear")
    victims.end()


def half_open_clients(w):
    """Nothing, half a packet, a packet and nothing more: they are sent away after login_timeout, which is 2 s here."""
    ends = []
    startup = struct.pack("!II", 60, 196608) + b"user\0postgres\0"
    for n in range(120):
        end = socket.create_connection(("127.0.0.1", w.proxy), timeout=10)
        if n % 3:
            end.sendall(startup[: 4 if n % 3 == 1 else len(startup)])
        ends.append(end)
    yield
    start = time.monotonic()
    for end in ends:
        end.settimeout(max(0.1, 6 - (time.monotonic() - start)))
        try:
            w.expect(end.recv(1000) == b"" or end.recv(1000) == b"", "a half-open client was told something")
        except ConnectionResetError:
            pass
        except TimeoutError:
            w.fault("a half-open client was not sent away")
            break
    for end in ends:
        end.close()


def deaf_clients(w):
    """They ask for much and do not read it."""
    wires = [Wire(w.proxy).login(application_name="victim") for _ in range(6 if w.name == "relay" else 3)]
    before = w.pgsteer.megabytes()
    for wire in wires:
        wire.message(b"Q", b"select repeat('x', 100000) from generate_series(1, 5000)\0")
    yield
    grown = w.pgsteer.megabytes() - before
    w.expect(grown < 60, f"{len(wires)} clients that do not read made pgsteer grow by {grown} MB")
    for wire in wires:
        wire.close()


# Redis

def using_redis(fault):
    """First it must be seen at work, or the fault would prove nothing."""
    def in_use(w):
        w.expect(w.redis_in_use(), f"Redis is not in use, even before: {w.console('show health')}")
        yield from fault(w)
    return in_use


def redis_killed(w):
    w.redis.kill()
    yield
    w.redis.start(w.redis_port, w.work + "/redis.log")  # empty


def redis_stopped(w):
    w.redis.kill(signal.SIGSTOP)
    yield
    w.redis.kill(signal.SIGCONT)


def redis_full(w):
    w.redis_says("config", "set", "maxmemory-policy", "noeviction")
    w.redis_says("config", "set", "maxmemory", "1")
    yield
    w.redis_says("config", "set", "maxmemory", "0")


def redis_read_only(w):
    w.redis_says("replicaof", "127.0.0.1", "1")
    yield
    w.redis_says("replicaof", "no", "one")


def redis_emptied(w):
    for _ in range(10):
        w.redis_says("flushall")
        time.sleep(0.05)
    yield


# pgsteer itself

def pgsteer_killed(w):
    w.pgsteer.kill()
    while w.pgsteer.alive():
        time.sleep(0.01)
    yield
    w.pgsteer.start(w.proxy, w.work + "/pgsteer.log")


def training_killed(w):
    """As often as one is found, by kill -9."""
    killed = 0
    for _ in range(3):
        said = w.console("train")
        end = time.monotonic() + 3
        while time.monotonic() < end:
            children = [path.split("/")[2] for path in glob.glob("/proc/[0-9]*/stat") if parent_of(path) == w.pgsteer.pid]
            if children:
                for child in children:
                    os.kill(int(child), signal.SIGKILL)
                killed += len(children)
                break
            time.sleep(0.005)
        time.sleep(0.3)
    w.expect(killed > 0, f"no training was there to be killed: {said}")
    w.note(f"{killed} killed")
    yield


def parent_of(path):
    try:
        with open(path) as file:
            return int(file.read().rsplit(")", 1)[1].split()[1])
    except OSError:
        return 0


def clock_jumps(w):
    """An hour forward, two back; what is measured by a clock that cannot jump goes on."""
    for shift in ("+3600", "-7200", "+0"):
        with open(os.environ["FAKETIME_TIMESTAMP_FILE"], "w") as file:
            file.write(shift)
        time.sleep(0.4)
    yield


def replace(path, text):
    """At once: a reload must not find half of it."""
    with open(path + ".new", "w") as file:
        file.write(text)
    os.replace(path + ".new", path)


def bad_reloads(w):
    path = os.environ["CONFIG_FILE"]
    with open(path) as file:
        good = file.read()
    before = w.console("show config")
    for wrong in ("[pool]\ndefault_pool_size = 0\n", "[limits]\nmax_client_con = 5\n", "[tls]\nmode = \"require\"\ncertificate_file = \"/nowhere\"\n", "[limits\n", "\0"):
        replace(path, good + wrong)
        said = w.console("reload")
        w.expect(said and isinstance(said[0], str) and ("pgsteer.toml:" in said[0] or "tls." in said[0]), f"RELOAD of {wrong!r} said {said}")
        w.expect(w.console("show config") == before, f"RELOAD of {wrong!r} changed something")
        os.kill(w.pgsteer.pid, signal.SIGHUP)
    yield
    replace(path, good)
    w.expect("RELOAD" not in str(w.console("reload")), "the good file is refused")


# What the machine gives

def store_full(w):
    """Every byte of the file system that holds the state is taken."""
    filler = os.environ["STATE_DIR"] + "/filler"
    with open(filler, "wb", buffering=0) as file:
        size = 1 << 20
        while size:
            try:
                file.write(b"\0" * size)
            except OSError:
                size //= 2
    yield
    health = [row for row in w.console("show health") if row[0] == "feedback"]
    w.note(f"{health}")
    os.unlink(filler)


def no_descriptors(w):
    """Clients come until no descriptor is left; who is there already stays."""
    before = resource.prlimit(w.pgsteer.pid, resource.RLIMIT_NOFILE)
    limit = w.pgsteer.descriptors() + 20
    resource.prlimit(w.pgsteer.pid, resource.RLIMIT_NOFILE, (limit, before[1]))
    ends = [socket.create_connection(("127.0.0.1", w.proxy), timeout=10) for _ in range(100)]
    yield
    w.expect(w.pgsteer.descriptors() >= limit - 1, f"only {w.pgsteer.descriptors()} of {limit} descriptors were used")
    for end in ends:
        end.close()
    # Who waits to be accepted must not wait for ever now that there are descriptors again.
    w.expect(w.until(lambda: w.pgsteer.descriptors() < limit - 10), "descriptors are not given back")
    w.expect(w.sql("select 'in'", port=w.proxy, application_name="victim") == [["in"]], "no new client is let in")
    resource.prlimit(w.pgsteer.pid, resource.RLIMIT_NOFILE, before)


def no_memory(w):
    """As if the machine had a megabyte left; clients ask for more than that, in all ways."""
    with open(f"/proc/{w.pgsteer.pid}/status") as file:
        used = next(int(line.split()[1]) for line in file if line.startswith("VmData")) * 1024
    before = resource.prlimit(w.pgsteer.pid, resource.RLIMIT_DATA)
    resource.prlimit(w.pgsteer.pid, resource.RLIMIT_DATA, (used + (1 << 20), before[1]))
    turn = [0]

    def ask_much(victims, wire, number):
        wire.login(application_name="victim")
        turn[0] += 1
        large = "x" * (12 << 20)
        kind = turn[0] % 3
        got = wire.query(f"select length('{large}')") if kind == 0 else None
        if kind == 1:
            wire.raw(parse("select length($1::text)") + execution([large.encode()]))
            got = wire.until_ready()
        if kind == 2:
            for n in range(20):
                wire.raw(parse(f"select length('{large[:1 << 20]}')", f"s{n}") + execution([], f"s{n}"))
            for n in range(20):
                got = wire.until_ready()
        if not errors(got) and rows(got) not in ([["12582912"]], [["1048576"]]):
            w.fault(f"a large question was answered {rows(got)}")
    victims = Victims(w, w.proxy, 6, ask_much, timeout=20)
    yield
    time.sleep(0.5)
    victims.end()
    resource.prlimit(w.pgsteer.pid, resource.RLIMIT_DATA, before)


def crowd(w):
    """Idle clients, who are all served when they ask."""
    before, start, number = w.pgsteer.megabytes(), time.monotonic(), int(os.environ.get("CROWD", 1000))
    wires, lock = [], threading.Lock()

    def enter():
        for _ in range(number // 4):
            wire = Wire(w.proxy, timeout=30).login(application_name="victim")
            with lock:
                wires.append(wire)
    threads = [threading.Thread(target=enter) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    w.expect(len(wires) == number, f"{len(wires)} of {number} came in")
    w.note(f"{number} came in {time.monotonic() - start:.1f} s, {1024 * (w.pgsteer.megabytes() - before) / number:.1f} kB each")
    yield
    start, wrong = time.monotonic(), 0
    for wire in wires:
        wire.message(b"Q", b"select 7\0")
    for wire in wires:
        wrong += rows(wire.until_ready()) != [["7"]]
    w.expect(not wrong, f"{wrong} of them were not answered")
    w.note(f"all answered in {time.monotonic() - start:.1f} s")
    for wire in wires:
        wire.close()


def certificate_expires(w):
    """Clients who look at it are sent away by their own library until it is replaced and read again."""
    folder, port = os.environ["CERTIFICATES"], str(w.proxy)

    def verified():
        url = f"host=localhost hostaddr=127.0.0.1 port={port} user=postgres dbname=postgres sslmode=verify-full sslrootcert={folder}/ca.pem connect_timeout=10"
        return subprocess.run(["psql", "-XAtqc", "select 'in'", url], capture_output=True, text=True, env={**os.environ, "PGOPTIONS": ""})
    for name in ("certificate", "key"):
        replace(f"{folder}/live.{name}", open(f"{folder}/old.{name}").read())
    os.chmod(f"{folder}/live.key", 0o600)
    w.expect(w.console("reload") == [], "an expired certificate is no reason to refuse a reload")
    w.expect("certificate verify failed" in verified().stderr, f"the expired certificate is not seen: {verified()}")
    yield
    for name in ("certificate", "key"):
        replace(f"{folder}/live.{name}", open(f"{folder}/new.{name}").read())
    os.chmod(f"{folder}/live.key", 0o600)
    w.console("reload")
    w.expect(verified().stdout == "in\n", f"the new certificate is not used: {verified()}")


def failed_over(w):
    """The primary dies, its synchronous standby is promoted. The last of its world."""
    w.server("-m", "immediate", "stop")
    os.environ["PG_DATA"], w.direct, w.load.direct = os.environ["REPLICA_DATA"], int(os.environ["REPLICA_PORT"]), int(os.environ["REPLICA_PORT"])
    yield
    w.server("promote")
    w.sql("alter system reset synchronous_standby_names", "select pg_reload_conf()")


RELAY, POOLED = ("relay",), ("pooled",)
TABLE = [
    # Name, fault, what clients may see meanwhile: nothing, where nothing is said.
    Row("PostgreSQL is killed and started again", server_killed, UNREACHABLE, back=10),
    Row("PostgreSQL is restarted", server_restarted, UNREACHABLE, back=10),
    Row("kill -9 of a backend", backend_killed, UNREACHABLE, back=10),
    Row("backends are terminated", backends_terminated, UNREACHABLE),  # 08006: one of ours in the middle of its login
    Row("no connection is left at the server", no_connections_left, UNREACHABLE | {"53300"}),
    Row("the server becomes read-only", read_only, {"25006"}),
    Row("the server falls silent", gate("server", "both stall"), back=3),
    Row("the server's answers fall silent", gate("server", "down stall"), back=3),
    Row("connections to the server are cut", cut_often("server", "cut"), UNREACHABLE),
    Row("connections to the server are reset", cut_often("server", "reset"), UNREACHABLE),
    Row("connections to the server are refused", gate("server", "refuse", "reset"), UNREACHABLE),
    Row("the server is 30 ms away", gate("server", "both delay 30"), back=3),
    Row("the server is on a slow line", gate("server", "both throttle 20000"), back=3),
    Row("the server's bytes come one by one", gate("server", "down drip 1"), back=3),
    Row("slow clients", slow_clients, slowest=5, short=RELAY),
    Row("clients send garbage", spoiled_clients, slowest=5, short=RELAY),
    Row("clients vanish at every byte", cut_clients, slowest=5, short=RELAY),
    Row("half-open clients", half_open_clients, slowest=5, short=RELAY),
    Row("clients that do not read", deaf_clients, slowest=5, short=RELAY),
    Row("Redis is killed and comes back empty", using_redis(redis_killed), slowest=5, short=POOLED),
    Row("Redis is stopped", using_redis(redis_stopped), slowest=5, short=POOLED),
    Row("Redis is full", using_redis(redis_full), slowest=5, short=POOLED),
    Row("Redis takes no writes", using_redis(redis_read_only), slowest=5, short=POOLED),
    Row("Redis is emptied", using_redis(redis_emptied), slowest=5, short=POOLED),
    Row("Redis is split off in silence", using_redis(gate("cache", "both stall")), slowest=5, short=POOLED),
    Row("Redis is split off by resets", using_redis(gate("cache", "refuse", "reset")), slowest=5, short=POOLED),
    Row("Redis answers late", using_redis(gate("cache", "down delay 200")), slowest=5, short=POOLED),
    Row("Redis' bytes come one by one", using_redis(gate("cache", "both drip 1")), slowest=5, short=POOLED),
    Row("Redis' answers are spoiled", using_redis(gate("cache", "down corrupt 200")), slowest=5, short=POOLED),
    Row("what Redis is sent is spoiled", using_redis(gate("cache", "up corrupt 200")), slowest=5, short=POOLED),
    Row("training is killed", training_killed, slowest=5),
    Row("wrong configurations are loaded", bad_reloads, slowest=5),
    Row("pgsteer is killed and started again", pgsteer_killed, LOST | {"08006"}),
    Row("no descriptor is left", no_descriptors, slowest=5),
    Row("no memory is left", no_memory, UNREACHABLE | {"53200"}, slowest=10, back=10),
    Row("the disk is full", store_full, slowest=5),
    Row("the clock jumps", clock_jumps, slowest=5, worlds=("clock",)),
    Row("a crowd of idle clients", crowd, slowest=5, worlds=("crowd",)),
    Row("the certificate expires", certificate_expires, slowest=5, worlds=("tls",)),
    Row("the server is failed over", failed_over, UNREACHABLE, back=15, worlds=("failover",)),
]
