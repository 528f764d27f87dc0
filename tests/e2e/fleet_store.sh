#!/bin/bash
# Several pgsteer with one feedback store in PostgreSQL (learning.store_url): rows of all of them, training and reports from it, the store
# away at the start and under load, a version and a password that are not right, the limit of rows.
. "$(dirname "$0")/lib.sh"
[ -n "$DIRECT" ] && { echo "fleet_store.sh: nothing to check without the proxy"; exit 0; }
start_postgres

# The store is a server of its own: what befalls it must not befall the clients'.
REPLICA_DATA=$WORK/store REPLICA_PORT=$(free_port)
mkdir -m 700 "$REPLICA_DATA"
[ "$(id -u)" = 0 ] && chown nobody "$REPLICA_DATA"
as_server "$BIN/initdb" -D "$REPLICA_DATA" -A trust -N -U postgres --no-instructions -E UTF8 --locale=C >"$WORK/initdb.log" 2>&1 || { cat "$WORK/initdb.log"; exit 1; }
printf "port = %s\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = '%s'\nfsync = off\n" "$REPLICA_PORT" "$REPLICA_DATA" >>"$REPLICA_DATA/postgresql.conf"
printf 'host all postgres 127.0.0.1/32 trust\nhost fleet keeper 127.0.0.1/32 scram-sha-256\n' >"$REPLICA_DATA/pg_hba.conf"
replica_start
replica psql -X -q -c "create role keeper login password 'sekrit-right'" -c 'create database fleet' -c 'grant create on database fleet to keeper'
store() { replica psql -XAtq -d fleet -c "$1"; }
store_stop() { as_server "$BIN/pg_ctl" -D "$REPLICA_DATA" -m "$1" -w stop >/dev/null; }
URL=postgresql://keeper:sekrit-right@127.0.0.1:$REPLICA_PORT/fleet

member() { # name, URL, more arguments: PROXY_PORT is its port
  local file=$WORK/$1.toml
  printf '[learning]\nstore_url = "%s"\n' "$2" >"$file"
  STATE_DIR=$WORK/$1 PROXY_PORT=
  shift 2
  start_pgsteer --config "$file" "$@"
}
at() { PROXY_PORT=$1; } # commands of lib.sh go to that member
health() { console 'show health' | sed -n 's/^feedback|//p' | cut -d'|' -f1; }
figure() { console 'show feedback' | sed -n "s/^$1|//p"; }
settled() { [ "$(figure spooled)" = 0 ] && [ "$(figure received)" = "$(figure stored)" ] && [ "$(figure error)" = none ]; }
healthy() { [ "$(health)" = ok ]; }
degraded() { ! healthy; }
rows() { store "select count(*) from pgsteer.feedback where instance like '%:$PROXY_PORT'"; }
for table in pg_class pg_attribute pg_proc pg_type pg_index pg_operator pg_amop pg_cast pg_opclass pg_language pg_am pg_collation; do
  for i in $(seq 14); do echo "select count(*), $i from $table where oid::text <> '$i';"; done
done | sed 's/ oid::text/ ctid::text/' >"$WORK/work.sql"

store_stop fast
member one "$URL"
ONE=$PROXY_PORT ONE_PID=$PGSTEER_PID
await 5 'the store unreachable at the start: health says so' degraded && pass 'the store unreachable at the start: health says so'
equal 'and it serves' 1 "$(proxied psql -XAtc 'select 1')"
contains 'with what is wrong' 'refused' "$(health)"
check 'work meanwhile' env PGPORT="$ONE" psql -X -q -v ON_ERROR_STOP=1 -o /dev/null -f "$WORK/work.sql"
replica_start
await 15 'the store is there: health is ok again' healthy && pass 'the store is there: health is ok again'
await 10 'what waited is stored' settled && pass 'what waited is stored'
equal 'all of it' "$(figure stored)" "$(rows)"
check "and not little ($(rows))" test "$(rows)" -ge 150
equal 'nothing of it in the state directory' '' "$(ls "$WORK/one" | grep feedback)"

