#!/bin/bash
# Transaction pooling: many clients over four server connections. pgbench in every protocol, settings that must not leak, statements
# prepared on whichever server comes, what pins a session and what frees it again, limits, time-outs, dead servers, logins.
. "$(dirname "$0")/lib.sh"
[ -z "$DIRECT" ] || skip 'nothing to compare with'
start_postgres 'max_connections = 60
password_encryption = scram-sha-256' 'local all all trust
host all keeper,passer 127.0.0.1/32 scram-sha-256
host all all 127.0.0.1/32 trust'
direct psql -X -q -v ON_ERROR_STOP=1 <<'SQL' || exit 1
create role keeper login password 'kept secret';
create role passer login password 'passed on';
create role other login;
create table t (i int primary key, v text);
insert into t select g, 'v' || g from generate_series(1, 100) g;
SQL
pgbench_secret=$(direct psql -X -A -t -c "select rolpassword from pg_authid where rolname = 'passer'")
printf '"keeper" "kept secret"\n"passer" "%s"\n"postgres" "any"\n"other" "md5%s"\n' "$pgbench_secret" "$(printf 'otherother' | md5sum | cut -d' ' -f1)" >"$WORK/users"
chmod 600 "$WORK/users"
pooled=(--set auth.mode=terminate --set pool.mode=transaction --set pool.default_pool_size=4)
start_pgsteer "${pooled[@]}" --set auth.method=trust

direct pgbench -i -q -s 1 >/dev/null 2>&1
most=0
for mode in simple extended prepared; do
  proxied pgbench -n -M "$mode" -S -c 32 -j 2 -T 1 >"$WORK/pgbench" 2>&1 &
  bench=$!
  while kill -0 $bench 2>/dev/null; do
    now=$(direct psql -X -A -t -c "select count(*) from pg_stat_activity where application_name = 'pgbench' and state is not null" 2>/dev/null)
    [ "${now:-0}" -gt "$most" ] && most=$now
    sleep 0.2
  done
  wait $bench && pass "pgbench -S -M $mode with 32 clients over 4 servers" || fail "pgbench -S -M $mode" "$(cat "$WORK/pgbench")"
done
# Not prepared: pgbench waits for each answer to PQprepare with all its clients, those included that hold the servers.
check "pgbench's writing transactions" timeout 60 env PGPORT="$PROXY_PORT" pgbench -n -M extended -c 32 -j 2 -t 10
equal 'they add up' "$(direct psql -XAt -c 'select sum(delta) from pgbench_history')" "$(direct psql -XAt -c 'select sum(abalance) from pgbench_accounts')"
[ "$most" -ge 1 ] && [ "$most" -le 4 ] && pass "never more than 4 server connections (saw $most)" || fail 'pool size' "saw $most"

check 'settings, statements, pins, cancels: the cases of pooling_cases.py' python3 "$E2E/pooling_cases.py" "$DIRECT_PORT" "$PROXY_PORT"

pid=$(proxied psql -XAtq -c 'select pg_backend_pid()')
equal 'RECONNECT' RECONNECT "$(console reconnect)"
sleep 0.3
proxied psql -XAtq -c 'select 1' >/dev/null
equal 'RECONNECT has closed it' 0 "$(direct psql -XAtq -c "select count(*) from pg_stat_activity where pid = $pid")"
equal 'after RECONNECT a client is served' 1 "$(proxied psql -XAtq -c 'select 1')"

# Dead servers are found before they are handed out.
direct psql -XAt -c "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'postgres' and pid <> pg_backend_pid() and application_name <> 'pgsteer'" >/dev/null
sleep 0.2
for i in 1 2 3; do equal "after their servers were killed ($i)" "$i" "$(proxied psql -XAt -c "select $i" 2>&1)"; done

# Time-outs.
stop_pgsteer
start_pgsteer "${pooled[@]}" --set auth.method=trust --set pool.default_pool_size=1 --set pool.query_wait_timeout=700ms \
  --set pool.idle_transaction_timeout=2s --set pool.query_timeout=3s
