# Shared by the end-to-end scripts: throwaway servers on free ports of 127.0.0.1 in one temporary directory, all stopped at exit.
#
#   PGSTEER=path   the program under test        DIRECT=1   no proxy: the scripts themselves must pass against PostgreSQL
#   E2E_MODE=mode  off observe suggest auto ...; default observe
#   UPSTREAM_URL   in place of the server's own
#   STATE_DIR      in place of $WORK/state
#   E2E_ENVIRONMENT  variables of its environment, NAME=value by blanks
#   E2E_ARGUMENTS  more arguments of pgsteer, by blanks: the same script with pooling, say
#
# After start_postgres: DIRECT_PORT. After start_pgsteer: PROXY_PORT (with DIRECT=1 the same port). Checks: same, check, fail.
set -u -o pipefail
export LC_ALL=C PGCONNECT_TIMEOUT=20 PGUSER=postgres PGHOST=127.0.0.1 PGDATABASE=postgres PSQLRC=/dev/null PAGER=cat
# Debian's own interpreter has Debian's packages (psycopg2); another python3 may come first on the PATH.
# Programs that start others (timeout) do not see the function: they are given $PYTHON.
PYTHON=$([ -x /usr/bin/python3 ] && echo /usr/bin/python3 || echo python3)
python3() { command "$PYTHON" "$@"; }
export PYTHON && export -f python3
unset PGPORT PGPASSWORD PGSERVICE PGOPTIONS 2>/dev/null || true
E2E=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
BIN=${PGBIN:-/usr/lib/postgresql/15/bin}
DIRECT=${DIRECT:-}
WORK=$(mktemp -d "${TMPDIR:-/tmp}/pgsteer-e2e-XXXXXX")
chmod 755 "$WORK"
checks=0 faults=0 PIDS=() PG_DATA= PGSTEER_PID= DIRECT_PORT= PROXY_PORT= REDIS_PORT= REPLICA_DATA= REPLICA_PORT=

as_server() { # PostgreSQL refuses to run as root
  if [ "$(id -u)" = 0 ]; then (cd / && runuser -u nobody -- "$@"); else "$@"; fi
}

stop_pgsteer() { # [signal]
  [ -n "$PGSTEER_PID" ] || return 0
  kill -"${1:-TERM}" "$PGSTEER_PID" 2>/dev/null
  for _ in $(seq 100); do kill -0 "$PGSTEER_PID" 2>/dev/null || break; sleep 0.1; done
  kill -9 "$PGSTEER_PID" 2>/dev/null
  wait "$PGSTEER_PID" 2>/dev/null
  PGSTEER_PID=
}

