#!/bin/bash
# Clocks that jump by an hour, and that differ by one between two members of a group: "bounded" and "ttl" keep their bounds, and what goes
# through pgsteer is seen at once.
. "$(dirname "$0")/../lib.sh"
[ -n "$DIRECT" ] && { echo "cache_clock.sh: nothing to check without the proxy"; exit 0; }
library=$(ls /usr/lib/*/faketime/libfaketimeMT.so.1 2>/dev/null | head -1)
[ -n "$library" ] || skip 'no libfaketime'
start_postgres
start_redis
direct psql -X -q -c 'create table b(v int)' -c 'insert into b values (1)' -c 'create table c(v int)' -c 'insert into c values (1)' -c 'create table t(v int)' -c 'insert into t values (1)' || exit 1
strict_cache_policy
cache_rule bounded bounded 1500ms '"b"'
cache_rule ttl ttl 1500ms '"c"'
PORTS=("$(free_port)" "$(free_port)")
member() { # number more arguments: by the clock in $WORK/clock.number, which moves what nobody should measure time by
  local number=$1
  shift
  FAKETIME_TIMESTAMP_FILE=$WORK/clock$number FAKETIME_DONT_FAKE_MONOTONIC=1 FAKETIME_NO_CACHE=1 LD_PRELOAD=$library "$PGSTEER" run --upstream "postgresql://127.0.0.1:$DIRECT_PORT" \
    --listen "127.0.0.1:${PORTS[$number]}" --state-dir "$WORK/state$number" --mode auto --set http.port=0 --policies "$WORK/policies" \
    --set upstream.probe_url="postgresql://postgres@127.0.0.1:$DIRECT_PORT/postgres" --set learning.explore=false --set threads.count=1 "$@" >>"$WORK/pgsteer.log" 2>&1 &
  MEMBERS[number]=$!
  PIDS+=($!)
  wait_port "${PORTS[$number]}" "pgsteer $number"
}
leaves() { kill -TERM "${MEMBERS[$1]}"; wait "${MEMBERS[$1]}"; }
cat >"$WORK/clock.py" <<'PY'
"""For each mode: what the members answer after a write, through the first or past everybody, and for how long it is old."""
import sys, time
sys.path.insert(0, sys.argv[1])
from wire import Wire, rows
direct, ports, jumps, work = int(sys.argv[2]), [int(port) for port in sys.argv[3].split(",")], sys.argv[4].split(), sys.argv[5]
server, faults, old_seen = Wire(direct).login(), [], 0

class Member:
    def __init__(self, port):
        self.wire, self.writer, self.console = Wire(port).login(), Wire(port).login(), Wire(port).login(database="pgsteer")
    def read(self, table):
        return int(rows(self.wire.query(f"select sum(v) from {table}"))[0][0])
    def hits(self):
        return next(int(row[1]) for row in rows(self.console.query("show cache")) if row[0] == "hits")
    def warm(self, table):
        end = time.monotonic() + 60
        while time.monotonic() < end:
            before = self.hits()
            self.read(table)
            if self.hits() > before:
                return
            time.sleep(0.02)
        sys.exit(f"{table} is never answered from the cache")

members = [Member(port) for port in ports]
for jump in jumps:
    for table in "bct":
        time.sleep(1.6)  # whatever was kept is over
        for member in members:
            member.warm(table)
        for member in members:
            member.read(table)
        if jump != "none":
            with open(f"{work}/clock0", "w") as clock:
                print(jump, file=clock)
        if table == "t":
            members[0].writer.query("update t set v = v + 1")
        else:
            server.query(f"update {table} set v = v + 1")
        start, now = time.monotonic(), int(rows(server.query(f"select v from {table}"))[0][0])
        while (asked := time.monotonic()) < start + 2.2:
            for number, member in enumerate(members):
                asked = time.monotonic()
                old = member.read(table) != now
                old_seen += old
                if old and (table == "t" or asked > start + 1.5):
                    faults.append((jump, table, number, round(asked - start, 3)))
            time.sleep(0.01)
        for member in members:
            member.warm(table)
print(f"{len(faults)} too old, {'some' if old_seen else 'none'} old within the bound", faults[:3])
sys.exit(len(faults) > 0 or old_seen == 0)
PY
run() { timeout 200 "$PYTHON" "$WORK/clock.py" "$E2E" "$DIRECT_PORT" "$@" "$WORK"; }

echo +0 >"$WORK/clock0"
member 0
check 'the clock jumps while it runs' run "${PORTS[0]}" 'none +3600 +0 -3600'
leaves 0
redis=(--set cache.redis_url="redis://127.0.0.1:$REDIS_PORT" --set cache.redis_min_cost=0s --set cache.redis_deadline=20ms --set cache.group=e2e)
for ahead in +3600 +1; do # beyond the bound, and within
  echo $ahead >"$WORK/clock0"
  echo +0 >"$WORK/clock1"
  member 0 "${redis[@]}"
  member 1 "${redis[@]}"
  check "a group, whose first member's clock is ahead by ${ahead#+} s" run "${PORTS[0]},${PORTS[1]}" none
  check "and with the members changed places" run "${PORTS[1]},${PORTS[0]}" none
  leaves 0
  leaves 1
done
finish 5