proxied psql -X -q -c 'begin' -c 'select 1' -c '\! sleep 4' -c 'select 2' >"$WORK/holder" 2>&1 &
holder=$!
sleep 0.7
contains 'query_wait_timeout' 'query_wait_timeout' "$(proxied psql -XAt -c 'select 3' 2>&1)"
wait $holder
contains 'idle_transaction_timeout' 'idle transaction timeout' "$(cat "$WORK/holder")"
waiting_cancelled() { # what a client gets that cancels while it waits for a server, in both protocols, and that it goes on after it
  python3 - "$E2E" "$PROXY_PORT" <<'PY'
import struct, sys, time
sys.path.insert(0, sys.argv[1])
from wire import CANCEL_REQUEST, Wire, fields, rows
port = int(sys.argv[2])
holder, waiter = Wire(port).login(), Wire(port).login()
extended = [(b"P", b"\0select 6\0\0\0"), (b"B", b"\0\0\0\0\0\0\0\0"), (b"E", b"\0\0\0\0\0"), (b"S", b"")]
for messages in ([(b"Q", b"select 1\0")], extended):
    holder.query("begin")
    waiter.raw(b"".join(k + struct.pack("!I", len(b) + 4) + b for k, b in messages))
    time.sleep(0.3)
    killer = Wire(port)
    killer.packet(struct.pack("!III", CANCEL_REQUEST, waiter.pid, waiter.key))
    print(*[k.decode() if k != b"E" else "E" + fields(b)["C"] for k, b in waiter.until_ready()])
    holder.query("rollback")
    print(rows(waiter.query("select 5")))
PY
}
equal 'cancelled while waiting' $'E57014 Z\n[[\'5\']]\nE57014 Z\n[[\'5\']]' "$(waiting_cancelled 2>&1)"
equal 'the server is free again' 4 "$(proxied psql -XAt -c 'select 4' 2>&1)"
contains 'query_timeout' 'query timeout' "$(proxied psql -XAt -c 'select pg_sleep(20)' 2>&1)"
equal 'and stops at the server, too' 0 "$(sleep 0.5; direct psql -XAt -c "select count(*) from pg_stat_activity where query ~ 'pg_sleep\(20' and pid <> pg_backend_pid() and state = 'active'")"
equal 'query_timeout concerns queries alone' 5 "$(proxied psql -XAt -c '\! sleep 3.5' -c 'select 5' 2>&1)"
equal 'nor one that is idle on a server of its own' 6 "$(proxied psql -XAtq -c 'listen news' -c '\! sleep 3.5' -c 'select 6' 2>&1)"

# Pooling by session: the process id is that of the backend the client has to its end.
stop_pgsteer
start_pgsteer --set auth.mode=terminate --set auth.method=trust --set pool.mode=session
own_process() {
  python3 - "$E2E" "$PGPORT" <<'PY'
import struct, sys, threading, time
sys.path.insert(0, sys.argv[1])
from wire import CANCEL_REQUEST, Wire, fields, rows
one, other = Wire(int(sys.argv[2])).login(), Wire(int(sys.argv[2])).login()
print(rows(one.query("select pg_backend_pid()")) == [[str(one.pid)]])
one.message(b"Q", b"select pg_sleep(20)\0")
time.sleep(0.3)
Wire(int(sys.argv[2])).packet(struct.pack("!III", CANCEL_REQUEST, one.pid, one.key))
print([fields(body)["C"] for kind, body in one.until_ready() if kind == b"E"])
print(rows(other.query(f"select pg_terminate_backend({one.pid})")), one.ends()["C"])
PY
}
same 'pooling by session: the process id, cancelling, pg_terminate_backend' own_process

# Logins: SCRAM with a password kept here, with a SCRAM secret alone (the proof is passed on), md5; wrong ones, and nobody.
stop_pgsteer
start_pgsteer "${pooled[@]}" --set "auth.file=$WORK/users"
login() { PGPORT=$PROXY_PORT PGUSER=$1 PGPASSWORD=$2 psql -XAt -c 'select current_user' 2>&1; }
equal 'SCRAM, the password is in auth.file' keeper "$(login keeper 'kept secret')"
equal 'SCRAM, only the secret is: its keys are passed on' passer "$(login passer 'passed on')"
wrong=$(login keeper 'wrong') nobody=$(login keeper2 'wrong')
contains 'a wrong password' 'password authentication failed for user "keeper"' "$wrong"
equal 'a user that does not exist gets the same words' "${wrong//keeper/X}" "${nobody//keeper2/X}"
contains 'an md5 secret is none for SCRAM' 'password authentication failed' "$(login other other)"
stop_pgsteer
start_pgsteer "${pooled[@]}" --set auth.method=md5 --set "auth.file=$WORK/users"
equal 'md5' other "$(login other other)"
contains 'md5, wrong' 'password authentication failed for user "other"' "$(login other wrong)"
stop_pgsteer
contains 'transaction pooling is refused where pgsteer may hold no secret' 'needs auth.mode' \
  "$("$PGSTEER" run --upstream "postgresql://127.0.0.1:$DIRECT_PORT" --set pool.mode=transaction 2>&1 | head -3)"
finish 25
