#!/bin/bash
# Several hosts: which one sessions go to, what they are told when it changes. A planned switch-over behind PAUSE, without one failed query;
# a primary that is killed: transactions under way fail, everybody else goes on with the new one. With logins relayed, and pooled.
. "$(dirname "$0")/lib.sh"
[ -z "$DIRECT" ] || skip 'nothing to route'
start_postgres 'max_connections = 60
wal_keep_size = 64MB
wal_log_hints = on'
direct pgbench -i -q -s 1 >/dev/null 2>&1
start_replica
first=$DIRECT_PORT second=$REPLICA_PORT
url() { printf 'postgresql://127.0.0.1:%s,127.0.0.1:%s/postgres?target_session_attrs=%s' "$second" "$first" "$1"; } # the standby stands first
where() { proxied psql -XAtqc 'select inet_server_port()' 2>&1; }
hosts() { console 'show hosts' | cut -d'|' -f2-4 | sort | tr '\n' ' '; }
sees() { [ "$(hosts)" = "$(printf '%s\n' "$@" | sort | tr '\n' ' ')" ]; }
serves() { [ "$(where)" = "$1" ]; }
pooled=(--set auth.mode=terminate --set auth.method=trust --set pool.mode=transaction --set pool.default_pool_size=4)
quick=(--set upstream.check_interval=200ms --set pool.query_wait_timeout=20s)

for attributes in any read-write standby; do
  case $attributes in primary | read-write) expected=$first ;; *) expected=$second ;; esac
  UPSTREAM_URL=$(url $attributes) start_pgsteer "${quick[@]}"
  await 10 'both hosts are looked at' sees "$first|up|primary" "$second|up|standby"
  equal "relayed logins, target_session_attrs=$attributes" "$expected" "$(where)"
  stop_pgsteer
done
UPSTREAM_URL=$(url primary) start_pgsteer "${quick[@]}"
equal 'a login ahead of the first look waits for it' "$first" "$(where)"
# A cancel request finds its host.
proxied timeout -s INT 1 psql -XAtqc 'select pg_sleep(20)' >"$WORK/cancelled" 2>&1
contains 'a cancel request reaches the right host' 'canceling statement due to user request' "$(cat "$WORK/cancelled")"
stop_pgsteer

# A switch-over: nobody notices.
UPSTREAM_URL=$(url primary) start_pgsteer "${pooled[@]}" "${quick[@]}"
await 10 'both hosts are looked at' sees "$first|up|primary" "$second|up|standby"
proxied pgbench -n -M extended -c 8 -j 1 -T 6 >"$WORK/pgbench" 2>&1 &
bench=$!
sleep 1.5
equal 'PAUSE' PAUSE "$(console pause)"
server_stop fast # sends the standby the rest
as_server "$BIN/pg_ctl" -D "$REPLICA_DATA" -w promote >/dev/null
printf "primary_conninfo = 'host=127.0.0.1 port=%s user=postgres'\n" "$second" >>"$PG_DATA/postgresql.auto.conf"
as_server touch "$PG_DATA/standby.signal"
server_start
equal RESUME RESUME "$(console resume)"
wait $bench
equal 'pgbench ran through the switch-over' 0 $?
contains 'without one failed transaction' 'number of failed transactions: 0 (0.000%)' "$(cat "$WORK/pgbench")"
equal 'nothing is lost or done twice' "$(sed -n 's/^number of transactions actually processed: \([0-9]*\).*/\1/p' "$WORK/pgbench")" "$(replica psql -XAtqc 'select count(*) from pgbench_history')"
await 10 'SHOW HOSTS has both in their new roles' sees "$first|up|standby" "$second|up|primary" && pass 'SHOW HOSTS has both in their new roles'
equal 'new transactions go to the new primary' "$second" "$(where)"
[ "$(grep -c 'event=host .*role=primary' "$WORK/pgsteer.log")" -ge 2 ] && pass 'the log tells of both primaries' || fail 'event=host' "$(grep event=host "$WORK/pgsteer.log")"
stop_pgsteer

