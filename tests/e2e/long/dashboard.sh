#!/bin/bash
# The dashboard in Chromium against a live system with ten thousand statements (tests/browser). PICTURES=dir keeps the screenshots.
# KEEP=1 leaves everything running until Enter.
. "$(dirname "$0")/../lib.sh"
command -v npm >/dev/null && command -v node >/dev/null || skip "no node and npm"
command -v chromium >/dev/null || [ -n "${CHROMIUM:-}" ] || skip "no chromium"
STATEMENTS=${STATEMENTS:-10000}
cp -r "$E2E/../browser" "$WORK/browser"
(cd "$WORK/browser" && npm ci --no-audit --no-fund --ignore-scripts >"$WORK/npm.log" 2>&1) || skip "npm: $(tail -1 "$WORK/npm.log")"

start_postgres
direct psql -X -q -c "create table orders(id int primary key, customer int, total numeric, placed date);
  insert into orders select i, i % 2000, i % 97, date '2026-01-01' + i % 300 from generate_series(1, 60000) i;
  create index on orders(customer); create table customers(id int primary key, name text);
  insert into customers select i, 'customer ' || i from generate_series(1, 2000) i;
  create table wide($(for i in $(seq 0 13); do printf 'c%s int%s' "$i" "$([ "$i" = 13 ] || echo ,)"; done)); analyze"
HTTP_PORT=$(free_port)
mkdir "$WORK/policies"
cat >"$WORK/policies/a.toml" <<'TOML'
[default]
mode = "auto"
steer = { explore = "offline", budget = "100%" }
[[rule]]
name = "dashboards"
match = { application = "board*" }
cache = { mode = "strict" }
TOML
E2E_MODE=auto start_pgsteer --policies "$WORK/policies" --set http.port="$HTTP_PORT" \
  --set upstream.probe_url="postgresql://postgres@127.0.0.1:$DIRECT_PORT/postgres"

# Statements of different shape: each number's bits say which columns are compared.
python3 - "$STATEMENTS" >"$WORK/many.sql" <<'PY'
import sys
for i in range(1, int(sys.argv[1]) + 1):
    print("SELECT count(*) FROM wide WHERE " + " AND ".join(f"c{b} = 1" for b in range(14) if i >> b & 1) + ";")
PY
proxied psql -X -q -o /dev/null -f "$WORK/many.sql"
cat >"$WORK/traffic.py" <<'PY'
import psycopg2, random, sys, time
board = psycopg2.connect(application_name="board sales"); web = psycopg2.connect(application_name="web")
board.autocommit = web.autocommit = True
end = time.time() + float(sys.argv[1])
b, w = board.cursor(), web.cursor()
while time.time() < end:
    b.execute("SELECT customer, sum(total) FROM orders GROUP BY customer ORDER BY 2 DESC LIMIT 10")
    b.execute("SELECT count(*) FROM customers WHERE name LIKE '%9'")
    for _ in range(5):
        w.execute("SELECT * FROM orders WHERE customer = %s", (random.randrange(2000),))
    w.execute("SELECT c.name FROM customers c WHERE c.id IN (SELECT o.customer FROM orders o WHERE o.total > %s)", (random.randrange(97),))
    w.execute("SELECT id FROM customers WHERE id NOT IN (SELECT customer FROM orders WHERE placed = %s)", ("2026-02-%02d" % random.randrange(1, 29),))
    w.execute("SELECT * FROM orders WHERE id::text = %s", (str(random.randrange(60000)),))
    w.execute("UPDATE orders SET total = total + 1 WHERE id = %s", (random.randrange(60000),))
    if random.random() < 0.02:
        try: w.execute("SELECT 1 / (id - id) FROM orders LIMIT 1")
        except psycopg2.Error: pass
    time.sleep(0.05)
PY
proxied python3 "$WORK/traffic.py" 12
console TRAIN >/dev/null
for _ in $(seq 60); do [ "$(console 'SHOW MODELS' | wc -l)" -gt 0 ] && break; sleep 1; done
PGPORT=$PROXY_PORT python3 "$WORK/traffic.py" 600 2>"$WORK/traffic.log" &
PIDS+=($!)
sleep 5
known=$(curl -s "http://127.0.0.1:$HTTP_PORT/api/v1/queries?limit=20000" | python3 -c 'import json, sys; print(len(json.load(sys.stdin)["rows"]))')
[ "${known:-0}" -ge "$STATEMENTS" ] && pass "$known statements are known" || fail "$known statements are known, wanted $STATEMENTS"
[ -z "${KEEP:-}" ] || { echo "http://127.0.0.1:$HTTP_PORT/  psql -p $PROXY_PORT"; read -r _; }
log=$(cd "$WORK/browser" && STATEMENTS=$STATEMENTS timeout 400 node dashboard.mjs "http://127.0.0.1:$HTTP_PORT" "${PICTURES:-$WORK/pictures}" 2>&1)
code=$?
echo "$log"
checks=$((checks + $(grep -c '^ok' <<<"$log"))) faults=$((faults + $(grep -c '^FAILED' <<<"$log")))
[ "$code" = 0 ] || [ "$(grep -c '^FAILED' <<<"$log")" -gt 0 ] || fail "the browser's script ended with $code"
finish 60
