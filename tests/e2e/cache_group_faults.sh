#!/bin/bash
# Two pgsteer as one cache, and something breaks between two steps of a write: a member is killed, Redis stands still, is restarted empty, or
# loses its words, while COMMIT was sent and its answer is not there. Whoever reads through the other member has what the server has.
. "$(dirname "$0")/lib.sh"
[ -n "$DIRECT" ] && { echo "cache_group_faults.sh: nothing to check without the proxy"; exit 0; }
start_postgres
command -v redis-server >/dev/null || skip 'no redis-server'
REDIS_PORT=$(free_port)
direct psql -X -q -c 'create table t(v int)' -c 'insert into t values (1)' || exit 1
strict_cache_policy
start_gate "$DIRECT_PORT"
gates="$GATE_PORT $GATE_CONTROL"
start_gate "$DIRECT_PORT"
gates+=" $GATE_PORT $GATE_CONTROL"
start_gate "$REDIS_PORT"
gates+=" $GATE_PORT $GATE_CONTROL"
start_gate "$REDIS_PORT"
gates+=" $GATE_PORT $GATE_CONTROL"
trap 'kill -9 $(cat "$WORK"/*.pid 2>/dev/null) 2>/dev/null; cleanup' EXIT
timeout 300 "$PYTHON" "$E2E/cache_group_faults.py" "$PGSTEER" "$WORK" "$DIRECT_PORT" "$REDIS_PORT" $gates
equal 'whoever reads has what the server has' 0 $?
check 'no crash in the log' bash -c "! grep -Eiq 'segfault|assert|terminate called|AddressSanitizer' $WORK/pgsteer.log"
finish 2
