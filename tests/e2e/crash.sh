#!/bin/bash
# kill -9 of pgsteer: clients see a closed connection, the server's backends go, and after a restart nothing of the feedback store is
# lost but the last unflushed second. SIGTERM ends in good order.
. "$(dirname "$0")/lib.sh"
[ -n "$DIRECT" ] && { echo "crash.sh: nothing to check without the proxy"; exit 0; }
start_postgres
start_pgsteer
stored() { python3 -c "import sqlite3; print(sqlite3.connect('$WORK/state/feedback.db', timeout=5).execute('select count(*) from feedback').fetchone()[0])" 2>/dev/null; }
for i in $(seq 100); do echo "select $i, count(*) from pg_class;"; done >"$WORK/work.sql"
check 'some work' env PGPORT="$PROXY_PORT" psql -X -q -o /dev/null -f "$WORK/work.sql"
for _ in $(seq 100); do [ "$(stored)" -ge 100 ] 2>/dev/null && break; sleep 0.1; done
before=$(stored)
check "the store has the work's rows ($before)" test "$before" -ge 100

proxied psql -X -c 'select pg_sleep(20)' >"$WORK/sleeper" 2>&1 &
sleeper=$!
sleep 0.5
(for _ in $(seq 20); do proxied psql -X -q -o /dev/null -f "$WORK/work.sql"; done) >/dev/null 2>&1 &
busy=$!
sleep 0.7
kill -9 "$PGSTEER_PID"
wait "$PGSTEER_PID" 2>/dev/null
PGSTEER_PID=
wait $sleeper
equal 'kill -9: the client is told by its own library' 2 $?
wait $busy
check 'it was a closed connection' grep -q 'server closed the connection unexpectedly' "$WORK/sleeper"
for _ in $(seq 100); do [ "$(direct psql -X -A -t -c "select count(*) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()")" = 0 ] && break; sleep 0.1; done
left=$(direct psql -X -A -t -c "select count(*) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid() and query not like '%pg_sleep%'")
equal 'the backends of its clients ended (but the sleeping one, which does not look)' 0 "$left"
start_pgsteer
after=$(stored)
check "after the restart nothing stored was lost ($before, then $after)" test "$after" -ge "$before"
equal 'and SHOW FEEDBACK says so' "$after" "$(console 'show feedback' | sed -n 's/^rows_in_store|//p')"
check 'the store is whole' python3 -c "
import sqlite3, sys
sys.exit(sqlite3.connect('$WORK/state/feedback.db').execute('pragma integrity_check').fetchone()[0] != 'ok')"
equal 'and it serves' 1 "$(proxied psql -X -A -t -c 'select 1')"
check 'SHOW HEALTH answers' env PGPORT="$PROXY_PORT" psql -X -v ON_ERROR_STOP=1 -d pgsteer -c 'show health'

check 'more work' env PGPORT="$PROXY_PORT" psql -X -q -o /dev/null -f "$WORK/work.sql"
sleep 0.2
kill -TERM "$PGSTEER_PID"
for _ in $(seq 100); do kill -0 "$PGSTEER_PID" 2>/dev/null || break; sleep 0.1; done
wait "$PGSTEER_PID"
equal 'SIGTERM: exit code 0' 0 $?
PGSTEER_PID=
start_pgsteer
check 'SIGTERM loses nothing at all' test "$(stored)" -ge $((after + 100))
printf 'no such table' >"$WORK/bad.toml"
"$PGSTEER" run --config "$WORK/bad.toml" --listen 127.0.0.1:1 >"$WORK/bad.log" 2>&1
equal 'a wrong configuration is exit 78' 78 $?
contains 'and says where' 'bad.toml:1' "$(cat "$WORK/bad.log")"
"$PGSTEER" run --listen "127.0.0.1:$PROXY_PORT" --state-dir "$WORK/state2" >"$WORK/taken.log" 2>&1
check 'a port that is taken is an error' test $? -ne 0
finish 14
