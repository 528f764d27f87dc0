"""Cases 1-45 of the adversarial list: every way to write, and who must see it."""
CASES = []  # (number and name, setup, function of a Trial)


def case(name, setup, run):
    CASES.append((name, setup, run))


def table(n, rows="(1,10),(2,20),(3,30)"):
    return f"create table t{n}(k int primary key, v int); insert into t{n} values {rows};"


def simple(name, setup, read, *steps):
    case(name, setup, lambda t: t.steps(read, steps))


def total(n):
    return f"select sum(v), count(*) from t{n}"


simple("1 update in the same session", table(1), total(1), "r: update t1 set v = v + 1 where k = 1", "r: update t1 set v = v + 1 where k = 2")
simple("2 update in another session", table(2), total(2), "update t2 set v = v + 1 where k = 1", "delete from t2 where k = 2", "insert into t2 values (9, 9)")
simple("3 explicit transaction", table(3), total(3), ["begin", "update t3 set v = v + 1", "w: " + total(3), "commit"])
simple("4 END, COMMIT WORK, AND CHAIN", table(4), total(4), ["begin", "update t4 set v = v + 1", "end"],
       ["begin work", "update t4 set v = v + 1", "commit work"],
       ["begin", "update t4 set v = v + 1", "commit and chain", "update t4 set v = v * 2", "commit and chain", "rollback"])
simple("5 own write then rollback", table(5), total(5), ["r: begin", "r: update t5 set v = v + 1", "r: rollback"], ["begin", "update t5 set v = 0", "abort"])
simple("6 an uncommitted write is not seen", table(6), total(6), ["begin", "update t6 set v = v + 1", "w: " + total(6), "w: select 1", "commit"])
simple("7 rollback to savepoint", table(7) + table("7b"), "select (select sum(v) from t7), (select sum(v) from t7b)",
       ["begin", "savepoint a", "update t7 set v = v + 1", "rollback to a", "update t7b set v = v + 1", "commit"],
       ["begin", "update t7 set v = v + 1", "savepoint a", "update t7b set v = v + 1", "rollback to a", "commit"])
simple("8 several statements in a string", table(8), total(8), "update t8 set v = v + 1; select 1", "select 1; delete from t8 where k = 1")
simple("9 a transaction in a string", table(9), total(9), "begin; update t9 set v = v + 1; commit", "begin; update t9 set v = 0; rollback",
       ["begin; update t9 set v = v + 1", "commit"])
simple("10 a string that fails half-way", table(10), total(10), "update t10 set v = v + 1; select 1/0", "update t10 set v = v + 1; commit; select 1/0")
simple("11 data-modifying CTE", table(11), total(11), "with x as (update t11 set v = v + 1 returning v) select sum(v) from x")
simple("12 CTE without a reader", table(12), total(12), "with x as (delete from t12 where k = 1) select 1")
simple("13 MERGE", table(13), total(13), "merge into t13 using (values (1, 5), (7, 7)) s(k, v) on t13.k = s.k when matched then update set v = s.v when not matched then insert values (s.k, s.v)")
simple("14 ON CONFLICT", table(14), total(14), "insert into t14 values (1, 99) on conflict (k) do update set v = excluded.v", "insert into t14 values (1, 100) on conflict do nothing")
simple("16 TRUNCATE", table(16), total(16), "truncate t16", ("begin", "truncate t16", "rollback"))
simple("17 TRUNCATE CASCADE", table(17) + "create table c17(k int references t17); insert into c17 values (1), (2);", "select count(*) from c17", "truncate t17 cascade")
simple("18 foreign key: delete cascades", table(18) + "create table c18(k int references t18 on delete cascade); insert into c18 values (1), (2);", "select count(*) from c18", "delete from t18 where k = 1")
simple("19 foreign key: update cascades, set null", table(19) + """create table c19(k int references t19 on update cascade on delete set null); create table d19(k int references t19 on delete set default);
       insert into c19 values (1), (2); insert into d19 values (3);""", "select sum(k), count(k), (select count(k) from d19) from c19",
       "update t19 set k = k + 10 where k = 1", "delete from t19 where k = 2", "delete from t19 where k = 3")
simple("20 a trigger writes elsewhere", table(20) + """create table u20(n int); create function f20() returns trigger language plpgsql as 'begin insert into u20 values (1); return new; end';
       create trigger g20 after update on t20 for each row execute function f20();""", "select count(*) from u20", "update t20 set v = 1 where k = 1", ["begin", "update t20 set v = 2", "commit"])
