#!/bin/bash
# Scenarios of scenario_table.py that need a world of their own: a crowd of idle clients, a certificate that expires, a clock that jumps, a
# state directory that cannot be written.
#   CROWD=1000   CROWD=10000 takes as many descriptors here and in pgsteer   WORLDS="crowd tls clock store failover"
. "$(dirname "$0")/lib.sh"
[ -z "$DIRECT" ] || skip 'nothing to check without the proxy'
start_postgres 'max_connections = 60'
pooled='--set auth.mode=terminate --set auth.method=trust --set pool.mode=transaction --set pool.default_pool_size=6'
export CROWD=${CROWD:-1000} CERTIFICATES=$WORK/certificates WORK BIN PG_DATA DIRECT_PORT REPLICA_PORT REPLICA_DATA PROXY_PORT PGSTEER_PID
ulimit -Sn "$(ulimit -Hn)"
world() { # name
  if python3 "$E2E/scenarios.py" "$1" >"$WORK/table" 2>&1; then pass "$1"; else fail "$1"; fi
  cat "$WORK/table"
  check 'no crash in the log' bash -c "! grep -Eiq 'segfault|assert|terminate called|AddressSanitizer' $WORK/pgsteer.log"
  stop_pgsteer
}

crowd() {
  # One descriptor a client, and as many here.
  [ "$(ulimit -n)" -gt $((CROWD + 500)) ] || { echo "SKIPPED a crowd of $CROWD: $(ulimit -n) descriptors"; return; }
  # A soft limit of what a login shell gives: pgsteer takes what it may have.
  E2E_ARGUMENTS=$pooled
  ulimit -Sn 1024
  start_pgsteer --set limits.max_client_conn=20000
  ulimit -Sn "$(ulimit -Hn)"
  world crowd
}

faketime_library() { ls /usr/lib/*/faketime/libfaketimeMT.so.1 2>/dev/null | head -1; }
without_faketime() { # scenario
  echo "SKIPPED $1: no libfaketime"
  [ "${CI:-}" = true ] && fail 'libfaketime is missing'
}

tls() {
  local library then
  library=$(faketime_library)
  [ -n "$library" ] || { without_faketime 'the certificate'; return; }
  mkdir "$CERTIFICATES"
  local make=(openssl req -newkey rsa:2048 -nodes)
  "${make[@]}" -x509 -days 30 -subj /CN=authority -keyout "$CERTIFICATES/ca.key" -out "$CERTIFICATES/ca.pem" 2>/dev/null
  for name in old new; do
    "${make[@]}" -subj /CN=localhost -addext subjectAltName=DNS:localhost -keyout "$CERTIFICATES/$name.key" -out "$CERTIFICATES/$name.csr" 2>/dev/null
    then=-0
    [ $name = old ] && then=-3d # made three days ago, for two
    env LD_PRELOAD="$library" FAKETIME=$then openssl x509 -req -days 2 -copy_extensions copy -in "$CERTIFICATES/$name.csr" -CA "$CERTIFICATES/ca.pem" -CAkey "$CERTIFICATES/ca.key" \
      -CAcreateserial -out "$CERTIFICATES/$name.certificate" 2>/dev/null || { fail 'openssl'; return; }
  done
  cp "$CERTIFICATES/new.certificate" "$CERTIFICATES/live.certificate"
  (umask 077; cp "$CERTIFICATES/new.key" "$CERTIFICATES/live.key")
  E2E_ARGUMENTS=
  start_pgsteer --set tls.mode=allow --set tls.certificate_file="$CERTIFICATES/live.certificate" --set tls.key_file="$CERTIFICATES/live.key"
  world tls
}

clock() {
  local library
  library=$(faketime_library)
  [ -n "$library" ] || { without_faketime 'the clock'; return; }
  export FAKETIME_TIMESTAMP_FILE=$WORK/clock
  echo +0 >"$FAKETIME_TIMESTAMP_FILE"
  E2E_ARGUMENTS=$pooled
  everything_policy
  # As when somebody sets the machine's clock: the monotonic one does not follow.
  export E2E_ENVIRONMENT="LD_PRELOAD=$library FAKETIME_DONT_FAKE_MONOTONIC=1 FAKETIME_NO_CACHE=1"
  E2E_MODE=auto start_pgsteer --policies "$WORK/policies" --set upstream.probe_url="postgresql://postgres@127.0.0.1:$DIRECT_PORT/postgres"
  unset E2E_ENVIRONMENT
  world clock
}

store() { # it cannot be written from the beginning: clients see nothing of that, SHOW HEALTH does
  rm -rf "$WORK/state"
  small_disk && mount -o remount,ro "$WORK/state" || { echo 'SKIPPED the read-only disk: this machine mounts nothing'; return; }
  E2E_ARGUMENTS=$pooled
  start_pgsteer
  check 'a read-only state directory: served all the same' python3 "$E2E/ledger.py" run "$DIRECT_PORT" "$PROXY_PORT" 2
  contains 'and SHOW HEALTH says so' 'readonly\|read-only\|unable' "$(console 'show health' | grep -io 'readonly\|read-only\|unable' | sed 's/.*/readonly\\|read-only\\|unable/' | head -1)"
  mount -o remount,rw "$WORK/state"
  stored() { [ "$(console 'show feedback' | sed -n 's/^rows_in_store|//p')" -gt 0 ]; }
  proxied psql -XAtqc 'select 1' >/dev/null
  await 20 'once it can be written it is' stored && pass 'once it can be written it is'
  stop_pgsteer
  umount "$WORK/state"
}

failover() {
  rm -rf "$WORK/state"
  start_replica
  direct psql -XAtqc "alter system set synchronous_standby_names = '*'" -c "alter system set synchronous_commit = 'remote_apply'" -c 'select pg_reload_conf()' >/dev/null
  E2E_ARGUMENTS=$pooled
  UPSTREAM_URL="postgresql://127.0.0.1:$DIRECT_PORT,127.0.0.1:$REPLICA_PORT/postgres?target_session_attrs=primary" start_pgsteer \
    --set upstream.check_interval=200ms --set pool.query_wait_timeout=20s
  world failover
}

for each in ${WORLDS:-crowd tls clock store failover}; do $each; done
finish 8
