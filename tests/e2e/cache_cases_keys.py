"""Reads of one key: what writes other rows leaves them alone, and nothing that writes this row does, whatever its shape and the key's type."""
CASES = []
INT2, INT4, INT8, TEXT, NUMERIC, FLOAT4, FLOAT8 = 21, 23, 20, 25, 1700, 700, 701


def case(name, setup=""):
    def add(run):
        CASES.append((name, setup, run))
        return run
    return add


def table(n, key="int primary key", rows="(1,10),(2,20),(3,30)"):
    return f"create table tk{n}(k {key}, v int); insert into tk{n} values {rows};"


def simple(name, setup, read, *steps):
    case(name, setup)(lambda t: t.steps(read, steps))


def one(n, key="1"):
    return f"select v from tk{n} where k = {key}"


simple("k1 the same key", table(1), one(1), "update tk1 set v = v + 1 where k = 1", "update tk1 set v = v + 1 where '1' = k", "update tk1 as x set v = v + 1 where x.k = '01' and v > 0", "update tk1 set v = v + 1 where k in (1)",
       ["begin", "update tk1 set v = v + 1 where k = 2", "update tk1 set v = v + 1 where k = 1", "commit"], ["begin", "update tk1 set v = v + 1 where k = 1", "rollback"], "delete from tk1 where k = 1")
simple("k2 any rows", table(2), one(2), "update tk2 set v = v + 1", "update tk2 set v = v + 1 where v > 0", "update tk2 set v = v + 1 where k = 1 or k = 2", "update tk2 set v = v + 1 from (values (1)) x(k) where x.k = tk2.k",
       "merge into tk2 using (values (1, 5)) s(k, v) on tk2.k = s.k when matched then update set v = s.v", "with x as (update tk2 set v = v + 1 returning v) select sum(v) from x",
       "with x as (update tk2 set v = v + 1) update tk2 set v = v where k = 2", "truncate tk2", "insert into tk2 values (1, 7)", "delete from tk2")
simple("k3 the key itself changes", table(3), one(3), "update tk3 set k = 4 where k = 1", "update tk3 set k = 1 where k = 2", "update tk3 set (v, k) = (3, 5) where k = 1", "update tk3 set k = k + 10 where k = 5", "update tk3 set k = 1 where k = 15")
simple("k4 ON CONFLICT changes another row", table(4) + "alter table tk4 add unique (v);", one(4), "insert into tk4 values (9, 10) on conflict (v) do update set v = excluded.v + 1", "insert into tk4 values (1, 99) on conflict (k) do update set v = excluded.v")
simple("k5 a foreign key to itself", "create table tk5(k int primary key, v int references tk5 on delete cascade); insert into tk5 values (2, null), (1, 2), (3, null);", one(5), "delete from tk5 where k = 2")
simple("k6 a foreign key to itself, set null", "create table tk6(k int primary key, v int references tk6 on delete set null on update cascade); insert into tk6 values (2, null), (1, 2), (3, null);", one(6), "delete from tk6 where k = 2")
simple("k7 cascades from elsewhere", "create table uk7(k int primary key, n int); insert into uk7 values (1, 1), (2, 2); create table tk7(k int primary key, v int references uk7 on delete set null on update cascade); insert into tk7 values (1, 1), (2, 2);",
       one(7), "update uk7 set k = 7 where k = 1", "delete from uk7 where k = 7")
simple("k8 triggers", table(8) + """create function fk8() returns trigger language plpgsql as 'begin update tk8 set v = v + 1 where k = 1; return null; end';
       create trigger gk8 after update on tk8 for each row when (pg_trigger_depth() = 0) execute function fk8();""", one(8), "update tk8 set v = v where k = 2", "update tk8 set v = v where k = 3")
simple("k9 a trigger comes later", table(9) + "create function fk9() returns trigger language plpgsql as 'begin new.k = 1; return new; end';", "select count(*), max(v) from tk9 where k = 1",
       "delete from tk9 where k = 1", "create trigger gk9 before update on tk9 for each row execute function fk9()", "update tk9 set v = 77 where k = 2")