# The primary (now the second host) dies; the first is promoted. One client is in a transaction, one waits, one comes later.
for mode in relay pooled; do
  arguments=("${quick[@]}")
  [ $mode = pooled ] && arguments+=("${pooled[@]}")
  UPSTREAM_URL=$(url primary) start_pgsteer "${arguments[@]}"
  if [ $mode = relay ]; then dying=$second dying_data=$REPLICA_DATA rising=$first rising_data=$PG_DATA; else dying=$first dying_data=$PG_DATA rising=$second rising_data=$REPLICA_DATA; fi
  await 10 "$mode: the standby follows" sees "$rising|up|standby" "$dying|up|primary"
  equal "$mode: sessions are on the primary" "$dying" "$(where)"
  mkfifo "$WORK/script"
  proxied psql -XAtq -f "$WORK/script" >"$WORK/transaction" 2>&1 &
  holder=$!
  exec 5>"$WORK/script"
  printf "begin;\nselect 'begun';\n" >&5
  await 10 "$mode: a transaction is under way" grep -q begun "$WORK/transaction"
  mkfifo "$WORK/idle"
  proxied psql -XAtq -f "$WORK/idle" >"$WORK/idle.out" 2>&1 &
  idler=$!
  exec 6>"$WORK/idle"
  printf "select 'there';\n" >&6
  await 10 "$mode: a client is idle" grep -q there "$WORK/idle.out"
  as_server "$BIN/pg_ctl" -D "$dying_data" -m immediate -w stop >/dev/null
  proxied psql -XAtqc "select 'late'" >"$WORK/late" 2>&1 &
  late=$!
  sleep 0.5
  check "$mode: who comes meanwhile waits" kill -0 $late
  as_server "$BIN/pg_ctl" -D "$rising_data" -w promote >/dev/null
  wait $late
  equal "$mode: and is served by the new primary" late "$(cat "$WORK/late")"
  equal "$mode: new sessions go to the new primary" "$rising" "$(where)"
  equal "$mode: which takes writes" 'INSERT 0 1' "$(proxied psql -XAtc 'insert into pgbench_history (tid) values (1)' 2>&1)"
  trap '' PIPE  # it may have ended with its server
  printf 'select 2;\ncommit;\n' >&5
  trap - PIPE
  exec 5>&-
  wait $holder
  case $(cat "$WORK/transaction") in *FATAL* | *'server closed'* | *'connection to server was lost'*) pass "$mode: the transaction of the old primary has failed" ;; *) fail "$mode: the transaction of the old primary" "$(cat "$WORK/transaction")" ;; esac
  printf 'select inet_server_port();\n' >&6
  exec 6>&-
  wait $idler
  [ $mode = relay ] || equal 'pooled: who was idle goes on' "there $rising" "$(tr '\n' ' ' <"$WORK/idle.out" | sed 's/ $//')"
  rm "$WORK/script" "$WORK/idle"
  if [ $mode = relay ]; then
    # The dead one comes back as a standby of the other, by way of a new copy; before that as what it was, a primary of the past.
    as_server "$BIN/pg_ctl" -D "$dying_data" -l "$dying_data/log" -w start >/dev/null
    await 10 'relay: a primary of the past is known as one' sees "$rising|up|primary" "$dying|up|past primary"
    equal 'relay: and gets no sessions' "$rising" "$(where)"
    stop_pgsteer
    as_server "$BIN/pg_ctl" -D "$dying_data" -m immediate -w stop >/dev/null
    as_server find "$dying_data" -mindepth 1 -delete
    as_server "$BIN/pg_basebackup" -d "host=127.0.0.1 port=$rising user=postgres" -D "$dying_data" -R -X stream -c fast >"$WORK/basebackup.log" 2>&1 || cat "$WORK/basebackup.log"
    printf "port = %s\nunix_socket_directories = '%s'\n" "$dying" "$dying_data" >>"$dying_data/postgresql.conf"
    replica_start
  else
    stop_pgsteer
  fi
done
finish 27
