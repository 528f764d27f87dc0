#!/bin/bash
# pgsteer run --replace and SIGUSR2: a new process takes the listening sockets over while clients connect, work and stay. No connection is
# refused and no transaction is lost, with pooling and without.
. "$(dirname "$0")/lib.sh"
[ -z "$DIRECT" ] || skip 'nothing to take over'
"$PYTHON" -c 'import psycopg2' 2>/dev/null || skip 'no psycopg2'
start_postgres 'max_connections = 80'
echo 'select 1;' >"$WORK/one.sql"
for mode in pooled relay; do
  log=$(timeout 120 "$PYTHON" "$E2E/takeover.py" "$PGSTEER" "postgresql://127.0.0.1:$DIRECT_PORT" "$WORK" "$(free_port)" $mode 2>&1)
  code=$?
  sed "s/^\(ok\|FAILED\)\( *\)/\1\2$mode: /" <<<"$log"
  checks=$((checks + $(grep -c '^ok' <<<"$log"))) faults=$((faults + $(grep -c '^FAILED' <<<"$log")))
  [ "$code" = 0 ] || { [ "$faults" -gt 0 ] || fail "$mode ended with $code" "$log"; tail -30 "$WORK/takeover-$mode.log"; }
done
finish 34
