"""Cases 88-110 and the infrastructure cases of one process: messages, formats, errors, transactions, overlaps, many clients at once."""
import threading
import time

CASES = []
INT4, TEXT, TIMESTAMPTZ = 23, 25, 1184


def case(name, setup=""):
    def add(run):
        CASES.append((name, setup, run))
        return run
    return add


def table(n, rows="(1,10),(2,20),(3,30)"):
    return f"create table t{n}(k int primary key, v int); insert into t{n} values {rows};"


def warm(t, act, what, log=True):
    got = t.until_hit(act, what)
    if log:
        t.log.append((what, got))
    return got


@case("45 a writer that goes round pgsteer: bounded is stale for its staleness at most", table(45))
def _(t):
    """The rule of t45 says bounded, 700 ms (strict does not speak of such writers)."""
    from extended import Extended
    read, bypass, stale = "select sum(v) from t45", Extended(t.side.direct).login(database=t.side.database), 0
    for _ in range(3):
        t.warm(read, paths=("simple", "extended"))
        bypass.simple("update t45 set v = v + 1")
        now = bypass.simple(read)[1]
        start = time.monotonic()
        while (asked := time.monotonic()) < start + 1.2:
            new = now in t.on("r", wire=True).run(read)
            stale += not new
            if asked > start + 0.7 and not new:
                t.log.append(f"stale after {asked - start:.3f} s")
        t.log.append(t.on("r", wire=True).run(read))
    t.log.append(stale > 0 or not t.side.proxied)  # else the cache slept
    t.steps(read, ["update t45 set v = v + 1", "r: update t45 set v = v + 1"])  # what goes through is seen at once
    bypass.close()


@case("88 text and binary results", table(88))
def _(t):
    x = t.on("x", wire=True)
    for _ in range(2):
        for formats in ((), (0,), (1,), (0, 1), (1, 0)):
            warm(t, lambda: x.run("select k, v from t88 order by 1", result_formats=formats), f"select k, v from t88 order by 1 {formats}")


# A value of every type that a column may have; None: no input function, its column holds NULL.
SAMPLES = {
    "bool": "t", "bytea": "\\x00ff5c", "char": "x", "name": "a name", "int8": "-9223372036854775808", "int2": "-32768", "int2vector": "1 2", "int4": "-2147483648", "regproc": "now", "text": "ü\t\\ '",
    "oid": "4294967295", "tid": "(7,9)", "xid": "77", "cid": "78", "oidvector": "1 2", "json": '{"b": 1,  "a": [null]}', "xml": "<a>b</a>", "pg_node_tree": None, "point": "(1.5,-2)", "lseg": "[(0,0),(1,2)]",
    "path": "((0,0),(1,2))", "box": "(3,4),(1,2)", "polygon": "((0,0),(1,1),(2,0))", "line": "{1,-1,0}", "float4": "1e-37", "float8": "NaN", "circle": "<(1,2),3>", "money": "-12.34", "macaddr": "08:00:2b:01:02:03",
    "inet": "10.1.2.3/8", "cidr": "2001:db8::/32", "macaddr8": "08:00:2b:01:02:03:04:05", "aclitem": "postgres=r/postgres", "bpchar": "ab ", "varchar": "ab ", "date": "infinity", "time": "23:59:59.999999",
    "timestamp": "0044-03-15 12:00:00 BC", "timestamptz": "-infinity", "interval": "-1 year 2 days 00:00:03.5", "timetz": "12:00:00.1+02", "bit": "1", "varbit": "10101", "numeric": "-12345678901234567890.000100",
    "refcursor": "c", "regprocedure": "abs(integer)", "regoper": "|/", "regoperator": "+(integer,integer)", "regclass": "pg_class", "regcollation": "\"C\"", "regtype": "integer", "regrole": "postgres",
    "regnamespace": "pg_catalog", "uuid": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "pg_lsn": "16/B374D848", "tsvector": "'a':1A 'b':2", "gtsvector": None, "tsquery": "'a' & !'b'", "regconfig": "simple",
    "regdictionary": "simple", "jsonb": '{"b": 1.50, "a": [null, ""]}', "jsonpath": "$.a[*] ? (@ > 1)", "txid_snapshot": "10:20:10,14", "pg_snapshot": "10:20:10,14", "int4range": "[1,5)", "numrange": "(,1.5]",
    "tsrange": "[2020-01-01,2021-01-01)", "tstzrange": "empty", "daterange": "[2020-01-01,)", "int8range": "[1,5)", "int4multirange": "{[1,3),[5,7)}", "nummultirange": "{}", "tsmultirange": "{(,)}", "tstzmultirange": "{}",
    "datemultirange": "{[2020-01-01,2020-02-01)}", "int8multirange": "{[1,2)}", "xid8": "18446744073709551615", "pg_ndistinct": None, "pg_dependencies": None, "pg_mcv_list": None, "pg_brin_bloom_summary": None,
    "pg_brin_minmax_multi_summary": None}
