#!/bin/bash
# What SECURITY.md says of the program, its unit, its files and its memory.
. "$(dirname "$0")/lib.sh"
[ -z "$DIRECT" ] || skip 'nothing to check without the proxy'
command -v readelf >/dev/null || skip 'no readelf'

program() { readelf -W "$@" "$PGSTEER"; }
contains 'position-independent' 'Type: DYN' "$(program -h | tr -s ' ')"
contains 'immediate binding' BIND_NOW "$(program -d)"
contains 'relocations become read-only' GNU_RELRO "$(program -l)"
equal 'the stack is not executable' RW "$(program -l | awk '$1 == "GNU_STACK" { print $(NF - 1) }')"
equal 'no segment is writable and executable' '' "$(program -l | awk '$1 == "LOAD" && / RWE /')"
equal 'no relocation of code, no search path in it' '' "$(program -d | grep -E 'TEXTREL|RPATH|RUNPATH')"
# Of ours, not only of the library that is linked in: libpg_query brings some.
contains 'stack protector' __stack_chk_fail "$(program --dyn-syms)"
contains 'checked string functions' __memcpy_chk "$(program --dyn-syms)"

unit=$E2E/../../conf/packaging/pgsteer.service
for line in NoNewPrivileges=yes CapabilityBoundingSet= ProtectSystem=strict ProtectHome=yes PrivateTmp=yes PrivateDevices=yes MemoryDenyWriteExecute=yes \
  RestrictNamespaces=yes SystemCallFilter=@system-service UMask=0077 User=pgsteer; do
  grep -qx -- "$line" "$unit" || fail "the unit lacks $line"
done
if command -v systemd-analyze >/dev/null; then
  check 'systemd-analyze security: at most 2.0' systemd-analyze security --offline=yes --threshold=20 --no-pager "$unit"
else
  echo 'SKIPPED systemd-analyze: not here'
fi

# Secrets, in every place an operator may put one.
start_postgres 'password_encryption = scram-sha-256' 'host all all 127.0.0.1/32 trust'
start_redis
redis-cli -p "$REDIS_PORT" config set requirepass sekrit-redis >/dev/null
install -m 600 /dev/null "$WORK/users"
printf '"postgres" "sekrit-user"\n' >"$WORK/users"
install -m 600 /dev/null "$WORK/token"
echo sekrit-token >"$WORK/token"
install -m 600 /dev/null "$WORK/probe"
echo sekrit-probe >"$WORK/probe"
printf '[cache]\nredis_url = "redis://:sekrit-redis@127.0.0.1:%s"\n[upstream]\nprobe_password_file = "%s"\n[auth]\nmode = "terminate"\nfile = "%s"\n' \
  "$REDIS_PORT" "$WORK/probe" "$WORK/users" >"$WORK/pgsteer.toml"
http=$(free_port)
ulimit -Sc 0
ulimit -Sn 512
(cd "$WORK" && umask 000 && : >pgsteer.log)
umask 000
start_pgsteer --config "$WORK/pgsteer.toml" --set log.level=debug --set http.port="$http" --set http.token_file="$WORK/token" \
  --set upstream.probe_url="postgresql://postgres@127.0.0.1:$DIRECT_PORT/postgres"
umask 022
export PGPASSWORD=sekrit-user
equal 'a client logs in' 1 "$(proxied psql -XAtqc 'select 1')"
PGPASSWORD=sekrit-wrong proxied psql -XAtqc 'select 1' >/dev/null 2>&1
for name in CONFIG CLIENTS SERVERS POOLS DATABASES USERS HEALTH LISTS; do console "SHOW $name"; done >"$WORK/seen.console" 2>&1
curl -s -H 'Authorization: Bearer sekrit-token' "http://127.0.0.1:$http/metrics" "http://127.0.0.1:$http/api/v1/show/config" >"$WORK/seen.http"
contains 'SHOW CONFIG shows the URL' 'redis://:\*\*\*@\|redis://:***@' "redis://:\*\*\*@\|$(grep -o 'redis://:\*\*\*@' "$WORK/seen.console" | head -1)"
sleep 0.5
tr '\0' '\n' <"/proc/$PGSTEER_PID/cmdline" >"$WORK/seen.cmdline"
equal 'no secret in tables, HTTP, log, arguments, files' '' "$(grep -rlaE 'sekrit-(redis|user|wrong|token|probe)' "$WORK/state" "$WORK/pgsteer.log" "$WORK"/seen.* | grep -v 'seen.none')"
equal 'the state directory is its own' 700 "$(stat -c %a "$WORK/state")"
equal 'and every file in it' '' "$(find "$WORK/state" -type f ! -perm 600)"

# Memory.
equal 'as many descriptors as it may have' "$(ulimit -Hn)" "$(awk '/Max open files/ { print $4 }' "/proc/$PGSTEER_PID/limits")"
equal 'not dumpable: what is in /proc of it is root'\''s' 0 "$(stat -c %u "/proc/$PGSTEER_PID/environ")"
proxied psql -XAtqc 'select pg_sleep(5)' >/dev/null 2>&1 &
PIDS+=($!)
stop_pgsteer ABRT
equal 'ended by a signal it leaves no core file' '' "$(find "$WORK" . -maxdepth 2 -name 'core*' -newer "$WORK/users" 2>/dev/null)"
if [ "$(id -u)" = 0 ]; then # as somebody else, or the kernel asks nobody's leave
  PROXY_PORT=$(free_port)
  mkdir "$WORK/nobody" && chown nobody "$WORK/nobody"
  cp "$PGSTEER" "$WORK/program" && chmod 755 "$WORK/program"
  as_server "$WORK/program" run --upstream "postgresql://127.0.0.1:$DIRECT_PORT" --listen "127.0.0.1:$PROXY_PORT" --state-dir "$WORK/nobody/state" \
    --set http.port=0 >"$WORK/nobody.log" 2>&1 &
  PIDS+=($!)
  wait_port "$PROXY_PORT" 'pgsteer of another user'
  other=$(pgrep -u nobody -f "^$WORK/program")
  check 'it serves' env PGPORT="$PROXY_PORT" psql -XAtqc 'select 1'
  equal 'its own user cannot read its memory' denied "$(as_server head -c 1 "/proc/$other/mem" >/dev/null 2>&1 && echo read || echo denied)"
  equal 'nor its environment' denied "$(as_server cat "/proc/$other/environ" >/dev/null 2>&1 && echo read || echo denied)"
  kill "$other"
fi
finish 18
