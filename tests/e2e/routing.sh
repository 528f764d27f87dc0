#!/bin/bash
# Reading from a standby: what goes there, what does not and why, what a session sees of its own writes, what a standby that lags, fails or
# is gone means. Where a statement ran is read in the servers' own logs.
. "$(dirname "$0")/lib.sh"
[ -z "$DIRECT" ] || skip 'nothing to route'
start_postgres 'max_connections = 60
log_statement = all'
direct psql -X -q -v ON_ERROR_STOP=1 <<'SQL' || exit 1
create table t (i int primary key, v text);
insert into t select g, 'v' || g from generate_series(1, 1000) g;
create table notes (i int, session text);
create table big (i int);
insert into big select 1;
create unlogged table u (i int);
create sequence s;
create view w as select * from t;
create function mine(int) returns int language sql immutable as 'select $1';
analyze;
SQL
start_replica 'max_standby_streaming_delay = 0
hot_standby_feedback = off'
mkdir "$WORK/policies"
printf '[default]\nmode = "auto"\nroute = "replica"\nsteer = false\nrewrite = false\n' >"$WORK/policies/all.toml"
UPSTREAM_URL="postgresql://127.0.0.1:$DIRECT_PORT,127.0.0.1:$REPLICA_PORT/postgres?target_session_attrs=primary" E2E_MODE=auto
start_pgsteer --policies "$WORK/policies" --set auth.mode=terminate --set auth.method=trust --set pool.mode=transaction --set pool.default_pool_size=4 \
  --set upstream.check_interval=100ms --set routing.max_lag=2s --set learning.explore=false
explains() { case $(proxied psql -XAtqc "explain (pgsteer) $2" 2>&1) in *"route $1"*) ;; *) false ;; esac; }
await 20 'the catalog is known and the standby looked at' explains 'replica' 'select * from t'
check 'the cases of routing_cases.py' python3 "$E2E/routing_cases.py" "$DIRECT_PORT" "$PROXY_PORT" "$REPLICA_PORT" "$PG_DATA/log" "$REPLICA_DATA/log"
[ "$(grep -c event=standby_failed "$WORK/pgsteer.log")" -ge 2 ] && pass 'the log tells what was asked of the primary again' || fail 'event=standby_failed' "$(tail -5 "$WORK/pgsteer.log")"

for mode in simple extended prepared; do
  check "pgbench -S -M $mode over the standby" proxied pgbench -n -M $mode -f <(printf '\\set i random(1, 1000)\nselect v from t where i = :i;\n') -c 8 -j 1 -t 200
done
totals=$(console 'show totals')
reads=$(printf '%s\n' "$totals" | sed -n 's/^reads_on_standbys|//p')
[ "${reads:-0}" -ge 4800 ] && pass "reads on standbys are counted ($reads)" || fail 'reads_on_standbys' "$totals"

# Without a standby everything goes on.
as_server "$BIN/pg_ctl" -D "$REPLICA_DATA" -m immediate -w stop >/dev/null
equal 'the standby is gone: the primary answers' v7 "$(proxied psql -XAtqc 'select v from t where i = 7' 2>&1)"
await 10 'SHOW HOSTS says so' sh -c "psql -p $PROXY_PORT -XAtd pgsteer -c 'show hosts' | grep '$REPLICA_PORT|down'"
explains 'primary: 127.0.0.1' 'select * from t' && pass 'EXPLAIN says so' || fail 'EXPLAIN' "$(proxied psql -XAtqc 'explain (pgsteer) select * from t')"
replica_start
await 10 'the standby is back' explains 'replica' 'select * from t' && pass 'the standby is back'
stop_pgsteer

# The scripts of wire_differential with a standby behind, and every statement free to go either way.
direct psql -X -q -v ON_ERROR_STOP=1 -f - <<'SQL' || exit 1
create table customers (id int primary key, name text not null, country text);
create table orders (id int primary key, customer_id int not null references customers, amount int not null, note text);
insert into customers select g, 'name ' || g, case when g % 3 = 0 then null else 'c' || g % 7 end from generate_series(1, 500) g;
insert into orders select g, 1 + g % 500, g % 97, 'note ' || g from generate_series(1, 3000) g;
create table shrinking (id int primary key, v int, w int);
insert into shrinking select g, g, g from generate_series(1, 300) g;
create table copied (a int, b text);
create table deferred (id int primary key deferrable initially deferred);
analyze;
SQL
# What the servers log they would tell clients that ask for debug messages, our own questions too.
direct psql -XAtq -c "alter system set log_statement = none" -c 'select pg_reload_conf()' >/dev/null
printf 'log_statement = none\n' >>"$REPLICA_DATA/postgresql.auto.conf"
replica psql -XAtq -c 'select pg_reload_conf()' >/dev/null
sed -i 's/route = "replica"/route = "any"/' "$WORK/policies/all.toml"
start_pgsteer --policies "$WORK/policies" --set auth.mode=terminate --set auth.method=trust --set pool.mode=transaction --set pool.default_pool_size=8 \
  --set upstream.check_interval=100ms --set learning.explore=false
await 20 'the catalog is known again' explains 'replica' 'select * from customers'
python3 "$E2E/wire_differential.py" "$DIRECT_PORT" "$PROXY_PORT" transaction && pass 'wire_differential, route = any' || fail 'wire_differential, route = any'
reads=$(console 'show totals' | sed -n 's/^reads_on_standbys|//p')
[ "${reads:-0}" -ge 10 ] && pass "some of it was read from the standby ($reads)" || fail 'reads_on_standbys' "$reads"
finish 11
