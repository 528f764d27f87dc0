#!/bin/bash
# Rules in the syntax of pg_hba.conf: the same file given to PostgreSQL and to pgsteer lets the same clients in and refuses the others in
# the same words; a reload takes a new file whole or keeps the old one and says why; the console obeys too.
. "$(dirname "$0")/lib.sh"
[ -z "$DIRECT" ] || skip 'nothing to compare with'
start_postgres 'password_encryption = scram-sha-256' 'local all all trust
host all all 127.0.0.1/32 trust'
direct psql -X -q -v ON_ERROR_STOP=1 <<'SQL' || exit 1
create role app login password 'app word';
create role "we ird" login password 'ird';
create role plain login password 'clear';
create role old login;
create role tenant_7 login;
create database shop;
create database app;
create role nobody login;
set password_encryption = 'md5';
alter role old password 'old word';
SQL
direct psql -X -q -A -t -c "select format('\"%s\" \"%s\"', rolname, rolpassword) from pg_authid where rolpassword is not null" >"$WORK/users"
chmod 600 "$WORK/users"
rules='# one file for both
host shop "we ird",app 127.0.0.1 255.255.255.255 scram-sha-256
host sameuser app 127.0.0.1/32 reject
host postgres old 127.0.0.0/8 md5
host postgres app 127.0.0.0/8 md5
host postgres plain samehost password
hostssl postgres nobody all trust
host "all" all all trust
host postgres postgres 127.0.0.1/32 trust
host postgres /^tenant_[0-9]+$ all trust
host replication app all trust
host pgsteer postgres all trust
local all nobody peer
local all root peer'
printf '%s\n' "$rules" >"$WORK/hba.conf"
# PostgreSQL 15 knows no expressions of users
printf 'local all all trust\n%s\n' "$(sed 's|/^tenant_\[0-9\]+\$|tenant_7|' <<<"$rules" | grep -v ^local)" >"$PG_DATA/pg_hba.conf"
mkdir -m 777 "$WORK/run"
terminate=(--set auth.mode=terminate --set "auth.file=$WORK/users" --set "auth.hba_file=$WORK/hba.conf" --set "listen.unix_socket_dir=$WORK/run")
# The server has not read its copy yet: behind pgsteer it trusts everybody, and who is let in is decided in front.
start_pgsteer "${terminate[@]}"

login() { # user password database
  PGUSER=$1 PGPASSWORD=$2 psql -X -A -t -d "$3" -w -c 'select current_user, current_database()' 2>&1 | sed "s/port [0-9]*/port N/"
}
try_all() {
  login app 'app word' shop
  login app 'wrong' shop
  login 'we ird' ird shop
  login app 'app word' app
  login old 'old word' postgres
  login old wrong postgres
  login app 'app word' postgres
  login plain clear postgres
  login plain wrong postgres
  login nobody x postgres
  login postgres x postgres
  login postgres x shop
  login tenant_7 x postgres
  login tenant_7 x shop
  PGUSER=tenant_7 psql -X -w 'dbname=postgres replication=true' -c 'IDENTIFY_SYSTEM' 2>&1 | sed "s/port [0-9]*/port N/"
}
got=$(PGPORT=$PROXY_PORT try_all)
direct psql -XAtq -c 'select pg_reload_conf()' >/dev/null
sleep 0.5
want=$(PGPORT=$DIRECT_PORT try_all)
equal 'the same clients are let in, the others told the same' "$want" "$got"
contains 'the expected ones are in' 'app|shop' "$got"
contains 'no rule speaks of it' 'no pg_hba.conf entry for host "127.0.0.1", user "nobody", database "postgres", no encryption' "$got"
contains 'reject' 'pg_hba.conf rejects connection for host "127.0.0.1", user "app", database "app", no encryption' "$got"
contains 'a walsender needs a rule of its own' 'no pg_hba.conf entry for replication connection from host "127.0.0.1", user "tenant_7", no encryption' "$got"
PG_HBA=$(printf 'local all all trust\nhost all all 127.0.0.1/32 trust\n'); printf '%s\n' "$PG_HBA" >"$PG_DATA/pg_hba.conf"
PGHOST=$PG_DATA direct psql -XAtq -c 'select pg_reload_conf()' >/dev/null
sleep 0.3

