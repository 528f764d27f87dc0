#!/bin/bash
# A session leaves nothing behind in memory, not one byte: what is allocated and not freed is counted exactly, after thousands of sessions of
# every kind, relayed and pooled. The test is tested: with a byte leaked for every connection accepted it must fail.
. "$(dirname "$0")/lib.sh"
[ -z "$DIRECT" ] || skip 'there is nothing between'
start_postgres 'max_connections = 100'
mkdir "$WORK/policies"
printf '[default]\nmode = "off"\n' >"$WORK/policies/off.toml" # what is learned is kept on purpose
E2E_MODE=off
growth() { # sessions [arguments of pgsteer]: bytes per session
  local sessions=$1 http
  shift
  http=$(free_port)
  rm -rf "$WORK/state"
  start_pgsteer --policies "$WORK/policies" --set http.port="$http" --set learning.explore=false "$@"
  "$PYTHON" "$E2E/session_heap.py" "$PROXY_PORT" "$http" "$sessions"
  stop_pgsteer >/dev/null
  PROXY_PORT=
}
pooled=(--set auth.mode=terminate --set auth.method=trust --set pool.mode=transaction --set pool.default_pool_size=8)
at_most() { awk -v bytes="$1" -v most="$2" 'BEGIN { exit !(bytes != "" && bytes <= most) }'; }

bytes=$(growth "${HEAP_SESSIONS:-500}" "${pooled[@]}")
check "pooled sessions leave nothing ($bytes bytes each)" at_most "$bytes" 8
bytes=$(growth $((${HEAP_SESSIONS:-500} / 4)))
check "relayed sessions leave nothing ($bytes bytes each)" at_most "$bytes" 32

cat >"$WORK/leak.c" <<'C'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/socket.h>
static void *volatile lost;
int accept4(int fd, struct sockaddr *address, socklen_t *size, int flags) {
  static int (*real)(int, struct sockaddr *, socklen_t *, int);
  if (!real) real = (int (*)(int, struct sockaddr *, socklen_t *, int))dlsym(RTLD_NEXT, "accept4");
  lost = malloc(1);
  return real(fd, address, size, flags);
}
int accept(int fd, struct sockaddr *address, socklen_t *size) {
  static int (*real)(int, struct sockaddr *, socklen_t *);
  if (!real) real = (int (*)(int, struct sockaddr *, socklen_t *))dlsym(RTLD_NEXT, "accept");
  lost = malloc(1);
  return real(fd, address, size);
}
C
if cc -shared -fPIC -o "$WORK/leak.so" "$WORK/leak.c" -ldl; then
  bytes=$(E2E_ENVIRONMENT="LD_PRELOAD=$WORK/leak.so" growth "${HEAP_SESSIONS:-500}" "${pooled[@]}")
  check "one byte leaked by every session is found ($bytes bytes each)" at_most 16 "$bytes"
fi
finish 3