OWN = {"mood": "sad", "pair": "(1,\"a b\")", "even": "4", "floats": "[1.5,2.5]", "multifloats": "{[1.5,2.5]}"}
NO_BINARY = ("aclitem", "gtsvector")


def every_type_setup():
    def quoted(value):
        return "null" if value is None else "'" + value.replace("'", "''") + "'"
    names = [f'pg_catalog."{name}"' for name in SAMPLES] + [f"own_{name}" for name in OWN]
    values = list(SAMPLES.values()) + list(OWN.values())
    columns = [f"c{n} {name}" for n, name in enumerate(names)]
    arrays = [f"a{n} {name}[]" for n, name in enumerate(names) if values[n] is not None]
    # An array of two samples and a NULL, by its own output: array[...] quotes what has to be.
    filled = [f"array[{quoted(value)}::{name}, null, {quoted(value)}::{name}]" for name, value in zip(names, values) if value is not None]
    return ("create type own_mood as enum ('sad', 'ok'); create type own_pair as (a int, b text); create domain own_even as int check (value % 2 = 0); "
            "create type own_floats as range (subtype = float8, multirange_type_name = own_multifloats); "
            f"create table types({', '.join(columns + arrays)}); insert into types values ({', '.join([quoted(v) for v in values] + filled)}); insert into types default values;")


@case("every result type, text and binary", every_type_setup())
def _(t):
    """Every message byte for byte what the same database says to a direct session: binary arrays and rows hold OIDs of the database."""
    from extended import Extended
    known = t.sql("""select string_agg(typname, ' ' order by typname) from pg_type where typnamespace = 'pg_catalog'::regnamespace and typtype in ('b', 'r', 'm') and typcategory <> 'A'""", log=False)[0][0].split()
    if set(known) - set(SAMPLES):
        raise AssertionError(f"no sample of {set(known) - set(SAMPLES)}")
    names, x, direct = list(SAMPLES) + list(OWN), t.on("x", wire=True), Extended(t.side.direct).login(database=t.side.database)
    binary = [n for n, name in enumerate(names) if name not in NO_BINARY]
    arrays = [n for n in binary if n >= len(SAMPLES) or SAMPLES[names[n]] is not None]
    for read, formats in (("select * from types", ()), ("select " + ", ".join(f"c{n}" for n in binary) + " from types", (1,)), ("select " + ", ".join(f"a{n}" for n in arrays) + " from types", (1,)),
                          ("select row(c0, c1), types from types", ())):
        got, want = warm(t, lambda: x.run(read, result_formats=formats), read, log=False), direct.run(read, result_formats=formats)
        t.log.append((read, formats, got == want, sum(m[0] == "D" for m in got)))
    got, want = warm(t, lambda: x.simple("select * from types"), "simple", log=False), direct.simple("select * from types")
    t.log.append((got == want, sum(m[0] == "D" for m in got)))
    direct.close()


@case("89 parameter types", table(89))
def _(t):
    x = t.on("x", wire=True)
    for _ in range(2):
        for types in ((TEXT,), (1043,), (17,)):
            warm(t, lambda: x.run("select $1, count(*) from t89", ("12",), types), f"select $1, count(*) from t89 {types}")


@case("90 parameter formats", table(90))
def _(t):
    x = t.on("x", wire=True)
    for _ in range(2):
        for value, formats in (("1", (0,)), (b"\0\0\0\1", (1,)), ("2", ())):
            warm(t, lambda: x.run("select v from t90 where k = $1", (value,), (INT4,), formats), f"select v from t90 where k = $1 {formats}")


