#!/bin/bash
# Adversarial cases of the result cache in mode strict: the same steps direct and through pgsteer give the same answers, with the cache
# proven to act (or to refuse, by name) in every case. Argument: a regular expression on the case names; without one a choice of cases
# of every kind with little DDL in them. All of them: long/cache_adversarial.sh.
. "$(dirname "$0")/lib.sh"
python3 -c 'import psycopg2' 2>/dev/null || skip 'psycopg2 is not installed'
cases=${1-${CASES:-'^(1|3|4|5|7|8|11|14|15|15y|18|21|24|36|37|38|40|53|55|58|66|83|88|89|90|91|93|94|95|96|100|103|105|106|128|parameters|every)[ -]'}}
start_postgres $'max_prepared_transactions = 10\nlock_timeout = 3s\nstatement_timeout = 20s'
for database in suite_direct suite_cached; do
  direct psql -X -q -c "create database $database" || exit 1
  python3 "$E2E/cache_adversarial.py" setup "$cases" | PGOPTIONS='-c client_min_messages=warning' PGPORT=$DIRECT_PORT psql -X -q -v ON_ERROR_STOP=1 -d $database || exit 1
done
strict_cache_policy
cache_rule 'writers that go round' bounded 700ms '["t45", "t45b"]'
E2E_MODE=auto start_pgsteer --policies "$WORK/policies" --set upstream.probe_url="postgresql://postgres@127.0.0.1:$DIRECT_PORT/postgres" --set learning.explore=false
python3 "$E2E/cache_adversarial.py" run "$DIRECT_PORT" "$PROXY_PORT" "$cases"
code=$?
if [ -z "$DIRECT" ]; then
  check 'it is the same process still' kill -0 "$PGSTEER_PID"
  check 'no crash in the log' bash -c "! grep -Eiq 'segfault|assert|terminate called|AddressSanitizer' $WORK/pgsteer.log"
fi
[ $code = 0 ] || faults=$((faults + 1))
finish 0