simple("21 a deferred trigger fires at COMMIT", table(21) + """create table u21(n int); create function f21() returns trigger language plpgsql as 'begin insert into u21 values (1); return new; end';
       create constraint trigger g21 after update on t21 deferrable initially deferred for each row execute function f21();""", "select count(*) from u21", ["begin", "update t21 set v = 1", "commit"])
simple("22 a rule writes elsewhere", table(22) + "create table u22(n int); create rule r22 as on insert to t22 do also insert into u22 values (new.k);", "select count(*) from u22", "insert into t22 values (4, 4)")
simple("23 updatable view", table(23) + "create view v23 as select * from t23 where v > 0;", total(23), "update v23 set v = v + 1", "delete from v23 where k = 1")
simple("24 read through a view", table(24) + "create view v24 as select * from t24; create view w24 as select sum(v) s from v24;", "select s from w24", "update t24 set v = v + 1", "truncate t24")
simple("25 OR REPLACE VIEW", table(25) + table("25b", "(1, 7)") + "create view v25 as select v from t25;", "select sum(v) from v25", "create or replace view v25 as select v from t25b",
       "update t25b set v = v + 1", "begin; create or replace view v25 as select v from t25; commit", "update t25 set v = v + 1", "do 'begin create or replace view v25 as select v from t25b; end'", "update t25b set v = 1000")
simple("26 partition: write the child, read the parent", "create table t26(k int, v int) partition by list (k); create table t26a partition of t26 for values in (1); create table t26b partition of t26 for values in (2); insert into t26 values (1, 1), (2, 2);",
       total(26), "update t26a set v = 5", "insert into t26b values (2, 3)", "truncate t26a")
simple("27 partition: write the parent, read the child", "create table t27(k int, v int) partition by list (k); create table t27a partition of t27 for values in (1); create table t27b partition of t27 for values in (2); insert into t27 values (1, 1), (2, 2);",
       total("27a"), "insert into t27 values (1, 9)", "update t27 set k = 2", "update t27 set k = 1")
simple("28 ATTACH and DETACH", "create table t28(k int, v int) partition by list (k); create table t28a partition of t28 for values in (1); create table t28b(k int, v int); insert into t28a values (1, 1); insert into t28b values (2, 5);",
       total(28), "alter table t28 attach partition t28b for values in (2)", "update t28b set v = 6", "alter table t28 detach partition t28b", "update t28b set v = 7")
simple("29 inheritance", table(29) + "create table c29() inherits (t29); create table d29(v int); create table e29() inherits (t29, d29); insert into c29 values (5, 5); insert into e29 values (6, 6);",
       total(29), "update c29 set v = 7", "update e29 set v = 8", "insert into c29 values (8, 8)", "update d29 set v = 11")
simple("30 a function that writes", table(30) + "create function f30() returns int language sql as 'update t30 set v = v + 1; select 1';", total(30), "select f30()", "select 1 where f30() = 1", "values (f30())")
simple("31 DO", table(31), total(31), "do 'begin update t31 set v = v + 1; end'")
simple("32 CALL that commits", table(32) + "create procedure p32() language plpgsql as 'begin update t32 set v = v + 1; commit; update t32 set v = v + 1; rollback; end';", total(32), "call p32()")
simple("33 EXPLAIN ANALYZE writes", table(33), total(33), "explain (analyze, costs off, timing off, summary off) update t33 set v = v + 1", "explain (costs off) update t33 set v = 0")
simple("34 EXPLAIN ANALYZE of a CTE, of EXECUTE", table(34), total(34), "explain (analyze, costs off, timing off, summary off) with x as (delete from t34 where k = 1 returning 1) select * from x",
       ["prepare p34 as update t34 set v = v + 1", "explain (analyze, costs off, timing off, summary off) execute p34"])
simple("35 PREPARE and EXECUTE", table(35), total(35), ["prepare p35(int) as update t35 set v = v + $1", "execute p35(1)", "execute p35(2)"])


def bind_without_parse(t):
    w = t.on("w", wire=True)
    w.parse("update t36 set v = v + 1", "u").sync()
    for _ in range(2):
        t.warm(total(36))
        t.log.append(w.bind((), "u").execute().sync())
        t.read(total(36))


case("36 Bind without Parse", table(36), bind_without_parse)


def limited_write(t):
    w = t.on("w", wire=True)
    t.warm(total(37))
    t.log.append(w.parse("update t37 set v = v + 1 returning k").bind().execute(max_rows=1).sync())
    t.read(total(37))


