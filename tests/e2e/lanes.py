"""Lanes and limits with real concurrency: called by lanes.sh with the proxy's port and a step."""
import sys, threading, time
import psycopg2

PORT = int(sys.argv[1])
faults = 0


def connect(name, user="postgres"):
    c = psycopg2.connect(host="127.0.0.1", port=PORT, user=user, dbname="postgres", application_name=name)
    c.autocommit = True
    return c


def check(name, good, what=""):
    global faults
    print(("ok      " if good else "FAILED  ") + name + ("" if good else ": " + str(what)))
    faults += not good


def console(command):
    c = psycopg2.connect(host="127.0.0.1", port=PORT, user="postgres", dbname="pgsteer")
    c.autocommit = True
    cursor = c.cursor()
    cursor.execute(command)
    names = [d.name for d in cursor.description]
    rows = [dict(zip(names, row)) for row in cursor.fetchall()]
    c.close()
    return rows


def lane(name):
    return next(row for row in console("SHOW LANES") if row["lane"] == name)


def run(connection, sql, results, tag):
    begin = time.monotonic()
    try:
        cursor = connection.cursor()
        cursor.execute(sql)
        results.append((tag, time.monotonic() - begin, None))
    except psycopg2.Error as error:
        results.append((tag, time.monotonic() - begin, error))


def together(jobs):
    results, threads = [], []
    for connection, sql, tag in jobs:
        threads.append(threading.Thread(target=run, args=(connection, sql, results, tag)))
    for thread in threads:
        thread.start()
    return threads, results


# 1. Two places: never more at once, whoever counts; all get through.
watch = psycopg2.connect(host="127.0.0.1", port=int(sys.argv[2]), user="postgres", dbname="postgres")
watch.autocommit = True
clients = [connect("slow") for _ in range(6)]
threads, results = together([(c, "SELECT pg_sleep(0.4), 'lane' AS l", "slow") for c in clients])
most = waited = 0
while any(t.is_alive() for t in threads):
    cursor = watch.cursor()
    cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'slow' AND state = 'active' AND query LIKE '%pg_sleep%'")
    most = max(most, cursor.fetchone()[0])
    waited = max(waited, lane("slow")["waiting"])
check("a lane of two runs two at once", most == 2, most)
check("the others wait, and SHOW LANES says so", waited >= 2, waited)
check("all of them are answered", len(results) == 6 and all(e is None for _, _, e in results), results)
check("in as many rounds as it takes", 1.1 < max(s for _, s, _ in results), results)

# 2. Short statements do not wait behind long ones.
threads, results = together([(c, "SELECT pg_sleep(1.5), 'block' AS b", "slow") for c in clients[:4]])
time.sleep(0.3)
other = connect("short")
slowest = 0
for _ in range(20):
    begin = time.monotonic()
    other.cursor().execute("SELECT 1")
    slowest = max(slowest, time.monotonic() - begin)
check("a full lane delays no other", slowest < 1.0, slowest)
for t in threads:
    t.join()

# 3. The deadline of the queue: SQLSTATE, hint, and the session goes on.
hurried = [connect("hurried") for _ in range(2)]
threads, results = together([(hurried[0], "SELECT pg_sleep(2), 'd' AS d", "holder")])
time.sleep(0.4)
late = []
run(hurried[1], "SELECT 2 AS late", late, "late")
error = late[0][2]
check("no place in time: 53000", error is not None and error.pgcode == "53000", late)
check("with a hint", error is not None and "concurrency" in (error.diag.message_hint or ""), error)
for t in threads:
    t.join()
cursor = hurried[1].cursor()
cursor.execute("SELECT 3")
check("the session goes on", cursor.fetchone() == (3,))
check("it is counted", lane("hurried")["timed_out"] >= 1, lane("hurried"))

# 4. A cancel ends the wait, not the session.
threads, results = together([(hurried[0], "SELECT pg_sleep(0.9), 'c' AS c", "holder")])
time.sleep(0.3)
waiting, cancelled = together([(hurried[1], "SELECT 5", "cancelled")])
time.sleep(0.2)
hurried[1].cancel()
waiting[0].join()
check("a cancel reaches who waits: 57014", cancelled[0][2] is not None and cancelled[0][2].pgcode == "57014", cancelled)
threads[0].join()

