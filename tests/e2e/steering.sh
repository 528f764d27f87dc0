#!/bin/bash
# Steering against its adversaries: parameters that flip the best plan, an arm that is slow on purpose, a restart, decisions carried
# over by file; and what stays behind on the connection.
. "$(dirname "$0")/lib.sh"
[ -z "$DIRECT" ] || { echo "steering.sh: nothing to check without pgsteer"; exit 0; }
start_postgres "max_parallel_workers_per_gather = 0
jit = off
autovacuum = off
log_statement = all"
# x, y and z are one: the planner expects a hundredth of the rows. Of 99 there are three.
direct psql -q -c "create table a (id int primary key, k int, x int, y int, z int)" -c "create table b (id int primary key, k int, v int)" \
  -c "insert into a select g, (g * 7919::bigint) % 8000, g % 20, g % 20, g % 20 from generate_series(1, 40000) g" \
  -c "insert into a select 50000 + g, g, 99, 99, 99 from generate_series(1, 3) g" \
  -c "insert into b select g, (g * 104729::bigint) % 8000, g % 100 from generate_series(1, 80000) g" -c "create index on b (k)" \
  -c "create table c as select g as v from generate_series(1, 12000) g" -c "create table d as select g as v from generate_series(1, 12000) g" -c "vacuum analyze"
mkdir "$WORK/policies"
cat >"$WORK/policies/all.toml" <<'TOML'
[default]
mode = "auto"
rewrite = false
cache = "off"
steer = { floor = "1ms", min_gain_time = "1ms", budget = "100%" }
TOML
begin() { start_pgsteer --policies "$WORK/policies" --set learning.explore_idle=0 --set catalog.refresh_interval=1h "$@"; }
text() { echo "select count(*), sum(b.v) from a join b on b.k = a.k where a.x = $1 and a.y = $1 and a.z = $1"; }
ask() { proxied psql -X -A -t -c "$(text "$1")"; }
steered() { grep -c "SET LOCAL enable.*x = $1 and" "$PG_DATA/log"; }
until_steered() { # from value on
  local v
  for v in $(seq "$1" "$(($1 + 9))") $(seq "$1" "$(($1 + 9))") $(seq "$1" "$(($1 + 9))"); do
    ask "$v" >/dev/null
    ask "$v" >/dev/null
    [ "$(steered "$v")" -gt 0 ] && return 0
    sleep 0.5
  done
  return 1
}

begin
check 'an arm is explored and serves' until_steered 1
for _ in $(seq 100); do [ "$(console 'show feedback' | grep -c '^settled|yes')" = 1 ] && break; sleep 0.2; done
: >"$PG_DATA/log"
for v in 15 16 17; do equal "answer for a value never seen, $v" "$(direct psql -X -A -t -c "$(text $v)")" "$(ask $v)"; done
check 'values never seen are steered' [ "$(($(steered 15) + $(steered 16) + $(steered 17)))" -ge 2 ]
check 'which plan the server has was asked first' grep -q 'EXPLAIN (FORMAT JSON) select count' "$PG_DATA/log"
same 'an error inside' psql -X -A -t -c "$(text 1/0)"
equal 'no setting stays behind' 'on|0' "$(proxied psql -X -A -t -q -c "$(text 3)" -c "select current_setting('enable_nestloop'), current_setting('statement_timeout')" | tail -1)"
same 'in a transaction block' psql -X -A -t -c begin -c "$(text 4)" -c 'show enable_nestloop' -c 'show statement_timeout' -c commit
same 'a limit of the client stays' psql -X -A -t -c "set statement_timeout = '1min'" -c "$(text 5)" -c 'show statement_timeout'

"$PGSTEER" steering export --url "host=127.0.0.1 port=$PROXY_PORT dbname=pgsteer" "$WORK/decisions.toml"
tune() { "$PGSTEER" tune --state-dir "${STATE_DIR:-$WORK/state}" --policies "$WORK/policies" "$@"; }
contains 'other settings are valued' 'as it is' "$(tune --dry-run)"
equal 'a dry run leaves nothing' 0 "$(console 'show tuning' | grep -c '^as it is|')"
contains 'what was found is shown' 'SHOW TUNING' "$(tune)"
contains 'on the console' 'without hash_only|' "$(console 'show tuning')"
contains 'experiments show how far they got' '|serving|' "$(console 'show experiments')"
contains 'decisions are exported' 'candidate = "arm:' "$(cat "$WORK/decisions.toml")"
stop_pgsteer
begin --set learning.explore=false
: >"$PG_DATA/log"
check 'what was explored serves after a restart' until_steered 1 || { console 'show experiments'; tail -5 "$WORK/state/audit.log"; }
contains 'and says so' 'explored before this start' "$(console 'show experiments')"
stop_pgsteer
STATE_DIR=$WORK/state2
begin --set learning.explore=false
: >"$PG_DATA/log"
contains 'decisions are imported' '0 refused' "$("$PGSTEER" steering import --url "host=127.0.0.1 port=$PROXY_PORT dbname=pgsteer" "$WORK/decisions.toml")"
check 'what was imported serves' until_steered 1
fingerprint=$(sed -n 's/^fingerprint = "\(.*\)"/\1/p' "$WORK/decisions.toml" | head -1)
console "unpin '$fingerprint'" >/dev/null
sleep 1
: >"$PG_DATA/log"
for v in 6 7 8; do ask $v >/dev/null; done
equal 'and can be taken back' 0 "$(($(steered 6) + $(steered 7) + $(steered 8)))"

