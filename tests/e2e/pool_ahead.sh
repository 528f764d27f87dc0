#!/bin/bash
# pool.min_pool_size: a pool that was used once has that many connections without anybody asking, again after they were killed and after
# the server was restarted, within every limit, and not for a user whom the server refuses.
. "$(dirname "$0")/lib.sh"
[ -z "$DIRECT" ] || skip 'nothing to compare with'
start_postgres 'max_connections = 30' 'local all all trust
host postgres postgres 127.0.0.1/32 trust
host all app 127.0.0.1/32 trust
host all shut 127.0.0.1/32 trust'
direct psql -X -q -c 'create role app login' -c 'create role shut login' -c 'create database shop' || exit 1
terminate=(--set auth.mode=terminate --set auth.method=trust --set pool.mode=transaction)
ask() { PGUSER=$1 proxied psql -XAtw -d "${2:-postgres}" -c 'select 1' 2>&1; }
open() { PGHOST=$PG_DATA PGPORT=$DIRECT_PORT PGUSER=postgres psql -XAtw -d postgres -c "select count(*) from pg_stat_activity where usename = '$1' and client_addr is not null and backend_type = 'client backend'" 2>/dev/null; }
reaches() { # name user count
  for _ in $(seq 200); do [ "$(open "$2")" = "$3" ] && break; sleep 0.05; done
  equal "$1" "$3" "$(open "$2")"
}
start_pgsteer "${terminate[@]}" --set pool.min_pool_size=3 --set pool.default_pool_size=5 --set pool.max_user_connections=4 --set upstream.probe=false
sleep 0.5
equal 'a pool that nobody has used is left alone' 0 "$(open app)"
equal 'a client is served' 1 "$(ask app)"
reaches 'and the others are opened ahead' app 3
sleep 0.3
equal 'no more of them' 3 "$(open app)"
PGHOST=$PG_DATA psql -XAtq -p "$DIRECT_PORT" -c "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'app'" >/dev/null
reaches 'killed ones are replaced' app 3
server_stop
sleep 2.5
contains 'while the server is away it is asked less and less' event=not_opened_ahead "$(cat "$WORK/pgsteer.log")"
[ "$(grep -c event=not_opened_ahead "$WORK/pgsteer.log")" -le 3 ] && pass 'with rests' || fail 'it is asked all the time' "$(grep -c event=not_opened_ahead "$WORK/pgsteer.log")"
server_start
reaches 'after a restart nobody has to ask' app 3
equal 'PAUSE' PAUSE "$(console pause)"
equal 'leaves none' 0 "$(open app)"
sleep 0.5
equal 'and none is opened' 0 "$(open app)"
equal RESUME RESUME "$(console resume)"
reaches 'RESUME brings them back' app 3
equal 'a second database of the same user' 1 "$(ask app shop)"
most=0
for _ in $(seq 30); do now=$(open app); [ "${now:-0}" -gt "$most" ] && most=$now; sleep 0.05; done
[ "$most" = 4 ] && pass 'max_user_connections holds, and is used' || fail 'max_user_connections' "saw $most"
equal 'a user whom the server lets in' 1 "$(ask shut)"
sed -i '/shut/d' "$PG_DATA/pg_hba.conf"
PGHOST=$PG_DATA psql -XAtq -p "$DIRECT_PORT" -c 'select pg_reload_conf()' -c "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'shut'" >/dev/null
sleep 2.5
[ "$(grep -c 'event=server_login_failed database=postgres user=shut' "$WORK/pgsteer.log")" = 1 ] && pass 'one whom it refuses is not tried again' || fail 'refused logins' "$(grep -c 'event=server_login_failed' "$WORK/pgsteer.log")"
equal 'the others keep theirs' 1 "$(ask app)"
finish 18