@case("91 parameters do not run together; NULL and ''", table(91))
def _(t):
    x = t.on("x", wire=True)
    for _ in range(2):
        for values in (("a", "bc"), ("ab", "c"), ("", "abc"), (None, "abc"), ("abc", None)):
            warm(t, lambda: x.run("select $1, $2, count(*) from t91", values, (TEXT, TEXT)), f"parameters {values}")


@case("92 a row limit, then all", table(92))
def _(t):
    x = t.on("x", wire=True)
    for limit in (1, 2, 3, 0, 1):
        for _ in range(4):
            got = x.parse("select v from t92 order by k").bind().describe().execute(max_rows=limit).sync()
        t.log.append((limit, got))
    t.warm("select v from t92 order by k")
    t.log.append(x.parse("select v from t92 order by k").bind().execute(max_rows=1).execute().sync())


@case("93 Execute twice", table(93))
def _(t):
    x = t.on("x", wire=True)
    t.warm("select v from t93 order by k")
    t.log.append(x.parse("select v from t93 order by k").bind().execute().execute().sync())
    t.log.append(x.parse("select v from t93 order by k").bind(portal="p").execute("p").execute("p").sync())


@case("94 simple, then extended, with and without Describe", table(94))
def _(t):
    x = t.on("x", wire=True)
    read = "select v, k as name from t94 order by k"
    for act in (lambda: x.simple(read), lambda: x.run(read), lambda: x.run(read, describe=False), lambda: x.prepared(read), lambda: x.simple(read)):
        warm(t, act, read)
    fresh = t.on("fresh", wire=True)
    for describe in (False, True):
        other = "select v as other from t94 order by k"
        warm(t, lambda: fresh.run(other, describe=describe), f"{other} {describe}")


@case("95 Describe a statement", table(95))
def _(t):
    x = t.on("x", wire=True)
    read = "select v from t95 where k = $1"
    x.parse(read, "d", (INT4,)).sync()
    for _ in range(3):
        warm(t, lambda: x.bind(("1",), "d").describe().execute().sync(), read)
        t.log.append(x.describe("d", "S").sync())
        t.log.append(x.bind(("1",), "d").describe().sync())
    t.log.append(x.close_statement("d").sync())
    t.log.append(x.bind(("1",), "d").execute().sync())


@case("96 a failed transaction answers 25P02", table(96))
def _(t):
    x = t.on("x", wire=True)
    read = "select v from t96 order by k"
    for act in (lambda: x.simple(read), lambda: x.run(read), lambda: x.prepared(read)):
        warm(t, act, read)
        for step in ("begin", "select 1/0"):
            t.log.append(x.simple(step))
        t.log.append(act())
        t.log.append(x.simple("rollback"))
        t.log.append(act())


@case("97 ReadyForQuery keeps the status", table(97))
def _(t):
    x = t.on("x", wire=True)
    read = "select v from t97 order by k"
    for act in (lambda: x.simple(read), lambda: x.run(read), lambda: x.prepared(read)):
        warm(t, act, read)
        for step in ("begin", "commit"):
            t.log.append(x.simple(step))
            t.log.append(act())


@case("98 errors are not kept", table(98))
def _(t):
    for path in t.PATHS:
        for _ in range(5):
            t.log.append(t.once(path, "select 10 / (v - 10) from t98"))
    t.sql("delete from t98 where v = 10")
    t.read("select 10 / (v - 10) from t98 order by 1")


@case("99 a timeout in the middle of a result", "create table t99(v int); insert into t99 select generate_series(1, 20000);")
def _(t):
    x = t.on("x", wire=True)
    read = "select count(*) from (select repeat('x', 100) || a.v from t99 a, t99 b limit 3000000) z"
    rows = "select a.v from t99 a, t99 b"
    for text in (read, rows):
        x.simple("set statement_timeout = '40ms'")
        for _ in range(3):
            t.log.append(x.run(text)[-2:])
        x.simple("set statement_timeout = 0")
    warm(t, lambda: x.run("select count(*) from t99"), "select count(*) from t99")


@case("100 white space in literals", table(100))
def _(t):
    for _ in range(2):
        for literal in ("a b", "a  b", "a\nb", "A b", "a b "):
            t.warm(f"select '{literal}', count(*) from t100")


