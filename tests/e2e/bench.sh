#!/bin/bash
# `pgsteer bench` as a user runs it: on a throwaway server, on one that is named, from its log, and two runs compared.
. "$(dirname "$0")/lib.sh"
[ -n "$DIRECT" ] && { echo "bench.sh: nothing to check without the proxy"; exit 0; }
[ -x "$(dirname "$PGSTEER")/pgsteer-bench" ] || skip "no pgsteer-bench beside $PGSTEER"
bench() { (cd "$WORK" && "$PGSTEER" bench "$@" 2>"$WORK/bench.err"); }
start_postgres
url="postgresql://postgres@127.0.0.1:$DIRECT_PORT/postgres"
small="--scale 0.01 --rounds 2 --seconds 0.5 --load-rounds 2 --clients 2 --learn 0"

table=$(bench --upstream "$url" --workload oltp,orm --system direct,pgsteer:observe,pgsteer:auto+pool+cache,again=127.0.0.1:"$DIRECT_PORT" $small --json one.json --html one.html)
equal 'its status' 0 $?
contains 'a class and its gain' 'select_prepared' "$table"
contains 'a system of the user' 'again' "$table"
check 'the figures are JSON: every answer was compared, none differed, every system was under load' python3 - "$WORK/one.json" <<'PY'
import json, sys
run = json.load(open(sys.argv[1]))
assert run["systems"] == ["direct", "pgsteer:observe", "pgsteer:auto+pool+cache", "again"], run["systems"]
for w in run["workloads"]:
    assert sum(c["compared"] for c in w["comparison"]["classes"]) > 20 and not any(c["unequal"] for c in w["comparison"]["classes"])
    assert [l["system"] for l in w["load"]] == run["systems"] and all(l["statements"] > 20 and l["errors"] == 0 for l in w["load"]), w["load"]
    assert w["load"][1]["proxy_cpu_us"] > 1 and w["load"][0]["proxy_cpu_us"] == 0
PY
check 'the page is one file' bash -c "! grep -Eq 'src=|href=|@import|<script' '$WORK/one.html' && grep -q '<svg' '$WORK/one.html'"
equal 'the database is gone again' 0 "$(direct psql -X -A -t -c "select count(*) from pg_database where datname = 'pgsteer_bench'")"

# An answer that differs is found: behind this system stands another server, with other data.
check 'a database that is there already is not touched' bash -c "! (cd '$WORK' && PGOPTIONS= '$PGSTEER' bench --upstream '$url' --database postgres $small >/dev/null 2>&1)"

# Replay: the statements of a log of this very server.
direct psql -X -q -c 'create table kept as select i, i % 7 as g from generate_series(1, 3000) i' -c 'analyze kept' || exit 1
cat >"$WORK/log.csv" <<'CSV'
2026-11-21 08:00:00.000 UTC,"app","postgres",1,"[local]",65a,1,"SELECT",2026-11-21 08:00:00 UTC,3/4,0,LOG,00000,"statement: SELECT g, count(*) FROM kept GROUP BY g",,,,,,,,,"web","client backend",,0
2026-11-21 08:00:00.200 UTC,"app","postgres",1,"[local]",65a,2,"SELECT",2026-11-21 08:00:00 UTC,3/4,0,LOG,00000,"execute <unnamed>: SELECT * FROM kept WHERE i = $1","parameters: $1 = '42'",,,,,,,,"web","client backend",,0
2026-11-21 08:00:00.400 UTC,"app","postgres",1,"[local]",65a,3,"DELETE",2026-11-21 08:00:00 UTC,3/4,0,LOG,00000,"statement: DELETE FROM kept",,,,,,,,,"web","client backend",,0
CSV
table=$(bench --upstream "$url" --workload replay --replay log.csv --system direct,pgsteer:observe --rounds 2 --seconds 2 --load-rounds 1 --learn 0 --json replay.json --html replay.html)
equal 'a replay: its status' 0 $?
contains 'a replay says what it leaves out' '1 statements left out: they write' "$table"
equal 'a replay does not write' 3000 "$(direct psql -X -A -t -c 'select count(*) from kept')"
check 'a replay sends what was recorded, when it was due' python3 -c '
import json, sys
load = json.load(open(sys.argv[1]))["workloads"][0]["load"]
assert [l["statements"] for l in load] == [2, 2], load' "$WORK/replay.json"

# Two runs: the same twice is the same; one with a system ten times as slow is not.
contains 'a run beside itself' ' are the same but for their noise' "$(bench compare one.json one.json --fail-on-worse)"
python3 - "$WORK/one.json" "$WORK/slow.json" <<'PY'
import json, sys
run = json.load(open(sys.argv[1]))
for w in run["workloads"]:
    for l in w["load"]:
        if l["system"] == "pgsteer:observe":
            l["proxy_cpu_us"] *= 10
json.dump(run, open(sys.argv[2], "w"))
PY
worse=$(bench compare one.json slow.json --fail-on-worse)
equal 'what got worse is a status of 1' 1 $?
contains 'and said' 'pgsteer:observe proxy CPU' "$worse"
bench --workload nonsense >/dev/null; equal 'an unknown workload' 64 $?
bench --system pgsteer:fast >/dev/null; equal 'an unknown system' 64 $?
bench --wrokload oltp >/dev/null; equal 'an unknown option' 64 $?
finish 17
