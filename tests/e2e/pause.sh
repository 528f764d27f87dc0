#!/bin/bash
# PAUSE waits for what is under way and lets nothing begin; the server is stopped and started meanwhile; after RESUME everybody who
# waited is served. Nobody sees an error. Transaction pooling, then connections of one's own.
. "$(dirname "$0")/lib.sh"
[ -z "$DIRECT" ] || skip 'nothing to pause'
start_postgres 'max_connections = 60'
direct pgbench -i -q -s 1 >/dev/null 2>&1
start_pgsteer --set auth.mode=terminate --set auth.method=trust --set pool.mode=transaction --set pool.default_pool_size=4 --set pool.query_wait_timeout=3s

begin_transaction() { # holds a transaction open until commit_transaction
  mkfifo "$WORK/script"
  proxied psql -XAtq -f "$WORK/script" >"$WORK/transaction" 2>&1 &
  holder=$!
  exec 5>"$WORK/script"
  printf 'begin;\nselect 1;\n' >&5
  for _ in $(seq 100); do grep -q 1 "$WORK/transaction" && break; sleep 0.05; done
}
commit_transaction() { printf 'select 2;\ncommit;\n\\q\n' >&5; exec 5>&-; wait "$holder"; rm "$WORK/script"; }
ours() { direct psql -XAtq -c "select count(*) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid() and application_name !~ '^pgsteer'"; }

proxied pgbench -n -M extended -c 8 -j 1 -T 14 >"$WORK/pgbench" 2>&1 &
bench=$!
begin_transaction
sleep 1
console pause >"$WORK/pause" 2>&1 &
pausing=$!
sleep 1
check 'PAUSE waits for the transaction' kill -0 $pausing
contains 'a second PAUSE' 'already paused' "$(console pause)"
proxied psql -XAtq -c "select 'late'" >"$WORK/late" 2>&1 &
late=$!
sleep 0.5
check 'a new client waits' kill -0 $late
commit_transaction
equal 'the transaction goes on to its end' $'1\n2' "$(cat "$WORK/transaction")"
wait $pausing
equal 'then PAUSE is over' PAUSE "$(cat "$WORK/pause")"
equal 'and no server connection is left' 0 "$(ours)"
server_stop fast
sleep 3.5  # longer than query_wait_timeout
server_start
check 'the new client still waits' kill -0 $late
equal 'RESUME' RESUME "$(console resume)"
wait $late
equal 'whoever waited is served' late "$(cat "$WORK/late")"
wait $bench
code=$?
[ "$code" = 0 ] && pass 'pgbench ran through the restart' || fail 'pgbench ran through the restart' "$(cat "$WORK/pgbench")"
contains 'without one failed transaction' 'number of failed transactions: 0 (0.000%)' "$(cat "$WORK/pgbench")"
equal 'no transaction is lost or done twice' "$(sed -n 's/^number of transactions actually processed: \([0-9]*\).*/\1/p' "$WORK/pgbench")" "$(direct psql -XAtq -c 'select count(*) from pgbench_history')"
contains 'RESUME without PAUSE' 'not paused' "$(console resume)"
check 'every PAUSE ends, whoever was lent a server just then' timeout 120 "$PYTHON" "$E2E/pause_often.py" "$PROXY_PORT" 300

# Connections of one's own: they stay open, their transactions end, new ones wait.
stop_pgsteer
start_pgsteer
begin_transaction
console pause >"$WORK/pause" 2>&1 &
pausing=$!
sleep 0.5
check 'session mode: PAUSE waits for the transaction' kill -0 $pausing
proxied psql -XAtq -c "select 'late'" >"$WORK/late" 2>&1 &
late=$!
sleep 0.3
check 'session mode: a login waits' kill -0 $late
commit_transaction
wait $pausing
equal 'session mode: PAUSE is over' PAUSE "$(cat "$WORK/pause")"
console resume >/dev/null
wait $late
equal 'session mode: the login goes on' late "$(cat "$WORK/late")"
begin_transaction
console pause >"$WORK/pause" 2>&1 &
pausing=$!
sleep 0.3
equal 'RESUME ends a PAUSE that still waits' RESUME "$(console resume)"
wait $pausing
equal 'and it is answered' PAUSE "$(cat "$WORK/pause")"
commit_transaction
finish 19