@case("101 comments", table(101))
def _(t):
    for text in ("select sum(v) /* a */ from t101", "select sum(v) /* b */ from t101", "select sum(v) from t101 -- where k = 1", "/* x */ select sum(v) from t101", "select sum(v) from t101 -- \n where k = 1"):
        t.warm(text)
    t.sql("update t101 set v = v + 1")
    t.read("select sum(v) from t101 -- \n where k = 1")


@case("102 more than a megabyte", "create table t102(v text); insert into t102 select repeat(md5(g::text), 100) from generate_series(1, 700) g;")
def _(t):
    x = t.on("x", wire=True)
    for limit in (20, 200, 700):  # within one buffer, within max_result, beyond it
        read = f"select v from t102 order by v limit {limit}"
        if limit < 300:
            t.warm(read)
        else:
            t.never(read, "", log=True)
        t.log.append(x.run("select md5(string_agg(v, '' order by v)) from (select v from t102 order by v limit " + str(limit) + ") z"))


@case("103 no rows, no columns", table(103))
def _(t):
    for text in ("select v from t103 where k = 99", "select from t103", "select from t103 where false", "values (1), (2)", "table t103 order by 1", "select null::int, '' from t103"):
        t.warm(text)
    t.sql("insert into t103 values (99, 99)")
    for text in ("select v from t103 where k = 99", "select from t103", "table t103 order by 1"):
        t.read(text)


@case("104 a read overlaps a write", table(104))
def _(t):
    """The read takes its snapshot before the commit and ends after it: what it saw must not be kept."""
    read = "select sum(v), count(pg_catalog.repeat(md5(g::text), 3)) from t104, generate_series(1, 150000) g"
    x, w = t.on("x", wire=True), t.on("w", wire=True)
    warm(t, lambda: x.run(read), read)
    for n in range(4):
        w.simple("update t104 set v = v + 1")
        x.parse(read).bind().execute().message(b"S")
        time.sleep(0.01 + 0.02 * n)
        w.simple("update t104 set v = v + 1")
        x.until_ready()
        t.log.append(x.run(read))
        t.log.append(x.run(read))


@case("105 SELECT in an open READ COMMITTED transaction", table(105))
def _(t):
    read = "select sum(v) from t105"
    t.warm(read)
    t.sql("begin", on="r")
    t.sql(read, on="r")
    t.sql("update t105 set v = v + 1", on="w")
    t.sql(read, on="r")
    t.sql("update t105 set v = v + 1", on="r")
    t.sql(read, on="r")
    t.sql("rollback", on="r")
    t.read(read)


@case("106-108 REPEATABLE READ neither fills nor reads", table(106) + table("106b"))
def _(t):
    read, both = "select sum(v) from t106", "select (select sum(v) from t106), (select sum(v) from t106b)"
    for level in ("repeatable read", "serializable", "serializable read only deferrable"):
        t.warm(read)
        t.warm(both)
        t.sql(f"begin isolation level {level}", on="r")
        t.sql("select sum(v) from t106b", on="r")
        t.sql("update t106 set v = v + 1; update t106b set v = v + 1", on="w")
        for _ in range(4):
            t.sql(read, on="r")
            t.sql(both, on="r")
        t.read(read, on="o")
        t.read(both, on="o")
        t.sql("commit", on="r")
        t.read(read)
    t.sql("set session characteristics as transaction isolation level serializable", on="r")
    t.read(read)
    t.sql("update t106 set v = v + 1")
    t.read(read)


@case("109 the dirty window", table(109))
def _(t):
    """A write is marked while its COMMIT waits; what is read meanwhile may not be kept beyond it."""
    read = "select sum(v) from t109"
    t.warm(read)
    x, w = t.on("x", wire=True), t.on("w", wire=True)
    for n in range(5):
        w.message(b"Q", b"update t109 set v = v + 1 where pg_sleep(0.05) is not null\0")
        for _ in range(10):
            x.run(read)
        w.until_ready()
        t.log.append(x.run(read))
        t.log.append(x.simple(read))


