#!/bin/bash
# Two pgsteer with one Redis and one PostgreSQL: a write through one is seen through the other at once, also while proxies and Redis
# are killed, stopped and restarted empty. CACHE_HISTORY_SECONDS=600 for a long run (default 20), CACHE_HISTORY_KEEP=file keeps a
# history that has violations. CACHE_MODE=strict+wal: with a writer that bypasses both, and walsenders that end.
. "$(dirname "$0")/lib.sh"
[ -n "$DIRECT" ] && { echo "cache_group.sh: nothing to check without the proxy"; exit 0; }
python3 -c 'import psycopg2' 2>/dev/null || skip 'psycopg2 is not installed'
mode=${CACHE_MODE:-strict}
start_postgres "wal_level = $([ "$mode" = strict ] && echo replica || echo logical)"
start_redis
echo "$REDIS_PID" >"$WORK/redis.pid"
redis_again() { # also from a subshell
  redis_run
  echo "$REDIS_PID" >"$WORK/redis.pid"
}
history_tables -c 'create table t(v int)' -c 'insert into t values (1)' -c 'create table log(v int)' -c 'insert into log values (0)' || exit 1
strict_cache_policy
sed -i "s/\"strict\"/\"$mode\"/" "$WORK/policies/cache.toml"
PORTS=("$(free_port)" "$(free_port)")
member() { # number [port of its Redis]: starts it, its process id goes to $WORK/member.number
  "$PGSTEER" run --upstream "postgresql://127.0.0.1:$DIRECT_PORT" --listen "127.0.0.1:${PORTS[$1]}" --state-dir "$WORK/state$1" --mode auto \
    --set http.port=0 --policies "$WORK/policies" --set upstream.probe_url="postgresql://postgres@127.0.0.1:$DIRECT_PORT/postgres" --set learning.explore=false \
    --set threads.count=2 --set cache.redis_url="redis://127.0.0.1:${2:-$REDIS_PORT}" --set cache.redis_min_cost=0s --set cache.redis_deadline=20ms --set cache.group=e2e \
    >>"$WORK/pgsteer.log" 2>&1 &
  echo $! >"$WORK/member.$1"
  wait_port "${PORTS[$1]}" "pgsteer $1"
}
trap 'kill -9 $(cat "$WORK"/member.* "$WORK/redis.pid" 2>/dev/null) 2>/dev/null; cleanup' EXIT
pid() { cat "$WORK/member.$1"; }
q() { PGPORT=${PORTS[$1]} psql -X -A -t -q -c "$2" 2>&1; } # number, statement
shown() { PROXY_PORT=${PORTS[$1]} console 'show cache' | sed -n "s/^$2|//p"; }
state() { shown "$1" group; }
in_use() { [ "$(state 0)" = 'in use' ] && [ "$(state 1)" = 'in use' ] && [ "$(shown 0 group_members)" = 2 ]; }
hit() { # number, statement: whether it is answered from the cache
  local before
  before=$(shown "$1" hits)
  q "$1" "$2" >/dev/null
  [ "$(shown "$1" hits)" -gt "$before" ]
}
both_hit() { hit 0 "$1" && hit 1 "$1"; }
member 0
member 1
await 60 'both members are in use' in_use
read='select sum(v) from t'
await 60 'both answer from the cache' both_hit "$read"
check 'both answer from the cache' both_hit "$read"
equal 'one has it from the other' "$(shown 0 group_generation)" "$(shown 1 group_generation)"

wrong=0
for i in $(seq 2 21); do
  q $((i % 2)) "update t set v = $i" >/dev/null
  [ "$(q $(((i + 1) % 2)) "$read")" = "$i" ] || wrong=$((wrong + 1))
done
equal 'what one writes the other reads, 20 times' 0 $wrong

# DDL through one: the other works out its writes anew.
q 0 'create function also() returns trigger language plpgsql as $$begin update log set v = v + 1; return null; end$$' >/dev/null
await 60 'the log is cached' both_hit 'select sum(v) from log'
q 0 'create trigger also after update on t for each row execute function also()' >/dev/null
# One keeps the log again; the other has not looked anything up since, and writes by the picture of before.
await 60 'the log is cached by one' hit 0 'select sum(v) from log'
wrong=0
for i in $(seq 1 10); do
  q 1 "update t set v = $i" >/dev/null
  for n in 0 1; do [ "$(q $n 'select sum(v) from log')" = "$i" ] || wrong=$((wrong + 1)); done
done
equal 'a trigger that came through the other is known' 0 $wrong
q 0 'create view w as select sum(v) as v from t' >/dev/null
await 60 'the view is cached' both_hit 'select v from w'
q 0 'create or replace view w as select sum(v) as v from log' >/dev/null
equal 'a view that was replaced through the other' "$(direct psql -XAtqc 'select v from w')" "$(q 1 'select v from w')"
q 0 'drop trigger also on t' >/dev/null

# FLUSH CACHE is everybody's.
await 60 'it is cached again' both_hit "$read"
PROXY_PORT=${PORTS[1]} console 'flush cache' >/dev/null
if hit 0 "$read"; then fail 'FLUSH CACHE reaches the other'; else pass 'FLUSH CACHE reaches the other'; fi

