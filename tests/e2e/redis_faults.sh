#!/bin/bash
# Redis down at the start, killed, stopped, restarted empty, full, lying: no client error, no wrong answer, latency back to uncached.
. "$(dirname "$0")/lib.sh"
[ -n "$DIRECT" ] && { echo "redis_faults.sh: nothing to check without the proxy"; exit 0; }
command -v redis-server >/dev/null || skip 'no redis-server'
start_postgres
direct psql -X -q -c 'create table t(k int primary key, v bigint)' -c 'insert into t select g, g from generate_series(1, 2000) g' -c 'analyze t' || exit 1
strict_cache_policy
REDIS_PORT=$(free_port)
r() { redis-cli -p "$REDIS_PORT" "$@"; }
# memory_bytes=0: every answer that is kept is kept in Redis.
E2E_MODE=auto start_pgsteer --policies "$WORK/policies" --set upstream.probe_url="postgresql://postgres@127.0.0.1:$DIRECT_PORT/postgres" \
  --set learning.explore=false --set cache.redis_url="redis://127.0.0.1:$REDIS_PORT" --set cache.redis_min_cost=0s --set cache.memory_bytes=0

cat >"$WORK/load.py" <<'PY'
"""Reads and writes one register for some seconds: every answer must be the last one written. Prints the worst latency of the last half."""
import os, sys, time
sys.path.insert(0, sys.argv[1])
from extended import Extended
wire, seconds, latencies, reads = Extended(int(os.environ["PGPORT"]), timeout=30).login(), float(sys.argv[2]), [], 0
base = int(wire.simple("select v from t where k = 1")[1][1][0])
end = time.monotonic() + seconds
while time.monotonic() < end:
    for _ in range(10):
        for ask in (wire.simple, wire.run, wire.prepared):
            start = time.monotonic()
            got = ask("select sum(v), count(*) from t where k = 1")
            latencies.append((start, time.monotonic() - start))
            row = [m[1] for m in got if m[0] == "D"]
            if row != [(str(base).encode(), b"1")]:
                sys.exit(f"wrong answer: {got} instead of {base}")
            reads += 1
    got = wire.simple("update t set v = v + 1 where k = 1")
    if got[0] != ("C", b"UPDATE 1\0"):
        sys.exit(f"write: {got}")
    base += 1
tail = sorted(l for s, l in latencies if s > end - seconds / 2)
print(f"{reads} reads, median {1e3 * tail[len(tail) // 2]:.2f} ms, 99 % {1e3 * tail[int(len(tail) * 0.99)]:.2f} ms in the last half")
sys.exit(0 if tail[int(len(tail) * 0.9)] < float(sys.argv[3]) / 1e3 else "the last half is too slow: " + str(tail[-5:]))
PY
hits() { console 'show cache' | sed -n 's/^hits|//p'; }
load() { # name seconds [limit of the last half's 90 %, ms]
  local name=$1
  if output=$(PGPORT=$PROXY_PORT python3 "$WORK/load.py" "$E2E" "$2" "${3:-100}" 2>&1); then pass "$name: $output"; else fail "$name" "$output"; fi
}
hits_again() { # name: within 8 s Redis answers again
  local before now
  before=$(hits)
  for _ in $(seq 40); do
    load_quiet
    now=$(hits)
    [ "$now" -gt "$((before + 3))" ] && { pass "$1 ($((now - before)) hits)"; return; }
    sleep 0.2
  done
  fail "$1" "hits stay at $now; $(console 'show health' | grep redis)"
}
load_quiet() { for _ in 1 2 3 4; do proxied psql -X -A -t -c 'select sum(v), count(*) from t' >/dev/null || return 1; done; }
redis_health() { console 'show health' | sed -n 's/^redis|\([^|]*\)|.*/\1/p'; }
health_becomes() { # name expected
  for _ in $(seq 60); do load_quiet; [ "$(redis_health)" = "$2" ] && { pass "$1"; return; }; sleep 0.1; done
  fail "$1" "SHOW HEALTH says: $(redis_health)"
}

load 'Redis is down at the start' 3
health_becomes 'SHOW HEALTH says so' 'breaker open'
redis_run
hits_again 'it comes: its values are used'
health_becomes 'and SHOW HEALTH is ok' 'ok'
(sleep 1.5; kill -9 "$REDIS_PID") 2>/dev/null &
load 'Redis is killed under load' 4
health_becomes 'SHOW HEALTH says so' 'breaker open'
redis_run
hits_again 'restarted empty: its values are used again'
(sleep 1; kill -STOP "$REDIS_PID"; sleep 5; kill -CONT "$REDIS_PID") &
stopper=$!
load 'Redis is stopped for 5 s' 4 20
health_becomes 'SHOW HEALTH says so' 'breaker open'
wait $stopper
hits_again 'it goes on: its values are used again'
health_becomes 'and SHOW HEALTH is ok' 'ok'
r config set maxmemory 1mb >/dev/null
r config set maxmemory-policy noeviction >/dev/null
load 'Redis is full' 2
r config set maxmemory 0 >/dev/null
hits_again 'and has room again'
corrupt() {
  for key in $(r keys 'pgsteer:*'); do
    size=$(r strlen "$key")
    for at in 0 5 20 100 $((size / 2)) $((size - 20)) $((size - 1)); do
      [ "$at" -ge 0 ] && [ "$at" -lt "$size" ] && r setrange "$key" "$at" "$(printf '\x41')" >/dev/null
    done
  done
}
(for _ in $(seq 12); do corrupt; sleep 0.1; done) &
corrupter=$!
load 'values are overwritten' 3
wait $corrupter
load_quiet
corrupt
equal 'an overwritten value is not shown' "$(direct psql -X -A -t -c 'select sum(v), count(*) from t')" "$(proxied psql -X -A -t -c 'select sum(v), count(*) from t')"
for key in $(r keys 'pgsteer:*'); do r del "$key" >/dev/null; r lpush "$key" lie >/dev/null; done
load 'values of another type' 2
for key in $(r keys 'pgsteer:*'); do r set "$key" lie >/dev/null; done
equal 'a short lie is not shown' "$(direct psql -X -A -t -c 'select sum(v), count(*) from t')" "$(proxied psql -X -A -t -c 'select sum(v), count(*) from t')"
hits_again 'and its values are used again'
# As if hashes of keys collided: every value under another one's key.
several() { for limit in 10 20 30 40; do "$1" psql -X -A -t -c "select count(*) from t where k < $limit"; done; }
for _ in 1 2 3 4; do several proxied >/dev/null; done
before=$(hits)
several proxied >/dev/null
check 'four values are there' [ "$(hits)" -ge $((before + 4)) ]
r eval "local k = redis.call('KEYS', 'pgsteer:*') local first = redis.call('GET', k[1])
  for i = 1, #k do redis.call('SET', k[i], i < #k and redis.call('GET', k[i + 1]) or first) end" 0 >/dev/null
equal "nobody is given another one's value" "$(several direct)" "$(several proxied)"
check 'it is the same process still' kill -0 "$PGSTEER_PID"
check 'no crash in the log' bash -c "! grep -Eiq 'segfault|assert|terminate called|AddressSanitizer' $WORK/pgsteer.log"
finish 20
