#!/bin/bash
# The scenarios of scenario_table.py, with relayed logins and pooled: something breaks under the load of ledger.py and is mended.
#   scenarios.sh [part of a name ...]     WORLDS="relay pooled"   LONG=1: all of them, and each fault lasts four times as long
. "$(dirname "$0")/lib.sh"
[ -z "$DIRECT" ] || skip 'nothing to check without the proxy'
check 'the judge of the books finds every fault' python3 "$E2E/ledger_test.py"
start_postgres 'max_connections = 60'
REDIS_PORT=$(free_port)
export REDIS_COMMAND="redis-server --port $REDIS_PORT --bind 127.0.0.1 --save '' --appendonly no --dir $WORK"
start_gate "$DIRECT_PORT"
server_gate=$GATE_PORT
export SERVER_CONTROL=$GATE_CONTROL
start_gate "$REDIS_PORT"
cache_gate=$GATE_PORT
export CACHE_CONTROL=$GATE_CONTROL
everything_policy
sed -i 's/^cache = .*/cache = { mode = "strict", min_cost = "0us" }/' "$WORK/policies/all.toml"
export STATE_DIR=$WORK/state CONFIG_FILE=$WORK/pgsteer.toml WORK BIN PG_DATA DIRECT_PORT REDIS_PORT PROXY_PORT PGSTEER_PID CLIENT_GATE CLIENT_CONTROL
: >"$CONFIG_FILE"
for world in ${WORLDS:-relay}; do
  [ $world = relay ] && E2E_ARGUMENTS= || E2E_ARGUMENTS='--set auth.mode=terminate --set auth.method=trust --set pool.mode=transaction --set pool.default_pool_size=6'
  small_disk
  # All values are kept in Redis. Few analyses are remembered, so that their memory is full early and growth would show.
  E2E_MODE=auto UPSTREAM_URL=postgresql://127.0.0.1:$server_gate start_pgsteer --config "$CONFIG_FILE" --policies "$WORK/policies" \
    --set upstream.probe_url="postgresql://postgres@127.0.0.1:$DIRECT_PORT/postgres" --set limits.login_timeout=2s --set limits.analysis_cache_entries=300 \
    --set cache.redis_url="redis://127.0.0.1:$cache_gate" --set cache.redis_min_cost=0s --set cache.memory_bytes=0 --set cache.redis_deadline=50ms
  start_gate "$PROXY_PORT"
  CLIENT_GATE=$GATE_PORT CLIENT_CONTROL=$GATE_CONTROL
  if [ $# = 0 ]; then # what the judge is worth: answers to COMMIT are lost on their way
    for client in careful retry; do
      (sleep 1.2; for _ in 1 2 3; do gate_says "$GATE_CONTROL" 'down swallow COMMIT'; sleep 0.3; gate_says "$GATE_CONTROL" clear; done) >/dev/null &
      python3 "$E2E/ledger.py" run "$DIRECT_PORT" "$CLIENT_GATE" 2.5 $client >"$WORK/judged.$client"
      code=$?
      if [ $client = careful ]; then equal "$world: acknowledgements are lost: nothing is done twice" 0 $code; cat "$WORK/judged.$client"
      else contains "$world: and a client that repeats its transfers is found out" 'was done 2 times' "$(cat "$WORK/judged.$client")"; fi
      wait $!
    done
  fi
  python3 "$E2E/scenarios.py" $world "$@" >"$WORK/table.$world" 2>&1
  code=$?
  cat "$WORK/table.$world"
  equal "every scenario holds, $world" 0 $code
  check 'no crash in the log' bash -c "! grep -Eiq 'segfault|assert|terminate called|AddressSanitizer' $WORK/pgsteer.log"
  equal 'every reply had its request' '' "$(grep -h tracking_lost "$WORK/pgsteer.log")"
  stop_pgsteer
  umount "$STATE_DIR"
done
finish 4
