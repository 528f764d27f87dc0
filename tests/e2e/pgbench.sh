#!/bin/bash
# pgbench: initialise and run through pgsteer in every protocol mode and with a connection for each transaction, without one failure
# and with the right balances at the end.
. "$(dirname "$0")/lib.sh"
start_postgres "max_connections = 60"
start_pgsteer
run() { # name arguments...
  local name=$1 output
  shift
  if ! output=$(PGPORT=$PROXY_PORT timeout 50 "$BIN/pgbench" "$@" postgres 2>&1); then fail "$name" "$output"; return; fi
  if grep -q 'number of failed transactions: 0 (0.000%)' <<<"$output" && ! grep -Eq 'aborted|ERROR|FATAL' <<<"$output"; then
    pass "$name: $(sed -n 's/^number of transactions actually processed: //p' <<<"$output") transactions, $(sed -n 's/^tps = \([0-9]*\).*/\1 tps/p' <<<"$output")"
  else fail "$name" "$output"; fi
}
check 'pgbench -i through it' env PGPORT="$PROXY_PORT" "$BIN/pgbench" -i -q -s 3 --foreign-keys postgres
for mode in simple extended prepared; do
  run "pgbench -M $mode" -n -c 4 -j 2 -T 4 -M $mode
  run "pgbench -S -M $mode" -n -S -c 8 -j 2 -T 3 -M $mode
done
run 'pgbench -C: a connection for each transaction' -n -C -c 4 -j 2 -T 5
run 'pgbench -C -M prepared' -n -C -S -c 4 -j 2 -T 3 -M prepared
cat >"$WORK/pipeline.sql" <<'SQL'
\set a random(1, 300000)
\startpipeline
select abalance from pgbench_accounts where aid = :a;
update pgbench_accounts set abalance = abalance where aid = :a;
select 1;
\endpipeline
SQL
run 'pipelines' -n -c 4 -j 2 -T 3 -M extended -f "$WORK/pipeline.sql"
sums() { psql -X -A -t -c 'select sum(abalance) = (select sum(tbalance) from pgbench_tellers) and sum(abalance) = (select sum(bbalance) from pgbench_branches) and sum(abalance) = (select sum(delta) from pgbench_history) from pgbench_accounts'; }
equal 'the balances agree' t "$(direct sums)"
same 'the server holds no connection of a client that left' bash -c 'sleep 1; psql -X -A -t -c "select count(*) from pg_stat_activity where application_name = \$\$pgbench\$\$"'
finish 10
