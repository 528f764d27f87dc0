#!/bin/bash
# Linearizability of mode strict: counted-up registers written and read through the cache while a nemesis kills backends, resets Redis,
# reloads and panics. CACHE_HISTORY_SECONDS=600 for a long run (default 15);
# CACHE_HISTORY_KEEP=file keeps a history that has violations.
. "$(dirname "$0")/lib.sh"
[ -n "$DIRECT" ] && { echo "cache_history.sh: nothing to check without the proxy"; exit 0; }
python3 -c 'import psycopg2' 2>/dev/null || skip 'psycopg2 is not installed'
check 'the checker finds every fault in recorded histories' python3 "$E2E/history_check.py" self
start_postgres
start_redis
history_tables || exit 1
strict_cache_policy
E2E_MODE=auto start_pgsteer --policies "$WORK/policies" --set upstream.probe_url="postgresql://postgres@127.0.0.1:$DIRECT_PORT/postgres" \
  --set learning.explore=false --set cache.redis_url="redis://127.0.0.1:$REDIS_PORT" --set cache.redis_min_cost=0s
seconds=${CACHE_HISTORY_SECONDS:-15}

nemesis() {
  local redis=${PIDS[0]} end=$((SECONDS + seconds - 3)) step=0 victim
  sleep 3 # the cache warms first
  while [ $SECONDS -lt $end ]; do
    case $((step++ % 7)) in
      0) redis-cli -p "$REDIS_PORT" flushall >/dev/null ;;
      1) victim=$(direct psql -X -A -t -c "select pid from pg_stat_activity where query like '%update r%' and pid <> pg_backend_pid() and backend_type = 'client backend' limit 1" 2>/dev/null)
         [ -n "$victim" ] && direct psql -X -A -t -q -c "select pg_terminate_backend($victim)" >/dev/null 2>&1 ;;
      2) kill -STOP "$redis"; sleep 0.5; kill -CONT "$redis" ;;
      3) console reload >/dev/null ;;
      4) console panic >/dev/null; sleep 0.3; console 'panic off' >/dev/null ;;
      5) redis-cli -p "$REDIS_PORT" debug restart >/dev/null 2>&1 || redis-cli -p "$REDIS_PORT" client kill type normal >/dev/null ;;
      6) victim=$(direct psql -X -A -t -c "select pid from pg_stat_activity where query like '%update r%' and pid <> pg_backend_pid() and backend_type = 'client backend' limit 1" 2>/dev/null)
         [ -n "$victim" ] && kill -9 "$victim" 2>/dev/null; sleep 1.5 ;;
    esac
    sleep 0.7
  done
}
nemesis &
nemesis_pid=$!
timeout $((seconds + 60)) "$PYTHON" "$E2E/history_check.py" run "$DIRECT_PORT" "$PROXY_PORT" "$seconds" ${CACHE_HISTORY_KEEP:-}
equal "$seconds s of traffic under faults" 0 $?
wait $nemesis_pid
check 'it is the same process still' kill -0 "$PGSTEER_PID"
check 'no crash in the log' bash -c "! grep -Eiq 'segfault|assert|terminate called|AddressSanitizer' $WORK/pgsteer.log"
finish 4
