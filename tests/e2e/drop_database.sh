#!/bin/bash
# DROP DATABASE and its like, right after the last client of that database has gone: no connection of pgsteer's own is in the way,
# whether it looks the catalog up or waits in a pool for the next client.
. "$(dirname "$0")/lib.sh"
start_postgres
everything_policy
whole_life() { # one database after the other: made, used by a client that goes, copied, renamed, dropped
  local name
  for name in a b c; do
    psql -XAtq -c "create database $name" || return 1
    psql -XAtq -d $name -c 'create table t (i int)' -c 'insert into t select generate_series(1, 100)' -c 'select sum(i) from t' || return 1
    until_seen $name
    psql -XAtq -c "create database copied template $name" || return 1
    psql -XAtq -d copied -c 'select count(*) from t' || return 1
    psql -XAtq -d $name -c 'select min(i) from t' || return 1
    psql -XAtq -c "alter database $name rename to other" -c 'drop database other' -c 'drop database copied' || return 1
  done
}
# A connection of pgsteer's own is there, or was never to come.
until_seen() {
  [ "$PGPORT" = "$DIRECT_PORT" ] && return
  await 20 "no connection to $1" direct psql -XAtqc "select 1 / count(*) from pg_stat_activity where datname = '$1'"
}
E2E_MODE=auto start_pgsteer --policies "$WORK/policies" --set "upstream.probe_url=postgresql://postgres@127.0.0.1:$DIRECT_PORT/postgres"
same 'connections of the background' whole_life
stop_pgsteer
[ -n "$DIRECT" ] || start_pgsteer --set auth.mode=terminate --set auth.method=trust --set pool.mode=transaction --set upstream.probe=false
same 'connections of a pool' whole_life
stop_pgsteer
[ -n "$DIRECT" ] || start_pgsteer --set auth.mode=terminate --set auth.method=trust --set pool.mode=transaction --set pool.min_pool_size=2 --set upstream.probe=false
same 'a pool that is filled ahead' whole_life
finish 3
