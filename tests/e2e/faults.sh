#!/bin/bash
# What goes wrong around a session: a backend killed, the server stopped and started, wrong messages, clients that vanish. The faulty
# connection ends as it would directly; all others live.
. "$(dirname "$0")/lib.sh"
start_postgres
start_pgsteer

backend_killed() { # signal: kill the backend in the middle of a statement
  psql -X -v VERBOSITY=verbose -c "set application_name = 'target'" -c 'select pg_sleep(20)' -c 'select 1' >"$WORK/killed.$PGPORT" 2>&1 &
  local client=$! pid=
  for _ in $(seq 100); do
    pid=$(PGPORT=$DIRECT_PORT psql -X -A -t -c "select pid from pg_stat_activity where application_name = 'target' and query like '%pg_sleep%' and state = 'active'")
    [ -n "$pid" ] && break
    sleep 0.1
  done
  if [ "$1" = terminate ]; then PGPORT=$DIRECT_PORT psql -X -q -A -t -c "select pg_terminate_backend($pid)" >/dev/null; else kill -9 "$pid"; fi
  wait $client
  echo "exit $?"
  sed -E 's/[0-9]+ms|pid [0-9]+/N/g' "$WORK/killed.$PGPORT"
  for _ in $(seq 100); do PGPORT=$DIRECT_PORT psql -X -c 'select 1' >/dev/null 2>&1 && break; sleep 0.1; done
}
same 'pg_terminate_backend during a statement' backend_killed terminate
same 'kill -9 of a backend during a statement' backend_killed kill

stopped() { # the server goes while a client is idle
  local mode=$1
  mkfifo "$WORK/in.$PGPORT"
  psql -X <"$WORK/in.$PGPORT" >"$WORK/out.$PGPORT" 2>&1 &
  local client=$!
  exec 8>"$WORK/in.$PGPORT"
  echo 'select 1 as before;' >&8
  for _ in $(seq 100); do grep -q before "$WORK/out.$PGPORT" && break; sleep 0.05; done
  server_stop "$mode"
  echo 'select 2 as after;' >&8
  exec 8>&-
  wait $client
  echo "exit $?"
  cat "$WORK/out.$PGPORT"
  rm "$WORK/in.$PGPORT"
  server_start
}
same 'the server stops while a client is idle (fast)' stopped fast
same 'the server stops while a client is idle (immediate)' stopped immediate
no_server() {
  server_stop fast
  psql -X -c 'select 1' 2>&1 | sed -E 's/.*(FATAL|refused|terminated|closed).*/no connection/' | head -1
  server_start
}
same 'a connection while the server is stopped fails' no_server
equal 'after that the server is reached again' 1 "$(proxied psql -X -A -t -c 'select 1')"

check 'wrong bytes: only that connection ends' env PGPORT="$PROXY_PORT" SECRET_OK="${DIRECT:-0}" python3 "$E2E/wrong_bytes.py"
equal 'and pgsteer still serves' 1 "$(proxied psql -X -A -t -c 'select 1')"
vanish() { # clients that disappear: the server's backends must go too
  python3 - "$E2E" <<'PY'
import os, socket, struct, sys, time
sys.path.insert(0, sys.argv[1])
from wire import Wire, rows
port = int(os.environ["PGPORT"])
for n in range(20):
    wire = Wire(port).login(application_name="vanishing")
    if n % 3 == 0: wire.message(b"Q", b"select pg_sleep(0.3)\0")
    if n % 3 == 1: wire.message(b"Q", b"select repeat('x', 100000) from generate_series(1, 1000)\0")
    if n % 2: wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))   # a reset
    wire.close()
left = None
watcher = Wire(port).login()
for _ in range(60):
    left = rows(watcher.query("select count(*) from pg_stat_activity where application_name = 'vanishing'"))[0][0]
    if left == "0": break
    time.sleep(0.2)
print("left:", left)
PY
}
same 'clients that vanish leave nothing behind' vanish
cancel() { # the key of one connection cancels that one and nothing else
  python3 - "$E2E" <<'PY'
import os, struct, sys, threading, time
sys.path.insert(0, sys.argv[1])
from wire import CANCEL_REQUEST, Wire, fields
port = int(os.environ["PGPORT"])
first, second = Wire(port).login(), Wire(port).login()
def cancel(pid, key):
    wire = Wire(port)
    wire.packet(struct.pack("!III", CANCEL_REQUEST, pid, key))
    print("cancel connection closed without a word:", wire.ends() is None)
for wire in (first, second): wire.message(b"Q", b"select pg_sleep(3), 'woke'\0")
time.sleep(0.5)
cancel(first.pid, first.key ^ 1)      # a wrong key
cancel(first.pid + 100000, first.key) # nobody
time.sleep(0.3)
start = time.time()
cancel(first.pid, first.key)
print([fields(b)["C"] for k, b in first.until_ready() if k == b"E"], "soon" if time.time() - start < 1.5 else "late")
print([k for k, b in second.until_ready()])
print([k for k, b in first.query("select 1")])
PY
}
same 'cancel requests' cancel
without_keepalive() { # connections of clients that the kernel would never ask whether they are still there: of an idle one its timer tells
  python3 - "$E2E" "$PROXY_PORT" <<'PY'
import sys, time
sys.path.insert(0, sys.argv[1])
from wire import Wire
wire, port = Wire(int(sys.argv[2])).login(), f":{int(sys.argv[2]):04X}"
time.sleep(0.5)
lines = [line.split() for line in open("/proc/net/tcp")]
print([line[5] for line in lines if line[1].endswith(port) and line[3] == "01" and not line[5].startswith("02:")])
PY
}
if [ -z "$DIRECT" ]; then
  equal 'who is gone without a word is noticed one day' '[]' "$(without_keepalive)"
  check 'it is the same process still' kill -0 "$PGSTEER_PID"
  check 'no crash in the log' bash -c "! grep -Eiq 'segfault|assert|terminate called|AddressSanitizer' $WORK/pgsteer.log"
fi
finish 10