# Redis stands still: writes go on after the fence, reads are never stale, and it all comes back.
await 60 'it is cached again' both_hit "$read"
kill -STOP "$REDIS_PID"
start=$(date +%s%N)
q 0 'update t set v = 100' >/dev/null
took=$((($(date +%s%N) - start) / 1000000))
equal 'with Redis stopped the other does not answer from the cache' 100 "$(q 1 "$read")"
[ $took -lt 5000 ] && pass "the write waited $took ms" || fail "the write waited $took ms"
equal 'and the next' 101 "$(q 0 'update t set v = 101' >/dev/null; q 1 "$read")"
kill -CONT "$REDIS_PID"
await 60 'and is used again' both_hit "$read"
equal 'with what was written meanwhile' 101 "$(q 1 "$read")"

# One member has lost its Redis, the other answers from the cache: who writes waits until it does not any more.
leaves() { # number: by SIGTERM, until it is gone
  kill -TERM "$(pid "$1")"
  for _ in $(seq 100); do kill -0 "$(pid "$1")" 2>/dev/null || break; sleep 0.1; done
}
start_gate "$REDIS_PORT"
leaves 0
member 0 "$GATE_PORT"
wrong=0
for how in 'both stall' refuse 'both stall'; do
  await 60 'both answer from the cache' both_hit "$read"
  gate_says "$GATE_CONTROL" "$how" >/dev/null
  [ "$how" = refuse ] && gate_says "$GATE_CONTROL" reset >/dev/null
  for i in $(seq 3); do
    q 0 'update t set v = v + 1' >/dev/null
    [ "$(q 1 "$read")" = "$(direct psql -XAtqc "$read")" ] || wrong=$((wrong + 1))
  done
  gate_says "$GATE_CONTROL" clear >/dev/null
done
equal 'with Redis away for the writer alone the other does not answer from the cache' 0 $wrong
leaves 0
member 0
await 60 'both answer from the cache' both_hit "$read"

# Redis dies and comes back empty, a member dies.
kill -9 "$REDIS_PID"
q 1 'update t set v = 102' >/dev/null
equal 'Redis is dead' 102 "$(q 0 "$read")"
redis_again
await 60 'it is back, empty' both_hit "$read"
equal 'and the answer the same' 102 "$(q 0 "$read")"
generation=$(shown 1 group_generation)
kill -9 "$(pid 0)"
await 30 'the survivor begins a generation' bash -c "[ \"\$(PGPORT=${PORTS[1]} psql -XAtq -d pgsteer -c 'show cache' | sed -n 's/^group_generation|//p')\" != $generation ]"
await 60 'and goes on alone' hit 1 "$read"
member 0
await 60 'the dead one is back' both_hit "$read"
generation=$(shown 1 group_generation)
leaves 0
sleep 0.5
equal 'who leaves with a farewell takes nothing with him' "$generation" "$(shown 1 group_generation)"
member 0
await 60 'and comes back to it' both_hit "$read"
equal 'it is the same generation' "$generation" "$(shown 0 group_generation)"

# Linearizability with faults.
seconds=${CACHE_HISTORY_SECONDS:-20}
nemesis() {
  local end=$((SECONDS + seconds - 4)) step=0 victim redis
  sleep 3
  while [ $SECONDS -lt $end ]; do
    redis=$(cat "$WORK/redis.pid")
    case $((step++ % 9)) in
      0) redis-cli -p "$REDIS_PORT" flushall >/dev/null ;;
      1) victim=$((RANDOM % 2)); kill -9 "$(pid $victim)"; sleep 0.5; member $victim ;;
      2) kill -STOP "$redis"; sleep 2; kill -CONT "$redis" ;;
      3) kill -9 "$redis"; sleep 0.5; redis_again ;;
      4) victim=$(pid $((RANDOM % 2))); kill -STOP "$victim"; sleep 1.5; kill -CONT "$victim" ;;
      5) direct psql -XAtq -c "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'pgsteer group' limit 1" >/dev/null 2>&1 ;;
      6) redis-cli -p "$REDIS_PORT" client kill type normal >/dev/null ;;
      7) direct psql -XAtq -c "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'pgsteer feed' limit 1" >/dev/null 2>&1 ;;
      8) victim=$(direct psql -X -A -t -c "select pid from pg_stat_activity where query like '%update r%' and pid <> pg_backend_pid() limit 1" 2>/dev/null)
         [ -n "$victim" ] && direct psql -X -A -t -q -c "select pg_terminate_backend($victim)" >/dev/null 2>&1 ;;
    esac
    sleep "${CACHE_HISTORY_CALM:-2}"
  done
}
nemesis >>"$WORK/nemesis.log" 2>&1 &
nemesis_pid=$!
CACHE_HISTORY_BYPASS=$([ "$mode" = strict ] && echo 0 || echo 1) timeout $((seconds + 90)) "$PYTHON" "$E2E/history_check.py" run "$DIRECT_PORT" "${PORTS[0]},${PORTS[1]}" "$seconds" ${CACHE_HISTORY_KEEP:-}
equal "$seconds s of traffic under faults" 0 $?
wait $nemesis_pid
check 'no crash in the log' bash -c "! grep -Eiq 'segfault|assert|terminate called|AddressSanitizer' $WORK/pgsteer.log"
finish 17