sqlstate() { # of a refusal
  python3 - "$E2E" "$PROXY_PORT" "$1" "$2" <<'PY'
import sys
sys.path.insert(0, sys.argv[1])
from wire import Wire, Failed
try:
    Wire(int(sys.argv[2])).login(user=sys.argv[3], database=sys.argv[4])
    print("in")
except Failed as failed:
    print(failed.args[0]["S"], failed.args[0]["C"])
PY
}
equal 'SQLSTATE where no rule fits' 'FATAL 28000' "$(sqlstate nobody postgres)"
equal 'SQLSTATE of reject' 'FATAL 28000' "$(sqlstate app app)"
equal 'trust' in "$(sqlstate postgres postgres)"

# The unix socket: peer asks the operating system.
peer() { PGHOST=$WORK/run PGPORT=$PROXY_PORT PGUSER=$1 psql -XAtw -d postgres -c 'select current_user' 2>&1; }
me=$(id -un)
if [ "$me" = root ]; then
  equal 'peer: who one is' nobody "$(cd / && runuser -u nobody -- env PGHOST="$WORK/run" PGPORT="$PROXY_PORT" PGUSER=nobody psql -XAtw -d postgres -c 'select current_user' 2>&1)"
  contains 'peer: somebody else' 'Peer authentication failed for user "nobody"' "$(peer nobody)"
else
  pass 'peer as another user needs root'
  [ "$me" = nobody ] || contains 'peer: somebody else' 'Peer authentication failed for user "nobody"' "$(peer nobody)"
fi
contains 'no rule for the socket' 'no pg_hba.conf entry for host "[local]", user "app", database "postgres", no encryption' "$(peer app)"

# Reload.
contains 'the console is in by its rule' pgsteer "$(console 'show version')"
printf '%s\nhost all all nowhere.example trust\n' "$rules" >"$WORK/hba.conf"
contains 'a bad file is refused with its line' "hba.conf:$(($(wc -l <<<"$rules") + 1)): expected an IP address, all, samehost or samenet, got 'nowhere.example'" "$(console reload)"
equal 'and the old rules stay' 'FATAL 28000' "$(sqlstate nobody postgres)"
contains 'check names the same line' "hba.conf:$(($(wc -l <<<"$rules") + 1)):" "$("$PGSTEER" check "${terminate[@]}" 2>&1)"
printf 'host postgres nobody 127.0.0.1/32 trust\n%s\n' "$rules" >"$WORK/hba.conf"
equal 'a good one is taken' RELOAD "$(console reload)"
equal 'and holds' in "$(sqlstate nobody postgres)"
contains 'check takes it' 'auth.hba_file' "$("$PGSTEER" check "${terminate[@]}" 2>&1)"
contains 'rules in mode relay are a mistake' 'rules need auth.mode' "$("$PGSTEER" check --set "auth.hba_file=$WORK/hba.conf" 2>&1)"
contains 'cert needs TLS' 'hba.conf:1: cert needs tls.mode' "$(echo 'hostssl all all all cert' >"$WORK/hba.conf"; "$PGSTEER" check "${terminate[@]}" 2>&1)"
printf 'host all app all trust\n' >"$WORK/hba.conf"
equal 'rules without the console' RELOAD "$(console reload)"
contains 'shut it' 'no pg_hba.conf entry for host "127.0.0.1", user "postgres", database "pgsteer"' "$(console 'show version')"
contains 'the log has the refusals' 'event=login_refused user=nobody database=postgres address=127.0.0.1 hba_line=none' "$(cat "$WORK/pgsteer.log")"
finish 23