member two "$URL"
TWO=$PROXY_PORT TWO_PID=$PGSTEER_PID
check 'work of the second' env PGPORT="$TWO" psql -X -q -v ON_ERROR_STOP=1 -o /dev/null -f "$WORK/work.sql"
await 10 'the second has stored' settled
check 'rows of both' test "$(store 'select count(distinct instance) from pgsteer.feedback')" = 2
equal 'each statement text once' 12 "$(store "select count(*) from pgsteer.statements where normalized like '%ctid%'")"
equal 'the connection says what it is' 't' "$(store "select count(*) >= 2 from pg_stat_activity where application_name = 'pgsteer feedback store'")"

# Training: by hand in one, by the console's TRAIN in the other (a child, which learns the URL by its environment).
all=$(store "select count(*) from pgsteer.feedback where source = 'server' and sqlstate = ''")
console 'TRAIN' >"$WORK/train.answer"
said=$(PGSTEER_LEARNING__STORE_URL=$URL "$PGSTEER" train --state-dir "$WORK/three" --max-trees 10 --min-rows 100 2>&1)
contains 'train learns from the rows of both' 'registered' "$said"
check 'and a model is there' test -d "$WORK/three/models/latency/v0001"
trained() { console 'show models' | grep -q 'latency|v0001'; }
await 20 'TRAIN on the console, too' trained && pass 'TRAIN on the console, too' || cat "$WORK/train.answer" "$WORK/two/train.log"
equal 'its child does not show the URL' '' "$(grep -al 'sekrit[-]right' "$WORK/two/train.log" /proc/[0-9]*/cmdline 2>/dev/null | grep -v "/$$/")"
report=$(PGSTEER_LEARNING__STORE_URL=$URL "$PGSTEER" report workload --state-dir "$WORK/three" --since 1h 2>&1)
contains 'report workload reads it' 'pg_opclass' "$report"
contains 'and names it' "127.0.0.1:$REPLICA_PORT/fleet" "$report"
case $report in *sekrit*) fail 'without the password' ;; *) pass 'without the password' ;; esac
PGSTEER_LEARNING__STORE_URL=$URL "$PGSTEER" tune --state-dir "$WORK/three" --dry-run >"$WORK/tune" 2>&1
check 'tune reads it' grep -qE 'as it is|nothing was served' "$WORK/tune"

# The store goes and comes under load: no client notices, nothing is lost.
load() { for _ in $(seq 40); do psql -X -q -v ON_ERROR_STOP=1 -o /dev/null -f "$WORK/work.sql" || echo failed; done >"$WORK/load.$PGPORT" 2>&1; }
PGPORT=$ONE load & first=$!
PGPORT=$TWO load & second=$!
sleep 0.7
store_stop immediate
at "$ONE"
await 5 'the store goes under load: health says so' degraded && pass 'the store goes under load: health says so'
sleep 1
check 'what it would have stored waits' test "$(figure spooled)" -gt 0
replica_start
await 15 'and is ok when it is back' healthy && pass 'and is ok when it is back'
sleep 0.5
store_stop fast
sleep 0.5
replica_start
wait $first $second
equal 'no client noticed' '' "$(cat "$WORK/load.$ONE" "$WORK/load.$TWO")"
for port in "$ONE" "$TWO"; do
  at "$port"
  await 15 "all is stored in the end" settled
  equal 'nothing was dropped' 0 "$(figure dropped)"
  # More than that only where the server went between its COMMIT and the answer.
  check "what was stored is there ($(figure stored), $(rows))" test "$(rows)" -ge "$(figure stored)"
done

# Through a pgsteer, against the manual's advice: it works, and that one does not learn from it.
member through "postgresql://postgres@127.0.0.1:$ONE/postgres"
THROUGH_PID=$PGSTEER_PID
check 'work of a third' env PGPORT="$PROXY_PORT" psql -X -q -v ON_ERROR_STOP=1 -o /dev/null -f "$WORK/work.sql"
await 10 'a store that is reached through a pgsteer is written' settled
check "rows are there ($(figure stored))" test "$(direct psql -XAtqc 'select count(*) from pgsteer.feedback')" -ge 150
at "$ONE"
contains 'who is in between has seen it' 'INSERT INTO pgsteer.statements' "$(console 'show queries')"
await 10 'and has stored' settled
equal 'but nothing of it' 0 "$(store "select count(*) from pgsteer.feedback where application = 'pgsteer feedback store'")"
kill "$THROUGH_PID" && wait "$THROUGH_PID"

