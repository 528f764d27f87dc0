#!/bin/bash
# Random valid and invalid configurations and policies, one after another under load: no transaction is dropped, and what is in force is
# the whole of the last valid pair, never a part of another. RELOADS=60 SEED=n.
. "$(dirname "$0")/lib.sh"
[ -n "$DIRECT" ] && { echo "reload_property.sh: nothing to check without the proxy"; exit 0; }
start_postgres
direct "$BIN/pgbench" -i -q -s 1 >"$WORK/init.log" 2>&1 || { cat "$WORK/init.log"; exit 1; }
mkdir "$WORK/conf" "$WORK/conf/policies"
: >"$WORK/conf/pgsteer.toml"
start_pgsteer --config "$WORK/conf/pgsteer.toml" --set upstream.probe_url="postgresql://postgres@127.0.0.1:$DIRECT_PORT/postgres"
(cd "$WORK" && exec env PGPORT=$PROXY_PORT "$BIN/pgbench" -n -T 600 -c 2 -M prepared) >"$WORK/prepared.log" 2>&1 &
PREPARED=$!
(cd "$WORK" && exec env PGPORT=$PROXY_PORT "$BIN/pgbench" -n -T 600 -c 2 -M simple) >"$WORK/simple.log" 2>&1 &
SIMPLE=$!
PIDS+=("$PREPARED" "$SIMPLE")
cat >"$WORK/reloads.py" <<'PY'
import os, random, signal, sys, time
import psycopg2
port, folder, rounds, seed, daemon = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5])
random.seed(seed)
faults = 0
console = psycopg2.connect(host="127.0.0.1", port=port, user="postgres", dbname="pgsteer")
console.autocommit = True


def rows(command):
    cursor = console.cursor()
    cursor.execute(command)
    return cursor.fetchall()


def check(name, good, what=""):
    global faults
    if not good:
        print("FAILED  %s: %s" % (name, what))
        faults += 1


MODES = ["off", "observe", "suggest", "canary", "auto"]
CHANGEABLE = {  # key -> a valid value in TOML and as SHOW CONFIG prints it
    "upstream.connect_timeout": lambda: random.choice([('"3s"', "3s"), ('"4500ms"', "4500ms"), ('"1min"', "1min")]),
    "limits.max_client_conn": lambda: (lambda n: (str(n), str(n)))(random.randint(100, 9999)),
    "limits.login_timeout": lambda: random.choice([('"20s"', "20s"), ('"2min"', "2min")]),
    "cache.redis_min_cost": lambda: random.choice([('"0"', "0"), ('"5ms"', "5ms")]),
    "learning.flush_interval": lambda: random.choice([('"50ms"', "50ms"), ('"1s"', "1s")]),
    "learning.max_rows": lambda: (lambda n: (str(n), str(n)))(random.randint(1000, 10**6)),
    "learning.explore_credit": lambda: random.choice([('"0"', "0"), ('"2min"', "2min")]),
    "learning.explore": lambda: random.choice([("true", "true"), ("false", "false")]),
    "console.stats_users": lambda: random.choice([("[]", ""), ('["a", "b"]', "a,b")]),
    "log.min_duration": lambda: random.choice([('"0"', "0"), ('"10s"', "10s")]),
}
FIXED = {  # valid, but only after a restart (and --mode wins over the file): what is in force must not move
    "mode.default": '"canary"', "upstream.url": '"postgresql://127.0.0.1:9"', "listen.backlog": "7", "limits.max_analysed_bytes": '"1kB"', "limits.analysis_cache_entries": "3",
    "threads.count": "7", "cache.memory_bytes": '"1MB"', "learning.seed": "99", "console.database": '"elsewhere"', "log.format": '"json"', "state_dir": '"/nowhere"',
}
WRONG = ["[limits]\nmax_client_conn = 0", "[limits]\nmax_client_con = 5", "[limitz]\n", "[mode]\ndefault = \"automatic\"", "[limits\n", "x = ", "[log]\nlevel = 3",
         "[learning]\nflush_interval = \"5 parsecs\"", "[console]\nadmin_users = \"bob\"", "[cache]\nredis_deadline = \"2h\"", "\x00",
         "[mode]\ndefault = \"off\"\n[mode]\ndefault = \"auto\""]
WRONG_RULE = ["mode = \"automatic\"", "mode = 3", "match = { databse = \"x\" }", "match = \"x\"", "cache = { mode = \"bonded\" }", "limits = { max_predicted = \"soon\" }",
              "lane = 5", "mode =", "canary = { share = 2.0 }", "nonsense = true", "steer = { budget = \"200%\" }"]


def configuration(wrong):
    sections, expected = {}, {}
    for key, value in CHANGEABLE.items():
        if random.random() < 0.6:
            toml, shown = value()
            sections.setdefault(key.rpartition(".")[0], []).append("%s = %s" % (key.rpartition(".")[2], toml))
            expected[key] = shown
    for key, toml in FIXED.items():
        if random.random() < 0.3:
            sections.setdefault(key.rpartition(".")[0], []).append("%s = %s" % (key.rpartition(".")[2], toml))
    text = "".join(line + "\n" for line in sections.pop("", []))
    parts = ["[%s]\n%s\n" % (name, "\n".join(lines)) for name, lines in sections.items()]
    random.shuffle(parts)
    text += "".join(parts)
    if wrong:
        text = random.choice([text + random.choice(WRONG) + "\n", random.choice(WRONG) + "\n" + text])
    return text, expected