simple("k10 rules", table(10) + "create rule rk10 as on update to tk10 where new.k = 2 do also delete from tk10 where k = 1;", one(10), "update tk10 set v = 5 where k = 2")
simple("k11 inheritance", "create table tk11(k int primary key, v int); create table ck11() inherits (tk11); insert into tk11 values (2, 2); insert into ck11 values (1, 1);", one(11), "update ck11 set v = 5 where k = 1", "update tk11 set v = 6 where k = 1", "update only tk11 set v = 6 where k = 2")
simple("k12 partitions", "create table tk12(k int primary key, v int) partition by range (k); create table pk12 partition of tk12 for values from (0) to (10); insert into tk12 values (1, 1), (2, 2);", one(12), "update pk12 set v = 5 where k = 1", "update tk12 set v = 6 where k = 1")
simple("k13 a partition by itself", "create table tk13(k int primary key, v int) partition by range (k); create table pk13 partition of tk13 for values from (0) to (10); insert into tk13 values (1, 1), (2, 2);", "select v from pk13 where k = 1", "update tk13 set v = 5 where k = 1", "update tk13 set v = 6")
simple("k14 views", table(14) + "create view wk14 as select * from tk14;", "select v from wk14 where k = 1", "update tk14 set v = 5 where k = 1", "update wk14 set v = 6 where k = 1")
simple("k15 a view writes", table(15) + "create view wk15 as select * from tk15;", one(15), "update wk15 set v = 6 where k = 1", "delete from wk15 where k = 1")
simple("k16 a generated key", "create table tk16(a int, v int, k int generated always as (a + 1) stored primary key); insert into tk16 values (0, 10), (1, 20);", one(16), "update tk16 set a = 5 where k = 1", "update tk16 set a = 0 where k = 2")
simple("k17 numeric", table(17, "numeric primary key"), one(17), "update tk17 set v = v + 1 where k = 1.0", "update tk17 set v = v + 1 where k = 1.00", "update tk17 set v = v + 1 where k = '1e0'")
simple("k18 char(n)", table(18, "char(4) primary key", "('a', 1), ('b', 2)"), one(18, "'a'"), "update tk18 set v = v + 1 where k = 'a  '", "update tk18 set v = v + 1 where k = 'a'")
simple("k19 float", table(19, "float8 primary key", "(0, 1), (2, 2)"), one(19, "0"), "update tk19 set v = v + 1 where k = '-0'", "update tk19 set v = v + 1 where k = 0.0")
simple("k20 a collation that is blind to case", "create collation ck20 (provider = icu, locale = 'und-u-ks-level2', deterministic = false); create table tk20(k text collate ck20 primary key, v int); insert into tk20 values ('a', 1), ('b', 2);",
       one(20, "'a'"), "update tk20 set v = v + 1 where k = 'A'", "update tk20 set v = v + 1 where k = 'a'")
simple("k21 a domain", "create domain dk21 as int; create table tk21(k dk21 primary key, v int); insert into tk21 values (1, 10), (2, 20);", one(21), "update tk21 set v = v + 1 where k = 1", "update tk21 set v = v + 1 where k = '1'")
simple("k22 uuid", "create table tk22(k uuid primary key, v int); insert into tk22 values ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 1);", one(22, "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'"), "update tk22 set v = v + 1 where k = '{A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11}'")
simple("k23 several columns", "create table tk23(k int, j int, v int, primary key (k, j)); insert into tk23 values (1, 1, 1), (1, 2, 2), (2, 1, 3);", "select v from tk23 where k = 1 and j = 2", "update tk23 set v = v + 1 where k = 1 and j = 2", "update tk23 set v = v + 1 where j = 2",
       "update tk23 set v = v + 1 where k = 1", "update tk23 set j = 7 where k = 1 and j = 2", "update tk23 set k = 5 where k = 1")
simple("k24 a reader of all rows", table(24), "select sum(v) from tk24", "update tk24 set v = v + 1 where k = 1", "delete from tk24 where k = 2")
simple("k25 a reader by another column", table(25), "select k from tk25 where v = 10", "update tk25 set v = 11 where k = 1", "update tk25 set v = 10 where k = 2")
simple("k26 other statements", table(26), one(26), "do 'begin update tk26 set v = v + 1 where k = 1; end'", "explain (analyze, costs off, timing off, summary off) update tk26 set v = v + 1 where k = 1", "select 1; update tk26 set v = v + 1 where k = 1", "copy (update tk26 set v = v + 1 where k = 1 returning v) to stdout",
       "prepare pk26 as update tk26 set v = v + 1 where k = $1; execute pk26(1)", "alter table tk26 add w int default 3", "alter table tk26 alter k type bigint")
simple("k27 subqueries of the same table", table(27), "select v, (select max(v) from tk27) from tk27 where k = 1", "update tk27 set v = 99 where k = 3")
simple("k27b a CTE of the table's name", table("27b"), "with tk27b as (select k, sum(v) over () as v from tk27b) select v from tk27b where k = 1", "update tk27b set v = 99 where k = 3")
simple("k28 two-phase commit", table(28), one(28), ["begin", "update tk28 set v = v + 1 where k = 1", "prepare transaction 'k28{d}'", "o: commit prepared 'k28{d}'"])


