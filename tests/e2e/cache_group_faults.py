"""What cache_group_faults.sh checks. Through gates of their own pass the clients' server connections of member 0, those of its
background, and each member's to Redis; both members and Redis are started here."""
import os
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from gate import Control
from wire import Closed, Wire, rows

program, work, direct, redis_port = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
gate_port, probe_port, *redis_gate_ports = [int(port) for port in sys.argv[5::2]]
gate, probe_gate, *redis_gates = [Control(int(port)) for port in sys.argv[6::2]]
READ = "select sum(v) from t"
server, failures = Wire(direct).login(), 0


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def until(what, seconds, name):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if what():
                return
        except (OSError, Closed, StopIteration):
            pass
        time.sleep(0.02)
    raise SystemExit(f"FAILED  waited in vain: {name}")


def start(name, command):
    with open(f"{work}/{name}.log" if name == "redis" else f"{work}/pgsteer.log", "a") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    with open(f"{work}/{name}.pid", "w") as file:
        print(process.pid, file=file)
    return process


class Redis:
    def __init__(self, name, port):
        self.name, self.port = name, port
        self.start()

    def start(self):
        self.process = start(self.name, ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", work])
        until(lambda: self("ping") == "PONG", 10, "Redis")

    def __call__(self, *words):
        return subprocess.run(["redis-cli", "-p", str(self.port), *words], capture_output=True, text=True).stdout.strip()

    def signal(self, number):
        self.process.send_signal(number)
        if number == signal.SIGKILL:
            self.process.wait()


class Member:
    def __init__(self, number, upstream, probe):
        self.number, self.upstream, self.probe, self.redis, self.port = number, upstream, probe, redis_gate_ports[number], free_port()
        self.start()

    def start(self):
        self.process = start(f"member{self.number}", [
            program, "run", "--upstream", f"postgresql://127.0.0.1:{self.upstream}", "--listen", f"127.0.0.1:{self.port}", "--state-dir", f"{work}/state{self.number}",
            "--mode", "auto", "--set", "http.port=0", "--policies", f"{work}/policies", "--set", f"upstream.probe_url=postgresql://postgres@127.0.0.1:{self.probe}/postgres",
            "--set", "learning.explore=false", "--set", f"cache.redis_url=redis://127.0.0.1:{self.redis}", "--set", "cache.redis_min_cost=0s",
            "--set", "cache.redis_deadline=200ms", "--set", "cache.group=e2e"])
        until(lambda: Wire(self.port).login(), 20, "a member")
        self.reader, self.console = Wire(self.port).login(), Wire(self.port).login(database="pgsteer")

    def shown(self, name):
        return next(row[1] for row in rows(self.console.query("show cache")) if row[0] == name)

    def read(self):
        return rows(self.reader.query(READ))[0][0]

    def hit(self):
        before = int(self.shown("hits"))
        self.read()
        return int(self.shown("hits")) > before


def value():
    return rows(server.query(READ))[0][0]


class Write:
    """Of member 0, in flight."""

    def __init__(self, member, held):
        self.before, self.wire = value(), Wire(member.port).login()
        self.wire.query("begin")
        self.wire.query("update t set v = v + 1")
        if held:
            gate("down stall")
        self.wire.message(b"Q", b"commit\0")

    def visible(self):
        until(lambda: value() != self.before, 10, "the commit")

    def acknowledged(self):
        return [body for kind, body in self.wire.until_ready() if kind == b"C"] == [b"COMMIT\0"]


def judge(name, act):
    """`act` breaks something around a write and yields whenever the other member is to be asked."""
    global failures
    until(lambda: m0.hit() and m1.hit(), 60, f"{name}: both answer from the cache")
    wrong = asked = 0
    for seconds in act():
        end = time.monotonic() + seconds
        while True:
            now, got = value(), m1.read()
            wrong += got != now and got != value()  # one write at most comes between
            asked += 1
            if time.monotonic() > end:
                break
    gate("clear")
    until(lambda: m0.hit() and m1.hit(), 60, f"{name}: both answer again")
    wrong += m0.read() != value() or m1.read() != value()
    print(f"{'FAILED ' if wrong else 'ok     '} {name}: {wrong} of {asked} stale", flush=True)
    failures += wrong > 0


def killed():
    write = Write(m0, True)
    write.visible()
    yield 0.2
    m0.process.kill()
    m0.process.wait()
    yield 1.5
    gate("clear")
    m0.start()
    yield 0.5


def lost_answer():
    gate("down swallow COMMIT")
    write = Write(m0, False)
    write.visible()
    yield 0.5
    gate("clear")
    yield 0.5


def stopped_at_the_mark():
    redis.signal(signal.SIGSTOP)
    write = Write(m0, False)
    time.sleep(0.06)
    redis.signal(signal.SIGCONT)
    if not write.acknowledged():
        raise SystemExit("FAILED  the write was not acknowledged")
    yield 0.3


def stopped_at_the_end():
    write = Write(m0, True)
    write.visible()
    redis.signal(signal.SIGSTOP)
    gate("clear")
    write.acknowledged()
    yield 0.5
    redis.signal(signal.SIGCONT)
    yield 0.5


def restarted():
    write = Write(m0, True)
    write.visible()
    redis.signal(signal.SIGKILL)
    redis.start()
    yield 1.0
    gate("clear")
    write.acknowledged()
    yield 0.5


def flushed():
    write = Write(m0, True)
    write.visible()
    redis("flushall")
    yield 0.5
    gate("clear")
    write.acknowledged()
    yield 0.5


def words_gone():
    for name in redis("keys", "pgsteer:*words*").split():
        redis("del", name)
    write = Write(m0, False)
    write.acknowledged()
    yield 0.5


def evicted():
    redis("config", "set", "maxmemory-policy", "allkeys-lru")
    redis("config", "set", "maxmemory", "3mb")
    for _ in range(3):
        write = Write(m0, False)
        redis("eval", "for i = 1, 4000 do redis.call('SET', 'x' .. i .. ARGV[1], string.rep('y', 1000)) end", "0", str(time.time()))
        write.acknowledged()
        yield 0.3
    redis("config", "set", "maxmemory", "0")
    redis("flushall")
    yield 0.3


def copied():
    """A second Redis with the words of now, and nothing that comes."""
    replica("replicaof", "127.0.0.1", str(redis_port))
    until(lambda: "master_link_status:up" in replica("info", "replication"), 20, "the replica")
    until(lambda: replica("dbsize") == redis("dbsize"), 20, "the replica has it all")
    time.sleep(0.1)
    replica("replicaof", "no", "one")


def target(port, *moved):
    for redis_gate in moved:
        redis_gate(f"target {port}")
        redis_gate("reset")


def promoted():
    for _ in range(3):
        until(lambda: m0.hit() and m1.hit(), 60, "both answer from the cache")
        copied()
        write = Write(m0, False)
        write.acknowledged()
        target(replica_port, *redis_gates)
        yield 0.5
        target(redis_port, *redis_gates)
        yield 0.2


def promoted_for(who):
    """Only for one of them; the writer writes at once."""
    def act():
        for _ in range(2):
            until(lambda: m0.hit() and m1.hit(), 60, "both answer from the cache")
            copied()
            target(replica_port, redis_gates[who])
            for _ in range(3):
                write = Write(m0, False)
                yield 0.3
                write.acknowledged()
            target(redis_port, redis_gates[who])
            yield 0.2
    return act


def came_back_elsewhere():
    copied()
    m0.process.terminate()
    m0.process.wait()
    m0.redis = replica_port
    probe_gate("down stall")
    m0.start()
    write = Write(m0, False)  # before the other can know that there is somebody elsewhere
    probe_gate("clear")
    yield 1.5
    write.acknowledged()
    for _ in range(3):
        write = Write(m0, False)
        write.acknowledged()
        yield 0.5
    m0.process.terminate()
    m0.process.wait()
    m0.redis = redis_gate_ports[0]
    m0.start()
    yield 0.2


redis, replica_port = Redis("redis", redis_port), free_port()
replica = Redis("replica", replica_port)
m0, m1 = Member(0, gate_port, probe_port), Member(1, direct, direct)
for name, act in (("the writing member is killed between COMMIT and its answer", killed), ("the answer to COMMIT is lost", lost_answer), ("Redis stands still at the mark", stopped_at_the_mark),
                  ("Redis stands still at the end of the write", stopped_at_the_end), ("Redis is restarted between COMMIT and its answer", restarted),
                  ("Redis is emptied between COMMIT and its answer", flushed), ("the words are deleted", words_gone), ("Redis evicts whatever it likes", evicted),
                  ("a replica that lags is promoted", promoted), ("... for the writer alone", promoted_for(0)),
                  ("... for the reader alone", promoted_for(1)), ("a member comes back to another Redis than the other's", came_back_elsewhere)):
    judge(name, act)
sys.exit(1 if failures else 0)
