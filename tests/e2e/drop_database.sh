#!/bin/bash
# DROP DATABASE and its like, right after the last client of that database has gone: no connection of pgsteer's own is in the way,
# whether it looks the catalog up or waits in a pool for the next client. And DROP ROLE: nobody gets a connection of a role that had his name.
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
# A role dropped and made anew is another one, with the same name: no connection of the old one serves it.
roles() {
  local n
  for n in 1 2 3; do
    psql -XAtq -c "create role anna login" -c "grant select on owned to anna" || return 1
    psql -XAtq -U anna -c 'select current_user, session_user, count(*) from owned' -c 'begin' -c 'select 1' -c 'commit'
    psql -XAtq -c 'drop owned by anna' -c 'drop role anna' -c 'create role anna login' || return 1
    psql -XAtq -U anna -c 'select current_user, session_user' -c 'select count(*) from owned' 2>&1
    psql -XAtq -c 'create role berta login' -c 'alter role anna rename to carla' || return 1
    psql -XAtq -U berta -c 'select current_user' || return 1
    psql -XAtq -c 'drop role berta' -c 'alter role carla rename to berta' || return 1
    psql -XAtq -U berta -c 'select current_user' || return 1
    psql -XAtq -c 'drop role berta' || return 1
  done
}
direct psql -XAtqc 'create table owned (i int)'
E2E_MODE=auto start_pgsteer --policies "$WORK/policies" --set "upstream.probe_url=postgresql://postgres@127.0.0.1:$DIRECT_PORT/postgres"
same 'connections of the background' whole_life
stop_pgsteer
[ -n "$DIRECT" ] || start_pgsteer --set auth.mode=terminate --set auth.method=trust --set pool.mode=transaction --set upstream.probe=false
same 'connections of a pool' whole_life
same 'roles of a pool' roles
stop_pgsteer
[ -n "$DIRECT" ] || start_pgsteer --set auth.mode=terminate --set auth.method=trust --set pool.mode=transaction --set pool.min_pool_size=2 --set upstream.probe=false
same 'a pool that is filled ahead' whole_life
finish 4
