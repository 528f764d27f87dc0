#!/bin/bash
# Other people's wire-protocol clients see no difference: every test of PostgreSQL's libpq_pipeline with its traces of messages, every
# script of pgpool-II's pgproto, pg_basebackup and pg_receivewal; direct, in mode observe, in auto with everything on, and (but for
# replication) with transaction pooling. Sources come from Debian, into the temporary directory; needs pgpool2's pgproto.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/regression_suite.sh"
[ -x /usr/sbin/pgproto ] || skip 'no pgproto (package pgpool2)'

fetch_sources || { tail -3 "$WORK/apt.log"; skip 'the sources could not be fetched'; }
(cd "$WORK/source" && tar xf postgresql-15_*.orig.tar.bz2 --strip-components=1 --wildcards 'postgresql-15*/src/test/modules/libpq_pipeline' &&
  apt-get -qq -o "Dir::Etc::sourcelist=$WORK/apt/sources.list" -o Dir::Etc::sourceparts=/nonexistent -o "Dir::State::lists=$WORK/apt/lists" \
    -o "Dir::Cache=$WORK/apt/cache" source --download-only pgpool2 &&
  mkdir pgpool && tar xf pgpool2_*.orig.tar.* -C pgpool --strip-components=1) >>"$WORK/apt.log" 2>&1 || { tail -3 "$WORK/apt.log"; skip 'the sources could not be fetched'; }
# What it takes from libpgcommon and libpgport, which Debian does not ship, is the C library's under another name.
cat >"$WORK/shim.c" <<'C'
#define _GNU_SOURCE
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
void pfree(void *p) { free(p); }
char *pg_strdup(const char *s) { return strdup(s); }
const char *pg_strerror(int e) { return strerror(e); }
int pg_vfprintf(FILE *f, const char *format, va_list args) { return vfprintf(f, format, args); }
#define FORWARD(call) va_list args; va_start(args, format); int n = call; va_end(args); return n;
int pg_fprintf(FILE *f, const char *format, ...) { FORWARD(vfprintf(f, format, args)) }
int pg_printf(const char *format, ...) { FORWARD(vprintf(format, args)) }
int pg_sprintf(char *s, const char *format, ...) { FORWARD(vsprintf(s, format, args)) }
int pg_snprintf(char *s, size_t size, const char *format, ...) { FORWARD(vsnprintf(s, size, format, args)) }
char *psprintf(const char *format, ...) { char *s; va_list args; va_start(args, format); if (vasprintf(&s, format, args) < 0) abort(); va_end(args); return s; }
C
include=$WORK/source/headers/usr/include/postgresql
gcc -O1 -w -I"$include/15/server" -I"$include/internal" -I/usr/include/postgresql -I/usr/include/postgresql/internal "$WORK/source/src/test/modules/libpq_pipeline/libpq_pipeline.c" \
  -c -o "$WORK/libpq_pipeline.o" && gcc -w "$WORK/shim.c" "$WORK/libpq_pipeline.o" -o "$WORK/libpq_pipeline" -lpq -lm || { fail 'libpq_pipeline builds'; finish 1; }
mapfile -t pipeline_tests < <("$WORK/libpq_pipeline" tests)
mapfile -t scripts < <(find "$WORK/source/pgpool" -name '*.data' | sort)
echo "${#pipeline_tests[@]} tests of libpq_pipeline, ${#scripts[@]} scripts of pgproto"

start_postgres "max_connections = 60
max_prepared_transactions = 10
max_wal_senders = 5
wal_level = replica" "local all all trust
host all all 127.0.0.1/32 trust
host replication all 127.0.0.1/32 trust"

# What differs between any two runs: process ids and keys, table OIDs, statement names with pids in them.
without_ids() { sed -E 's/(BackendKeyData.*)[0-9]+ [0-9]+/\1/; s/(NotificationResponse[^0-9]*)[0-9]+( |\()/\1PID\2/; s/pid [0-9]+/pid N/g' | without_ports; }

