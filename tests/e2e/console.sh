#!/bin/bash
# The console from psql, from psycopg2 and from `pgsteer ctl`; EXPLAIN (PGSTEER) in an application's own session.
. "$(dirname "$0")/lib.sh"
[ -n "$DIRECT" ] && { echo "console.sh: nothing to check without the proxy"; exit 0; }
start_postgres
start_pgsteer
direct psql -X -q -c 'create table t as select i, i % 10 as g from generate_series(1, 1000) i' -c 'analyze t' || exit 1
for _ in 1 2 3; do proxied psql -X -q -c 'select count(*) from t where g = 3' >/dev/null; done
proxied psql -X -q -c 'select 1/0' >/dev/null 2>&1

for what in HELP VERSION STATS STATS_TOTALS STATS_AVERAGES TOTALS POOLS CLIENTS SERVERS DATABASES LISTS MEM STATE CONFIG USERS QUERIES DECISIONS \
  CACHE MODELS EXPERIMENTS POLICIES TUNING ADVICE FEEDBACK HEALTH RULES REWRITES MISMATCHES; do
  check "SHOW $what" env PGPORT="$PROXY_PORT" psql -X -v ON_ERROR_STOP=1 -d pgsteer -c "SHOW $what;"
done
check 'the alias pgbouncer' env PGPORT="$PROXY_PORT" psql -X -v ON_ERROR_STOP=1 -d pgbouncer -c 'show stats'
check 'the expanded form' bash -c "PGPORT=$PROXY_PORT psql -X -x -d pgsteer -c 'show stats' | grep -q total_query_count"
contains 'SHOW CONFIG: where a value comes from' "${E2E_MODE:-observe}" "$(console 'show config' | grep -i '^mode')"
for _ in $(seq 50); do case $(console 'show queries') in *'count(*)'*) break ;; esac; sleep 0.1; done
contains 'SHOW QUERIES knows the statement' 'count(*)' "$(console 'show queries')"
contains 'SHOW DECISIONS knows it too' "${E2E_MODE:-observe}" "$(console 'show decisions 5')"
contains 'a wrong name: the nearest' "SHOW QUERIES" "$(console 'show querys')"
equal 'a wrong name: the session goes on' '1' "$(PGPORT=$PROXY_PORT psql -X -A -t -d pgsteer -c 'show nothing' -c 'select 1' 2>/dev/null)"
contains 'comments and semicolons' 'pgsteer' "$(console '/* hello */ SHOW VERSION ; -- bye')"
check 'SET MODE' env PGPORT="$PROXY_PORT" psql -X -v ON_ERROR_STOP=1 -d pgsteer -c 'set mode suggest'
contains 'SET MODE is in force' 'suggest' "$(console 'show state' | grep mode_limit)"
contains 'a wrong mode' "Did you mean 'suggest'" "$(console 'set mode sugest')"
check 'SET MODE default' env PGPORT="$PROXY_PORT" psql -X -v ON_ERROR_STOP=1 -d pgsteer -c 'set mode default'
check 'PANIC' env PGPORT="$PROXY_PORT" psql -X -v ON_ERROR_STOP=1 -d pgsteer -c 'panic'
equal 'in PANIC statements are answered' 1000 "$(proxied psql -X -A -t -c 'select count(*) from t')"
check 'PANIC OFF' env PGPORT="$PROXY_PORT" psql -X -v ON_ERROR_STOP=1 -d pgsteer -c 'panic off'
check 'RELOAD' env PGPORT="$PROXY_PORT" psql -X -v ON_ERROR_STOP=1 -d pgsteer -c 'reload'
check 'FLUSH CACHE' env PGPORT="$PROXY_PORT" psql -X -v ON_ERROR_STOP=1 -d pgsteer -c 'flush cache'

proxied psql -X -A -t -c "set application_name = 'victim'" -c 'select pg_sleep(30)' >"$WORK/victim" 2>&1 &
victim=$!
victim_id() { "$PGSTEER" ctl --port "$PROXY_PORT" -U postgres --csv SHOW CLIENTS | python3 -c 'import csv, sys; print(next((r["id"] for r in csv.DictReader(sys.stdin) if r["database"] == "postgres" and r["state"].startswith("active")), ""))'; }
for _ in $(seq 50); do id=$(victim_id); [ -n "$id" ] && break; sleep 0.1; done
check "KILL $id" env PGPORT="$PROXY_PORT" psql -X -v ON_ERROR_STOP=1 -d pgsteer -c "kill $id"
wait $victim
check 'the killed client was told or closed' grep -Eq 'FATAL|terminat|closed' "$WORK/victim"

