#!/bin/bash
# One driver's test suite against one way of reaching the server: drivers_run.sh SUITE MODE OUT. OUT gets a line for each test, its
# outcome (passed, failed, skipped), a tab and its name; OUT.log what the suite printed. drivers.sh calls it, after drivers_fetch.sh.
#
#   SUITE  node-postgres postgres.js psycopg2 psycopg3 asyncpg pgjdbc
#   MODE   direct
#          relay        auth.mode = relay, everything that may change or answer a statement is on
#          session      auth.mode = terminate, pooling by session
#          transaction  auth.mode = terminate, pooling by transaction
#          everything   the same, with everything on, reuse of statements included
#   ONLY   names of tests or files, as the suite's runner takes them
. "$(dirname "$0")/../lib.sh"
suite=$1 mode=$2 out=$3
DRIVERS=${DRIVERS:-$HOME/.cache/pgsteer/drivers}
SOURCE=$DRIVERS/$suite
outcomes() { "$PYTHON" "$E2E/long/drivers_outcomes.py" "$@"; }

mkdir -p "$(dirname "$out")"
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout "$WORK/tls.key" -out "$WORK/tls.crt" 2>/dev/null
cp "$WORK/tls.key" "$WORK/server.key"
chmod 600 "$WORK"/*.key
[ "$(id -u)" = 0 ] && chown nobody "$WORK/server.key"
rules='local all all trust
host all postgres_js_test_md5 all md5
host all postgres_js_test_scram,scram_test,scram_unicode_test all scram-sha-256
host all all all trust
host replication all all trust'
# track_functions and the like are as they are in a fresh cluster; what the suites' own instructions ask for is here.
start_postgres "max_connections = 200
max_prepared_transactions = 100
wal_level = logical
ssl = on
ssl_cert_file = '$WORK/tls.crt'
ssl_key_file = '$WORK/server.key'
autovacuum = off" "$rules"
for database in ci_db_test psycopg2_test psycopg_test test; do direct psql -Xqc "create database $database"; done
direct psql -Xq <<'SQL'
create role scram_test login password 'test4scram';
create role scram_unicode_test login password U&'IX-\2168';
create role test login superuser password 'test';
SQL

printf '%s\n' "$rules" >"$WORK/hba"
printf '"postgres" "any"\n"postgres_js_test_md5" "postgres_js_test_md5"\n"postgres_js_test_scram" "postgres_js_test_scram"\n' >"$WORK/users"
printf '"scram_test" "test4scram"\n"scram_unicode_test" "IX-IX"\n' >>"$WORK/users"
chmod 600 "$WORK/users"
mkdir "$WORK/socket"
arguments=(--set "listen.unix_socket_dir=$WORK/socket" --set tls.mode=allow --set "tls.certificate_file=$WORK/tls.crt" --set "tls.key_file=$WORK/tls.key"
           --set "upstream.probe_url=postgresql://postgres@127.0.0.1:$DIRECT_PORT/postgres")
terminate=(--set auth.mode=terminate --set "auth.file=$WORK/users" --set "auth.hba_file=$WORK/hba")
everything_policy
case $mode in
  direct) DIRECT=1 ;;
  relay) E2E_MODE=auto; arguments+=(--policies "$WORK/policies") ;;
  session) arguments+=("${terminate[@]}" --set pool.mode=session) ;;
  transaction) arguments+=("${terminate[@]}" --set pool.mode=transaction) ;;
  everything) E2E_MODE=auto; arguments+=("${terminate[@]}" --set pool.mode=transaction --policies "$WORK/policies") ;;
  *) echo "drivers_run.sh: no mode '$mode'"; exit 1 ;;
esac
start_pgsteer "${arguments[@]}"
export PGPORT=$PROXY_PORT PGHOST=localhost PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$DRIVERS/root/usr/lib/python3/dist-packages

pytest_run() { # arguments
  timeout 2400 "$PYTHON" -m pytest -q --durations=20 -o cache_dir="$WORK/pytest" -p no:randomly -p no:unraisableexception -o junit_family=xunit1 --junitxml="$WORK/results.xml" "$@" >"$out.log" 2>&1
  outcomes xml "$WORK/results.xml" >"$out"
}

run_psycopg2() {
  PYTHONPATH=$(echo "$SOURCE"/build/lib.*):$PYTHONPATH
  cd "$WORK" && cp -r "$SOURCE/tests" tests
  export PSYCOPG2_TESTDB=psycopg2_test PSYCOPG2_TESTDB_USER=postgres PSYCOPG2_TEST_REPL_DSN= PSYCOPG2_TESTDB_FAST=
  pytest_run ${ONLY:-tests}
}
run_psycopg3() {
  PYTHONPATH=$SOURCE/psycopg:$SOURCE/psycopg_pool:$PYTHONPATH
  cd "$WORK" && cp -r "$SOURCE/tests" "$SOURCE/pyproject.toml" .
  PSYCOPG_IMPL=python PSYCOPG_TEST_DSN="host=localhost port=$PGPORT dbname=psycopg_test user=postgres" pytest_run -m 'not slow and not mypy' ${ONLY:-tests}
}
run_asyncpg() {
  PYTHONPATH=$SOURCE:$PYTHONPATH
  cd "$SOURCE" && PGUSER=postgres PGDATABASE=postgres PGSSLMODE=disable pytest_run ${ONLY:-tests}
}

run_node-postgres() {
  export PGUSER=postgres PGDATABASE=ci_db_test PGPASSWORD=any PGTESTNOSSL= TZ=GMT
  export SCRAM_TEST_PGUSER=scram_test SCRAM_TEST_PGPASSWORD=test4scram
  export SCRAM_TEST_PGUSER_UNICODE=scram_unicode_test SCRAM_TEST_PGPASSWORD_UNICODE=$(printf 'IX-\xe2\x85\xa8')
  local file
  : >"$out" && : >"$out.log"
  cd "$SOURCE/packages/pg" || exit 1
  for file in ${ONLY:-$(find test/integration -name '*-tests.js' | sort)}; do
    case $file in packages/*) continue ;; esac
    NODE_NO_WARNINGS=1 timeout 120 node "$file" >"$WORK/one" 2>&1
    outcomes pg "$file" $? "$WORK/one" >>"$out"
    { echo "== $file"; cat "$WORK/one"; } >>"$out.log"
  done
  for file in pg-pool pg-cursor pg-query-stream; do
    [ -z "${ONLY:-}" ] || [[ $ONLY = packages/$file ]] || continue
    cd "$SOURCE/packages/$file" || exit 1
    TS_NODE_TRANSPILE_ONLY=true timeout 600 "$SOURCE/node_modules/.bin/mocha" --exit --timeout 10000 --reporter xunit --reporter-option output="$WORK/$file.xml" \
      $([ $file = pg-query-stream ] && echo '-r ts-node/register test/**/*.ts' || echo 'test/*.js') >>"$out.log" 2>&1
    cat "$WORK/$file.xml" >>"$out.log"
    outcomes xml "$WORK/$file.xml" >>"$out"
  done
}

run_postgres.js() {
  mkdir "$WORK/js" && cp -r "$SOURCE/src" "$SOURCE/tests" "$SOURCE/package.json" "$WORK/js/" && cd "$WORK/js" || exit 1
  sed -i -E "s/\b543[23]\b/$PGPORT/g" tests/index.js
  # Its runner stops at the first failure, and names no test that passed.
  sed -i -e 's/^    failed$/    false/' -e "s/^  let success = true$/  for (const x of Object.values(tests)) console.log('\\\\nTEST', x.succeeded ? 'passed' : 'failed', x.name)\n  setTimeout(() => process.exit(), 500)\n  let success = true/" tests/test.js
  [ -z "$DIRECT" ] && PGSOCKET=$WORK/socket || PGSOCKET=$PG_DATA
  PGSOCKET=$PGSOCKET PGUSER=postgres timeout 600 node --import 'data:text/javascript,for (const e of ["uncaughtException", "unhandledRejection"]) process.on(e, x => console.log(e, x))' tests/index.js >"$out.log" 2>&1
  sed -n 's/^TEST \([a-z]*\) \(.*\)$/\1\t\2/p' "$out.log" >"$out"
}

run_pgjdbc() {
  local tests=(--scan-classpath="$DRIVERS/jdbc-classes/classes" --include-classname='.*Test') more=()
  mkdir -p "$WORK/pgjdbc" && cp "$SOURCE"/*.properties "$WORK/" && cp -r "$SOURCE/certdir" "$WORK/" && cd "$WORK/pgjdbc" || exit 1
  # CopyTest.testLockReleaseOnCancelFailure ends the login's process id, which is nobody's here, and copies until it hears of that: it fills the disk.
  if [ "$mode" = transaction ] || [ "$mode" = everything ]; then
    local class=org.postgresql.test.jdbc2.CopyTest
    tests+=(--exclude-classname="$class")
    for name in $(sed -n 's/^  public void \(test[A-Za-z0-9]*\)().*/\1/p' "$SOURCE/pgjdbc/src/test/java/${class//.//}.java"); do
      [ "$name" = testLockReleaseOnCancelFailure ] || more+=(--select-method="$class#$name")
    done
  fi
  if [ -n "${ONLY:-}" ]; then tests=($ONLY) more=(); fi
  junit first "${tests[@]}" >"$out.log" 2>&1
  [ ${#more[@]} = 0 ] || junit second "${more[@]}" >>"$out.log" 2>&1
  outcomes xml "$WORK"/pgjdbc/*/*.xml >"$out"
}
junit() { # name, what to run
  local reports=$WORK/pgjdbc/$1 jars=$DRIVERS/root/usr/share/java
  shift
  timeout 3600 java -Dserver=localhost -Dport="$PGPORT" -DsecondaryPort1="$PGPORT" -DsecondaryPort2="$PGPORT" -Ddatabase=test -Dusername=test -Dpassword=test \
    -DprivilegedUser=postgres -DprivilegedPassword=any -Dbuild.properties.relative.path="$WORK" -Duser.language=en -Duser.country=US -Duser.timezone=UTC \
    -jar "$jars/junit-platform-console-standalone.jar" --classpath "$DRIVERS/jdbc-classes/classes:$SOURCE/pgjdbc/src/test/resources:$(jdbc_classpath)" \
    --disable-banner --details=none --reports-dir="$reports" "$@"
}
jdbc_classpath() { local jars=$DRIVERS/root/usr/share/java; echo "$jars/postgresql.jar:$jars/junit4.jar:$jars/hamcrest-all.jar:$jars/hamcrest.jar"; }

"run_$suite"
[ -z "$DIRECT" ] && cp "$WORK/pgsteer.log" "$out.pgsteer"
cp "$PG_DATA/log" "$out.server"
echo "$suite $mode: $(cut -f1 "$out" | sort | uniq -c | awk '{printf "%s %s  ", $1, $2}')"
[ -n "$DIRECT" ] || kill -0 "$PGSTEER_PID" 2>/dev/null || { wait "$PGSTEER_PID"; echo "exit code $?"; echo "$suite $mode: pgsteer has ended"; exit 1; }
[ -z "$DIRECT" ] || DIRECT=
grep -q tracking_lost "$out.pgsteer" 2>/dev/null && echo "$suite $mode: a reply was without its request"
exit 0