def policies(number, wrong):
    files, names = [], []
    for f in range(random.randint(1, 4)):
        text = '[default]\nmode = "%s"\n' % random.choice(MODES) if f == 0 else ""
        for r in range(random.randint(1, 4)):
            name = "g%d_%d_%d" % (number, f, r)
            names.append(name)
            text += '[[rule]]\nname = "%s"\nmatch = { table = "pgbench_%s" }\nmode = "%s"\n' % (name, random.choice(["accounts", "tellers", "branches", "*"]), random.choice(MODES))
            text += random.choice(["", "cache = \"off\"\n", 'cache = { mode = "strict" }\n', "rewrite = false\n", 'lane = "l"\n'])
        files.append(text)
    files.append('[lanes.l]\nconcurrency = %d\nqueue_timeout = "30s"\n' % random.randint(1, 3))
    if wrong:
        at = random.randrange(len(files))
        files[at] += '[[rule]]\nname = "wrong"\n' + random.choice(WRONG_RULE) + "\n"
    return files, names


def write(path, text):  # as an editor does it: another file, then its name
    with open(path + ".new", "w") as f:
        f.write(text)
    os.rename(path + ".new", path)


def in_force():
    config = {key: value for key, value, *_ in rows("SHOW CONFIG")}
    return config, [(r[1], r[3], r[4]) for r in rows("SHOW RULES")]


first = in_force()[0]
last = in_force()
taken = refused = 0
for number in range(rounds):
    kind = random.choice(["valid", "valid", "config", "policy", "both"])
    text, expected = configuration(kind in ("config", "both"))
    files, names = policies(number, kind in ("policy", "both"))
    for old in os.listdir(folder + "/policies"):
        os.remove(folder + "/policies/" + old)
    for i, content in enumerate(files):
        write("%s/policies/%02d.toml" % (folder, i), content)
    write(folder + "/pgsteer.toml", text)
    error = ""
    try:
        console.cursor().execute("RELOAD")
    except psycopg2.Error as e:
        error = str(e)
    now = in_force()
    told = "seed %d, round %d, %s\n%s\n%s" % (seed, number, kind, text, "\n".join(files))
    if kind == "valid":
        taken += 1
        check("a valid pair is taken", not error, (error, told))
        check("its rules are in force, all and only", [r[0] for r in now[1]] == names + ["default"], (now[1], told))
        for key in CHANGEABLE:
            check("%s is in force" % key, now[0][key] == expected.get(key, first[key]), (now[0][key], expected.get(key), told))
        for key in FIXED:
            check("%s needs a restart" % key, now[0][key] == first[key], (now[0][key], first[key], told))
    else:
        refused += 1
        check("a wrong one is refused", error != "", told)
        check("and nothing of it is in force", now == last, (set(now[0].items()) ^ set(last[0].items()), now[1], last[1], told))
        if number % 3 == 0:  # the other way to ask for it
            os.kill(daemon, signal.SIGHUP)
            time.sleep(0.1)
            check("nor after SIGHUP", in_force() == last, told)
    last = now
    time.sleep(random.choice([0, 0.05, 0.2]))
print("%s      %d valid pairs were taken whole, %d wrong ones refused whole (seed %d)" % ("ok" if not faults else "FAILED", taken, refused, seed))
sys.exit(1 if faults or taken < 5 or refused < 5 else 0)
PY
SEED=${SEED:-$RANDOM}
check "reloads (seed $SEED)" python3 "$WORK/reloads.py" "$PROXY_PORT" "$WORK/conf" "${RELOADS:-60}" "$SEED" "$PGSTEER_PID"
for load in "$PREPARED" "$SIMPLE"; do kill -0 "$load" 2>/dev/null && pass 'the load has gone on' || fail 'the load ended before its time' "$(cat "$WORK"/prepared.log "$WORK"/simple.log)"; done
kill -INT "$PREPARED" "$SIMPLE"
wait "$PREPARED" "$SIMPLE" 2>/dev/null
equal 'no transaction failed' '' "$(grep -hE 'ERROR|FATAL|aborted|failed|reset' "$WORK/prepared.log" "$WORK/simple.log" | grep -v 'failed transactions: 0')"
sums=$(direct psql -X -At -c "select (select sum(abalance) from pgbench_accounts) = (select sum(delta) from pgbench_history), (select sum(tbalance) from pgbench_tellers) = (select sum(delta) from pgbench_history), (select count(*) > 100 from pgbench_history)")
equal 'no transaction is half there' 't|t|t' "$sums"
equal 'no connection lost its tracking' '' "$(grep tracking_lost "$WORK/pgsteer.log")"
finish 5
