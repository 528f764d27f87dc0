#!/bin/bash
# Fuzzes sessions, client's and server's bytes alike, with clang's libFuzzer under ASan and UBSan: fuzz_session.sh [SECONDS] [CORPUS-DIR]
# (default 3600 seconds; without a directory a temporary one). Seeds are tests/session/corpus. Crashing inputs are left in
# tests/session/crashes, where the unit tests replay them. Needs clang with its runtime (Debian: clang).
set -euo pipefail
cd "$(dirname "$0")/../../.."
seconds=${1:-3600} corpus=${2:-}
command -v clang++ >/dev/null || { echo "fuzz_session.sh: needs clang++" >&2; exit 69; }
[ -n "$corpus" ] || { corpus=$(mktemp -d); trap 'rm -rf "$corpus"' EXIT; }
mkdir -p "$corpus" tests/session/crashes
cmake --preset fuzz >/dev/null
cmake --build --preset fuzz
build/fuzz-session/tests/fuzz_session "$corpus" tests/session/corpus -max_total_time="$seconds" -max_len=600 -timeout=20 -rss_limit_mb=2000 \
  -artifact_prefix=tests/session/crashes/ -print_final_stats=1