# A password that is wrong, a version that is newer.
member wrong "postgresql://keeper:sekrit-wrong@127.0.0.1:$REPLICA_PORT/fleet"
WRONG_PID=$PGSTEER_PID
equal 'a wrong password: it serves' 1 "$(proxied psql -XAtc 'select 1')"
await 5 'and says so' degraded
contains 'in the server'\''s words' 'password authentication failed' "$(health)"
equal 'the password is in no message' '' "$(grep -l 'sekrit-' "$WORK/pgsteer.log" <(console 'show config') <(console 'show health') <(console 'show feedback') 2>/dev/null)"
contains 'SHOW CONFIG masks it' 'postgresql://keeper:***@' "$(console 'show config')"
kill "$WRONG_PID" && wait "$WRONG_PID"
store 'update pgsteer.store_version set version = 99'
before=$(store 'select count(*), max(id) from pgsteer.feedback')
kill "$ONE_PID" "$TWO_PID" && wait "$ONE_PID" "$TWO_PID"
member later "$URL"
equal 'a newer version: it serves' 1 "$(proxied psql -XAtc 'select 1')"
await 5 'and says so' degraded
contains 'with both versions' 'schema version 99, this build knows 2' "$(health)"
contains 'training refuses it, too' 'schema version 99' "$(PGSTEER_LEARNING__STORE_URL=$URL "$PGSTEER" train --state-dir "$WORK/three" 2>&1)"
equal 'and it is left as it is' "$before|99" "$(store 'select count(*), max(id) from pgsteer.feedback')|$(store 'select version from pgsteer.store_version')"
store 'update pgsteer.store_version set version = 2'
await 15 'it is used once it can be' healthy && pass 'it is used once it can be'
stop_pgsteer

# The limit holds for all of them together.
store "insert into pgsteer.feedback select (jsonb_populate_record(f, jsonb_build_object('unix_us', g))).* from (select * from pgsteer.feedback limit 1) f, generate_series(1, 3000) g" 2>/dev/null ||
  store "create temp table t as select * from pgsteer.feedback limit 1; alter table t drop column id; insert into pgsteer.feedback(unix_us, database, \"user\", application, fingerprint, shape, feature_schema, features, candidate, candidates, estimate_source, model_version, source, mode, policy_rule, reason, rows, bytes, sqlstate, censored) select g, database, \"user\", application, fingerprint, shape, feature_schema, features, candidate, candidates, estimate_source, model_version, source, mode, policy_rule, reason, rows, bytes, sqlstate, censored from t, generate_series(1, 3000) g"
check 'more rows than the limit' test "$(store 'select count(*) from pgsteer.feedback')" -gt 3000
member limited "$URL" --set learning.max_rows=1000
limited() { [ "$(store 'select count(*) from pgsteer.feedback')" -le 1000 ]; }
await 10 'the limit holds' limited && pass 'the limit holds'
equal 'of the oldest, what went' 0 "$(store 'select count(*) from pgsteer.feedback where unix_us <= 3000')"

# A store that is there and does not answer: it is given up, clients notice nothing, and the end is not waited for.
hung=$(head -1 "$REPLICA_DATA/postmaster.pid")
hung="$hung $(pgrep -P "$hung" | tr '\n' ' ')"
kill -STOP $hung
check 'the store stopped: work goes on' env PGPORT="$PROXY_PORT" psql -X -q -v ON_ERROR_STOP=1 -o /dev/null -f "$WORK/work.sql"
begin=$SECONDS
await 15 'it is given up' degraded && pass "it is given up ($((SECONDS - begin)) s)"
check 'and so on' env PGPORT="$PROXY_PORT" psql -X -q -v ON_ERROR_STOP=1 -o /dev/null -f "$WORK/work.sql"
begin=$SECONDS
kill "$PGSTEER_PID" && wait "$PGSTEER_PID"
equal 'SIGTERM: exit code 0' 0 $?
check "soon ($((SECONDS - begin)) s)" test $((SECONDS - begin)) -le 5
PGSTEER_PID=
kill -CONT $hung
finish 50
