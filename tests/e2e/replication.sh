#!/bin/bash
# Walsenders through pgsteer, with the server's own programs: pg_basebackup, pg_receivewal, pg_recvlogical, by relay and where clients log
# in at pgsteer; and protocol 3.2 with its long cancel keys.
. "$(dirname "$0")/lib.sh"
start_postgres "wal_level = logical
max_wal_senders = 6
max_replication_slots = 6
password_encryption = scram-sha-256" 'local all all trust
host all postgres 127.0.0.1/32 trust
host replication postgres 127.0.0.1/32 trust
host all,replication copier 127.0.0.1/32 scram-sha-256'
direct psql -X -q -c "create role copier login replication password 'copy that'" -c 'create table t (i int primary key)' || exit 1
printf '"copier" "%s"\n' "$(direct psql -XAt -c "select rolpassword from pg_authid where rolname = 'copier'")" >"$WORK/users"
chmod 600 "$WORK/users"
export PGUSER=copier PGPASSWORD='copy that'
inserted=0
as_postgres() { PGUSER=postgres direct psql -XAtq -c "$1"; }

walsenders() { # [words after --set]
  rm -rf "$WORK/base" "$WORK/wal"
  proxied timeout 60 pg_basebackup -w -D "$WORK/base" -X stream -c fast >"$WORK/out" 2>&1 && pass "$1: pg_basebackup, its WAL streamed beside it" || fail "$1: pg_basebackup" "$(cat "$WORK/out")"
  check "$1: the backup is whole" "$BIN/pg_verifybackup" -n "$WORK/base"
  mkdir "$WORK/wal"
  env --default-signal=INT PGPORT="$PROXY_PORT" pg_receivewal -w -D "$WORK/wal" -n --synchronous >"$WORK/out" 2>&1 &
  local receiver=$!
  PIDS+=($receiver)
  local end=
  for _ in $(seq 200); do
    [ "$(as_postgres "select count(*) from pg_stat_replication where application_name = 'pg_receivewal'")" = 1 ] && break
    sleep 0.1
  done
  equal "$1: pg_receivewal streams, under its own name" 1 "$(as_postgres "select count(*) from pg_stat_replication where application_name = 'pg_receivewal' and usename = 'copier'")"
  contains "$1: SHOW CLIENTS has it" copier "$(PGUSER=postgres console 'show clients')"
  as_postgres "insert into t select generate_series($inserted + 1, $inserted + 20000)"
  inserted=$((inserted + 20000))
  end=$(as_postgres 'select pg_switch_wal()')
  for _ in $(seq 200); do
    [ "$(as_postgres "select coalesce(bool_or(flush_lsn >= '$end'), false) from pg_stat_replication where application_name = 'pg_receivewal'")" = t ] && break
    sleep 0.1
  done
  equal "$1: what was written arrives and is confirmed" t "$(as_postgres "select bool_or(flush_lsn >= '$end') from pg_stat_replication where application_name = 'pg_receivewal'")"
  kill -INT $receiver
  wait $receiver && pass "$1: pg_receivewal ends well" || fail "$1: pg_receivewal" "$(cat "$WORK/out")"
  for _ in $(seq 100); do [ "$(as_postgres 'select count(*) from pg_stat_replication')" = 0 ] && break; sleep 0.1; done
  equal "$1: no walsender stays" 0 "$(as_postgres 'select count(*) from pg_stat_replication')"
  local slot=${1%% *}
  check "$1: pg_recvlogical makes a slot" proxied timeout 30 pg_recvlogical -w -d postgres --slot "$slot" --create-slot -P test_decoding
  as_postgres "insert into t values (-$((++inserted)))"
  proxied timeout 30 pg_recvlogical -w -d postgres --slot "$slot" --start -f "$WORK/logical" --no-loop --endpos "$(as_postgres 'select pg_current_wal_lsn()')" >"$WORK/out" 2>&1
  contains "$1: and reads what happened" "table public.t: INSERT: i[integer]:-$inserted" "$(cat "$WORK/logical")"
  check "$1: and drops it" proxied timeout 30 pg_recvlogical -w -d postgres --slot "$slot" --drop-slot
  same "$1: SQL of a logical walsender" psql -XAtw 'dbname=postgres replication=database options=-cwork_mem=5MB' -c 'show work_mem' -c 'IDENTIFY_SYSTEM' -c 'select count(*) >= 0 from t'
  same "$1: a value that is none" psql -XAtw 'dbname=postgres replication=perhaps' -c 'select 1'
  equal "$1: replication=off is an ordinary session" copier "$(proxied psql -XAtw 'dbname=postgres replication=off' -c 'select current_user' 2>&1)"
}

start_pgsteer
walsenders relay
[ -n "$DIRECT" ] && finish 10
stop_pgsteer
start_pgsteer --set auth.mode=terminate --set pool.mode=transaction --set "auth.file=$WORK/users" --set auth.method=scram-sha-256 --set pool.default_pool_size=2
walsenders terminate
contains 'a wrong password opens no walsender' 'password authentication failed for user "copier"' \
  "$(PGPASSWORD=wrong proxied psql -XAtw 'dbname=postgres replication=true' -c IDENTIFY_SYSTEM 2>&1)"
stop_pgsteer

# Protocol 3.2.
start_pgsteer --set auth.mode=terminate --set pool.mode=transaction --set auth.method=trust
protocol() {
  python3 - "$E2E" "$PROXY_PORT" <<'PY'
import struct, sys, threading, time
sys.path.insert(0, sys.argv[1])
from wire import CANCEL_REQUEST, Wire, fields, rows
port = int(sys.argv[2])


def login(version, **more):
    w, seen = Wire(port), []
    words = {"user": "postgres", "database": "postgres", **more}
    w.packet(struct.pack("!I", version) + b"".join(k.encode() + b"\0" + v.encode() + b"\0" for k, v in words.items()) + b"\0")
    while True:
        kind, body = w.receive()
        if kind == b"v":
            seen.append("v %d.%d %d" % (struct.unpack("!HH", body[:4]) + struct.unpack("!I", body[4:8])))
        if kind == b"K":
            w.secret = body
            seen.append("key of %d bytes" % (len(body) - 4))
        if kind == b"E":
            seen.append(fields(body)["C"])
            return w, seen
        if kind == b"Z":
            return w, seen


def cancelled(w, secret):
    answer = []
    t = threading.Thread(target=lambda: answer.extend(w.query("select pg_sleep(%s)" % (20 if secret == w.secret else 0.7))))
    t.start()
    time.sleep(0.3)
    k = Wire(port)
    k.packet(struct.pack("!I", CANCEL_REQUEST) + secret)
    k.ends()
    t.join()
    return [fields(b)["C"] for kind, b in answer if kind == b"E"] or "went on"


for version in (3 << 16, 3 << 16 | 2, 3 << 16 | 9999):
    w, seen = login(version)
    print(*seen, rows(w.query("select 1")), cancelled(w, w.secret), cancelled(w, w.secret[:-1] + bytes([w.secret[-1] ^ 1])), cancelled(w, w.secret[:8] if len(w.secret) > 8 else w.secret + b"x"))
print(*login(3 << 16 | 2, **{"_pq_.new": "1"})[1])
PY
}
equal 'protocol 3.0, 3.2 and a later one' "key of 4 bytes [['1']] ['57014'] went on went on
key of 32 bytes [['1']] ['57014'] went on went on
v 3.2 0 key of 32 bytes [['1']] ['57014'] went on went on
v 3.2 1 key of 32 bytes" "$(protocol 2>&1)"
finish 28
