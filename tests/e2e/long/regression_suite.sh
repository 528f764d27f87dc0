# Shared by the scripts that use PostgreSQL's own regression suite; source it after lib.sh. Its files and the server's headers
# come from Debian, into the temporary directory.
PG_REGRESS=/usr/lib/postgresql/15/lib/pgxs/src/test/regress/pg_regress
[ -x "$PG_REGRESS" ] || skip 'no pg_regress (package postgresql-15)'

SUITE=$WORK/source/src/test/regress

fetch_sources() { # a private package list: the system's stay as they are
  local uri options
  uri=$(sed -n 's/^URIs: *//p' /etc/apt/sources.list.d/debian.sources 2>/dev/null | head -1)
  [ -n "$uri" ] || uri=$(sed -nE 's/^deb (\[[^]]*\] )?([^ ]+) bookworm main.*/\2/p' /etc/apt/sources.list | head -1)
  [ -n "$uri" ] || return 1
  mkdir -p "$WORK/apt/lists/partial" "$WORK/apt/cache/archives/partial" "$WORK/source" || return 1
  printf "%s [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $uri bookworm main\n" deb deb-src >"$WORK/apt/sources.list"
  options=(-qq -o "Dir::Etc::sourcelist=$WORK/apt/sources.list" -o Dir::Etc::sourceparts=/nonexistent
           -o "Dir::State::lists=$WORK/apt/lists" -o "Dir::Cache=$WORK/apt/cache" -o Dir::State::status=/dev/null) # as if nothing were installed: what is may be newer than what is to be had
  (cd "$WORK/source" && apt-get "${options[@]}" update && apt-get "${options[@]}" source --download-only postgresql-15 &&
    apt-get "${options[@]}" download postgresql-server-dev-15 && dpkg -x postgresql-server-dev-15_*.deb headers &&
    tar xf postgresql-15_*.orig.tar.bz2 --strip-components=1 --wildcards 'postgresql-15*/src/test/regress') >"$WORK/apt.log" 2>&1
}
fetch_suite() {
  fetch_sources || { tail -3 "$WORK/apt.log"; skip "the suite could not be fetched"; }
  gcc -shared -fPIC -O1 -w -I"$WORK/source/headers/usr/include/postgresql/15/server" -I/usr/include/postgresql \
    "$SUITE/regress.c" -o "$SUITE/regress.so" && cp "$BIN"/../lib/{refint,autoinc}.so "$SUITE/" || exit 1
  chmod -R a+rX "$WORK/source"
}

suite_run() { # name port: results in $WORK/name/results
  local out=$WORK/$1
  mkdir -p "$out/results"
  # The server writes files of its own there.
  chmod 777 "$out" "$out/results"
  # The same path for all runs: it is seen in messages.
  rm -f "$WORK/out" && ln -s "$out" "$WORK/out"
  "$PG_REGRESS" --inputdir="$SUITE" --outputdir="$WORK/out" --bindir="$BIN" --dlpath="$SUITE" --host=127.0.0.1 --port="$2" \
    --user=postgres --schedule="$SUITE/parallel_schedule" --max-concurrent-tests=20 >"$out/log" 2>&1
  grep -E '^ (All|[0-9]+ of)' "$out/log" | sed "s/^/$1:/"
  ls "$out/results" | grep -c '\.out$'
}
