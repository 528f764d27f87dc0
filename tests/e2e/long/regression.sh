#!/bin/bash
# PostgreSQL's own regression suite (parallel_schedule, 200 files) run by its own pg_regress: the result files through pgsteer
# equal those of direct runs, in each mode given: regression.sh [off] [observe] [auto]; default all three. In auto everything that
# may change a statement is on: all rules, steering from 1 us, strict cache. A file of which two direct runs differ is not
# compared (they are named). The suite's sources and the server's headers come from Debian, into the temporary directory.
. "$(dirname "$0")/../lib.sh"
modes=("$@")
[ $# -gt 0 ] || modes=(off observe auto)
. "$(dirname "$0")/regression_suite.sh"

fetch_suite
start_postgres "max_connections = 120"
suite_run direct1 "$DIRECT_PORT"
suite_run direct2 "$DIRECT_PORT"
[ "$(ls "$WORK/direct1/results" | grep -c '\.out$')" -ge 190 ] || { tail -5 "$WORK/direct1/log"; fail 'the direct run is no whole run'; }

# Ports and the addresses of backends differ by nature.
differences() { # run: names of result files that differ from the first direct run's
  local file name
  for file in "$WORK/direct1/results"/*.out; do
    name=$(basename "$file")
    diff -q <(without_ports <"$file") <(without_ports <"$WORK/$1/results/$name" 2>/dev/null) >/dev/null || echo "$name"
  done
}
differences direct2 >"$WORK/unsteady"
echo "result files that differ between two direct runs, not compared: $(tr '\n' ' ' <"$WORK/unsteady")"

everything_policy
for mode in "${modes[@]}"; do
  rm -rf "$WORK/state" "$WORK/pgsteer.log"
  if [ "$mode" = auto ]; then E2E_MODE=auto start_pgsteer --policies "$WORK/policies"; else E2E_MODE=$mode start_pgsteer; fi
  # pg_regress writes the port it was given nowhere but into its own messages.
  suite_run "$mode" "$PROXY_PORT"
  different=$(differences "$mode" | grep -vxF -f "$WORK/unsteady")
  equal "mode $mode: the same result files" '' "$different"
  for name in $different; do
    diff <(without_ports <"$WORK/direct1/results/$name") <(without_ports <"$WORK/$mode/results/$name") | head -${DIFF_LINES:-15} | sed "s/^/  $name: /"
  done
  [ -z "${KEEP_RESULTS:-}" ] || { mkdir -p "$KEEP_RESULTS"; cp -rL "$WORK/$mode" "$WORK/direct1" "$KEEP_RESULTS/"; cp "$WORK/pgsteer.log" "$KEEP_RESULTS/$mode/"; }
  console 'SHOW STATS' | tail -1
  check "mode $mode: the same process still" kill -0 "$PGSTEER_PID"
  equal "mode $mode: no reply was without its request" '' "$(grep -h tracking_lost "$WORK/pgsteer.log")"
  stop_pgsteer
done
finish 3
