#!/bin/bash
# The README as a new user reads it: every command is taken from there, word for word (only addresses and ports differ), and must do what
# the README says.
. "$(dirname "$0")/lib.sh"
README=$E2E/../../README.md
start_postgres
direct psql -X -q -c "create database shop" -c "create role app login" -c "create role bi_anna login"
direct psql -X -q -d shop -c "create table orders(id int primary key, total numeric); insert into orders select i, i from generate_series(1, 5000) i; grant select on orders to public; analyze"
HTTP_PORT=$(free_port) PROXY_PORT=$(free_port)
cd "$WORK" && mkdir -p conf/policies

line() { # text: is it in the README?
  grep -qF -- "$1" "$README" || { fail "the README says: $1"; return 1; }
}
here() { # a command of the README -> with this test's addresses
  sed -e "s#postgresql://db.example:5432#postgresql://127.0.0.1:$DIRECT_PORT#" -e "s#build/release/pgsteer#$PGSTEER#" -e "s#-p 6432#-p $PROXY_PORT#" \
    -e "s#127.0.0.1:6433#127.0.0.1:$HTTP_PORT#" -e "s#^pgsteer #$PGSTEER #" <<<"$1"
}
run() { # name, command of the README, what its output must hold [, input]
  line "$2" || return 0
  contains "$1" "$3" "$(eval "$(here "$2")" <<<"${4:-}" 2>&1)"
}

# --- try it: only that the scripts exist and explain themselves; both run elsewhere
for script in ./bench/demo ./tests/run; do line "$script" && check "$script --help" bash -c "cd '$E2E/../..' && $script --help"; done

# --- point an application at it
line 'build/release/pgsteer --upstream postgresql://db.example:5432' &&
  eval "exec $(here 'build/release/pgsteer --upstream postgresql://db.example:5432') --listen 127.0.0.1:$PROXY_PORT --set http.port=$HTTP_PORT --state-dir $WORK/state --policies $WORK/conf/policies \
    --set upstream.probe_url=postgresql://postgres@127.0.0.1:$DIRECT_PORT/shop" >>"$WORK/pgsteer.log" 2>&1 &
PGSTEER_PID=$!
wait_port "$PROXY_PORT" pgsteer
wait_port "$HTTP_PORT" "pgsteer's HTTP"
run 'an application, one port further' 'psql -h 127.0.0.1 -p 6432 -U app shop' '5000' 'select count(*) from orders;'
for command in 'SHOW QUERIES;' 'SHOW DECISIONS;' 'SHOW HEALTH;  SHOW HELP;'; do line "$command"; done
for _ in $(seq 50); do console 'SHOW QUERIES' | grep -q 'FROM orders' && break; sleep 0.1; done
run 'the console: the statement is there' 'psql -h 127.0.0.1 -p 6432 pgsteer' 'from orders' 'SHOW QUERIES;'
run 'the console: the decision too' 'psql -h 127.0.0.1 -p 6432 pgsteer' 'observe' 'SHOW DECISIONS;'
run 'the console: health' 'psql -h 127.0.0.1 -p 6432 pgsteer' 'configuration' 'SHOW HEALTH; SHOW HELP;'
statement="EXPLAIN (PGSTEER) SELECT * FROM orders WHERE id::text = '5';"
line "$statement" && contains 'EXPLAIN (PGSTEER): who decides, and why' 'Decision' "$(proxied psql -X -U app -d shop -c "$statement")"

