#!/bin/bash
# The history check finds what it is for: programs with one step of the cache protocol taken out must be caught. About a minute each,
# mostly compiling. Needs the build directory that PGSTEER is in. Argument: the names of some (cache_mutants.py list).
here=$(cd "$(dirname "$0")" && pwd)
[ -x /usr/bin/python3 ] && PATH=/usr/bin:$PATH
build=$(dirname "${PGSTEER:?the program under test}")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
escaped=0 caught=0
while IFS=$'\t' read -r name what; do
  [ $# = 0 ] || [[ " $* " == *" $name "* ]] || continue
  python3 "$here/../cache_mutants.py" build "$build" "$name" "$scratch/$name" || exit 1
  found=
  for _ in 1 2 3; do # some gaps are a few microseconds wide
    arguments=
    case $name in
      group_*) script=cache_group.sh signs='^FAILED +(stale|went|session|quiescence|read|what one|a trigger|a view|with Redis|and the next|with what|Redis is dead|and the answer)' ;;
      faults_*) script=cache_group_faults.sh signs='^FAILED +(the|Redis|a)' ;;
      failover_*) script=long/cache_failover.sh signs='^FAILED +.*(whoever|sessions)' ;;
      clock_*) script=long/cache_clock.sh signs='^FAILED +(the clock|a group|and with)' ;;
      values_*) script=redis_faults.sh signs='^FAILED +nobody' ;;
      load_*) script=cache_load.sh signs='^FAILED +(who|nobody|REVOKE|flush)' ;;
      key_*) script=cache_adversarial.sh arguments='^k[0-9]' signs='^FAILED +k' ;;
      feed_*) script=cache_feed.sh signs='^FAILED +(stale|went|session|quiescence|read|what|without a walsender|the same|REFRESH|another|a table|REVOKE|and from)' ;;
      unknown_is_rollback | panic_unvoided) script=cache_outcome.sh signs='^FAILED +(the answer|a write)' ;;
      *) script=cache_history.sh signs='^FAILED +(stale|went|session|quiescence|read)' ;;
    esac
    PGSTEER=$scratch/$name CACHE_HISTORY_SECONDS=${CACHE_HISTORY_SECONDS:-20} timeout 600 bash "$here/../$script" ${arguments:+"$arguments"} >"$scratch/output" 2>&1 &
    while kill -0 $! 2>/dev/null; do # the first sign is enough
      grep -qE "$signs" "$scratch/output" && kill $!
      sleep 0.5
    done 2>/dev/null
    wait $!
    found=$(grep -E -m 1 "$signs" "$scratch/output")
    [ -n "$found" ] && break
  done
  if [ -n "$found" ]; then
    echo "ok      caught: $what ($name): $found"
    caught=$((caught + 1))
  else
    echo "FAILED  not caught: $what ($name)"
    escaped=$((escaped + 1))
  fi
done < <(python3 "$here/../cache_mutants.py" list)
echo "cache_mutants.sh: $caught caught, $escaped escaped"
[ "$escaped" = 0 ] && [ "$caught" -gt 0 ]
