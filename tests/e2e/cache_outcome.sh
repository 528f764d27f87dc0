#!/bin/bash
# Writes of which pgsteer never hears how they ended, or that it was told not to look at: whoever reads afterwards has what the server has.
. "$(dirname "$0")/lib.sh"
[ -n "$DIRECT" ] && { echo "cache_outcome.sh: nothing to check without the proxy"; exit 0; }
start_postgres
direct psql -X -q -c 'create table t(v int)' -c 'insert into t values (0)' || exit 1
strict_cache_policy
start_gate "$DIRECT_PORT"
E2E_MODE=auto UPSTREAM_URL=postgresql://127.0.0.1:$GATE_PORT start_pgsteer --policies "$WORK/policies" --set learning.explore=false \
  --set upstream.probe_url="postgresql://postgres@127.0.0.1:$DIRECT_PORT/postgres"
python3 - "$E2E" "$DIRECT_PORT" "$PROXY_PORT" "$GATE_CONTROL" <<'PY'
import socket, struct, sys, time
sys.path.insert(0, sys.argv[1])
from gate import Control
from wire import Wire, rows
direct, proxy, gate = int(sys.argv[2]), int(sys.argv[3]), Control(int(sys.argv[4]))
READ = "select sum(v) from t"
server, reader, console, faults = Wire(direct).login(), Wire(proxy).login(), Wire(proxy).login(database="pgsteer"), 0
value = lambda wire: rows(wire.query(READ))[0][0]
hits = lambda: next(int(row[1]) for row in rows(console.query("show cache")) if row[0] == "hits")

def warm():
    end = time.monotonic() + 60
    while time.monotonic() < end:
        before = hits()
        value(reader)
        if hits() > before:
            return
        time.sleep(0.02)
    raise SystemExit("FAILED  never answered from the cache")

def judge(name, writes, leave):
    """The answer to the last of `writes` is lost; `leave` is what the client does before the connection is."""
    global faults
    wrong = 0
    for _ in range(3):
        writer = Wire(proxy).login()
        warm()
        before = value(server)
        gate("down swallow " + writes[-1][1])
        for text, _ in writes[:-1]:
            writer.query(text)
        writer.message(b"Q", writes[-1][0].encode() + b"\0")
        end = time.monotonic() + 10
        while value(server) == before and time.monotonic() < end:
            time.sleep(0.001)
        gate("clear")
        if value(server) == before:
            raise SystemExit(f"FAILED  {name}: the write never happened")
        leave(writer)
        until = time.monotonic() + 0.4  # the gate cuts the connection after 0.1 s
        while time.monotonic() < until:
            wrong += value(reader) != value(server)
        leave_now(writer)
    print(f"{'FAILED ' if wrong else 'ok     '} {name}: {wrong} stale")
    faults += wrong > 0

def leave_now(wire):
    try:
        wire.socket.close()
    except OSError:
        pass

def reset(wire):
    wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wire.socket.close()

block = [("begin", ""), ("update t set v = v + 1", ""), ("commit", "COMMIT")]
alone = [("update t set v = v + 1", "UPDATE")]
for what, writes in (("COMMIT", block), ("a write", alone)):
    judge(f"the answer to {what} is lost", writes, lambda wire: None)
    judge(f"the answer to {what} is lost, the client has left", writes, leave_now)
    judge(f"the answer to {what} is lost, the client was cut off", writes, reset)

wrong = 0
for _ in range(3):
    warm()
    console.query("panic")
    time.sleep(0.05)  # until every thread knows
    writer = Wire(proxy).login()
    writer.query("update t set v = v + 1")
    console.query("panic off")
    time.sleep(0.05)
    wrong += value(reader) != value(server)
    leave_now(writer)
    wrong += value(reader) != value(server)
print(f"{'FAILED ' if wrong else 'ok     '} a write in PANIC: {wrong} stale")
sys.exit(1 if faults or wrong else 0)
PY
equal 'whoever reads has what the server has' 0 $?
check 'it is the same process still' kill -0 "$PGSTEER_PID"
finish 2
