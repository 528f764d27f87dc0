#!/bin/bash
# The server fails over to a standby that lacks what was committed last: once the new primary serves, nothing of the old one's is answered from
# the cache, to sessions that are new and to one that was there before. And a standby that serves sessions beside the primary fills nothing.
. "$(dirname "$0")/../lib.sh"
[ -z "$DIRECT" ] || { echo "cache_failover.sh: nothing to check without the proxy"; exit 0; }
start_postgres 'wal_log_hints = on'
direct psql -X -q -c 'create table t(v int)' -c 'insert into t values (1)' || exit 1
server_stop
cp -a "$PG_DATA" "$WORK/template"
strict_cache_policy
start_gate "$DIRECT_PORT"
pooled='--set auth.mode=terminate --set auth.method=trust --set pool.mode=transaction'
read='select sum(v) from t'

pair() { # a primary and its standby, anew; the old ones are gone
  gate_says "$GATE_CONTROL" clear >/dev/null
  [ -n "$REPLICA_DATA" ] && as_server "$BIN/pg_ctl" -D "$REPLICA_DATA" -m immediate -w stop >/dev/null
  as_server "$BIN/pg_ctl" -D "$PG_DATA" -m immediate -w stop >/dev/null 2>&1
  rm -rf "$PG_DATA" "$WORK/replica" "$WORK/state"
  cp -a "$WORK/template" "$PG_DATA"
  server_start
  start_replica
}
proxy_for() { # the wanted host, the two ports in order, more arguments
  local hosts="postgresql://127.0.0.1:$2,127.0.0.1:$3/postgres?target_session_attrs=$1" both="postgresql://postgres@127.0.0.1:$2,127.0.0.1:$3/postgres?target_session_attrs=primary"
  shift 3
  UPSTREAM_URL=$hosts E2E_MODE=auto start_pgsteer --policies "$WORK/policies" --set upstream.probe_url="$both" --set learning.explore=false --set upstream.check_interval=200ms \
    --set upstream.connect_timeout=2s "$@"
}
q() { proxied psql -X -A -t -q -c "$1" 2>&1; }
hits() { console 'show cache' | sed -n 's/^hits|//p'; }
hit() {
  local before
  before=$(hits)
  [ "$(q "$read")" = "$1" ] && [ "$(hits)" -gt "$before" ]
}

cat >"$WORK/session.py" <<'PY'
"""One session from before the failover, as long as it lives, and new ones: what they read once the new primary has answered somebody."""
import os, sys, time
sys.path.insert(0, sys.argv[1])
from wire import Closed, Wire, rows
port, work, read = int(sys.argv[2]), sys.argv[3], "select sum(v) from t"

class Reader:
    wire = None
    def __call__(self):
        try:
            self.wire = self.wire or Wire(port, timeout=15).login()
            return rows(self.wire.query(read))[0][0]
        except (OSError, Closed, IndexError):
            self.wire = None
            return None

old, ends = Reader(), time.monotonic() + 60
before = [old() for _ in range(20)]
open(work + "/reading", "w").close()
while not os.path.exists(work + "/promoted"):
    time.sleep(0.01)
while time.monotonic() < ends and (Reader()() or old()) != "1":
    time.sleep(0.02)
after = [reader() for _ in range(200) for reader in (old, Reader())]
print("before", set(before), "after", set(after) - {None}, "answered" if after.count(None) < 20 else after.count(None))
PY

