"""Process after process takes over the listening sockets while clients come, go and stay. Prints "ok ..." and "FAILED ..." lines.

    takeover.py PROGRAM UPSTREAM DIRECTORY PORT MODE    MODE: pooled or relay"""
import atexit, os, signal, socket, subprocess, sys, threading, time
import psycopg2

program, upstream, directory, port, mode = sys.argv[1:5] + sys.argv[5:6]
port = int(port)
pooled = mode == "pooled"
faults = 0
base = [program, "run", "--upstream", upstream, "--listen", f"127.0.0.1:{port}", "--state-dir", directory + "/state", "--set", "http.port=0",
        "--set", f"listen.unix_socket_dir={directory}"]
if pooled:
    base += ["--set", "auth.mode=terminate", "--set", "auth.method=trust", "--set", "pool.mode=transaction"]
log_path = directory + f"/takeover-{mode}.log"
notify_path = directory + f"/notify-{mode}"
told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
told.bind(notify_path)
told.settimeout(20)


def check(what, good, more=""):
    global faults
    print(("ok      " if good else "FAILED  ") + what, "" if good else more, flush=True)
    faults += not good


started = []  # process ids of whatever may still run at the end


def start(*more):
    process = subprocess.Popen(base + list(more), stdout=open(log_path, "a"), stderr=subprocess.STDOUT, env={**os.environ, "NOTIFY_SOCKET": notify_path})
    started.append(process.pid)
    return process


def kill_the_rest():
    for pid in started:
        try:
            os.kill(pid, signal.SIGKILL)
        except OSError:
            pass


def log():
    with open(log_path) as f:
        return f.read()


def until(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return condition()


def connect(host="127.0.0.1"):
    connection = psycopg2.connect(host=host, port=port, user="postgres", dbname="postgres", connect_timeout=20)
    connection.autocommit = True
    return connection


def value(connection, text):
    with connection.cursor() as cursor:
        cursor.execute(text)
        return cursor.fetchone()[0]


class Clients:
    """Some that connect for one query, by TCP and by the unix socket, and some that stay for a few transactions."""

    def __init__(self):
        self.errors, self.connected, self.committed, self.over = [], 0, 0, threading.Event()
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.come_and_go, args=(h,), daemon=True) for h in ("127.0.0.1", "127.0.0.1", directory)]
        self.threads += [threading.Thread(target=self.stay, args=(i,), daemon=True) for i in range(3)]
        for t in self.threads:
            t.start()

    def come_and_go(self, host):
        while not self.over.is_set():
            try:
                connection = connect(host)
                assert value(connection, "select 42") == 42
                connection.close()
                with self.lock:
                    self.connected += 1
            except Exception as error:
                self.errors.append(f"connecting: {error}")

    def stay(self, who):
        while not self.over.is_set():
            try:
                connection = connect()
                connection.autocommit = False
                for _ in range(5):
                    with connection.cursor() as cursor:
                        cursor.execute("insert into done values (%s)", (who,))
                        time.sleep(0.03)
                        cursor.execute("insert into done values (%s)", (who,))
                    connection.commit()
                    with self.lock:
                        self.committed += 2
                connection.close()
            except Exception as error:
                self.errors.append(f"in a transaction: {error}")

    def end(self):
        self.over.set()
        for t in self.threads:
            t.join()


atexit.register(kill_the_rest)
first = start()
check("it starts", told.recv(100) == b"READY=1")
value(connect(), "select 1")
setup = connect()
with setup.cursor() as cursor:
    cursor.execute("drop table if exists done; create table done (who int)")
setup.close()

# With nobody to replace --replace is an ordinary start; a wrong configuration never reaches the running process.
wrong = start("--replace", "--set", "pool.default_pool_size=0")
check("a successor with a wrong configuration ends", wrong.wait(20) == 78)

