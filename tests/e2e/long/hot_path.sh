#!/bin/bash
# Instructions of the event loops for a transaction of pgbench -S, by valgrind's callgrind: the same number on a busy machine as on an idle one,
# so that a hot path which has become a few percent dearer shows. Compared with hot_path.txt (hot_path.sh --write makes it anew, in the commit
# that changes it on purpose). The comparison is tested: with ten percent more work per transaction, planted, it must fail.
. "$(dirname "$0")/../lib.sh"
[ -z "$DIRECT" ] || skip 'nothing to count without the proxy'
command -v valgrind >/dev/null || skip 'no valgrind'
known=$E2E/long/hot_path.txt tolerance=${HOT_PATH_TOLERANCE:-5} # percent
transactions=4000
start_postgres 'max_connections = 60'
PGPORT=$DIRECT_PORT pgbench -i -q -s 5 >/dev/null 2>&1 || exit 1
mkdir "$WORK/policies"
printf '[default]\nmode = "observe"\nrewrite = ["all"]\ncache = "off"\n' >"$WORK/policies/all.toml"

instructions() { # protocol pooled|relayed [library to preload]: per transaction
  local pool=()
  [ "$2" = relayed ] || pool=(--set auth.mode=terminate --set auth.method=trust --set pool.mode=transaction --set pool.default_pool_size=8)
  rm -rf "$WORK/state" "$WORK"/callgrind*
  PROXY_PORT=$(free_port)
  LD_PRELOAD=${3:-} valgrind --tool=callgrind --callgrind-out-file="$WORK/callgrind" --instr-atstart=no "$PGSTEER" run --upstream "postgresql://127.0.0.1:$DIRECT_PORT" \
    --listen "127.0.0.1:$PROXY_PORT" --state-dir "$WORK/state" --policies "$WORK/policies" --set http.port=0 --set learning.explore=false --set threads.count=1 \
    --set upstream.probe_url="postgresql://postgres@127.0.0.1:$DIRECT_PORT/postgres" "${pool[@]}" >"$WORK/pgsteer.log" 2>&1 &
  PGSTEER_PID=$!
  for _ in $(seq 300); do (exec 3<>"/dev/tcp/127.0.0.1/$PROXY_PORT") 2>/dev/null && break; sleep 0.2; done
  proxied pgbench -n -S -M "$1" -c 2 -t 300 >/dev/null 2>&1
  sleep 10 # the statement is known to the background now
  callgrind_control -i on "$PGSTEER_PID" >/dev/null 2>&1
  proxied pgbench -n -S -M "$1" -c 2 -t $((transactions / 2)) >/dev/null 2>&1
  callgrind_control -i off "$PGSTEER_PID" >/dev/null 2>&1
  callgrind_control -d "$PGSTEER_PID" >/dev/null 2>&1
  callgrind_annotate --inclusive=yes "$WORK/callgrind.1" 2>/dev/null | awk -v n="$transactions" '/scheduler::run\(/ { gsub(",", "", $1); print int($1 / n); exit }'
  stop_pgsteer >/dev/null 2>&1
  PROXY_PORT=
}
dearer() { # now before: by more than the tolerance
  awk -v now="$1" -v before="$2" -v t="$tolerance" 'BEGIN { exit !(now > before * (1 + t / 100)) }'
}

for protocol in simple extended prepared; do
  for pool in pooled relayed; do
    now=$(instructions "$protocol" "$pool")
    [ "${now:-0}" -gt 1000 ] || { fail "$protocol, $pool: no count"; continue; }
    echo "$protocol $pool $now" >>"$WORK/counts"
    before=$(awk -v p="$protocol" -v q="$pool" '$1 == p && $2 == q { print $3 }' "$known" 2>/dev/null)
    if [ "${1:-}" = --write ]; then continue; fi
    if dearer "$now" "${before:-0}"; then fail "$protocol, $pool: $now instructions" "$before in hot_path.txt"; else pass "$protocol, $pool: $now instructions ($before known)"; fi
  done
done
if [ "${1:-}" = --write ]; then
  cp "$WORK/counts" "$known"
  cat "$known"
  exit 0
fi

base=$(awk '$1 == "extended" && $2 == "pooled" { print $3 }' "$WORK/counts")
cat >"$WORK/slow.c" <<C
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sys/socket.h>
ssize_t send(int fd, const void *bytes, size_t size, int flags) {
  static ssize_t (*real)(int, const void *, size_t, int);
  if (!real) real = (ssize_t (*)(int, const void *, size_t, int))dlsym(RTLD_NEXT, "send");
  long turns = $((base / 10 / 2 / 2)); /* of two instructions, twice a transaction */
  __asm__ volatile("1: dec %0\n jnz 1b" : "+r"(turns));
  return real(fd, bytes, size, flags);
}
C
cc -O1 -shared -fPIC -o "$WORK/slow.so" "$WORK/slow.c" -ldl || exit 1
slow=$(instructions extended pooled "$WORK/slow.so")
check "ten percent, planted, is found ($base to $slow instructions)" dearer "$slow" "$base"
finish 7