@case("126 joiners after a newer commit, 135 a crowd on one key", table(126))
def _(t):
    read = "select sum(v), count(md5(g::text)) from t126, generate_series(1, 50000) g"
    crowd = [t.on(f"c{n}", wire=True) for n in range(40)]
    for _ in range(2):
        t.sql("update t126 set v = v + 1")
        for session in crowd:
            session.message(b"Q", read.encode() + b"\0")
        t.sql("update t126 set v = v + 1")
        late = t.on("late", wire=True).simple(read)
        for session in crowd:
            session.until_ready()
        t.log.append(late)
        t.log.append([session.simple(read) == late for session in crowd])


@case("127 a cancelled fill", "create table t127(v int); insert into t127 select generate_series(1, 1000);")
def _(t):
    import struct
    from wire import CANCEL_REQUEST, Wire
    read = "select count(*) from t127 a, t127 b, generate_series(1, 5) g where a.v + b.v > g"
    x, y = t.on("x", wire=True), t.on("y", wire=True)
    for session in (x, y):
        session.message(b"Q", read.encode() + b"\0")
    time.sleep(0.1)
    canceller = Wire(t.side.port)
    canceller.packet(struct.pack("!III", CANCEL_REQUEST, x.pid, x.key))
    canceller.ends()
    t.log.append([kind for kind, body in x.until_ready()][-2:])
    t.log.append([kind for kind, body in y.until_ready()])
    t.log.append(x.simple(read))


@case("128 prepared: hit first, then a miss", table(128))
def _(t):
    read = "select v from t128 where k = $1"
    x = t.on("x", wire=True)
    warm(t, lambda: x.prepared(read, ("1",), (INT4,)), read)
    for n in range(3):
        fresh = t.on(f"fresh{n}", wire=True)  # its server never saw the Parse
        t.log.append(fresh.parse(read, "s0", (INT4,)).bind(("1",), "s0").execute().sync())
        t.sql("update t128 set v = v + 1")
        if n == 1:
            t.log.append(fresh.describe("s0", "S").sync())
        t.log.append(fresh.bind(("1",), "s0").execute().sync())
        t.log.append(fresh.bind(("2",), "s0").execute().sync())
        if n == 2:
            t.log.append(fresh.simple("execute s0(1)"))
            t.log.append(fresh.simple("deallocate s0"))
        warm(t, lambda: x.prepared(read, ("1",), (INT4,)), read)
    late = t.on("late", wire=True)
    late.run(read, ("1",), (INT4,))
    t.log.append(late.simple("select name from pg_prepared_statements where name !~ '^pgsteer_'"))
    t.log.append(late.parse("select 1", "again").sync())
    t.log.append(late.parse("select 2", "again").sync())


@case("131 notices of the server's own", table("131b"))
def _(t):
    """Raised while a statement is parsed or planned: whoever prepared it before is not told, whoever sends it anew is."""
    x = t.on("x", wire=True)
    texts = ("select v as " + "x" * 70 + " from t131b order by 1", "select count(*), to_tsquery('english', 'the')::text from t131b", "select v from t131b where v::text @@ to_tsquery('english', 'a') order by 1")
    for text in texts:
        for act in (x.simple, x.run, x.prepared, x.simple, x.run, x.prepared, x.run, x.simple):
            for n in range(8):
                t.log.append((text[:20], n, act(text)))
                time.sleep(0.01)  # until it has been judged


@case("parameters that say now", table("p1"))
def _(t):
    x = t.on("x", wire=True)
    before = t.side.hits() if t.side.proxied else 0
    for _ in range(6):
        x.run("select $1::timestamptz, count(*) from tp1", ("now",), (TIMESTAMPTZ,))
        x.run("select $1::date, count(*) from tp1", (" ToDay",), (1082,))
    t.log.append(before == t.side.hits() if t.side.proxied else True)


