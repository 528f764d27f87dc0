#!/bin/bash
# Fuzzes statement analysis, printing and rewriting with clang's libFuzzer under ASan and UBSan: fuzz.sh [SECONDS] [CORPUS-DIR]
# (default 3600 seconds; without a directory a temporary one). Seeds are the golden files and the printer's corpus. Crashing
# inputs are left in tests/sql/crashes, where the unit tests replay them. Needs clang with its runtime (Debian: clang).
set -euo pipefail
cd "$(dirname "$0")/../../.."
seconds=${1:-3600} corpus=${2:-}
command -v clang++ >/dev/null || { echo "fuzz.sh: needs clang++" >&2; exit 69; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
corpus=${corpus:-$work/corpus}
mkdir -p "$corpus"

# One file a seed: the statements of the golden files, and every raw string of the printer's corpus.
python3 - "$corpus" <<'PY'
import glob, re, sys
seeds = set()
for path in glob.glob('tests/rewriter/golden/*.txt'):
    for block in re.split(r'^=== .*$', open(path).read(), flags=re.M)[1:]:
        seeds.add(re.split(r'^expect', block, flags=re.M)[0].strip())
for path in glob.glob('tests/sql/corpus_*.cpp'):
    for raw in re.findall(r'R"sql\((.*?)\)sql"|^\s*"((?:[^"\\]|\\.)*)",?$', open(path).read(), re.S | re.M):
        text = (raw[0] or raw[1]).replace('\\"', '"').replace('\\\\', '\\')
        seeds.update([text, 'SELECT ' + text, 'SELECT 1 FROM ' + text])
for i, seed in enumerate(sorted(seeds)):
    open(f'{sys.argv[1]}/seed{i}', 'w').write(seed)
print(len(seeds), 'seeds')
PY

flags=(-std=c++20 -O1 -g1 -w -I. -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
# Objects stay in build/fuzz for the next time.
objects=build/fuzz
mkdir -p "$objects"
export flags_text="${flags[*]}" objects
compile() {
  local object=$objects/$(tr / _ <<<"$1").o
  [ "$object" -nt "$1" ] || clang++ $flags_text -c "$1" -o "$object"
}
export -f compile
{ find rewriter -name '*.cpp'; echo tests/rewriter/schema.cpp; echo tests/support/fuzz_statement.cpp; } |
  xargs -P "${JOBS:-$(nproc)}" -I{} bash -c 'compile {}'
clang++ -fsanitize=fuzzer,address,undefined "$objects"/*.o -lboost_json -lpg_query -o "$work/fuzz"

# Keywords and punctuation of SQL as they stand in the grammar's own words.
grep -oE '"[A-Z_]{2,}"' rewriter/sql/print_*.cpp | cut -d: -f2 | sort -u >"$work/words" || true
mkdir -p tests/sql/crashes
"$work/fuzz" "$corpus" -dict="$work/words" -max_total_time="$seconds" -max_len=4096 -timeout=20 -rss_limit_mb=2000 \
  -artifact_prefix=tests/sql/crashes/ -print_final_stats=1 -close_fd_mask=1
