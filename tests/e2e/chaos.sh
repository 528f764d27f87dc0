#!/bin/bash
# Many clients check their own rows and move money while backends are killed, clients vanish at random bytes, the policies are
# read again and PANIC comes and goes. No wrong row, no lost or made money, nothing left at the server, no growth of memory.
#   CHAOS_POOL=8       transaction pooling, over so many server connections
#   CHAOS_SECONDS=30   length of the run;   CHAOS_SEED=1   its random numbers (their order still depends on timing)
. "$(dirname "$0")/lib.sh"
start_postgres 'max_connections = 100'
direct psql -X -q -v ON_ERROR_STOP=1 -f - <<'SQL' || exit 1
create table accounts (id int primary key, balance bigint not null);
insert into accounts select g, 1000 from generate_series(1, 50) g;
create table words (id int primary key, word text not null);
insert into words select g, 'word ' || g from generate_series(1, 100) g;
create table marks (client int primary key, n int not null);
insert into marks select g, 0 from generate_series(0, 63) g;
analyze;
SQL
mkdir "$WORK/policies"
printf '[default]\nmode = "auto"\ncache = { mode = "strict", min_cost = "0us" }\nrewrite = ["all"]\nsteer = { arms = "default", floor = "1us" }\nreuse = true\n' >"$WORK/policies/all.toml"
# Few analyses are remembered, so that their memory is full early and growth would show.
[ -n "${CHAOS_POOL:-}" ] && E2E_ARGUMENTS="--set auth.mode=terminate --set auth.method=trust --set pool.mode=transaction --set pool.default_pool_size=$CHAOS_POOL"
if [ -n "$DIRECT" ]; then PROXY_PORT=$DIRECT_PORT; else E2E_MODE=auto start_pgsteer --policies "$WORK/policies" --set limits.analysis_cache_entries=300; fi
check 'no wrong row, no lost money, nothing left over' python3 "$E2E/chaos.py" "$DIRECT_PORT" "$PROXY_PORT" "${PGSTEER_PID:-0}" \
  "${CHAOS_SECONDS:-30}" "${CHAOS_SEED:-1}" "$WORK/report" "${CHAOS_POOL:-0}"
cat "$WORK/report" 2>/dev/null
if [ -z "$DIRECT" ]; then
  check 'it is the same process still' kill -0 "$PGSTEER_PID"
  equal 'every reply had its request' '' "$(grep -h tracking_lost "$WORK/pgsteer.log")"
  check 'no crash in the log' bash -c "! grep -Eiq 'segfault|assert|terminate called|AddressSanitizer' $WORK/pgsteer.log"
fi
finish 1
