#!/bin/bash
# No string of a statement, whatever its kind, comes into the store, the log (at level debug), the console's tables, the metrics or a report.
. "$(dirname "$0")/lib.sh"
[ -z "$DIRECT" ] || skip 'there is nothing that could keep it'
start_postgres 'max_connections = 60'
http=$(free_port)
E2E_MODE=auto start_pgsteer --set log.level=debug --set learning.flush_interval=50ms --set http.port="$http"
direct psql -X -q -c 'create table t (id int, v text)' || exit 1
count=0
while IFS= read -r text; do
  count=$((count + 1))
  proxied psql -X -q -c "${text//SECRET/sekrit$count}" >/dev/null 2>&1
  printf '%s\n' "$text" >>"$WORK/list"
done <<'SQL'
create role u1 login password 'SECRET'
alter role u1 password 'SECRET'
create user mapping for u1 server nowhere options (user 'x', password 'SECRET')
create subscription sub connection 'host=nowhere password=SECRET' publication p with (connect = false)
set my.secret = 'SECRET'
select set_config('my.secret', 'SECRET', false)
do $$ begin perform 'SECRET'; end $$
create or replace function f() returns text language sql as 'select ''SECRET'''
select 1 /* SECRET */
insert into t values (1, 'SECRET')
select * from t where v = 'SECRET'
select 'SECRET'; select 2
select 'SECRET
prepare p as select * from t where v = 'SECRET'
explain select * from t where v = 'SECRET'
comment on table t is 'SECRET'
copy (select 'SECRET') to stdout
create table c as select $$SECRET$$ as x
alter system set archive_command = 'SECRET'
select * from dblink('password=SECRET') as x(a int)
call nothing(E'SECRET')
declare c cursor for select 'SECRET'
execute p('SECRET')
create table d (a text default 'SECRET')
SQL
for _ in $(seq 100); do console 'SHOW QUERIES' >"$WORK/seen.queries"; grep -q 'create table d' "$WORK/seen.queries" && break; sleep 0.1; done
for name in DECISIONS CLIENTS SERVERS ADVICE EXPERIMENTS CACHE MISMATCHES; do console "SHOW $name" >"$WORK/seen.$name"; done
curl -s "http://127.0.0.1:$http/metrics" >"$WORK/seen.metrics"
stop_pgsteer
"$PGSTEER" report workload --state-dir "$WORK/state" --since 1h --output "$WORK/seen.report.html" >/dev/null 2>&1
"$PGSTEER" report model --state-dir "$WORK/state" --since 1h --output "$WORK/seen.model.html" >/dev/null 2>&1
contains 'statements were seen' "comment on table t is '...'" "$(cat "$WORK/seen.queries")"
check 'metrics were read' grep -q pgsteer_ "$WORK/seen.metrics"
check 'a report was written' test -s "$WORK/seen.report.html"
check 'one of the model too' test -s "$WORK/seen.model.html"
kept=
for number in $(seq "$count"); do
  where=$(grep -rlaE "sekrit$number([^0-9]|$)" "$WORK/state" "$WORK/pgsteer.log" "$WORK"/seen.* 2>/dev/null | sed "s|$WORK/||" | tr '\n' ' ')
  [ -z "$where" ] || kept="$kept$(sed -n "${number}p" "$WORK/list"): $where"$'\n'
done
equal "no string of $count statements is kept" '' "$kept"
finish 5
