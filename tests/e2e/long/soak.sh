#!/bin/bash
# Everything on, for so many minutes: soak.sh [MINUTES] (20). Samples memory, descriptors, threads, latency beside the server's own, the store and
# the server's sessions every five seconds, prints what drifts after the warm-up, and leaves the samples in $SOAK_CSV (soak.csv here).
#   SOAK_LEAK=1: with a client that never closes its connections; it must be found, and the script fails if it is not.
. "$(dirname "$0")/../lib.sh"
[ -z "$DIRECT" ] || skip 'nothing to judge without the proxy'
seconds=$(python3 -c "print(int(60 * float('${1:-20}')))")
csv=${SOAK_CSV:-soak.csv}
start_postgres 'max_connections = 300'
start_redis
everything_policy
common=(--policies "$WORK/policies" --set upstream.probe_url="postgresql://postgres@127.0.0.1:$DIRECT_PORT/postgres" --set learning.max_rows=20000
  --set learning.retrain_interval=2min --set cache.memory_bytes=4MB --set cache.redis_min_cost=0s --set limits.analysis_cache_entries=1000)
export E2E_MODE=auto
start_pgsteer "${common[@]}" --set cache.redis_url="redis://127.0.0.1:$REDIS_PORT/0"
export RELAYED_PORT=$PROXY_PORT
relayed=$PGSTEER_PID
PIDS+=("$relayed")
mv "$WORK/pgsteer.log" "$WORK/relayed.log" # it goes on writing there
PROXY_PORT=
E2E_ARGUMENTS='--set auth.mode=terminate --set auth.method=trust --set pool.mode=transaction --set pool.default_pool_size=6'
STATE_DIR=$WORK/state2 start_pgsteer "${common[@]}" --set cache.redis_url="redis://127.0.0.1:$REDIS_PORT/1"
export POOLED_PORT=$PROXY_PORT PIDS_WATCHED="$relayed $PGSTEER_PID" STATES="$WORK/state $WORK/state2" MAX_ROWS=20000 DIRECT_PORT
python3 "$E2E/soak_load.py" "$seconds" "$csv"
equal 'every answer was right, and the books are' 0 $?
verdict=$(python3 "$E2E/soak_judge.py" "$csv" "${SOAK_WARM_UP:-0.4}")
code=$?
printf '%s\n' "$verdict"
if [ -n "${SOAK_LEAK:-}" ]; then
  contains 'the planted leak is found' 'DRIFTS  sessions' "$verdict"
else
  equal 'nothing drifts' 0 $code
fi
check 'both live' kill -0 "$relayed" "$PGSTEER_PID"
equal 'every reply had its request' '' "$(grep -h tracking_lost "$WORK"/*.log)"
finish 4