@case("k30 parameters of every type and format", table(30) + table("30b", "bigint primary key") + table("30c", "smallint primary key"))
def _(t):
    w, r = t.on("w", wire=True), t.on("r", wire=True)
    for name in ("tk30", "tk30b", "tk30c"):
        read = f"select v from {name} where k = $1"
        for n, (value, types, formats) in enumerate((("1", (), ()), ("01", (INT4,), (0,)), ("+1", (INT4,), ()), (" 1 ", (INT8,), ()), (b"\0\1", (INT2,), (1,)), (b"\0\0\0\1", (INT4,), (1,)), (b"\0\0\0\0\0\0\0\1", (INT8,), (1,)),
                                                     ("1.0", (NUMERIC,), ()), ("1", (FLOAT4,), ()), ("1.0", (FLOAT8,), ()), ("1", (INT8,), ()))):
            t.until_hit(lambda: r.run(read, ("1",)), read)
            t.until_hit(lambda: r.run(read, (b"\0\0\0\1",), (INT4,), (1,)), read)
            update = f"update {name} set v = v + 1 where k = $1"
            t.log.append((name, n, w.run(update, (value,), types, formats)))
            t.log.append((r.run(read, ("1",)), r.run(read, (b"\0\0\0\1",), (INT4,), (1,)), r.simple(f"select v from {name} where k = 1")))
            t.log.append(w.parse(update, f"u{name}{n}", types).bind((value,), f"u{name}{n}", "", formats).execute().sync())
            t.log.append(r.run(read, ("1",)))


@case("k31 large numbers that a float does not tell apart", "create table tk31(k bigint primary key, v int); insert into tk31 values (9007199254740993, 1), (9007199254740992, 2), (16777216, 3), (16777217, 4);")
def _(t):
    w = t.on("w", wire=True)
    for key in ("9007199254740992", "9007199254740993", "16777216", "16777217"):
        for value, types in (("9007199254740993", (FLOAT8,)), ("16777217", (FLOAT4,)), ("9007199254740993", (INT8,))):
            t.warm(one(31, key))
            t.log.append(w.run("update tk31 set v = v + 1 where k = $1", (value,), types))
            t.read(one(31, key))
            t.warm(one(31, key))
            t.log.append(w.run("update tk31 set v = v + 1 where $1::float4 > 0 and k = $1", (value,)))
            t.read(one(31, key))


@case("k32 a Bind that fails leaves the portal of before", table(32))
def _(t):
    w = t.on("w", wire=True)
    for portal in ("", "p"):
        t.warm(one(32))
        update = "update tk32 set v = v + 1 where k = $1"
        t.log.append(w.simple("begin"))
        t.log.append(w.parse(update, "s" + portal, (INT4,)).bind(("1",), "s" + portal, portal).sync())
        t.log.append(w.simple("savepoint a"))
        t.log.append(w.bind(("2", "3"), "s" + portal, portal).sync())
        t.log.append(w.simple("rollback to a"))
        t.log.append(w.execute(portal).sync())
        t.log.append(w.simple("commit"))
        t.read(one(32))


@case("k33 portals: one key bound, executed late", table(33))
def _(t):
    w = t.on("w", wire=True)
    update = "update tk33 set v = v + 1 where k = $1"
    w.parse(update, "s", (INT4,)).sync()
    for act in (lambda: w.bind(("1",), "s", "p").bind(("2",), "s", "q").execute("p").execute("q").sync(), lambda: w.simple("begin") + w.bind(("1",), "s", "p").sync() + w.bind(("2",), "s", "q").sync() + w.execute("p").sync() + w.simple("commit"),
                lambda: w.bind(("2",), "s").execute().bind(("1",), "s").execute().sync(), lambda: w.bind(("1",), "s").execute().bind(("x",), "s").execute().sync(), lambda: w.parse(update).bind(("1",)).execute().sync()):
        t.warm(one(33))
        t.log.append(act())
        t.read(one(33))


# Now and then the catalog is looked at again, which voids everything.
@case("k34 writes of other keys leave an answer where it is", table(34))
def _(t):
    t.warm(one(34), paths=("simple",))
    w, kept = t.on("w", wire=True), 0
    for n in range(20):
        before = t.side.hits() if t.side.proxied else 0
        w.simple("update tk34 set v = v + 1 where k = 2") if n % 2 else w.run("update tk34 set v = v + 1 where k = $1", ("3",))
        t.log.append(t.once("simple", one(34)))
        kept += t.side.hits() > before if t.side.proxied else 1
    t.log.append("kept" if kept >= 15 else f"kept {kept} of 20 times")
    t.sql("update tk34 set v = v + 1 where k = 1")
    t.read(one(34))


@case("k35 an operator = of one's own", table(35) + "create schema sk35; create function sk35.eq(int, int) returns bool language sql immutable as 'select true';")
def _(t):
    """While there is one nothing counts by key: it goes again."""
    t.sql("create operator sk35.= (leftarg = int, rightarg = int, function = sk35.eq)", "w")
    t.steps(one(35), [("set search_path = sk35, pg_catalog, public", "update tk35 set v = v + 1 where k = 2", "reset search_path"), ("set search_path = sk35, public, pg_catalog", "update tk35 set v = v + 1 where k = 3", "reset search_path")])
    t.sql("drop operator sk35.= (int, int)", "w")
    t.steps(one(35), ["update tk35 set v = v + 1 where k = 1"])
