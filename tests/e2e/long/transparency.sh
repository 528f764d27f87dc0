#!/bin/bash
# Hundreds of thousands of statements, direct and through pgsteer with everything on (rewriting, steering, strict cache with Redis, statement
# reuse): the same answers. Half of the data sets relayed, half with transaction pooling.      transparency.sh [DATA-SETS [SQLSMITH-STATEMENTS [SEED]]]
# PGSTEER_EACH=2 PAUSE=90: fewer statements a data set, and a minute and a half to learn about them: it acts on most of them.
. "$(dirname "$0")/../lib.sh"
sets=${1:-140} smith=${2:-20000} seed=${3:-1}
tests=$(dirname "$PGSTEER")/tests/test_rewriter
[ -x "$tests" ] || skip 'test_rewriter is not built'
print_statements() { # first-seed
  PGSTEER_STATEMENTS=$WORK/statements PGSTEER_SETS=$((sets / 2)) PGSTEER_SEED=$1 "$tests" -ns -tc='print the statements*' >"$WORK/print.log" || { cat "$WORK/print.log"; exit 1; }
}
start_redis
start_postgres $'statement_timeout = 10s\nshared_buffers = 256MB\nmax_connections = 60\nautovacuum = off'
everything_policy
sed -i 's/cache = "strict"/cache = { mode = "strict", min_cost = "0us" }/' "$WORK/policies/all.toml"
run() { # name [arguments of pgsteer]
  local name=$1
  shift
  direct psql -X -q -c 'drop schema public cascade' -c 'create schema public' -c 'grant all on schema public to public' 2>/dev/null
  E2E_MODE=auto start_pgsteer --policies "$WORK/policies" --set cache.redis_url="redis://127.0.0.1:$REDIS_PORT/0" \
    --set upstream.probe_url="postgresql://postgres@127.0.0.1:$DIRECT_PORT/postgres" --set learning.explore=false "$@"
  python3 "$E2E/long/transparency.py" generated "$DIRECT_PORT" "$PROXY_PORT" "$WORK/statements" && pass "generated statements, $name" || fail "generated statements, $name"
  for action in rewritten reused cache_hits; do # else nothing was tried
    local count
    count=$(console 'show totals' | sed -n "s/^$action|//p")
    [ "${count:-0}" -gt 0 ] && pass "$action: $count" || fail "$action: $count"
  done
  if command -v sqlsmith >/dev/null && [ "$smith" -gt 0 ]; then
    direct psql -X -q -c 'create role smith login' -c 'grant select on all tables in schema public to smith' 2>/dev/null
    direct sqlsmith --target="host=127.0.0.1 port=$DIRECT_PORT dbname=postgres user=postgres" --dry-run --exclude-catalog --max-queries="$smith" --seed="$seed" 2>"$WORK/smith.log" |
      python3 -c "
import re, sys
moving = re.compile(r'tablesample|timestamp|random|\\bpg_(?!catalog)|now\\(|current_|clock|txid|nextval|set_config|inet_|version', re.I)
print(*[' '.join(s.split()) for s in sys.stdin.read().split(';\n') if s.strip().lower().startswith(('select', 'with')) and not moving.search(s)], sep='\n')" >"$WORK/smith.sql"
    python3 "$E2E/long/transparency.py" plain "$DIRECT_PORT" "$PROXY_PORT" "$WORK/smith.sql" && pass "sqlsmith, $name" || fail "sqlsmith, $name"
  fi
  stop_pgsteer
}
print_statements "$seed"
run relayed
print_statements $((seed + sets))
run 'transaction pooling' --set auth.mode=terminate --set auth.method=trust --set pool.mode=transaction
check 'no crash in the log' bash -c "! grep -Eiq 'segfault|assert|terminate called|AddressSanitizer' $WORK/pgsteer.log"
finish 9
