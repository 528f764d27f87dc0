#!/bin/bash
# node-postgres (npm `pg`): one program, direct and through, the same output.
. "$(dirname "$0")/lib.sh"
command -v npm >/dev/null && command -v node >/dev/null || skip "no node and npm"
mkdir "$WORK/node" && cd "$WORK/node" && echo '{"private": true}' >package.json
npm install --no-audit --no-fund --no-progress --silent pg@8.16.3 >"$WORK/npm.log" 2>&1 || skip "npm cannot install pg: $(tail -1 "$WORK/npm.log")"
start_postgres
start_pgsteer
cp "$E2E/node_driver.js" .
program() { timeout 55 node node_driver.js; }
same 'node-postgres' program
contains 'node-postgres: it came to its end' 'done: true' "$(PGPORT=$PROXY_PORT program 2>&1)"
stop_pgsteer
start_pgsteer --set auth.mode=terminate --set auth.method=trust --set pool.mode=transaction --set pool.default_pool_size=4
POOLED=1 same 'node-postgres, transaction pooling' program
contains 'node-postgres, transaction pooling: it came to its end' 'done: true' "$(POOLED=1 PGPORT=$PROXY_PORT program 2>&1)"
finish 4