# --- policies: the file of the README, taken from it
sed -n '/^```toml/,/^```/p' "$README" | sed '/^```/d' >conf/policies/shop.toml
run 'check: in plain words' 'pgsteer check --policies conf/policies' 'reports'
run 'check: which rule decides' "pgsteer check --policies conf/policies --statement 'SELECT 1' --user bi_anna --database shop" 'decides: rule "reports"'
run 'RELOAD' 'pgsteer ctl -p 6432 RELOAD' 'RELOAD'
for _ in 1 2 3; do proxied psql -X -q -o /dev/null -U bi_anna -d shop -c 'select sum(total) from orders'; done
for _ in $(seq 50); do console 'SHOW DECISIONS' | grep -q reports && break; sleep 0.1; done
contains 'a decision by the new rule' 'reports' "$(console 'SHOW DECISIONS')"
for off in '/* pgsteer:off */' 'SET pgsteer.mode = off' 'SET MODE off' 'PANIC'; do line "$off"; done
equal 'off: one statement' 1 "$(proxied psql -X -At -d shop -c '/* pgsteer:off */ select 1')"
equal 'off: a session' 'SET' "$(proxied psql -X -At -d shop -c 'SET pgsteer.mode = off')"
contains 'off: the process' 'SET MODE' "$(console 'SET MODE off')"
contains 'off: at once' 'PANIC' "$(console PANIC)"
contains 'and on again' 'PANIC' "$(console 'PANIC OFF')"

# --- operate
line '/metrics' && contains 'metrics' 'pgsteer_queries_total' "$(curl -s "http://127.0.0.1:$HTTP_PORT/metrics")"
line '/healthz' && contains 'healthz' 'ok' "$(curl -s "http://127.0.0.1:$HTTP_PORT/healthz")"
line '/readyz' && contains 'readyz' 'ok' "$(curl -s "http://127.0.0.1:$HTTP_PORT/readyz")"
for _ in $(seq 50); do [ "$(console 'SHOW FEEDBACK' | sed -n 's/^stored|//p')" -gt 0 ] 2>/dev/null && break; sleep 0.2; done
report='pgsteer report workload --since 24h --output report.html'
line "$report" && check 'a report' eval "$(here "$report") --state-dir $WORK/state"
contains 'the report is a page of its own' '</html>' "$(cat report.html 2>/dev/null)"
contains 'the report knows the statement' 'sum(total)' "$(cat report.html 2>/dev/null)"
report='pgsteer report model --since 7d --output model.html'
line "$report" && check 'a report of the model, before there is one' eval "$(here "$report") --state-dir $WORK/state"
contains 'it says so' 'No model is in use' "$(cat model.html 2>/dev/null)"
contains 'it judges what was estimated without one' 'no model: ' "$(cat model.html 2>/dev/null)"
console 'SET MODE observe' >/dev/null
before=$(console 'SHOW FEEDBACK' | sed -n 's/^stored|//p')
statements() { # of 25 kinds
  for what in 'count(*)' 'sum(total)' 'max(id)' 'avg(total)' 'min(id)'; do
    for where in 'id < 100' 'total > 4000' 'id = 7' 'id between 5 and 50' 'true'; do echo "select $what from orders where $where;"; done
  done
}
for _ in $(seq 16); do statements; done | proxied psql -X -q -o /dev/null -d shop  # at most 20 of a statement are recorded in a second
for _ in $(seq 100); do [ "$(console 'SHOW FEEDBACK' | sed -n 's/^stored|//p')" -ge $((before + 400)) ] 2>/dev/null && break; sleep 0.2; done
check 'a training' "$PGSTEER" train --state-dir "$WORK/state" --max-trees 20 --min-rows 100
for _ in $(seq 100); do console 'SHOW MODELS' | grep -q '|v0001|t|t|' && break; sleep 0.2; done
statements | proxied psql -X -q -o /dev/null -d shop
for _ in $(seq 100); do
  eval "$(here "$report") --state-dir $WORK/state" 2>/dev/null
  grep -q 'model v0001, in use' model.html && break
  sleep 0.2
done
contains 'beside the running pgsteer: the version in use' 'model v0001, in use' "$(cat model.html)"
contains 'what its estimates rest on' 'moves an estimate by' "$(cat model.html)"
equal 'no script, nothing fetched' '' "$(grep -oE '<script|https?:|src=|@import' model.html)"
for file in $(grep -o '](\([^)#:]*\))' "$README" | sed 's/](\(.*\))/\1/'); do check "the README links to $file" test -e "$E2E/../../$file"; done
finish 38
