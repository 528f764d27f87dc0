#!/bin/bash
# psql through pgsteer does what it does directly: \d, \copy, \watch, Ctrl-C, multi-statement strings, \gdesc, large objects,
# LISTEN/NOTIFY, errors and notices.
. "$(dirname "$0")/lib.sh"
start_postgres
start_pgsteer
direct psql -X -q -v ON_ERROR_STOP=1 <<'SQL' || exit 1
create table customers (id int primary key, name text not null, born date default '2000-01-01', unique (name));
create table orders (id bigint generated always as identity primary key, customer int references customers on delete cascade,
  total numeric(10,2) check (total >= 0), tags text[], note jsonb) ;
create index orders_by_customer on orders (customer) where total > 0;
create view big_orders as select * from orders where total > 100;
create materialized view totals as select customer, sum(total) from orders group by 1;
create sequence counters start 5;
create type mood as enum ('good', 'bad');
create function twice(int) returns int language sql immutable as 'select $1 * 2';
create table parts (id int, at date) partition by range (at);
create table parts_2026 partition of parts for values from ('2026-01-01') to ('2027-01-01');
insert into customers select i, 'name ' || i from generate_series(1, 500) i;
insert into orders (customer, total, tags, note) select 1 + i % 500, i, array['a', i::text], jsonb_build_object('i', i) from generate_series(1, 2000) i;
comment on table orders is 'things sold';
SQL
q() { psql -X -a "$@" </dev/null; }
script() { psql -X -a 2>&1 <<<"$1"; }

for command in '\d' '\d+ orders' '\d customers' '\d+ big_orders' '\d totals' '\dt+' '\di' '\ds' '\dv' '\df twice' '\df+ twice' '\dT+ mood' '\dn' \
  '\du' '\l' '\dp orders' '\d+ parts' '\dC' '\do' '\dx' '\sf twice' '\sv big_orders' '\dd orders'; do
  same "psql $command" q -c "$command"
done

copy_out() { psql -X -c "\\copy (select * from orders order by id) to '$WORK/orders.$PGPORT.csv' csv header" && md5sum <"$WORK/orders.$PGPORT.csv"; }
same '\copy to' copy_out
copy_in() {
  psql -X -q -c 'create table back (like orders)' -c "\\copy back from '$WORK/orders.$PGPORT.csv' csv header" \
    -c 'select count(*), sum(total), md5(string_agg(back::text, chr(10) order by id)) from back' -c 'drop table back'
}
same '\copy from' copy_in
copy_bad() { printf '1\tx\n' | psql -X -c "\\copy customers (id, born) from stdin"; }
same '\copy from with a bad row: error, and the session goes on' copy_bad

watch() { timeout 3 psql -X -t -A <<<'select 42 \watch 0.3' 2>/dev/null | grep -c '^42$' | awk '{print ($1 >= 3) ? "often enough" : "only " $1 " times"}'; }
same '\watch' watch