# An arm that takes minutes.
slow="select count(*) from c join d on c.v = d.v"
for _ in $(seq 6); do proxied psql -X -A -t -c "$slow" >/dev/null; done
sleep 1.5
fingerprint=$(console 'show queries' | grep -F 'from c join d' | cut -d'|' -f1)
equal 'the slow arm is approved' 'APPROVE' "$(console "approve '$fingerprint' 'nestloop_only'")"
sleep 0.5
: >"$PG_DATA/log"
before=$SECONDS
equal 'it is given up and the original answers' 12000 "$(proxied psql -X -A -t -c "$slow")"
echo "$slow;" >"$WORK/slow.sql"
check 'in the extended protocol, too' proxied pgbench -n -M extended -f "$WORK/slow.sql" -t 3
check 'it was tried' grep -q 'enable_hashjoin' "$PG_DATA/log"
check "nobody waited for it ($((SECONDS - before)) s)" [ "$((SECONDS - before))" -lt 40 ]
contains 'the client sees no error' 'event=fallback' "$(cat "$WORK/pgsteer.log")"
sleep 0.5
tried=$(grep -c enable_hashjoin "$PG_DATA/log")
for _ in 1 2 3; do proxied psql -X -A -t -c "$slow" >/dev/null; done
equal 'losses end it' "$tried" "$(grep -c enable_hashjoin "$PG_DATA/log")"
equal 'no limit stays behind' 0 "$(proxied psql -X -A -t -c 'show statement_timeout')"
stop_pgsteer

# A policy that loses: the slow arm's statements cost it its budget, and it observes until it is resumed.
STATE_DIR=$WORK/state3
sed -i 's/^steer = .*/&\nregret = { policy = "10ms", fingerprint = "1h" }/' "$WORK/policies/all.toml"
begin --set learning.explore=false
for _ in $(seq 6); do proxied psql -X -A -t -c "$slow" >/dev/null; done
sleep 1.5
fingerprint=$(console 'show queries' | grep -F 'from c join d' | cut -d'|' -f1)
console "approve '$fingerprint' 'nestloop_only'" >/dev/null
sleep 0.5
equal 'the adversarial arm is given up' 12000 "$(proxied psql -X -A -t -c "$slow")"
held() { console 'show policies' | grep -c '^default|held|'; }
for _ in $(seq 50); do [ "$(held)" = 1 ] && break; sleep 0.1; done
equal 'its policy observes' 1 "$(held)"
contains 'the audit log has it' 'event=policy_held' "$(cat "$WORK/state3/audit.log")"
: >"$PG_DATA/log"
for _ in 1 2 3; do proxied psql -X -A -t -c "$slow" >/dev/null; done
equal 'nothing is steered' 0 "$(grep -c 'SET LOCAL enable' "$PG_DATA/log")"
contains 'decisions say why' '|regret|' "$(console 'show decisions')"
equal 'it is resumed' 'RESUME POLICY' "$(console "resume policy 'default'")"
equal 'and acts' 0 "$(held)"
stop_pgsteer
sed -i '/^regret/d' "$WORK/policies/all.toml"

# Under one and the same plan another value is faster as it is: once that is seen, the arm is taken back, whatever it gained elsewhere.
STATE_DIR=$WORK/state
begin
for v in 1 2 3 1 2 3; do ask "$v" >/dev/null; done
calm=0
for _ in $(seq 60); do
  : >"$PG_DATA/log"
  for _ in 1 2 3; do ask 99 >/dev/null; done
  if [ "$(steered 99)" = 0 ]; then calm=$((calm + 1)); else calm=0; fi
  [ "$calm" -ge 4 ] && break
  sleep 0.3
done
check 'an arm that loses for a value is not used there' [ "$calm" -ge 4 ]
equal 'answer for few rows' "$(direct psql -X -A -t -c "$(text 99)")" "$(ask 99)"
finish 37
