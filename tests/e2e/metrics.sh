#!/bin/bash
# /metrics and the API against ground truth counted here: statements by kind and ending, errors by class, bytes never less than sent,
# cache hits, decisions by rule; the counters of /metrics, of SHOW TOTALS and of the API agree.
. "$(dirname "$0")/lib.sh"
[ -n "$DIRECT" ] && { echo "metrics.sh: nothing to check without the proxy"; exit 0; }
start_postgres
mkdir "$WORK/policies"
cat >"$WORK/policies/p.toml" <<'TOML'
[[rule]]
name = "cached"
match = { table = "kept" }
mode = "auto"
rewrite = false
steer = false
cache = { mode = "strict", min_cost = "0" }

[[rule]]
name = "steered"
match = { table = "steered" }
mode = "auto"
rewrite = false
steer = { arms = "default", floor = "1us" }
TOML
HTTP_PORT=$(free_port)
direct psql -X -q -c 'create table kept as select i, i % 7 as g from generate_series(1, 2000) i' -c 'analyze kept' -c 'create table counted (x int)' -c 'create table steered as table kept' || exit 1
start_pgsteer --policies "$WORK/policies" --set http.port="$HTTP_PORT" --set log.format=json --set log.min_duration=50ms \
  --set upstream.probe_url="postgresql://postgres@127.0.0.1:$DIRECT_PORT/postgres" --set learning.explore=false
wait_port "$HTTP_PORT" "pgsteer's HTTP end"
checks=$((checks + 1))
python3 "$E2E/metrics.py" "$PROXY_PORT" "$HTTP_PORT" || fail "metrics.py"
stop_pgsteer
python3 - "$WORK/pgsteer.log" <<'PY' && pass 'every line of the log is a JSON object, the slow statement with its trace id among them' || fail 'the log'
import json, sys
lines = [json.loads(line) for line in open(sys.argv[1])]
slow = [l for l in lines if l.get("event") == "slow_statement"]
assert all({"ts", "level"} <= set(l) for l in lines), lines
assert any(l["trace_id"] == "4bf92f3577b34da6a3ce929d0e0e4736" and float(l["server_ms"]) >= 50 for l in slow), slow
assert not any("pg_sleep" in json.dumps(l) for l in lines), "a statement's text is in the log"
PY
python3 - "$WORK/state/feedback.db" <<'PY' && pass 'the trace id is in the feedback store' || fail 'the feedback store'
import sqlite3, sys
rows = sqlite3.connect(sys.argv[1]).execute("SELECT count(*) FROM feedback WHERE trace_id = '4bf92f3577b34da6a3ce929d0e0e4736'").fetchone()
assert rows[0] >= 1, rows
PY
finish 3
