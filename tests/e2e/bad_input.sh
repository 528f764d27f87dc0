#!/bin/bash
# What bad input gets (DESIGN.md 6), for what other scripts do not show: SQL that cannot be analysed is forwarded and counted; a
# model that is no model, a store of another version, a wrong configuration.
. "$(dirname "$0")/lib.sh"
[ -z "$DIRECT" ] || { echo "bad_input.sh: nothing to check without pgsteer"; exit 0; }
start_postgres

# --- state directory that another version or an accident left behind -----------------------------------------------------
mkdir -p "$WORK/state/models/latency/v0001"
head -c 4096 /dev/urandom >"$WORK/state/models/latency/v0001/model.ubj"
echo '{"this": "is no metadata"}' >"$WORK/state/models/latency/v0001/meta.json"
ln -s v0001 "$WORK/state/models/latency/current"
python3 - "$WORK/state/feedback.db" <<'PY'
import sqlite3, sys
db = sqlite3.connect(sys.argv[1]); db.execute("create table of_a_later_version(x)"); db.execute("pragma user_version = 4711"); db.commit()
PY
before=$(sha256sum <"$WORK/state/feedback.db")
start_pgsteer
equal 'statements are answered all the same' 42 "$(proxied psql -X -A -t -c 'select 42')"
sleep 3
equal 'one warning about the model' 1 "$(grep -c 'warning.*model' "$WORK/pgsteer.log")"
health=$(console 'show health')
contains 'health names the store' 'feedback_store' "$(grep -v '|ok' <<<"$health")"
equal 'a store of an unknown version is not touched' "$before" "$(sha256sum <"$WORK/state/feedback.db")"
stop_pgsteer
rm -rf "$WORK/state"

# --- SQL that is not analysed travels as it is ------------------------------------------------------------------------------
start_pgsteer
not_analysed() { console 'show totals' | sed -n 's/^not_analysed|//p'; }
long=$(python3 -c 'print("select " + "+".join(["1"] * 30000))')
printf '%s;\n' "$long" >"$WORK/long.sql"
python3 -c 'print("select " + "(" * 400 + "1" + ")" * 400 + ";")' >"$WORK/deep.sql"
python3 -c 'print("select 1 " + "/*" * 50 + "*/" * 50 + ";")' >"$WORK/comments.sql"
same 'a text of 60 kB' psql -X -A -t -f "$WORK/long.sql"
same 'a text of 400 brackets' psql -X -A -t -f "$WORK/deep.sql"
same 'nested comments' psql -X -A -t -f "$WORK/comments.sql"
same 'a syntax error: message and position' psql -X -v VERBOSITY=verbose -c 'select 1 form pg_class whore oid = 1'
same 'syntax of a later version' psql -X -c 'select any_value(1) over w from pg_class window w as (order by oid exclude nothing)'
same 'several statements in one string' psql -X -A -t -c 'select 1; select 2; select 3'
same 'several statements, one failing' psql -X -A -t -c 'create temp table several(x int); insert into several values (1); select 1/0; select count(*) from several'
same 'old string rules' psql -X -A -t -c 'set standard_conforming_strings = off' -c "select 'a\\\\nb'"
same 'bytes that are no UTF-8' bash -c "printf 'select \$\$\\xff\\xfe\$\$;\n' | psql -X -A -t"
check 'what was not analysed is counted' test "$(not_analysed)" -ge 4

# --- configuration ------------------------------------------------------------------------------------------------------------
printf '[listen]\nprot = 6432\n' >"$WORK/wrong.toml"
output=$("$PGSTEER" run --config "$WORK/wrong.toml" 2>&1)
equal 'a wrong configuration: exit status' 78 $?
contains 'a wrong configuration: where and what was meant' "wrong.toml:2" "$output"
contains 'a wrong configuration: nearest name' "'port'" "$output"
stop_pgsteer
mkdir "$WORK/policies"
printf '[default]\nmode = "observe"\n' >"$WORK/policies/a.toml"
start_pgsteer --policies "$WORK/policies"
printf '[default]\nmdoe = "auto"\n' >"$WORK/policies/a.toml"
contains 'a wrong policy file: reload refused' "a.toml:2" "$(console 'reload')"
equal 'the old policy stays in force' 1 "$(proxied psql -X -A -t -c 'select 1')"
kill -HUP "$PGSTEER_PID"; sleep 0.5
contains 'SIGHUP too, in the log' 'reload_refused' "$(cat "$WORK/pgsteer.log")"
printf '[default]\nmode = "auto"\n' >"$WORK/policies/a.toml"
equal 'a right one is taken' RELOAD "$(console 'reload')"
contains 'and decides' 'auto' "$(proxied psql -X -A -t -c 'explain (pgsteer) select 1')"
finish 20
