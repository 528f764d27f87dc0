"""Sends what it counts, then reads it back from /metrics, the console and the API. Called by metrics.sh with two ports."""
import json, re, sys, time, urllib.request
import psycopg2
from prometheus_client import openmetrics, parser
import prometheus_client.openmetrics.parser

PROXY, HTTP = int(sys.argv[1]), int(sys.argv[2])
faults = 0


def check(name, good, what=""):
    global faults
    print(("ok      " if good else "FAILED  ") + name + ("" if good else ": " + str(what)))
    faults += not good


def get(path, accept="*/*", kind=None):
    asked = urllib.request.Request("http://127.0.0.1:%d%s" % (HTTP, path), headers={"Accept": accept})
    with urllib.request.urlopen(asked, timeout=20) as reply:
        if kind is not None:
            check("what is asked for as %s comes as %s" % (accept.split(",")[0], kind), reply.headers["Content-Type"].startswith(kind), reply.headers["Content-Type"])
        return reply.read().decode()


def api(path):
    return json.loads(get("/api/v1/" + path))


def metrics():
    samples = {}
    for line in get("/metrics").splitlines():
        if line.startswith("#"):
            continue
        name, value = line.rsplit(" ", 1)
        samples[name] = float(value)
    return samples


def total(samples, name, **labels):
    found = 0
    for key, value in samples.items():
        if key.split("{")[0] == name and all('%s="%s"' % pair in key for pair in labels.items()):
            found += value
    return found


def until(condition, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.1)
    return condition()


def connect(**more):
    c = psycopg2.connect(host="127.0.0.1", port=PROXY, user="postgres", dbname="postgres", **more)
    c.autocommit = True
    return c


before = metrics()
client = connect(application_name="counting")
cursor = client.cursor()
sent = {"select": 0, "insert": 0, "update": 0, "delete": 0}
for i in range(40):
    cursor.execute("SELECT %s + x FROM counted", (i,))
    sent["select"] += 1
for i in range(25):
    cursor.execute("INSERT INTO counted VALUES (%s)", (i,))
    sent["insert"] += 1
for i in range(10):
    cursor.execute("UPDATE counted SET x = x + 1 WHERE x = %s", (i,))
    sent["update"] += 1
for i in range(5):
    cursor.execute("DELETE FROM counted WHERE x = %s", (i,))
    sent["delete"] += 1
failures = {"22": 0, "42": 0}
for i in range(7):
    try:
        cursor.execute("SELECT 1 / %s", (0,))
    except psycopg2.Error:
        failures["22"] += 1
for i in range(3):
    try:
        cursor.execute("SELECT no_such_column FROM counted")
    except psycopg2.Error:
        failures["42"] += 1
cursor.execute("SELECT pg_sleep(0.08) /*route='/slow',traceparent='00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'*/")
sent["select"] += 1

after = metrics()


def grown(name, **labels):
    return total(after, name, **labels) - total(before, name, **labels)


for kind, count in sent.items():
    got = grown("pgsteer_queries_total", statement=kind, outcome="ok")
    check("pgsteer_queries_total: %s" % kind, got == count, (got, count))
check("statements that failed", grown("pgsteer_queries_total", outcome="error") == 10, grown("pgsteer_queries_total", outcome="error"))
for sqlclass, count in failures.items():
    got = grown("pgsteer_client_errors_total", sqlstate_class=sqlclass)
    check("pgsteer_client_errors_total: class %s" % sqlclass, got == count, (got, count))
everything = sum(sent.values()) + 10
check("each statement is once in the histogram of durations", grown("pgsteer_query_duration_seconds_count", source="server") == everything,
      grown("pgsteer_query_duration_seconds_count", source="server"))
check("and once in that of our own time", grown("pgsteer_overhead_seconds_count") == everything, grown("pgsteer_overhead_seconds_count"))
check("the time is that of the slow one and a bit", grown("pgsteer_query_duration_seconds_sum", source="server") >= 0.08, "")
check("connections", grown("pgsteer_client_connects_total") == 1, grown("pgsteer_client_connects_total"))
check("clients now", total(after, "pgsteer_client_connections", database="postgres") == 1, "")

check("the console counts the same", int(next(r["value"] for r in api("show/totals")["rows"] if r["name"] == "total_query_count")) == total(after, "pgsteer_queries_total"),
      (api("show/totals")["rows"], total(after, "pgsteer_queries_total")))


def statement(text):
    found = api("statements?search=" + urllib.request.quote(text))
    return found["rows"][0] if found["total"] == 1 else {}


check("the API knows calls and errors of a statement", until(lambda: statement("insert into counted").get("calls") == 25), statement("insert into counted"))
check("and the failing one", until(lambda: statement("no_such_column").get("errors") == 3), statement("no_such_column"))
decided = until(lambda: total(metrics(), "pgsteer_decisions_total") == total(metrics(), "pgsteer_queries_total"))
check("each statement is one decision", decided, (total(metrics(), "pgsteer_decisions_total"), total(metrics(), "pgsteer_queries_total")))
check("trace ids lead to the decision", until(lambda: len(api("decisions?trace_id=4bf92f3577b34da6a3ce929d0e0e4736")["rows"]) == 1), "")

# The cache: what the server was not asked, it did not count.
reader = connect(application_name="reading")
cursor = reader.cursor()
hits_before, asked = total(metrics(), "pgsteer_queries_total", action="cache_hit"), 0
for _ in range(300):
    cursor.execute("SELECT g, count(*) FROM kept GROUP BY g ORDER BY g")
    asked += 1
    if total(metrics(), "pgsteer_queries_total", action="cache_hit") - hits_before >= 5:
        break
    time.sleep(0.05)
