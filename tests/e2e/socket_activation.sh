#!/bin/bash
# Sockets held by a supervisor, as systemd does it: no client is refused while pgsteer is restarted; READY and STOPPING are told.
. "$(dirname "$0")/lib.sh"
[ -n "$DIRECT" ] && { echo "socket_activation.sh: nothing to check without the proxy"; exit 0; }
start_postgres
mkdir "$WORK/run"
cat >"$WORK/supervisor.py" <<'PY'
import fcntl, os, signal, socket, sys, threading, time
import psycopg2
program, upstream, state, run, log = sys.argv[1:6]
faults = 0


def check(name, good, what=""):
    global faults
    print(("ok      " if good else "FAILED  ") + name + ("" if good else ": %s" % (what,)))
    faults += not good


tcp = socket.socket()
tcp.bind(("127.0.0.1", 0))
tcp.listen(100)
unix = socket.socket(socket.AF_UNIX)
unix.bind(run + "/.s.PGSQL.7777")
unix.listen(100)
told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
told.bind(run + "/notify")
told.settimeout(30)
port = tcp.getsockname()[1]


def start(descriptors, whose=None):
    pid = os.fork()
    if pid == 0:
        high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 100) for fd in descriptors]
        for number, fd in enumerate(high):
            os.dup2(fd, 3 + number)
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(output, 1), os.dup2(output, 2)
        os.closerange(3 + len(descriptors), 200)
        environment = dict(os.environ, LISTEN_FDS=str(len(descriptors)), LISTEN_PID=str(whose or os.getpid()), NOTIFY_SOCKET=run + "/notify")
        # that address is taken, by the supervisor: without the descriptors it cannot start
        os.execve(program, [program, "run", "--upstream", upstream, "--listen", "127.0.0.1:%d" % port, "--state-dir", state, "--set", "http.port=0"], environment)
    return pid


def ask(host, number):
    c = psycopg2.connect(host=host, port=number, user="postgres", dbname="postgres", connect_timeout=30)
    cursor = c.cursor()
    cursor.execute("SELECT 42")
    return cursor.fetchone()[0]


answers = []
early = threading.Thread(target=lambda: answers.append(ask("127.0.0.1", port)))
early.start()
time.sleep(0.3)
check("a client that was there before pgsteer waits", early.is_alive())
pid = start([tcp.fileno(), unix.fileno()])
check("READY is told", told.recv(100) == b"READY=1")
early.join(30)
check("and is answered then", answers == [42], answers)
check("by the unix socket too", ask(run, 7777) == 42)

failed, done, go_on = [], [], threading.Event()
def keep_asking():
    while not go_on.is_set():
        try:
            done.append(ask("127.0.0.1", port))
        except psycopg2.Error as error:
            failed.append(str(error))
threads = [threading.Thread(target=keep_asking) for _ in range(3)]
for t in threads:
    t.start()
for _ in range(3):
    before = len(done)
    os.kill(pid, signal.SIGTERM)
    check("STOPPING is told", told.recv(100) == b"STOPPING=1")
    check("it ends well", os.waitpid(pid, 0)[1] == 0)
    time.sleep(0.2)
    pid = start([tcp.fileno(), unix.fileno()])
    check("READY again", told.recv(100) == b"READY=1")
    end = time.monotonic() + 20
    while len(done) <= before + 3 and time.monotonic() < end:
        time.sleep(0.02)
    check("clients go on", len(done) > before + 3)
go_on.set()
for t in threads:
    t.join()
refused = [f for f in failed if "refused" in f]
check("nobody was refused in three restarts (%d answers)" % len(done), not refused, refused)
os.kill(pid, signal.SIGTERM)
os.waitpid(pid, 0)

pid = start([tcp.fileno()], whose=1)
check("descriptors that are meant for another process are left alone", os.waitpid(pid, 0)[1] >> 8 == 1)
stranger = socket.socket()
pid = start([stranger.fileno()])
check("a descriptor that does not listen is refused", os.waitpid(pid, 0)[1] >> 8 == 1)
sys.exit(1 if faults else 0)
PY
log=$(timeout 120 "$PYTHON" "$WORK/supervisor.py" "$PGSTEER" "postgresql://127.0.0.1:$DIRECT_PORT" "$WORK/state" "$WORK/run" "$WORK/pgsteer.log" 2>&1)
code=$?
echo "$log"
checks=$((checks + $(grep -c '^ok' <<<"$log"))) faults=$((faults + $(grep -c '^FAILED' <<<"$log")))
[ "$code" = 0 ] || [ "$faults" -gt 0 ] || fail "the supervisor ended with $code" "$log"
contains 'the log says what is listened on' 'event=socket_inherited' "$(cat "$WORK/pgsteer.log")"
contains 'and what was wrong with the last' 'expected a listening stream socket' "$(cat "$WORK/pgsteer.log")"
finish 18