interrupt() {
  python3 - <<'PY'
import os, signal, subprocess, time
signal.signal(signal.SIGINT, signal.default_int_handler)
p = subprocess.Popen(["psql", "-X", "-c", "select pg_sleep(20)", "-c", "select 1"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                     preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
time.sleep(1.0)
start = time.time()
p.send_signal(signal.SIGINT)
out = p.communicate(timeout=15)[0]
print(out, p.returncode, "soon" if time.time() - start < 5 else "late")
PY
}
same 'Ctrl-C cancels the statement' interrupt
contains 'Ctrl-C: the words of the server' 'canceling statement due to user request' "$(PGPORT=$PROXY_PORT interrupt)"

same 'several statements in one string' q -c "select 1; select 'two'; create temp table t (i int); insert into t values (1), (2); select * from t"
same 'several statements, one wrong: those before are rolled back' q -c "create table gone (i int); select 1/0; select 2" -c 'select to_regclass($$gone$$)'
same 'an explicit transaction in one string' q -c "begin; insert into customers values (9999, 'x'); rollback; select count(*) from customers"
same '\gdesc' script 'select id, total, note, now() as t from orders \gdesc'
same '\gset and variables' script $'select 5 as five \\gset\nselect :five * 2;'
same '\gexec' script $'select format(\'select %s\', i) from generate_series(1, 3) i \\gexec'
same '\crosstabview' script $'select customer % 2, customer % 3, count(*) from orders group by 1, 2 order by 1, 2 \\crosstabview'
same 'errors with position, detail and hint' script $'select * from nothere;\nselect totl from orders;\ninsert into customers values (1, $$x$$);\nselect * form orders;'
same 'notices' script $'do $$ begin raise notice \'hello %\', 1; raise warning \'careful\'; end $$;\ndrop table if exists nothere;'
same 'verbose errors' script $'\\set VERBOSITY verbose\nselect 1/0;\nselect \'x\'::int;'
same 'empty and comment-only statements' script $';\n-- only a comment\n/* this too */;\nselect 1;'
same 'savepoints and a failed transaction' script $'begin;\nsavepoint a;\nselect 1/0;\nselect 1;\nrollback to a;\nselect 2;\ncommit;'
same 'cursors' script $'begin;\ndeclare c cursor for select id from orders order by id;\nfetch 3 from c;\nmove 5 in c;\nfetch 2 from c;\nclose c;\ncommit;'
same 'FETCH_COUNT' script $'\\set FETCH_COUNT 7\nselect id from orders order by id limit 20;'
same 'prepared statements by SQL' script $'prepare p(int) as select $1 + 1;\nexecute p(41);\ndeallocate p;\nexecute p(1);'
same 'settings of the session' script $'set search_path to pg_catalog;\nshow search_path;\nset application_name to \'e2e\';\nshow application_name;\nset timezone to \'Asia/Tokyo\';\nselect \'2026-01-01 00:00Z\'::timestamptz;\nreset all;\nshow search_path;'
same 'unicode and odd characters' script $'select \'ä€😀\', length(\'ä€😀\'), E\'a\\tb\\nc\', U&\'\\0441\';\nset client_encoding to latin1;\nselect chr(228);'
PGOPTIONS='-c statement_timeout=300 -c pgsteer.mode=observe' same 'PGOPTIONS, statement_timeout' q -c 'show statement_timeout' -c 'select pg_sleep(5)'

printf 'large object %s' "$(seq 20000 | tr '\n' ' ')" >"$WORK/blob"
blob() {
  local oid
  oid=$(psql -X -q -t -A -c "\\lo_import '$WORK/blob'" -c '\echo :LASTOID')
  psql -X -q -c "\\lo_export ${oid##*[!0-9]} '$WORK/blob.out'" && cmp "$WORK/blob" "$WORK/blob.out" && echo equal
  psql -X -q -c "\\lo_unlink ${oid##*[!0-9]}"
}
same 'large objects: \lo_import and \lo_export' blob

notify() {
  mkfifo "$WORK/listener.$PGPORT"
  psql -X -A -t <"$WORK/listener.$PGPORT" >"$WORK/heard.$PGPORT" 2>&1 &
  local pid=$!
  exec 7>"$WORK/listener.$PGPORT"
  echo 'listen news; select 1;' >&7
  for _ in $(seq 100); do grep -q '^1$' "$WORK/heard.$PGPORT" && break; sleep 0.1; done
  psql -X -c "notify news, 'it rains'" -c "select pg_notify('news', 'still')"
  echo 'select 2;' >&7
  exec 7>&-
  wait $pid
  sed -E 's/PID [0-9]+/PID n/' "$WORK/heard.$PGPORT"
  rm "$WORK/listener.$PGPORT"
}
same 'LISTEN and NOTIFY between two sessions' notify
contains 'the notification arrived' 'with payload "it rains" received' "$(PGPORT=$PROXY_PORT notify)"
pid_is_real() { psql -X -t -A <<<$'select pg_backend_pid() = any (select pid from pg_stat_activity);'; }
same 'the backend pid is the server'"'"'s' pid_is_real
finish 50
