#!/bin/bash
# A server that means harm, relayed and pooled: each connection to it ends cleanly, and nobody else's notices.
. "$(dirname "$0")/lib.sh"
[ -z "$DIRECT" ] || skip 'nothing to check without pgsteer'
start_postgres 'max_connections = 60'
mkfifo "$WORK/evil"
"$PYTHON" "$E2E/evil_server.py" serve "$DIRECT_PORT" >"$WORK/evil" 2>"$WORK/evil.log" &
PIDS+=($!)
read -r evil <"$WORK/evil"
printf '"postgres" "any"\n' >"$WORK/users"
for name in $(cd "$E2E" && python3 -c 'import evil_server as e; print(*["evil_login." + n for n in e.LOGIN], *["evil_query." + n for n in e.QUERY])'); do
  printf '"%s" "a word"\n' "$name" >>"$WORK/users"
done
chmod 600 "$WORK/users"
none_left() { [ -z "$(console 'SHOW CLIENTS' | grep evil_)" ]; }
world() { # name, arguments of pgsteer
  local name=$1
  shift
  UPSTREAM_URL="postgresql://127.0.0.1:$evil" start_pgsteer --set upstream.connect_timeout=3s "$@"
  local before after
  before=$(awk '/^VmRSS/ {print $2}' "/proc/$PGSTEER_PID/status")
  check "$name: every connection ends, and nobody else notices" python3 "$E2E/evil_server.py" check "$PROXY_PORT" "$name"
  after=$(awk '/^VmHWM/ {print $2}' "/proc/$PGSTEER_PID/status")
  check "$name: it is the same process still" kill -0 "$PGSTEER_PID"
  await 40 "$name: no session is left of them" none_left && pass "$name: no session is left of them"
  check "$name: it never held much ($((after / 1024)) MB at most, $((before / 1024)) at first)" [ $((after - before)) -lt 150000 ]
  stop_pgsteer
}
world relay
world pooled --set auth.mode=terminate --set auth.method=trust --set pool.mode=transaction --set "auth.file=$WORK/users"
finish 8