# How far these two write before they read is a matter of time: they pass or not, what they say is not compared. So it is in their own suite.
run_pipeline() { # port folder
  mkdir -p "$2"
  local name trace out
  for name in "${pipeline_tests[@]}"; do
    trace=$2/$name.trace out=$2/$name.out
    case $name in pipelined_insert | uniqviol) trace=/dev/null out=/dev/null ;; esac
    timeout 120 "$WORK/libpq_pipeline" -t "$trace" "$name" "host=127.0.0.1 port=$1 user=postgres dbname=postgres" >"$out" 2>&1
    echo "status $?" >>"$2/$name.out"
  done
  direct psql -X -q -h 127.0.0.1 -c 'drop table if exists ppln_uniqviol, pq_pipeline_demo, pq_pipeline_tst' postgres 2>/dev/null
}
run_pgproto() { # port folder
  mkdir -p "$2"
  local script
  for script in "${scripts[@]}"; do
    timeout 30 /usr/sbin/pgproto -h 127.0.0.1 -p "$1" -u postgres -d postgres -f "$script" >"$2/$(basename "$script").proto" 2>&1
    echo "status $?" >>"$2/$(basename "$script").proto"
    PGPORT=$DIRECT_PORT psql -X -q -h 127.0.0.1 -c 'drop table if exists t1, t2, foo, pgproto_test, aaa, test, jdbc_test cascade' postgres 2>/dev/null
  done
}
compare() { # name folder
  local file different=
  for file in "$WORK"/direct/*; do
    diff -q <(without_ids <"$file") <(without_ids <"$2/$(basename "$file")") >/dev/null || different="$different $(basename "$file")"
  done
  equal "$1" '' "$different"
  for file in $different; do diff <(without_ids <"$WORK/direct/$file") <(without_ids <"$2/$file") | head -"${DIFF_LINES:-12}" | sed "s/^/  $file: /"; done
}
run_all() { run_pipeline "$1" "$2"; run_pgproto "$1" "$2"; }

run_all "$DIRECT_PORT" "$WORK/direct"
equal 'direct: every test of libpq_pipeline passes' '' "$(grep -L 'status 0' "$WORK"/direct/*.out)"
equal 'direct: pgproto says something' '' "$(find "$WORK/direct" -name '*.proto' -size -20c)"
run_all "$DIRECT_PORT" "$WORK/again"
compare 'direct twice' "$WORK/again"
E2E_MODE=observe start_pgsteer
run_all "$PROXY_PORT" "$WORK/observe"
compare 'mode observe' "$WORK/observe"
# A base backup that starts, and the log that follows it.
backup() { as_server "$BIN/pg_basebackup" -h 127.0.0.1 -p "$PROXY_PORT" -U postgres -D "$WORK/backup" -X stream -c fast && as_server "$BIN/pg_verifybackup" "$WORK/backup"; }
mkdir "$WORK/backup" && chown nobody "$WORK/backup"
check 'pg_basebackup, and pg_verifybackup of it' backup
receive() { # until the end of what is written now
  local end
  mkdir "$WORK/wal" && chown nobody "$WORK/wal"
  direct psql -X -q -h 127.0.0.1 -c 'create table for_wal as select generate_series(1, 10000)' -c 'select pg_switch_wal()' postgres >/dev/null
  end=$(direct psql -X -A -t -h 127.0.0.1 -c 'select pg_current_wal_lsn()' postgres)
  as_server timeout 60 "$BIN/pg_receivewal" -h 127.0.0.1 -p "$PROXY_PORT" -U postgres -D "$WORK/wal" --endpos="$end" --no-loop
}
check 'pg_receivewal' receive
stop_pgsteer
everything_policy
E2E_MODE=auto start_pgsteer --policies "$WORK/policies"
run_all "$PROXY_PORT" "$WORK/auto"
compare 'mode auto, everything on' "$WORK/auto"
stop_pgsteer
E2E_MODE=observe start_pgsteer --set auth.mode=terminate --set auth.method=trust --set pool.mode=transaction
run_all "$PROXY_PORT" "$WORK/pooled"
compare 'transaction pooling' "$WORK/pooled"
finish 8
