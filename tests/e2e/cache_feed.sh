#!/bin/bash
# cache = "strict+wal": who writes without passing through pgsteer is seen by the next reader, however he writes, and whatever becomes of the
# walsender. Then a history with writers on both sides: CACHE_HISTORY_SECONDS=600 for a long run (default 15), CACHE_HISTORY_KEEP=file keeps a
# history that has violations.
. "$(dirname "$0")/lib.sh"
[ -n "$DIRECT" ] && { echo "cache_feed.sh: nothing to check without the proxy"; exit 0; }
python3 -c 'import psycopg2' 2>/dev/null || skip 'psycopg2 is not installed'
start_postgres "wal_level = logical
max_prepared_transactions = 5
synchronous_standby_names = ''
autovacuum = off"
history_tables -c 'create table t(k int, v int)' -c 'insert into t select g, 0 from generate_series(1, 10) g' \
  -c 'create schema "Odd.One"' -c 'create table "Odd.One"."a: ""b"", c"(v int)' -c 'insert into "Odd.One"."a: ""b"", c" values (0)' \
  -c 'create table p(k int, v int) partition by range (k)' -c 'create table p1 partition of p for values from (0) to (10)' \
  -c 'create table p2 partition of p for values from (10) to (20)' -c 'insert into p values (1, 0), (11, 0)' \
  -c 'create table parent(id int primary key, v int)' -c 'create table child(id int references parent on delete cascade, v int)' \
  -c 'insert into parent values (1, 1)' -c 'insert into child values (1, 1)' -c 'create view w as select v from t where k < 5' \
  -c 'create materialized view m as select sum(v) as s from t' -c 'create role guest login' -c 'grant select on t to guest' || exit 1
strict_cache_policy
sed -i 's/"strict"/"strict+wal"/' "$WORK/policies/cache.toml"
begin() {
  E2E_MODE=auto start_pgsteer --policies "$WORK/policies" --set upstream.probe_url="postgresql://postgres@127.0.0.1:$DIRECT_PORT/postgres" --set learning.explore=false "$@"
}
q() { proxied psql -X -A -t -q -c "$1" 2>&1; }
d() { direct psql -X -A -t -q -c "$1" >/dev/null; }
shown() { console 'show cache' | sed -n "s/^$1|//p"; }
hit() { # statement: whether it is answered from the cache
  local before
  before=$(shown hits)
  q "$1" >/dev/null
  [ "$(shown hits)" -gt "$before" ]
}
live() { q 'select sum(v) from t' >/dev/null; [ "$(shown 'feed of postgres')" = live ]; }
seen() { # name, read, bypassing write: the reader who had it from the cache has what the server has then
  await 60 "it is cached: $2" hit "$2" || { fail "$1: never cached: $2"; return; }
  d "$3"
  equal "$1" "$(direct psql -X -A -t -q -c "$2")" "$(q "$2")"
}
begin
await 30 'the feed' live
equal 'the feed is live' live "$(shown 'feed of postgres')"

await 60 'the cache' hit 'select sum(v) from t'
wrong=0 hits=$(shown hits)
for i in $(seq 1 30); do
  d "update t set v = $i where k = 1"
  [ "$(q 'select sum(v) from t')" = "$i" ] || wrong=$((wrong + 1))
  q 'select sum(v) from t' >/dev/null
  [ "$(q 'select sum(v) from t')" = "$i" ] || wrong=$((wrong + 1))
done
equal 'what is written past pgsteer is read at once, 30 times' 0 $wrong
check 'and the cache answers in between' [ "$(($(shown hits) - hits))" -ge 20 ]
seen 'without a key' 'select count(*) from t' 'delete from t where k = 7'
seen 'a name that needs quotes' 'select max(v) from "Odd.One"."a: ""b"", c"' 'update "Odd.One"."a: ""b"", c" set v = 5'
seen 'a partition' 'select sum(v) from p where k < 15' 'update p2 set v = 9'
seen 'a row that moves to another partition' 'select count(*) from p2' 'update p set k = 12 where k = 1'
seen 'a cascade' 'select count(*) from child' 'delete from parent'
seen 'behind a view' 'select sum(v) from w' 'update t set v = 3 where k = 2'
seen 'TRUNCATE' 'select sum(v) from p' 'truncate p'
seen 'COPY' 'select count(*) from t where v >= 0' "copy t from program 'echo 50 | sed s/50/50\\\\t5/'"
seen 'a procedure' 'select max(k) from t' "do 'begin insert into t values (60, 0); end'"
seen 'two-phase commit' 'select min(v) from t' "begin; update t set v = -1; prepare transaction 'x'"
seen 'and its end by another' 'select min(v) from t' "commit prepared 'x'"
seen 'asynchronous commit' 'select sum(k) from t' 'set synchronous_commit = off; insert into t values (70, 0)'
seen 'REFRESH MATERIALIZED VIEW' 'select s from m' 'refresh materialized view m'
seen 'another definition of a view' 'select count(v) from w' 'create or replace view w as select v from t where k < 9'
seen 'a table that takes the place of another' 'select count(k) from t' 'begin; create table n (k int, v int); alter table t rename to o; alter table n rename to t; commit'
d 'drop table t; alter table o rename to t'
guest() { proxied psql -X -A -t -q -U guest -c 'select count(*) from t' 2>&1; }
guest_hit() { local before; before=$(shown hits); guest >/dev/null; [ "$(shown hits)" -gt "$before" ]; }
d 'grant select on t to guest'
await 60 'a role of its own' guest_hit
d 'revoke select on t from guest'
contains 'REVOKE' 'permission denied' "$(guest)"