case("37 Execute with a row limit on a write", table(37), limited_write)


def one_pipeline(t):
    w = t.on("w", wire=True)
    t.warm(total(38))
    w.parse("update t38 set v = v + 1").bind().execute().parse(total(38)).bind().execute()
    t.log.append(w.sync())
    t.read(total(38))
    t.warm(total(38))
    w.parse("update t38 set v = v + 1").bind().execute().message(b"S")
    t.log.append(w.run(total(38)))  # two groups on their way at once
    t.log.append([plain for plain in w.until_ready()][-1][0])
    t.read(total(38))


case("38 write and read in one pipeline", table(38), one_pipeline)
simple("39 UPDATE FROM, DELETE USING", table(39) + table("39b"), total(39), "update t39 set v = b.v + 1 from t39b b where b.k = t39.k", "delete from t39 using t39b b where b.k = t39.k and b.k = 1")
case("40 two-phase commit by another session", table(40), lambda t: t.steps(total(40), [["begin", "update t40 set v = v + 1", "prepare transaction 'g40{d}'", "z: commit prepared 'g40{d}'"],
     ["begin", "update t40 set v = v + 1", "prepare transaction 'h40{d}'", "z: rollback prepared 'h40{d}'"],
     ["begin", "update t40 set v = v + 1", "select 1/0", "prepare transaction 'i40{d}'"]]))
simple("41 REFRESH MATERIALIZED VIEW", table(41) + "create materialized view m41 as select sum(v) s from t41;", "select s from m41", "update t41 set v = v + 1", "refresh materialized view m41")
simple("42 qualified names", table(42), total("42").replace("t42", "public.t42"), "update public.t42 set v = v + 1", 'update "public"."t42" set v = v + 1', "update only t42 as x set v = x.v + 1")
simple("43 quoted names", 'create table "T 43"(k int, v int); create table "t 43"(k int, v int); insert into "T 43" values (1, 1);', 'select sum(v) from "T 43"', 'update "T 43" set v = v + 1', 'insert into "t 43" values (1, 5)')
for letter, query in enumerate(("select k from t44 where v = (select max(v) from s44)", "select k from t44 where exists (select 1 from s44 where s44.k = t44.k) order by k", "select k from t44 where k in (select k from s44) order by k",
                                "with x as (select sum(v) s from s44) select s from x", "select (select sum(v) from s44) from t44 order by 1", "select x.s from t44, lateral (select sum(v) s from s44 where s44.k = t44.k) x order by 1",
                                "select k from t44 union all select v from s44 order by 1", "select k from t44 except select k from s44 order by 1", "select sum(t44.v) from t44 join (select k from s44 where v > 0) x using (k)",
                                "select array(select v from s44 order by k)", "select count(*) from t44 where v > all (select v from s44)", "select case when exists (table s44) then 1 else 0 end", "select count(*) from t44 group by (select max(v) from s44)")):
    name = f"{44}{'abcdefghijklm'[letter]}"
    simple(f"{name} sub-query: {query[:40]}", table(name) + table(name.replace("44", "x")), query.replace("t44", "t" + name).replace("s44", "tx" + name[2:]),
           f"update tx{name[2:]} set v = v + 5", f"delete from tx{name[2:]}")


def copy_in(t):
    for mode in ("t15", "t15(k, v)"):
        t.warm(total(15))
        t.copy(f"copy {mode} from stdin", f"{len(mode) + 40}\t40\n")
        t.read(total(15))


case("15 COPY FROM", table(15), copy_in)


def copy_in_swallows_a_sync(t):
    """As libpq sends it: Sync stands behind Execute before the server says that it wants data, and is not answered."""
    w = t.on("w", wire=True)
    for n, ahead in enumerate((True, False)):
        t.warm(total("15y"))
        w.parse("copy t15y from stdin").bind().execute().message(b"S")
        while w.receive()[0] != b"G":
            pass
        t.read(total("15y"))  # not yet: nor may what is read now be kept for later
        t.read(total("15y"))
        w.message(b"d", f"{60 + n}\t60\n".encode())
        w.message(b"c")
        if ahead:
            w.message(b"S")
            t.log.append([kind for kind, _ in w.until_ready()])
        else:
            w.parse("select 1").bind().execute()
            t.log.append(w.sync())
        t.read(total("15y"))
        t.read(total("15y"))


case("15y COPY FROM whose Sync is swallowed", table("15y"), copy_in_swallows_a_sync)
