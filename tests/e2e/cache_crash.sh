#!/bin/bash
# A crash that no client of pgsteer was there to see: what was committed asynchronously may be lost, so nothing of before may be served.
. "$(dirname "$0")/lib.sh"
[ -n "$DIRECT" ] && { echo "cache_crash.sh: nothing to check without the proxy"; exit 0; }
start_postgres
direct psql -X -q -c 'create table t(v int)' -c 'insert into t values (1)' -c "create role plain login" -c 'grant select on t to plain' || exit 1
strict_cache_policy
E2E_MODE=auto start_pgsteer --policies "$WORK/policies" --set upstream.probe_url="postgresql://postgres@127.0.0.1:$DIRECT_PORT/postgres" --set learning.explore=false

read_once() { PGUSER=$1 PGPORT=$PROXY_PORT psql -X -A -t -c 'select v from t'; }
hits() { console 'show cache' | sed -n 's/^hits|//p'; }
hit() { # user: whether one read by a fresh session is answered from the cache
  local before
  before=$(hits)
  [ "$(read_once "$1")" = 1 ] && [ "$(hits)" -gt "$before" ]
}
for user in postgres plain; do
  for _ in $(seq 300); do hit $user && break; sleep 0.05; done
  check "$user is answered from the cache" hit $user
done
started=$(direct psql -X -A -t -c 'select pg_postmaster_start_time()')
as_server bash -c "kill -9 $(direct psql -X -A -t -c "select pid from pg_stat_activity where backend_type = 'checkpointer'")"
sleep 0.3
for _ in $(seq 200); do direct psql -X -q -c 'select 1' >/dev/null 2>&1 && break; sleep 0.1; done
equal 'the postmaster outlived the crash' "$started" "$(direct psql -X -A -t -c 'select pg_postmaster_start_time()')"
if hit postgres; then fail 'the first read after the crash goes to the server'; else pass 'the first read after the crash goes to the server'; fi
for _ in $(seq 300); do hit plain && break; sleep 0.05; done
check 'then the cache fills again' hit plain

# 124: a table that somebody else made unlogged a moment ago is empty after a crash.
crash() {
  as_server bash -c "kill -9 $(direct psql -X -A -t -c "select pid from pg_stat_activity where backend_type = 'checkpointer'")"
  sleep 0.3
  [ -n "${walwriter:-}" ] && kill -CONT "$walwriter" 2>/dev/null
  for _ in $(seq 200); do direct psql -X -q -c 'select 1' >/dev/null 2>&1 && break; sleep 0.02; done
  touch "$WORK/crashed"
}
direct psql -X -q -c 'alter table t set unlogged'
crash
equal 'a table that became unlogged behind our back is empty after a crash' "$(direct psql -X -A -t -c 'select v from t')" "$(read_once plain)"
equal 'and it was' '' "$(direct psql -X -A -t -c 'select v from t')"

# With transaction pooling nobody waits for the end of an idle connection. A session that knows its settings, and so asks nothing
# before the cache answers it, must not be told what somebody else has seen to be gone: a row that was committed asynchronously.
stop_pgsteer
E2E_MODE=auto start_pgsteer --policies "$WORK/policies" --set upstream.probe_url="postgresql://postgres@127.0.0.1:$DIRECT_PORT/postgres" \
  --set learning.explore=false --set auth.mode=terminate --set auth.method=trust --set pool.mode=transaction
direct psql -X -q -c 'create table u(v int)'
walwriter=$(direct psql -X -A -t -c "select pid from pg_stat_activity where backend_type = 'walwriter'")
kill -STOP "$walwriter"
rm -f "$WORK/crashed"
long_session() {
  python3 - "$E2E" "$PROXY_PORT" "$WORK" <<'PY'
import os, sys, time
sys.path.insert(0, sys.argv[1])
from wire import Wire, rows
port, work = int(sys.argv[2]), sys.argv[3]
session, writer, console, other = Wire(port).login(), Wire(port).login(), Wire(port).login(database="pgsteer"), Wire(port).login()
hits = lambda: next(int(row[1]) for row in rows(console.query("show cache")) if row[0] == "hits")
read = lambda: rows(session.query("select count(*) from u"))[0][0]
writer.query("set synchronous_commit = off")
writer.query("insert into u values (1)")
end, value = time.time() + 60, None
while time.time() < end:
    before = hits()
    value = read()
    if hits() > before:
        print("cached", value)
        break
    time.sleep(0.02)
open(work + "/cached", "w").close()
while not os.path.exists(work + "/crashed"):
    time.sleep(0.01)
before = hits()
print("somebody else reads", rows(other.query("select count(*) from u where v > 0 /* pgsteer:off */"))[0][0])
print("the session reads", read(), hits() - before, "hits")
PY
}
long_session >"$WORK/long" 2>&1 &
long=$!
for _ in $(seq 600); do [ -e "$WORK/cached" ] && break; sleep 0.05; done
crash
wait $long
equal 'pooled: a crash between two transactions voids the cache' $'cached 1\nsomebody else reads 0\nthe session reads 0 0 hits' "$(cat "$WORK/long")"
finish 8
