#!/bin/bash
# canary at 50 %: about half of the executions are changed, in the simple and in the extended protocol, and each is reported as what it
# was. (A statement planned twice would be drawn twice, and changed a quarter of the time.)
. "$(dirname "$0")/lib.sh"
[ -z "$DIRECT" ] || { echo "canary.sh: nothing to check without pgsteer"; exit 0; }
start_postgres "log_statement = all"
direct psql -q -c "create table items as select g as id, md5(g::text) as w from generate_series(1, 100000) g" \
  -c "alter table items add primary key (id)" -c "vacuum analyze items"
mkdir "$WORK/policies"
cat >"$WORK/policies/all.toml" <<'TOML'
[default]
mode = "canary"
canary = { share = "50%", control = "50%", promote_at = "100%" }
rewrite = ["literal_cast"]
steer = false
cache = "off"
TOML
start_pgsteer --policies "$WORK/policies" --set learning.explore=false
# Milliseconds against none, so that no noise makes the learner take it back.
statement="select w from items where id::text = '777'"
echo "$statement;" >"$WORK/statement.sql"
run() { # protocol executions
  proxied pgbench -n -M "$1" -f "$WORK/statement.sql" -c 1 -t "$2" >"$WORK/pgbench.log" 2>&1 || cat "$WORK/pgbench.log"
}
rewritten() { grep -E '(statement|execute [^:]*): .*from items' -i "$PG_DATA/log" | grep -vc 'id::text'; }
for _ in $(seq 40); do
  run simple 5
  [ "$(rewritten)" -gt 0 ] && break
  sleep 0.3
done
check 'the statement is rewritten' [ "$(rewritten)" -gt 0 ]
for protocol in simple extended prepared; do
  before=$(rewritten)
  run "$protocol" 300
  share=$(($(rewritten) - before))
  # 300 fair draws: beyond 105 and 195 once in five million
  check "$protocol: $share of 300 executions were changed" [ "$share" -ge 105 -a "$share" -le 195 ]
done
finish 4