fail_over() { # name, how the primary goes, arguments
  local name=$1 how=$2
  shift 2
  pair
  # A gate stands where a machine is to go silent; one that died refuses connections, and libpq goes on to the next.
  proxy_for primary "$([ "$how" = killed ] && echo "$DIRECT_PORT" || echo "$GATE_PORT")" "$REPLICA_PORT" "$@"
  await 60 "$name: it is cached" hit 1
  await 20 "$name: the standby has it all" caught_up
  replica psql -X -q -c "alter system set primary_conninfo = ''" -c 'select pg_reload_conf()' >/dev/null
  alone() { [ "$(direct psql -XAtqc 'select count(*) from pg_stat_replication')" = 0 ]; }
  await 20 "$name: the standby is cut off" alone
  q 'update t set v = 2' >/dev/null
  await 60 "$name: what the standby will lack is cached" hit 2
  rm -f "$WORK/reading" "$WORK/promoted"
  python3 "$WORK/session.py" "$E2E" "$PROXY_PORT" "$WORK" >"$WORK/read" 2>&1 &
  local reader=$!
  for _ in $(seq 600); do [ -e "$WORK/reading" ] && break; sleep 0.05; done
  if [ "$how" = killed ]; then server_stop immediate; else gate_says "$GATE_CONTROL" 'both stall' >/dev/null; fi
  as_server "$BIN/pg_ctl" -D "$REPLICA_DATA" -w promote >/dev/null
  touch "$WORK/promoted"
  wait $reader
  equal "$name: whoever reads from then on has what the new primary has" "before {'2'} after {'1'} answered" "$(cat "$WORK/read")"
  writes() { [ "$(q 'update t set v = 5 returning v')" = 5 ]; }
  await 30 "$name: the new primary is written to" writes
  equal "$name: and what is written there" 5 "$(q "$read")"
  [ "$how" = killed ] && await 60 "$name: the cache fills again" hit 5 && pass "$name: the cache fills again"
  check "$name: the same process still" kill -0 "$PGSTEER_PID"
  stop_pgsteer
}
fail_over 'relayed, the primary is killed' killed
fail_over 'pooled, the primary is killed' killed $pooled
fail_over 'pooled, the primary is cut off' cut $pooled
if command -v redis-server >/dev/null; then
  start_redis
  fail_over 'a group, the primary is cut off' cut $pooled --set cache.redis_url="redis://127.0.0.1:$REDIS_PORT" --set cache.redis_min_cost=0s --set cache.redis_deadline=20ms --set cache.group=e2e
fi

# Sessions on a standby beside others on the primary: what the standby says of old is not kept for those.
pair
as_server "$BIN/pg_ctl" -D "$REPLICA_DATA" -m immediate -w stop >/dev/null
proxy_for any "$REPLICA_PORT" "$DIRECT_PORT" # the standby comes first, once it is there
rm -f "$WORK/opened" "$WORK/started"
(while [ ! -e "$WORK/opened" ]; do sleep 0.05; done; replica_start; touch "$WORK/started") &
python3 - "$E2E" "$PROXY_PORT" "$WORK" "$REPLICA_PORT" "$DIRECT_PORT" <<'PY'
import os, sys, time
sys.path.insert(0, sys.argv[1])
from wire import Wire, rows
proxy, work, replica, primary = int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
READ = "select sum(v) from t"
value = lambda wire: rows(wire.query(READ))[0][0]
port_of = lambda wire: int(rows(wire.query("select inet_server_port()"))[0][0])
sessions, end = {}, time.monotonic() + 60
while len(sessions) < 2 and time.monotonic() < end:
    wire = Wire(proxy).login()
    sessions[port_of(wire)] = wire
    open(work + "/opened", "w").close()
    while not os.path.exists(work + "/started"):
        time.sleep(0.05)
    time.sleep(0.2)
if set(sessions) != {replica, primary}:
    sys.exit(f"sessions at {list(sessions)}")
standby, server = Wire(replica).login(), Wire(primary).login()
wrong = asked = 0
for n in range(60):
    standby.query("select pg_wal_replay_pause()")
    sessions[primary].query(f"update t set v = {n + 10}")
    for _ in range(4):
        value(sessions[replica])
    for _ in range(3):
        wrong += value(sessions[primary]) != str(n + 10)
        asked += 1
    standby.query("select pg_wal_replay_resume()")
    time.sleep(0.05)
print(f"{wrong} of {asked} stale")
sys.exit(wrong > 0)
PY
equal 'sessions on a standby and on the primary: nobody on the primary reads of old' 0 $?
finish 15