clients = Clients()
bench = subprocess.Popen(["pgbench", "-n", "-f", directory + "/one.sql", "-C", "-c", "2", "-T", "6", "-h", "127.0.0.1", "-p", str(port), "-U", "postgres", "postgres"],
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
until(lambda: clients.connected > 20 and clients.committed > 10)

# One that stays through the take-over in the middle of its transaction, one that sleeps in a query and is cancelled afterwards.
held = connect()
held.autocommit = False
with held.cursor() as cursor:
    cursor.execute("insert into done values (100)")
sleeper, ended = connect(), []


def sleep_long():
    try:
        value(sleeper, "select pg_sleep(60)")
        ended.append("slept")
    except psycopg2.Error as error:
        ended.append(error.pgcode)


sleeping = threading.Thread(target=sleep_long, daemon=True)
sleeping.start()
time.sleep(0.3)
running = first
second = start("--replace")
check("the old one tells the supervisor who comes after it", told.recv(100) == f"MAINPID={second.pid}".encode())
check("and the new one that it is ready", told.recv(100) == b"READY=1")
check("the old one has clients and stays", first.poll() is None and "event=replaced" in log())
fresh = connect()
before = clients.connected
check("clients go on connecting", until(lambda: clients.connected > before + 20))
third = start("--replace")
check("nobody takes over while clients of the one before are there", third.wait(20) == 1 and "does not hand over" in log())
with held.cursor() as cursor:
    cursor.execute("insert into done values (100)")
held.commit()
check("the transaction went on and is committed", value(fresh, "select count(*) from done where who = 100") == 2)
held.autocommit = True
check("and its client goes on after it", value(held, "select 43") == 43)
sleeper.cancel()
sleeping.join(20)
check("a cancel request reaches the old process by way of the new one" if pooled else "a cancel request reaches the server", ended == ["57014"], ended)
held.close()
sleeper.close()
check("the old one ends well when its last client has left", first.wait(30) == 0)
check("and the new one has heard of it", until(lambda: "event=predecessor_gone" in log()))
fresh.close()

# The program starts its own successor, as `systemctl kill -s USR2` asks it to; its clients come and go all the while.
os.kill(second.pid, signal.SIGUSR2)
message = told.recv(100)
check("SIGUSR2 starts a successor", message.startswith(b"MAINPID="), message)
successor = int(message[8:])
started.append(successor)
check("which is ready", told.recv(100) == b"READY=1")
check("the one before it ends", second.wait(30) == 0)
before = clients.connected
check("and clients go on", until(lambda: clients.connected > before + 20))
output = bench.communicate(timeout=60)[0]
check("pgbench -C went through both without an error", bench.returncode == 0 and "number of failed transactions: 0" in output, output)
clients.end()
check("of %d connections and %d rows none had an error" % (clients.connected, clients.committed), not clients.errors, clients.errors[:3])
direct = psycopg2.connect(upstream + "/postgres?user=postgres")
check("what was committed is there", value(direct, "select count(*) from done where who < 100") == clients.committed)
direct.close()

# Clients that will not go.
if pooled:
    until(lambda: log().count("event=predecessor_gone") == 2)
    console = psycopg2.connect(host="127.0.0.1", port=port, user="postgres", dbname="pgsteer")
    console.autocommit = True
    console.cursor().execute("pause")
    paused = start("--replace")
    check("nobody takes over while PAUSE is in force", paused.wait(20) == 1 and "PAUSE is in force" in log())
    console.cursor().execute("resume")
    idle, busy = connect(), connect()
    busy.autocommit = False
    with busy.cursor() as cursor:
        cursor.execute("insert into done values (200)")
    last = start("--replace")
    told.recv(100), told.recv(100)
    os.kill(successor, signal.SIGTERM)  # its drain_timeout is over, so to speak: the same end
    with idle.cursor() as cursor:
        time.sleep(0.5)
        try:
            cursor.execute("select 1")
            check("an idle client is sent away at the end", False)
        except psycopg2.Error as error:
            check("an idle client is sent away at the end", True)
    with busy.cursor() as cursor:
        cursor.execute("insert into done values (200)")
    busy.commit()
    check("one in a transaction may finish it", value(connect(), "select count(*) from done where who = 200") == 2)
    os.kill(last.pid, signal.SIGTERM)
    check("the last one ends well", last.wait(20) == 0)
else:
    os.kill(successor, signal.SIGTERM)
sys.exit(1 if faults else 0)
