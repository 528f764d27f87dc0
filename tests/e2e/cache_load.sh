#!/bin/bash
# Many sessions that want the same answer: one asks the server, the others wait for it, none for long and none for a stale one. And "bounded":
# an old answer within its bound while one session asks again, never to a session that knows better. CACHE_LOAD_SECONDS=60 for a long run.
. "$(dirname "$0")/lib.sh"
[ -n "$DIRECT" ] && { echo "cache_load.sh: nothing to check without the proxy"; exit 0; }
start_postgres "log_statement = all
log_min_duration_statement = -1"
direct psql -X -q -c 'create table t(v int)' -c 'insert into t values (1)' -c 'create table b(k int primary key, v bigint)' -c 'insert into b select g, 0 from generate_series(0, 3) g' \
  -c 'create table c(v int)' -c 'insert into c values (7)' \
  -c 'create role guest login' -c 'grant select on b to guest' || exit 1
strict_cache_policy
cache_rule 'within a bound' bounded 1500ms '"b"'
cache_rule 'for long' bounded 60s '"c"'
E2E_MODE=auto start_pgsteer --policies "$WORK/policies" --set upstream.probe_url="postgresql://postgres@127.0.0.1:$DIRECT_PORT/postgres" --set learning.explore=false \
  --set threads.count=2 --set cache.fill_wait=20s
timeout 300 "$PYTHON" "$E2E/cache_load.py" "$DIRECT_PORT" "$PROXY_PORT" "$PG_DATA/log" "${CACHE_LOAD_SECONDS:-6}"
equal 'crowds and bounds' 0 $?
check 'it is the same process still' kill -0 "$PGSTEER_PID"
stop_pgsteer
E2E_MODE=auto start_pgsteer --policies "$WORK/policies" --set upstream.probe_url="postgresql://postgres@127.0.0.1:$DIRECT_PORT/postgres" --set learning.explore=false \
  --set cache.serve_old=false --set cache.fill_wait=0
timeout 100 "$PYTHON" "$E2E/cache_load.py" "$DIRECT_PORT" "$PROXY_PORT" "$PG_DATA/log" 2 off
equal 'both switched off' 0 $?
finish 3
