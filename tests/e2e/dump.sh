#!/bin/bash
# pg_dump and pg_restore through pgsteer: source and copy dump identically.
. "$(dirname "$0")/lib.sh"
start_postgres
start_pgsteer
direct psql -X -q -v ON_ERROR_STOP=1 <<'SQL' || exit 1
create database source;
create database copy;
create database copy_parallel;
\c source
create schema other;
create type other.mood as enum ('good', 'bad');
create domain positive as int check (value > 0);
create table t (id serial primary key, m other.mood default 'good', p positive, body text, doc jsonb, at timestamptz default '2026-01-01 00:00Z', bin bytea);
insert into t (p, body, doc, bin) select i, repeat('x' || i, 20) || E'\t\n\\ä', jsonb_build_object('i', i), decode(md5(i::text), 'hex') from generate_series(1, 20000) i;
create table child (t int references t, primary key (t));
insert into child select id from t where id % 2 = 0;
create index on t (lower(body));
create view v as select m, count(*) from t group by 1;
create materialized view mv as select id from t where id < 10;
create function f(int) returns int language plpgsql as $f$ begin return $1 + 1; end $f$;
create function bump() returns trigger language plpgsql as $f$ begin new.p := new.p; return new; end $f$;
create trigger tr before update on t for each row execute function bump();
create table parts (id int, at date) partition by range (at);
create table parts_a partition of parts for values from ('2026-01-01') to ('2026-07-01');
insert into parts select i, '2026-01-01'::date + i from generate_series(0, 100) i;
alter table t enable row level security;
create policy mine on t using (id > 0);
create rule r as on insert to child where new.t < 0 do instead nothing;
select lo_from_bytea(0, 'blob one');
comment on table t is 'a table; with ''quotes''';
SQL
plain() { grep -Ev '^\\(un)?restrict '; } # pg_dump draws a new key for these lines every time
dump() { PGPORT=$DIRECT_PORT "$BIN/pg_dump" "$@" | plain; }
check 'pg_dump -Fc through it' bash -c "PGPORT=$PROXY_PORT $BIN/pg_dump -Fc source > $WORK/source.dump"
check 'the archive is readable' "$BIN/pg_restore" -l "$WORK/source.dump"
check 'pg_restore through it' bash -c "PGPORT=$PROXY_PORT $BIN/pg_restore -d copy --exit-on-error < $WORK/source.dump"
dump source >"$WORK/source.sql"
dump copy >"$WORK/copy.sql"
check 'source and copy dump identically' cmp "$WORK/source.sql" "$WORK/copy.sql"
check 'the dump is not empty' test "$(wc -l <"$WORK/source.sql")" -gt 20000
PGPORT=$PROXY_PORT "$BIN/pg_dump" source | plain >"$WORK/source.through.sql"
check 'the plain dump through it is the direct one' cmp "$WORK/source.sql" "$WORK/source.through.sql"
check 'pg_restore -j 3 through it' env PGPORT="$PROXY_PORT" "$BIN/pg_restore" -j 3 -d copy_parallel "$WORK/source.dump"
dump copy_parallel >"$WORK/copy_parallel.sql"
check 'and it dumps identically' cmp "$WORK/source.sql" "$WORK/copy_parallel.sql"
check 'pg_dump -j 2 -Fd through it' env PGPORT="$PROXY_PORT" "$BIN/pg_dump" -j 2 -Fd -f "$WORK/dir" source
roles() { "$BIN/pg_dumpall" -g | plain; }
same 'pg_dumpall -g' roles
check 'INSERTs through it' bash -c "PGPORT=$DIRECT_PORT psql -X -q -c 'create database inserts'; $BIN/pg_dump -p $DIRECT_PORT --inserts -t 'parts*' source | PGPORT=$PROXY_PORT psql -X -q -v ON_ERROR_STOP=1 -d inserts"
same 'the INSERTs arrived' psql -X -A -t -d inserts -c 'select count(*), sum(id) from parts'
finish 10