@case("writes in every message shape", table("p2"))
def _(t):
    read = "select sum(v) from tp2"
    w = t.on("w", wire=True)
    w.parse("update tp2 set v = v + $1", "up", (INT4,)).sync()
    for act in (lambda: w.bind(("1",), "up").execute().sync(), lambda: w.bind(("1",), "up").bind(("2",), "up", "p").execute().execute("p").sync(),
                lambda: w.run("update tp2 set v = v + 1 returning v"), lambda: w.parse("begin").bind().execute().bind(("3",), "up").execute().parse("commit").bind().execute().sync(),
                lambda: w.parse("begin").bind().execute().sync() + w.bind(("3",), "up").execute().sync() + w.simple("commit"),
                lambda: w.bind(("1",), "up").execute().parse("select 1/0").bind().execute().sync(),
                lambda: w.bind(("1",), "up").execute().parse("commit").bind().execute().parse("select 1/0").bind().execute().sync(),
                lambda: w.simple("begin") + w.bind(("1",), "up", "q").sync() + w.execute("q").sync() + w.simple("commit"),
                lambda: w.bind(("x" * 70000,), "up").execute().sync(), lambda: w.run("update tp2 set v = v + length($1)", ("x" * 70000,), (TEXT,)),
                lambda: w.simple("update tp2 set v = v + length('" + "x" * 70000 + "')"), lambda: w.simple("/*" + "x" * 40000 + "*/ update tp2 set v = v + 1")):
        t.warm(read)
        t.log.append(act())
        t.read(read)


@case("another session's DDL while writes wait", table("p3") + "create table up3(n int); create function fp3() returns trigger language plpgsql as 'begin insert into up3 values (1); return new; end';")
def _(t):
    """The trigger appears while the write waits for its lock: what the trigger writes must be seen as well."""
    read = "select count(*) from up3"
    a, b = t.on("a", wire=True), t.on("b", wire=True)
    for n in range(3):
        t.warm(read)
        a.simple("begin")
        a.simple(f"create trigger g{n} after update on tp3 for each row execute function fp3()")
        time.sleep(0.3 if n else 0)
        b.message(b"Q", b"update tp3 set v = v + 1 where k = 1\0")
        time.sleep(0.1)
        t.warm(read) if n < 0 else t.read(read)
        a.simple("commit")
        b.until_ready()
        t.read(read)
        t.log.append(b.simple("update tp3 set v = v + 1 where k = 1"))
        t.read(read)


def true_now(t, read):
    """Every path says what the database holds. (How far a statement gets whose client left is the server's business.)"""
    from extended import Extended
    database = Extended(t.side.direct).login(database=t.side.database)
    truth = [m for m in database.simple(read) if m[0] == "D"]
    database.close()
    x = t.on("x", wire=True)
    return [[m for m in act(read) if m[0] == "D"] == truth for act in (x.simple, x.run, x.prepared, x.simple, x.run)]


@case("the client goes away while its write runs", table("p4"))
def _(t):
    """The mark must stand until the server's backend has ended, however the client left."""
    import socket
    import struct
    from extended import Extended
    read = "select sum(v) from tp4"
    for n in range(4):
        t.sql("update tp4 set v = 1")
        t.warm(read)
        gone = Extended(t.side.port).login(database=t.side.database)
        if n % 2:
            gone.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # The notice comes while the statement still runs: writing it to a closed client fails.
        gone.message(b"Q", b"do 'begin update tp4 set v = v + 1; perform pg_sleep(0.1); raise warning ''hello''; perform pg_sleep(0.3); end'\0" if n < 2 else b"update tp4 set v = v + 1 where pg_sleep(0.1) is not null\0")
        time.sleep(0.05)
        gone.close()
        for _ in range(30):
            t.once("simple", read)
            t.once("extended", read)
            time.sleep(0.03)
        t.log.append(true_now(t, read))


@case("a killed client whose write runs on", table("p5"))
def _(t):
    """KILL on the console ends the client; the server's COMMIT may still come."""
    from extended import Extended
    read = "select sum(v) from tp5"
    t.warm(read)
    gone = Extended(t.side.port).login(database=t.side.database, application_name="victim")
    gone.message(b"Q", b"update tp5 set v = v + 1 where pg_sleep(0.15) is not null\0")
    time.sleep(0.1)
    if t.side.proxied:
        with t.side.console.cursor() as cursor:
            cursor.execute("SHOW CLIENTS")
            names = [column.name for column in cursor.description]
            victim = [row for row in (dict(zip(names, r)) for r in cursor.fetchall()) if row.get("application_name") == "victim"][0]
            cursor.execute(f"KILL {victim['id']}")
    else:
        gone.close()
    for _ in range(30):
        t.once("simple", read)
        time.sleep(0.03)
    t.log.append(true_now(t, read))
