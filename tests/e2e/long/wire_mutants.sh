#!/bin/bash
# Every bug that another pooler had is found by a script of ours when ours has it: wire_mutants.py has the table. About a minute each, a
# good part of it compiling. Needs the build directory that PGSTEER is in. Argument: the names of some.
here=$(cd "$(dirname "$0")" && pwd)
[ -x /usr/bin/python3 ] && PATH=/usr/bin:$PATH
build=$(dirname "${PGSTEER:?the program under test}")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
escaped=0 caught=0
while IFS=$'\t' read -r name script environment what; do
  [ $# = 0 ] || [[ " $* " == *" $name "* ]] || continue
  python3 "$here/../wire_mutants.py" build "$build" "$name" "$scratch/mutant" || exit 1
  [ "$environment" = - ] && environment=
  found=
  for _ in 1 2; do
    env $environment PGSTEER="$scratch/mutant" timeout --kill-after=10 300 bash "$here/../$script" >"$scratch/output" 2>&1 </dev/null
    status=$?
    found=$(grep -a -m 1 -E '^ *FAILED' "$scratch/output")
    [ "$status" -ge 124 ] && found=${found:-FAILED: it hangs}
    [ -n "$found" ] && break
  done
  if [ -n "$found" ]; then
    echo "ok      $what ($name): $script: ${found:0:160}"
    caught=$((caught + 1))
  else
    echo "FAILED  not found: $what ($name) by $script: $(tail -1 "$scratch/output")"
    escaped=$((escaped + 1))
  fi
done < <(python3 "$here/../wire_mutants.py" list)
echo "wire_mutants.sh: $caught found, $escaped escaped"
[ "$escaped" = 0 ] && [ "$caught" -gt 0 ]
