#!/bin/bash
# DDL races: constraints that rewrites rest on (NOT NULL, primary key, foreign key) are dropped, and rows that break them put
# in, while three sessions run the rewritten statements. DDL through pgsteer: never a wrong answer. DDL past it: none that
# starts five seconds after the commit.
. "$(dirname "$0")/lib.sh"
[ -z "$DIRECT" ] || { echo "ddl_race.sh: nothing to check without pgsteer"; exit 0; }

start_postgres "log_statement = all
fsync = off"
direct psql -q -c "create table parent (id int primary key, w text)" \
  -c "create table child (id int primary key, parent_id int not null, constraint child_fk foreign key (parent_id) references parent)" \
  -c "create table uniq (id int, w text, constraint uniq_pk primary key (id))" -c "create table marker (id int primary key, v int not null)" \
  -c "insert into parent select g, md5(g::text) from generate_series(1, 8000) g" -c "insert into child select g, g from generate_series(1, 7900) g" \
  -c "insert into uniq select g, md5(g::text) from generate_series(1, 100) g" -c "insert into marker values (1, 0)" \
  -c "analyze parent" -c "analyze child" -c "analyze uniq" -c "analyze marker"
mkdir "$WORK/policies"
printf '[default]\nmode = "auto"\nrewrite = ["all"]\nsteer = false\ncache = { mode = "off" }\n' >"$WORK/policies/all.toml"
start_pgsteer --policies "$WORK/policies"

for through in through past; do
  read -r rounds rewritten wrong answers < <(python3 "$E2E/ddl_race.py" "$PROXY_PORT" "$DIRECT_PORT" "$PG_DATA/log" "${SECONDS_EACH:-20}" "$through")
  echo "DDL $through pgsteer: ${rounds:-0} rounds, ${answers:-0} answers, ${rewritten:-0} of 3 statements seen rewritten, ${wrong:-?} wrong"
  check "DDL $through pgsteer: rounds were run" [ "${rounds:-0}" -ge 1 ]
  # On a busy machine one or the other is withdrawn early, as too slow.
  check "DDL $through pgsteer: statements were rewritten" [ "${rewritten:-0}" -ge 1 ]
  check "DDL $through pgsteer: no wrong answer" [ "${wrong:-1}" = 0 ]
done
finish
