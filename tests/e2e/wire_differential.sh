#!/bin/bash
# The same raw messages sent directly and through pgsteer give the same messages back, in type, order and content: once in mode
# observe, once in mode auto with a strict cache, rewriting and steering, where the scripts' own statements are really answered from
# the cache, changed, and refused by the server after a change.
. "$(dirname "$0")/lib.sh"
start_postgres "shared_preload_libraries = ''
log_min_messages = fatal
max_connections = 60"
direct psql -X -q -v ON_ERROR_STOP=1 -f - <<'SQL' || exit 1
create table customers (id int primary key, name text not null, country text);
create table orders (id int primary key, customer_id int not null references customers, amount int not null, note text);
insert into customers select g, 'name ' || g, case when g % 3 = 0 then null else 'c' || g % 7 end from generate_series(1, 500) g;
insert into orders select g, 1 + g % 500, g % 97, 'note ' || g from generate_series(1, 3000) g;
create table shrinking (id int primary key, v int, w int);
insert into shrinking select g, g, g from generate_series(1, 300) g;
create table copied (a int, b text);
create table deferred (id int primary key deferrable initially deferred);
analyze;
SQL
if [ -n "$DIRECT" ]; then
  PROXY_PORT=$DIRECT_PORT
  check 'the harness: direct equals direct' python3 "$E2E/wire_differential.py" "$DIRECT_PORT" "$DIRECT_PORT" observe
  finish 1
fi
tracked() { equal 'no reply was without its request' '' "$(grep -h tracking_lost "$WORK/pgsteer.log" | grep -v 'a message no server accepts')"; }
[ -n "${ONLY_AUTO:-}${ONLY_POOLED:-}${ONLY_REUSE:-}" ] || { E2E_MODE=observe start_pgsteer
python3 "$E2E/wire_differential.py" "$DIRECT_PORT" "$PROXY_PORT" observe && pass 'mode observe' || fail 'mode observe'
stop_pgsteer; }
pooled=(--set auth.mode=terminate --set auth.method=trust --set pool.mode=transaction --set pool.default_pool_size=8)
[ -n "${ONLY_AUTO:-}${ONLY_REUSE:-}" ] || {
# Server connections lent for a transaction at a time, to all clients of one pool.
E2E_MODE=observe start_pgsteer "${pooled[@]}"
python3 "$E2E/wire_differential.py" "$DIRECT_PORT" "$PROXY_PORT" transaction "${ONLY:-}" && pass 'transaction pooling' || fail 'transaction pooling'
stop_pgsteer; }
[ -z "${ONLY_POOLED:-}" ] || { tracked; finish 2; }
[ -n "${ONLY_AUTO:-}" ] || {
# Everything that repeats unprepared is run by a prepared statement, and by nothing else that changes or answers.
mkdir "$WORK/reuse"
printf '[default]\nmode = "auto"\nrewrite = false\nsteer = false\ncache = false\nreuse = true\n' >"$WORK/reuse/reuse.toml"
E2E_MODE=auto start_pgsteer --policies "$WORK/reuse" --set learning.explore=false
python3 "$E2E/wire_differential.py" "$DIRECT_PORT" "$PROXY_PORT" reuse "${ONLY:-}" && pass 'reuse' || fail 'reuse'
stop_pgsteer
E2E_MODE=auto start_pgsteer --policies "$WORK/reuse" --set learning.explore=false "${pooled[@]}"
python3 "$E2E/wire_differential.py" "$DIRECT_PORT" "$PROXY_PORT" 'reuse, transaction' "${ONLY:-}" && pass 'reuse under transaction pooling' || fail 'reuse under transaction pooling'
# Who waits for a server is served by a prepared statement like everybody else.
reused() { console 'SHOW TOTALS' | sed -n 's,^reused|,,p'; }
echo 'select name from customers where id = 5' >"$WORK/crowd.sql"
before=$(reused)
check '32 clients over 8 servers' env PGPORT="$PROXY_PORT" pgbench -n -M extended -c 32 -j 1 -t 50 -f "$WORK/crowd.sql"
reused_now=$(($(reused) - before))
[ "$reused_now" -gt 1200 ] && pass "most of their executions are reused ($reused_now of 1600)" || fail 'most of their executions are reused' "$reused_now of 1600"
stop_pgsteer; }
[ -z "${ONLY_REUSE:-}" ] || { tracked; finish 2; }
everything_policy
E2E_MODE=auto start_pgsteer --policies "$WORK/policies" --set learning.explore=false
python3 "$E2E/wire_differential.py" "$DIRECT_PORT" "$PROXY_PORT" auto "${ONLY:-}" && pass 'mode auto' || fail 'mode auto'
check 'it is the same process still' kill -0 "$PGSTEER_PID"
tracked
# Who does not get through the login in time, by his own or the server's fault, is sent away.
stop_pgsteer
mute=$(free_port)
python3 -c 'import socket, sys, time; s = socket.create_server(("127.0.0.1", int(sys.argv[1]))); time.sleep(60)' "$mute" &
PIDS+=($!)
wait_port "$mute" 'a server that says nothing'
real=$DIRECT_PORT DIRECT_PORT=$mute
start_pgsteer --set limits.login_timeout=700ms
DIRECT_PORT=$real
late_login() { # how it ends: silent before the startup packet, in the middle of it, waiting for the server
  python3 - "$E2E" "$PROXY_PORT" <<'PY'
import sys, time
sys.path.insert(0, sys.argv[1])
from wire import Wire
for act in (lambda w: None, lambda w: w.raw(b"\0\0\0\x20\0\3"), lambda w: w.startup()):
    wire, start = Wire(int(sys.argv[2]), timeout=5), time.time()
    act(wire)
    error = wire.ends()
    print((error or {}).get("C"), 0.5 < time.time() - start < 3)
PY
}
equal 'limits.login_timeout holds for every part of a login' $'None True\nNone True\n57014 True' "$(late_login)"
finish 7