# 5. A transaction that has done something does not wait; its first statement does.
inside = connect("hurried")
inside.autocommit = False
cursor = inside.cursor()
cursor.execute("SELECT 1")
threads, results = together([(hurried[0], "SELECT pg_sleep(1.5), 'e' AS e", "holder")])
time.sleep(0.3)
begin = time.monotonic()
cursor.execute("SELECT 2")
check("inside a transaction nothing waits", time.monotonic() - begin < 0.6, time.monotonic() - begin)
inside.commit()
for t in threads:
    t.join()

# 6. Rates by user and by tag.
rated = connect("rated")
codes = []
for i in range(12):
    late = []
    run(rated, "SELECT %d" % i, late, "")
    codes.append(late[0][2].pgcode if late[0][2] else None)
check("a user's rate: a burst goes through, the rest is refused with 53400", codes[:5] == [None] * 5 and "53400" in codes[5:], codes)
tagged = connect("tagged")
codes = {}
for route in ("a", "b"):
    for i in range(4):
        late = []
        run(tagged, "SELECT %d /*route='/%s'*/" % (i, route), late, "")
        codes.setdefault(route, []).append(late[0][2].pgcode if late[0][2] else None)
check("a tag's rate counts each value for itself", codes["a"][0] is None and codes["b"][0] is None and "53400" in codes["a"] and "53400" in codes["b"], codes)

# 7. Refused inside a transaction: it fails as after any error, and can be rolled back.
inside = connect("rated")
inside.autocommit = False
cursor = inside.cursor()
time.sleep(1.2)
error = None
try:
    for i in range(12):
        cursor.execute("SELECT %d" % i)
except psycopg2.Error as e:
    error = e
check("inside a transaction: 53400", error is not None and error.pgcode == "53400", error)
check("the transaction has failed", inside.get_transaction_status() == psycopg2.extensions.TRANSACTION_STATUS_INERROR, inside.get_transaction_status())
inside.rollback()
time.sleep(0.5)
cursor.execute("SELECT 8")
check("and is over after ROLLBACK", cursor.fetchone() == (8,))
inside.rollback()

# 8. A warning lets it through; what is only observed is only counted.
warned = connect("warned")
for i in range(8):
    warned.cursor().execute("SELECT %d" % i)
check("on_exceed = warn: a notice, and the answer", any("statements a second" in n for n in warned.notices), warned.notices)
for i in range(8):
    connect_observed = connect("observed") if i == 0 else connect_observed
    connect_observed.cursor().execute("SELECT %d" % i)
limits = {(row["rule"], row["limit"], row["outcome"]): row["count"] for row in console("SHOW LIMITS")}
check("observe: nothing but counted", limits.get(("observed", "user_rate", "observed"), 0) >= 1 and not connect_observed.notices, limits)
check("SHOW LIMITS knows the others", ("rated", "user_rate", "refused") in limits and ("warned", "user_rate", "warned") in limits, limits)

# 9. What is predicted too long: refused once there is something to predict from.
long = connect("predicted")
codes = []
for i in range(12):
    late = []
    run(long, "SELECT pg_sleep(0.25), 'predicted' AS p", late, "")
    codes.append(late[0][2].pgcode if late[0][2] else None)
    time.sleep(0.3)
check("predicted above max_predicted: 53400, not on a guess", codes[0] is None and "53400" in codes, codes)
decisions = console("SHOW DECISIONS 200")
check("SHOW DECISIONS tells why", any(d["reason"] == "refused_predicted" and d["action"] == "refused" for d in decisions), "")

# 10. In line by on_exceed = queue: slower, none refused.
queued = connect("queued")
begin, errors = time.monotonic(), 0
for i in range(9):
    late = []
    run(queued, "SELECT %d" % i, late, "")
    errors += late[0][2] is not None
check("on_exceed = queue: the rate is kept by waiting", errors == 0 and time.monotonic() - begin > 0.5, (errors, time.monotonic() - begin))
check("at the end all lanes are empty", all(row["running"] == 0 and row["waiting"] == 0 for row in console("SHOW LANES")), console("SHOW LANES"))
sys.exit(1 if faults else 0)
