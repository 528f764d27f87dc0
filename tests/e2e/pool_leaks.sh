#!/bin/bash
# Clients vanish in every state: no server connection of a pool is lost, held for nobody or handed on in somebody's state.
. "$(dirname "$0")/lib.sh"
[ -z "$DIRECT" ] || skip 'there is no pool'
start_postgres 'max_connections = 60'
direct psql -X -q -c 'create table t (i int)' || exit 1
start_pgsteer --set auth.mode=terminate --set auth.method=trust --set pool.mode=transaction --set pool.default_pool_size=3
check 'nothing is left of clients that vanish' python3 "$E2E/pool_leaks.py" "$DIRECT_PORT" "$PROXY_PORT" "$PGSTEER_PID" 3 "${LEAK_SECONDS:-10}" "${LEAK_SEED:-1}"
check 'it is the same process still' kill -0 "$PGSTEER_PID"
equal 'every reply had its request' '' "$(grep -h tracking_lost "$WORK/pgsteer.log")"
finish 3