explained=$(proxied psql -X -A -t -c 'explain (pgsteer) select count(*) from t where g = 3' 2>&1)
contains 'EXPLAIN (PGSTEER): who decides' 'pgsteer: rule' "$explained"
contains 'EXPLAIN (PGSTEER): what is sent' 'select count(*) from t where g = 3' "$explained"
contains 'pgsteer explain' 'pgsteer: rule' "$("$PGSTEER" explain --url "postgresql://postgres@127.0.0.1:$PROXY_PORT/postgres" 'select * from t' 2>&1)"
contains 'pgsteer explain to PostgreSQL itself' "must name pgsteer's own" "$("$PGSTEER" explain --url "postgresql://postgres@127.0.0.1:$DIRECT_PORT/postgres" 'select 1' 2>&1)"
contains 'pgsteer ctl' '(1 row)' "$("$PGSTEER" ctl --port "$PROXY_PORT" -U postgres SHOW VERSION 2>&1)"
"$PGSTEER" ctl --port "$PROXY_PORT" -U postgres SHOW NONSENS >"$WORK/ctl" 2>&1
equal 'pgsteer ctl: a wrong command is exit 1' 1 $?

drivers() {
  python3 - <<'PY'
import os, psycopg2
connection = psycopg2.connect(host="127.0.0.1", port=os.environ["PGPORT"], user="postgres", dbname="pgsteer")
cursor = connection.cursor()             # sends BEGIN first
cursor.execute("SHOW STATS")
print([c.name for c in cursor.description][:3], len(cursor.fetchall()))
cursor.execute("SHOW QUERIES")
print(len(cursor.fetchall()) > 0)
connection.commit()
connection.autocommit = True
cursor.execute("SHOW CLIENTS")
print(all(len(row) == 20 for row in cursor.fetchall()))
try:
    cursor.execute("SHOW NOTHING")
except psycopg2.Error as error:
    print(error.pgcode)
cursor.execute("SELECT 1")
print(cursor.fetchone())
PY
}
if python3 -c 'import psycopg2' 2>/dev/null; then
  equal 'psycopg2 on the console' $'[\'database\', \'total_xact_count\', \'total_query_count\'] 1\nTrue\nTrue\n42601\n(1,)' "$(PGPORT=$PROXY_PORT drivers 2>&1)"
  equal 'what psql and pgAdmin ask of themselves' "psql completes a name after SHOW: True
psql completes a name after SET: True
version: True
{'did': 1, 'datname': 'pgsteer', 'datallowconn': True, 'serverencoding': 'UTF8', 'cancreate': False, 'datistemplate': False}
{'gss_authenticated': False, 'encrypted': False}
{'id': 1, 'name': 'postgres', 'is_superuser': False, 'can_create_role': False, 'can_create_db': False, 'can_signal_backend': False}
{'inrecovery': False, 'isreplaypaused': False}
types: True
any other question: 0A000" "$(python3 "$E2E/console_tools.py" "$PROXY_PORT" 2>&1)"
else
  [ "${CI:-}" = true ] && fail 'psycopg2 is not installed'
fi
extended=$(PGPORT=$PROXY_PORT "$BIN/pgbench" -n -M extended -t 3 -f <(echo 'show stats;') pgsteer 2>&1)
contains 'the extended protocol on the console' 'number of transactions actually processed: 3/3' "$extended"
check 'SHUTDOWN' env PGPORT="$PROXY_PORT" psql -X -d pgsteer -c 'shutdown'
for _ in $(seq 50); do kill -0 "$PGSTEER_PID" 2>/dev/null || break; sleep 0.1; done
check 'it has ended' bash -c "! kill -0 $PGSTEER_PID 2>/dev/null || [ \"\$(awk '{print \$3}' /proc/$PGSTEER_PID/stat)\" = Z ]"
finish 50
