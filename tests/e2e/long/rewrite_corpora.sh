#!/bin/bash
# Rewrites of statements that others wrote give the original's answers: the SELECTs of PostgreSQL's regression suite on the
# database it leaves behind, and N statements by sqlsmith (default 20000 each; Debian package sqlsmith) on that database and on the
# rewriter tests' own schema. rewrite_corpora.sh [N]
. "$(dirname "$0")/../lib.sh"
. "$(dirname "$0")/regression_suite.sh"
count=${1:-20000}
TEST=${TEST_REWRITER:-$(dirname "${PGSTEER:-build/release/pgsteer}")/tests/test_rewriter}
[ -x "$TEST" ] || { echo "FAILED: no $TEST"; exit 1; }
command -v sqlsmith >/dev/null || skip 'no sqlsmith'

fetch_suite
start_postgres "max_connections = 120"
suite_run suite "$DIRECT_PORT"
url=postgresql://postgres@127.0.0.1:$DIRECT_PORT
direct psql -q -d regression -c 'vacuum analyze' 2>/dev/null

# Statements of the files: everything between semicolons at ends of lines that begins like a query, without psql's own commands.
python3 - "$SUITE" >"$WORK/regression.txt" <<'PY'
import glob, re, sys
for path in sorted(glob.glob(sys.argv[1] + '/sql/*.sql')):
    text = re.sub(r'^\s*(--|\\).*$', '', open(path, encoding='utf-8', errors='ignore').read(), flags=re.M)
    for one in re.split(r';[ \t]*(?:--[^\n]*)?$', text, flags=re.M):
        if re.match(r'\s*\(*\s*(select|with|values|table)\b', one, re.I): print(one.strip() + '\n;;')
PY
smith() { # database seed
  sqlsmith --target="host=127.0.0.1 port=$DIRECT_PORT dbname=$1 user=postgres" --seed="$2" --max-queries="$count" --exclude-catalog \
    --dry-run 2>"$WORK/sqlsmith.log" | sed -E 's/;[[:space:]]*$/\n;;/'
}
direct psql -q -c 'create database shop'
PGSTEER_CORPUS_SCHEMA=1 PGSTEER_CORPUS_URL="$url/shop" "$TEST" -tc='corpus:*' >"$WORK/schema.log" || { cat "$WORK/schema.log"; exit 1; }

corpus() { # name database file
  local output
  if output=$(PGSTEER_CORPUS="$3" PGSTEER_CORPUS_URL="$url/$2" "$TEST" -tc='corpus:*'); then pass "$1"; else fail "$1" "$output"; fi
  sed -n '/distinct statements/,/^==/p' <<<"$output" | grep -v '^=='
}
corpus "the regression suite's own queries" regression "$WORK/regression.txt"
smith regression 1 >"$WORK/smith1.txt"
corpus 'sqlsmith on the regression database' regression "$WORK/smith1.txt"
smith shop 2 >"$WORK/smith2.txt"
corpus "sqlsmith on the rewriter tests' schema" shop "$WORK/smith2.txt"
finish 3