cleanup() {
  local code=$?
  trap - EXIT INT TERM
  stop_pgsteer
  for pid in "${PIDS[@]:-}"; do [ -n "$pid" ] && kill "$pid" 2>/dev/null; done
  for data in "$REPLICA_DATA" "$PG_DATA"; do
    [ -n "$data" ] && as_server "$BIN/pg_ctl" -D "$data" -m immediate -w stop >/dev/null 2>&1
  done
  if [ "$code" = 0 ] && [ "$faults" != 0 ]; then code=1; fi
  if [ "$code" != 0 ] && [ -f "$WORK/pgsteer.log" ]; then
    echo "--- last lines of pgsteer's log"; tail -30 "$WORK/pgsteer.log"
  fi
  grep -q " $WORK/state " /proc/mounts && umount "$WORK/state"
  rm -rf "$WORK"
  exit "$code"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

skip() { # reason: loud, and a failure where everything must be there
  echo "SKIPPED $(basename "$0"): $1"
  [ "${CI:-}" = true ] && exit 1
  exit 0
}

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

wait_port() { # port what
  for _ in $(seq 200); do
    (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null && return 0
    sleep 0.05
  done
  echo "FAILED: $2 does not listen on port $1"
  exit 1
}

start_postgres() { # [extra lines of postgresql.conf [pg_hba.conf]]
  [ -x "$BIN/initdb" ] || skip "no PostgreSQL 15 in $BIN"
  PG_DATA=$WORK/pg
  mkdir "$PG_DATA"
  [ "$(id -u)" = 0 ] && chown nobody "$PG_DATA"
  as_server "$BIN/initdb" -D "$PG_DATA" -A trust -N -U postgres --no-instructions -E UTF8 --locale=C >"$WORK/initdb.log" 2>&1 ||
    { cat "$WORK/initdb.log"; exit 1; }
  DIRECT_PORT=$(free_port)
  printf "port = %s\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = '%s'\nfsync = off\nlogging_collector = off\n%s\n" \
    "$DIRECT_PORT" "$PG_DATA" "${1:-}" >>"$PG_DATA/postgresql.conf"
  [ $# -ge 2 ] && printf '%s\n' "$2" >"$PG_DATA/pg_hba.conf"
  server_start
}
# A streaming standby of the server of start_postgres (which has to allow replication: its pg_hba.conf does, by default). Its port goes to
# REPLICA_PORT, its directory to REPLICA_DATA.
start_replica() { # [extra lines of postgresql.conf]
  REPLICA_DATA=$WORK/replica
  REPLICA_PORT=$(free_port)
  mkdir -m 700 "$REPLICA_DATA"
  [ "$(id -u)" = 0 ] && chown nobody "$REPLICA_DATA"
  as_server "$BIN/pg_basebackup" -d "host=127.0.0.1 port=$DIRECT_PORT user=postgres" -D "$REPLICA_DATA" -R -X stream -c fast >"$WORK/basebackup.log" 2>&1 ||
    { cat "$WORK/basebackup.log"; exit 1; }
  printf "port = %s\nunix_socket_directories = '%s'\n%s\n" "$REPLICA_PORT" "$REPLICA_DATA" "${1:-}" >>"$REPLICA_DATA/postgresql.conf"
  replica_start
}
replica_start() { as_server "$BIN/pg_ctl" -D "$REPLICA_DATA" -l "$REPLICA_DATA/log" -w start >/dev/null || { tail "$REPLICA_DATA/log"; exit 1; }; }
replica() { PGPORT=$REPLICA_PORT "$@"; }
await() { # seconds what command...: until the command succeeds
  local deadline=$((SECONDS + $1)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $deadline ] || { fail "$what (waited in vain)"; return 1; }
    sleep 0.1
  done
}
caught_up() { # the standby has replayed all that is committed on the server
  [ "$(replica psql -XAtqc "select pg_last_wal_replay_lsn() >= '$(direct psql -XAtqc 'select pg_current_wal_flush_lsn()')'")" = t ]
}
server_start() { as_server "$BIN/pg_ctl" -D "$PG_DATA" -l "$PG_DATA/log" -w start >/dev/null || { tail "$PG_DATA/log"; exit 1; }; }
server_stop() { as_server "$BIN/pg_ctl" -D "$PG_DATA" -m "${1:-fast}" -w stop >/dev/null; }

redis_run() { # [options of redis-server]: at REDIS_PORT, again and again where a script kills it
  redis-server --port "$REDIS_PORT" --bind 127.0.0.1 --save '' --appendonly no --dir "$WORK" "$@" >>"$WORK/redis.log" 2>&1 &
  REDIS_PID=$!
  PIDS+=("$REDIS_PID")
  wait_port "$REDIS_PORT" redis-server
}
start_redis() {
  command -v redis-server >/dev/null || skip "no redis-server"
  REDIS_PORT=$(free_port)
  redis_run
}

start_pgsteer() { # [more arguments]
  if [ -n "$DIRECT" ]; then PROXY_PORT=$DIRECT_PORT; return; fi
  [ -x "${PGSTEER:-}" ] || { echo "FAILED: PGSTEER='${PGSTEER:-}' is no program (or set DIRECT=1)"; exit 1; }
  [ -n "$PROXY_PORT" ] || PROXY_PORT=$(free_port)
  env ${E2E_ENVIRONMENT:-} "$PGSTEER" run --upstream "${UPSTREAM_URL:-postgresql://127.0.0.1:$DIRECT_PORT}" --listen "127.0.0.1:$PROXY_PORT" --state-dir "${STATE_DIR:-$WORK/state}" \
    --mode "${E2E_MODE:-observe}" --set http.port=0 ${E2E_ARGUMENTS:-} "$@" >>"$WORK/pgsteer.log" 2>&1 &
  PGSTEER_PID=$!
  wait_port "$PROXY_PORT" pgsteer
}

small_disk() { # the state directory becomes a file system of 48 MB, as far as this machine lets us
  mkdir -p "$WORK/state"
  mount -t tmpfs -o size=48m tmpfs "$WORK/state" 2>/dev/null
}

start_gate() { # target port: a gate.py to it. Its port goes to GATE_PORT, that of its commands to GATE_CONTROL
  mkfifo "$WORK/gate"
  "$PYTHON" "$E2E/gate.py" "$1" >"$WORK/gate" 2>>"$WORK/gate.log" &
  PIDS+=($!)
  read -r GATE_PORT GATE_CONTROL <"$WORK/gate" || { echo "FAILED: no gate"; cat "$WORK/gate.log"; exit 1; }
  rm "$WORK/gate"
}

gate_says() { # port of its commands, command: the answer
  exec 9<>"/dev/tcp/127.0.0.1/$1" && printf '%s\n' "$2" >&9 && head -1 <&9
  exec 9>&-
}

strict_cache_policy() { # makes $WORK/policies: whatever the cache may keep it keeps
  mkdir "$WORK/policies"
  cat >"$WORK/policies/cache.toml" <<'TOML'
[default]
mode = "auto"
cache = { mode = "strict", min_cost = "0us" }
TOML
}
cache_rule() { # name, mode, staleness, tables as TOML: one more rule of strict_cache_policy's
  cat >>"$WORK/policies/cache.toml" <<TOML

[[rule]]
name = "$1"
match = { table = $4 }
mode = "auto"
cache = { mode = "$2", staleness = "$3", min_cost = "0us" }
TOML
}
history_tables() { # of history_check.py: registers, and a transaction that takes its time to commit
  direct psql -X -q -c 'create table r(k int primary key, v bigint not null)' -c 'insert into r select g, 0 from generate_series(0, 3) g' \
    -c 'create table slow(v int)' -c "create function pause() returns trigger language plpgsql as 'begin perform pg_sleep(0.02); return null; end'" \
    -c 'create constraint trigger at_commit after insert on slow deferrable initially deferred for each row execute function pause()' "$@"
}
everything_policy() { # makes $WORK/policies: whatever may change or answer a statement is on
  mkdir "$WORK/policies"
  cat >"$WORK/policies/all.toml" <<'TOML'
[default]
mode = "auto"
cache = "strict"
rewrite = ["all"]
steer = { arms = "default", floor = "1us" }
reuse = true
TOML
}

direct() { PGPORT=$DIRECT_PORT "$@"; }
proxied() { PGPORT=$PROXY_PORT "$@"; }
console() { PGPORT=$PROXY_PORT psql -X -A -t -d pgsteer -c "$1" 2>&1; }

fail() { echo "FAILED  $1"; [ $# -gt 1 ] && printf '%s\n' "$2" | head -40 | sed 's/^/        /'; faults=$((faults + 1)); checks=$((checks + 1)); return 0; }
pass() { echo "ok      $1"; checks=$((checks + 1)); }
check() { # name command...: it must succeed
  local name=$1 output
  shift
  if output=$("$@" 2>&1); then pass "$name"; else fail "$name" "$output"; fi
}
equal() { # name expected got
  if [ "$2" = "$3" ]; then pass "$1"; else fail "$1" "$(diff <(printf '%s\n' "$2") <(printf '%s\n' "$3"))"; fi
}
contains() { # name part text
  case $3 in *"$2"*) pass "$1" ;; *) fail "$1" "no '$2' in: $3" ;; esac
}
without_ports() { sed -E "s/\b($DIRECT_PORT|${PROXY_PORT:-0})\b/PORT/g"; }
same() { # name command...: the command (a function or program that reads PGPORT) gives the same direct and through
  local name=$1 want got want_code got_code
  shift
  want=$(PGPORT=$DIRECT_PORT "$@" 2>&1); want_code=$?
  got=$(PGPORT=$PROXY_PORT "$@" 2>&1); got_code=$?
  want=$(printf '%s\n[exit %s]' "$want" "$want_code" | without_ports)
  got=$(printf '%s\n[exit %s]' "$got" "$got_code" | without_ports)
  if [ "$want" = "$got" ]; then pass "$name"; else fail "$name (direct <, through >)" "$(diff <(printf '%s\n' "$want") <(printf '%s\n' "$got"))"; fi
}
finish() { # the last line of every script; at least so many checks must have run
  echo "$(basename "$0"): $checks checks, $faults failed"
  [ "$faults" = 0 ] && [ "$checks" -ge "${1:-1}" ]
  exit $?
}