# A commit that a synchronous standby holds up: decoded, but not yet to be seen.
await 60 'it is cached' hit 'select sum(v) from t'
before=$(q 'select sum(v) from t')
d "alter system set synchronous_standby_names = 'nobody'"
d 'select pg_reload_conf()'
sleep 0.5
direct psql -X -A -t -q -c 'update t set v = v + 100' >/dev/null 2>&1 &
waiting=$!
sleep 0.5
wrong=0
for i in $(seq 10); do [ "$(q 'select sum(v) from t')" = "$before" ] || wrong=$((wrong + 1)); sleep 0.05; done
equal 'what waits for a standby is not seen' 0 $wrong
d "alter system set synchronous_standby_names = ''"
d 'select pg_reload_conf()'
wait $waiting
wrong=0
for i in $(seq 10); do [ "$(q 'select sum(v) from t')" = "$(direct psql -X -A -t -q -c 'select sum(v) from t')" ] || wrong=$((wrong + 1)); done
equal 'and from then on it is' 0 $wrong

# The walsender ends, the slot with it.
await 60 'it is cached' hit 'select sum(v) from t'
d "select pg_terminate_backend(pid) from pg_stat_activity where backend_type = 'walsender'"
d 'update t set v = v + 1'
equal 'without a walsender the server answers' "$(direct psql -X -A -t -q -c 'select sum(v) from t')" "$(q 'select sum(v) from t')"
await 60 'the feed again' live
await 60 'it is cached again' hit 'select sum(v) from t'
equal 'the same, kept anew' "$(direct psql -X -A -t -q -c 'select sum(v) from t')" "$(q 'select sum(v) from t')"
d "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'pgsteer feed'"
await 60 'the feed again' live
check 'and when both connections went' live
server_stop immediate
server_start
await 60 'the feed again' live
check 'and the server' live
await 60 'it is cached again' hit 'select sum(v) from t'

seconds=${CACHE_HISTORY_SECONDS:-15}
nemesis() {
  local end=$((SECONDS + seconds - 3))
  sleep 3
  while [ $SECONDS -lt $end ]; do
    sleep $((seconds / 6 + 1))
    d "select pg_terminate_backend(pid) from pg_stat_activity where backend_type = 'walsender'"
  done
}
nemesis &
CACHE_HISTORY_BYPASS=2 timeout $((seconds + 60)) "$PYTHON" "$E2E/history_check.py" run "$DIRECT_PORT" "$PROXY_PORT" "$seconds" ${CACHE_HISTORY_KEEP:-}
equal "$seconds s of traffic with writers that bypass us" 0 $?
wait $!
slots() { [ "$(direct psql -X -A -t -q -c 'select count(*) from pg_replication_slots')" = "$1" ]; }
check 'one slot' slots 1
q 'create database other' >/dev/null
other() { proxied psql -X -A -t -q -d other -c 'select count(*) from t' >/dev/null 2>&1; [ "$(shown 'feed of other')" = live ]; }
proxied psql -X -q -d other -c 'create table t(v int)'
await 60 'a feed of another database' other
equal 'it makes way for DROP DATABASE' '' "$(q 'drop database other')"
stop_pgsteer
await 10 'the slot is gone' slots 0
check 'the slot goes with the program' slots 0

server_stop
sed -i 's/^wal_level = logical/wal_level = replica/' "$PG_DATA/postgresql.conf"
server_start
begin
told() { q 'select sum(v) from t' >/dev/null; [[ "$(shown 'feed of postgres')" = *wal_level* ]]; }
await 60 'the feed' told
equal 'a server that does not decode is named' "the server's wal_level is not logical" "$(shown 'feed of postgres')"
equal 'and answers itself' 0 "$(shown hits)"
finish 31
