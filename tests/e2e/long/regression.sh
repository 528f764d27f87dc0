#!/bin/bash
# PostgreSQL's own regression suite (parallel_schedule, 200 files) run by its own pg_regress: the result files through pgsteer
# equal those of direct runs, in each mode given: regression.sh [off] [observe] [auto]; default all three. In auto everything that
# may change a statement is on: all rules, steering from 1 us, strict cache. A file of which two direct runs differ is not
# compared (they are named). The suite's sources and the server's headers come from Debian, into the temporary directory.
. "$(dirname "$0")/../lib.sh"
modes=("${@:-off}")
[ $# -gt 0 ] || modes=(off observe auto)
PG_REGRESS=/usr/lib/postgresql/15/lib/pgxs/src/test/regress/pg_regress
[ -x "$PG_REGRESS" ] || skip 'no pg_regress (package postgresql-15)'

fetch_suite() { # a private package list: the system's stay as they are
  local uri options
  uri=$(sed -n 's/^URIs: *//p' /etc/apt/sources.list.d/debian.sources 2>/dev/null | head -1)
  [ -n "$uri" ] || uri=$(sed -nE 's/^deb (\[[^]]*\] )?([^ ]+) bookworm main.*/\2/p' /etc/apt/sources.list | head -1)
  [ -n "$uri" ] || return 1
  mkdir -p "$WORK/apt/lists/partial" "$WORK/apt/cache/archives/partial" "$WORK/source" || return 1
  printf "%s [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $uri bookworm main\n" deb deb-src >"$WORK/apt/sources.list"
  options=(-qq -o "Dir::Etc::sourcelist=$WORK/apt/sources.list" -o Dir::Etc::sourceparts=/nonexistent
           -o "Dir::State::lists=$WORK/apt/lists" -o "Dir::Cache=$WORK/apt/cache")
  (cd "$WORK/source" && apt-get "${options[@]}" update && apt-get "${options[@]}" source --download-only postgresql-15 &&
    apt-get "${options[@]}" download postgresql-server-dev-15 && dpkg -x postgresql-server-dev-15_*.deb headers &&
    tar xf postgresql-15_*.orig.tar.bz2 --strip-components=1 --wildcards 'postgresql-15*/src/test/regress') >"$WORK/apt.log" 2>&1
}
fetch_suite || { tail -3 "$WORK/apt.log"; skip "the suite could not be fetched"; }
suite=$WORK/source/src/test/regress
gcc -shared -fPIC -O1 -w -I"$WORK/source/headers/usr/include/postgresql/15/server" -I/usr/include/postgresql \
  "$suite/regress.c" -o "$suite/regress.so" || exit 1
cp "$BIN"/../lib/{refint,autoinc}.so "$suite/" || exit 1

start_postgres "max_connections = 120"
chmod -R a+rX "$WORK/source"

suite_run() { # name port: results in $WORK/name/results
  local out=$WORK/$1
  mkdir -p "$out/results"
  # The server writes files of its own there.
  chmod 777 "$out" "$out/results"
  # The same path for all runs: it is seen in messages.
  rm -f "$WORK/out" && ln -s "$out" "$WORK/out"
  "$PG_REGRESS" --inputdir="$suite" --outputdir="$WORK/out" --bindir="$BIN" --dlpath="$suite" --host=127.0.0.1 --port="$2" \
    --user=postgres --schedule="$suite/parallel_schedule" --max-concurrent-tests=20 >"$out/log" 2>&1
  grep -E '^ (All|[0-9]+ of)' "$out/log" | sed "s/^/$1:/"
  ls "$out/results" | grep -c '\.out$'
}

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

mkdir "$WORK/policies"
cat >"$WORK/policies/all.toml" <<'TOML'
[default]
mode = "auto"
cache = "strict"
rewrite = ["all"]
steer = { arms = "default", floor = "1us" }
TOML
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
