#!/bin/bash
# Every limit and time-out of [pool], set by RELOAD one after the other on one process (pooling.sh has those of queries).
. "$(dirname "$0")/lib.sh"
[ -z "$DIRECT" ] || skip 'there is no pool'
start_postgres 'max_connections = 60'
direct psql -X -q -c 'create role ann login' -c 'create role bob login' -c 'create role own login' -c 'create database other' || exit 1
printf '[pool]\n' >"$WORK/pgsteer.toml"
start_pgsteer --config "$WORK/pgsteer.toml" --set auth.mode=terminate --set auth.method=trust
check 'limits and time-outs' python3 "$E2E/pool_limits.py" "$DIRECT_PORT" "$PROXY_PORT" "$WORK/pgsteer.toml"
finish 1