now = metrics()
hits = total(now, "pgsteer_queries_total", action="cache_hit") - hits_before
check("answers from the cache are counted", hits >= 5, hits)
check("by the cache itself too", total(now, "pgsteer_cache_requests_total", result="hit") == total(now, "pgsteer_queries_total", action="cache_hit"), "")
check("and by the histogram of its durations", total(now, "pgsteer_query_duration_seconds_count", source="cache") == total(now, "pgsteer_queries_total", action="cache_hit"), "")
check("decisions of the rule", until(lambda: total(metrics(), "pgsteer_decisions_total", rule="cached") == asked), (total(metrics(), "pgsteer_decisions_total", rule="cached"), asked))

# Steering: a pinned arm, and what /metrics says of it. What the cache spared is the overview's figure.
cursor.execute("SELECT count(*) FROM steered")
check("the statement is known", until(lambda: statement("from steered").get("fingerprint")))
console = psycopg2.connect(host="127.0.0.1", port=PROXY, user="postgres", dbname="pgsteer")
console.autocommit = True
console.cursor().execute("PIN '%s' TO 'arm:no_hash'" % statement("from steered")["fingerprint"])
for _ in range(300):
    cursor.execute("SELECT count(*) FROM steered")
    if total(metrics(), "pgsteer_queries_total", action="hinted") >= 20:
        break
    time.sleep(0.02)
check("a pinned arm steers", total(metrics(), "pgsteer_queries_total", action="hinted") >= 20, [r["reason"] for r in api("decisions?limit=5")["rows"]])
counted = lambda: total(metrics(), "pgsteer_steered_total", arm="no_hash")
check("executions by arm", until(lambda: counted() == total(metrics(), "pgsteer_queries_total", action="hinted")), counted())
spared = lambda m: total(m, "pgsteer_saved_seconds_total") - total(m, "pgsteer_regret_seconds_total")
check("saved less regret is the overview's figure", until(lambda: abs(spared(metrics()) * 1e3 - api("overview")["totals"]["saved_ms"]) < 1e-3),
      (spared(metrics()), api("overview")["totals"]))
check("the cache saved some of it", total(metrics(), "pgsteer_saved_seconds_total", by="cache") > 0, "")
console.close()

# Predictions: the histogram of q-errors and the share inside of the interval, against the same figures from single executions.
def settled():
    rows = api("decisions?limit=10000")["rows"]
    return total(metrics(), "pgsteer_decisions_total") == total(metrics(), "pgsteer_queries_total") == len(rows) and rows


rows = until(settled) and settled()
scored = [r for r in rows or [] if not r["source"].startswith("cache") and not r["sqlstate"] and r["predicted_ms"] > 0 and r["actual_ms"] > 0]
now = metrics()
inside = sum(r["low_ms"] <= r["actual_ms"] <= r["high_ms"] for r in scored)
errors = [max(r["predicted_ms"] / r["actual_ms"], r["actual_ms"] / r["predicted_ms"]) for r in scored]
check("as many predictions as executions that had one", len(scored) > 50 and total(now, "pgsteer_predictions_total") == len(scored), (total(now, "pgsteer_predictions_total"), len(scored)))
check("as many of them inside of their interval", abs(total(now, "pgsteer_predictions_total", interval="inside") - inside) <= 2, (total(now, "pgsteer_predictions_total", interval="inside"), inside))
for bound in ("1.5", "10.0"):
    got, want = total(now, "pgsteer_prediction_q_error_bucket", le=bound), sum(e <= float(bound) for e in errors)
    check("q-error up to %s" % bound, abs(got - want) <= 2, (got, want))
sums = total(now, "pgsteer_prediction_q_error_sum"), sum(errors)
check("sum of the q-errors", abs(sums[0] - sums[1]) <= 0.02 * sums[1], sums)

# Both formats, by the parsers of Prometheus' own client.
plain = {(s.name, tuple(sorted(s.labels.items()))) for f in parser.text_string_to_metric_families(get("/metrics", "text/plain", "text/plain; version=0.0.4")) for s in f.samples}
text = get("/metrics", "application/openmetrics-text;version=1.0.0,text/plain;q=0.5", "application/openmetrics-text; version=1.0.0")
families = list(openmetrics.parser.text_string_to_metric_families(text))
opened = {(s.name, tuple(sorted(s.labels.items()))) for f in families for s in f.samples}
check("OpenMetrics has the samples of the text format", plain == opened and len(plain) > 150, (len(plain), sorted(plain ^ opened)[:5]))
check("its counters are counters", {f.name: f.type for f in families}["pgsteer_queries"] == "counter", "")

labels = set()
for key in now:
    for name, value in re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', key):
        labels.add(name)
check("no label by fingerprint or text", not labels & {"fingerprint", "query", "text", "client"}, labels)
points = api("trend?seconds=120&step=120")["points"]
check("the trend adds up to what was sent", until(lambda: abs(sum(p["queries_per_second"] for p in api("trend?seconds=3600&step=1")["points"]) - total(metrics(), "pgsteer_queries_total")) <= 0.1 * total(metrics(), "pgsteer_queries_total") + 2),
      "")
check("the overview too", api("overview")["totals"]["queries"] == total(metrics(), "pgsteer_queries_total"), api("overview")["totals"])
sys.exit(1 if faults else 0)
