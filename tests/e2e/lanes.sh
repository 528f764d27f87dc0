#!/bin/bash
# Lanes and limits of a policy, enforced on real concurrent clients in the simple and in the extended protocol.
. "$(dirname "$0")/lib.sh"
[ -n "$DIRECT" ] && { echo "lanes.sh: nothing to check without the proxy"; exit 0; }
start_postgres
mkdir "$WORK/policies"
cat >"$WORK/policies/lanes.toml" <<'TOML'
[default]
mode = "observe"
[[rule]]
name = "by address"
match = { application = "here", client_address = "127.0.0.1" }
mode = "suggest"
[[rule]]
name = "slow"
match = { application = "slow" }
mode = "auto"
lane = "slow"
[[rule]]
name = "hurried"
match = { application = "hurried" }
mode = "auto"
lane = "hurried"
[[rule]]
name = "rated"
match = { application = "rated" }
mode = "auto"
limits = { rate_per_user = "5/s", on_exceed = "reject" }
[[rule]]
name = "tagged"
match = { application = "tagged" }
mode = "auto"
limits = { rate_per_tag = { route = "60/min" }, on_exceed = "reject" }
[[rule]]
name = "warned"
match = { application = "warned" }
mode = "auto"
limits = { rate_per_user = "2/s", on_exceed = "warn" }
[[rule]]
name = "observed"
match = { application = "observed" }
limits = { rate_per_user = "2/s", on_exceed = "reject" }
[[rule]]
name = "predicted"
match = { application = "predicted" }
mode = "auto"
rewrite = false
steer = false
limits = { max_predicted = "100ms", on_exceed = "reject" }
[[rule]]
name = "queued"
match = { application = "queued" }
mode = "auto"
limits = { rate_per_user = "6/s", on_exceed = "queue" }
[[rule]]
name = "extended"
match = { application = "extended" }
mode = "auto"
lane = "hurried"
limits = { rate_per_user = "3/s", on_exceed = "reject" }

[lanes.slow]
concurrency = 2
[lanes.hurried]
concurrency = 1
queue_timeout = "800ms"
TOML
start_pgsteer --policies "$WORK/policies" --set learning.explore=false
contains 'a rule for one address, whatever port it comes from' 'by address' "$(PGAPPNAME=here proxied psql -XAtqc 'explain (pgsteer) select 1')"
checks=$((checks + 1))
python3 "$E2E/lanes.py" "$PROXY_PORT" "$DIRECT_PORT" || fail "lanes.py"

# Extended protocol: pgbench -M prepared meets the rate; the errors are the ones promised and the sessions survive them.
export PGAPPNAME=extended
printf 'select 1;\n' >"$WORK/one.sql"
refused=$(PGPORT=$PROXY_PORT "$BIN/pgbench" -n -M prepared -c 1 -t 12 -f "$WORK/one.sql" 2>&1)
unset PGAPPNAME
contains 'prepared statements are refused as promised' 'sends more than 3 statements a second' "$refused"
equal 'without upset in the log' '' "$(grep -E 'tracking_lost|server_protocol_error' "$WORK/pgsteer.log")"
contains 'a slow one is on record' 'refused' "$(console 'show limits')"
finish 5
