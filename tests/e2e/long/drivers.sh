#!/bin/bash
# The test suites of the drivers that people use, direct and through pgsteer: the same tests pass. What may differ with transaction
# pooling is in drivers_expected.txt, with the reason; anything else is a fault.
#
#   drivers.sh [SUITE...]       all six by default; hours on two cores, most of them pgjdbc's
#   MODES="relay transaction"   some of: relay session transaction everything (see drivers_run.sh)
#   RESULTS=DIR                 where outcomes and logs are kept, and a finished run is taken from; default: nowhere
#   JOBS=n                      so many suites at once; default 1: some of their tests measure time
#
# A suite whose outcomes differ is run twice more: a test counts as passed when it passed once, with the server as with pgsteer.
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/drivers_fetch.sh"
RESULTS=${RESULTS:-$WORK/results} MODES=${MODES:-relay session transaction everything}
suites=("$@")
[ $# -gt 0 ] || suites=(node-postgres postgres.js psycopg2 psycopg3 asyncpg pgjdbc)
outcomes() { "$PYTHON" "$E2E/long/drivers_outcomes.py" "$@"; }
run_suite() { # suite mode
  local out=$RESULTS/$1.$2 i
  [ -s "$out" ] || bash "$E2E/long/drivers_run.sh" "$1" "$2" "$out" || return 1
  [ "$2" = direct ] && return
  for i in 2 3; do
    outcomes compare "$E2E/long/drivers_expected.txt" "$RESULTS" "$1" "$2" >/dev/null && return
    [ -s "$out.$i" ] || bash "$E2E/long/drivers_run.sh" "$1" "$2" "$out.$i" || return 1
  done
}
export -f run_suite outcomes
export RESULTS E2E
ready=()
for suite in "${suites[@]}"; do
  if reason=$(fetch_driver "$suite" 2>&1); then ready+=("$suite"); else fail "$suite cannot be run" "$reason"; fi
done
for mode in direct $MODES; do
  printf '%s\n' "${ready[@]}" | xargs -P "${JOBS:-1}" -I SUITE bash -c "run_suite SUITE $mode" || fail "mode $mode: a run ended early"
done
for suite in "${ready[@]}"; do
  for mode in $MODES; do check "$suite, $mode: the same outcomes" outcomes compare "$E2E/long/drivers_expected.txt" "$RESULTS" "$suite" "$mode"; done
done
outcomes table "$RESULTS" "${ready[@]}"
finish 1
