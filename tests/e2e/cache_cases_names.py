"""Cases 46-87: what a name means, how values are printed, who asks, and what must never be kept."""
CASES = []


def case(name, setup, run):
    CASES.append((name, setup, run))


def table(n, rows="(1,10),(2,20),(3,30)"):
    return f"create table t{n}(k int primary key, v int); insert into t{n} values {rows};"


def simple(name, setup, read, *steps):
    case(name, setup, lambda t: t.steps(read, steps))


def never(name, setup, *pairs, log=True):
    def run(t):
        for read, reason in pairs:
            t.never(read, reason, log=log)
    case(name, setup, run)


# --- 46-52 the catalog changes
simple("46 ADD, DROP, RENAME COLUMN", table(46), "select * from t46 order by 1", "alter table t46 add c int default 5", "update t46 set c = 6", "alter table t46 drop v", "alter table t46 alter k type bigint", "alter table t46 rename c to z")
simple("47 DROP and CREATE", table(47), "select * from t47 order by 1", "begin; drop table t47; create table t47(x int); insert into t47 values (7); commit", "insert into t47 values (8)",
       ("begin", "drop table t47", "create table t47(y int)", "commit"), "insert into t47 values (9)", "drop table t47; create table t47(y int)", "insert into t47 values (10)")
simple("48 rename swap", table(48) + table("48b", "(1,7)"), "select * from t48 order by 1", ("begin", "alter table t48 rename to x48", "alter table t48b rename to t48", "commit"), "update t48 set v = 8",
       "alter table t48 rename to t48b; alter table x48 rename to t48", "update t48 set v = 9")
simple("49 schemas swapped", "create schema s49; create schema q49; create table s49.t(v int); create table q49.t(v int); insert into s49.t values (1); insert into q49.t values (2);", "select v from s49.t",
       ("begin", "alter schema s49 rename to x49", "alter schema q49 rename to s49", "commit"), "update s49.t set v = 3")
never("50 user function (OR REPLACE cannot go stale)", table(50) + "create function f50() returns int immutable language sql as 'select 1';", ("select f50() + v from t50 order by 1", "user_function"))
simple("51 enum value renamed", "create type e51 as enum ('a', 'b'); create table t51(v e51); insert into t51 values ('a'), ('b');", "select v from t51 order by 1", "alter type e51 rename value 'a' to 'z'", "insert into t51 values ('z')")


def overload(t):
    options = {"options": "-c search_path=s52,pg_catalog,public"}
    t.warm("select abs(v) from t52 order by 1", on="o", **options)
    t.sql("create function s52.abs(int) returns int immutable language sql as 'select 42'")
    t.read("select abs(v) from t52 order by 1", on="o")
    t.never("select abs(v) from t52 order by 1", "user_function", on="o")


case("52 a new overload in front", table(52) + "create schema s52;", overload)

# --- 53-58 search_path
SCHEMAS = "create schema a{n}; create schema b{n}; create table a{n}.t(v int); create table b{n}.t(v int); insert into a{n}.t values (1); insert into b{n}.t values (2);"


def paths_of(n, to_a, to_b, before=(), after=()):
    def run(t):
        for round_ in range(2):
            for setter, schema in ((to_a, f"a{n}"), (to_b, f"b{n}")):
                t.sql(setter, on="r")
                t.once("extended", setter)
                t.warm("select v from t")
            t.sql(f"update a{n}.t set v = v + 10")
            t.read("select v from t")
    case(f"{n} search_path by {to_a.split()[0]}", SCHEMAS.format(n=n), run)


paths_of(53, "set search_path = a53", "set search_path to b53")
paths_of(54, "select set_config('search_path', 'a54', false)", "select set_config('search_path', 'b5' || 4, false)")


def startup_path(t):
    for name in ("a55", "b55", "a55"):
        t.warm("select v from t", on=name, options=f"-c search_path={name}")
    t.sql("update b55.t set v = 5")
    for name in ("a55", "b55"):
        t.read("select v from t", on=name)


case("55 search_path at startup", SCHEMAS.format(n=55), startup_path)


def local_path(t):
    t.sql("set search_path = a56", on="r")
    t.warm("select v from t", paths=("simple",))
    for ending in ("commit", "rollback"):
        for setter in ("set local search_path = b56", "set search_path = b56", "do 'begin perform set_config(''search_path'', ''b56'', false); end'"):
            for text in ("begin", setter, "select v from t", ending, "select v from t", "set search_path = a56"):
                t.sql(text, on="r")
            t.warm("select v from t", paths=("simple",))
    t.sql("do 'begin perform set_config(''search_path'', ''b56'', false); end'", on="r")
    t.read("select v from t", paths=("simple",))
    t.sql("set search_path = a56; select 1", on="r")
    t.read("select v from t", paths=("simple",))
    t.sql("select f56()", on="r")
    t.read("select v from t", paths=("simple",))
    t.sql("set search_path = a56", on="r")
    t.sql("insert into g56 values (1)", on="r")  # a trigger changes it
    t.read("select v from t", paths=("simple",))


case("56 search_path: LOCAL, rollback, DO, functions, triggers", SCHEMAS.format(n=56) + """create function f56() returns text stable language sql as $$select set_config('search_path', 'b56', false)$$;
     create table g56(v int); create function h56() returns trigger language plpgsql as $$begin perform set_config('search_path', 'b56', false); return new; end$$;
     create trigger h56 after insert on g56 for each row execute function public.h56(); grant usage on schema a56, b56 to public; alter function f56 set schema a56; create function b56.f56() returns int language sql as 'select 1';""", local_path)


def temporary(t):
    ways = ("create temp table t57(k int, v int)", "select 1 k, 1 v into temp t57", "create temp table t57 as select 1 k, 7 v", "create table pg_temp.t57(k int, v int)", "create temp view t57 as select 5 v",
            "do 'begin create temp table t57(k int, v int); end'", "create temp table t57(k int, v int); select 1", "begin; create temp table t57(k int, v int); commit", "select f57()",
            "with x as (select 1) select 8 v into temporary table t57 from x", "call p57()", "insert into g57 values (1)", "create table pg_temp.t57 (k int, v int); insert into t57 values (1, 2)")
    t.warm("select sum(v) from t57")
    for n, way in enumerate(ways):
        t.warm("select sum(v) from t57", on=f"s{n}", paths=("simple",))
        t.sql(way, on=f"s{n}")
        t.read("select sum(v) from t57", on=f"s{n}", paths=("simple",))
        t.sql("insert into t57 values (77, 77)", on=f"s{n}")
        t.read("select sum(v) from t57", on=f"s{n}", paths=("simple",))
        t.read("select sum(v) from t57", on="r")


case("57 a temporary object shadows", table(57) + """create function f57() returns int language plpgsql as 'begin create temp table t57(k int, v int); return 1; end';
     create procedure p57() language plpgsql as 'begin create temp table t57(k int, v int); end'; create table g57(v int);
     create function h57() returns trigger language plpgsql as 'begin create temp table t57(k int, v int); return new; end'; create trigger h57 before insert on g57 for each row execute function h57();""", temporary)


def earlier(t):
    t.sql("set search_path = a58, public", on="r")
    t.once("extended", "set search_path = a58, public")
    t.warm("select sum(v) from t58")
    t.sql("create table a58.t58(v int)")
    t.read("select sum(v) from t58")
    t.sql("insert into a58.t58 values (4)")
    t.read("select sum(v) from t58")
    for _ in range(3):  # what was prepared before stays with the table that it had then
        t.warm("select sum(v) from t58", paths=("simple", "extended"))
        t.read("select sum(v) from t58", paths=("prepared", "prepared", "extended"))
        t.sql("insert into a58.t58 values (4)")
        t.read("select sum(v) from t58")
    t.warm("select sum(v) from t58", anew=True)


def elsewhere(t):
    """No Parse between the hits: the one relation of the name is the one that was parsed."""
    for ddl in ("create table e158(v int)", "alter table e158 add c int", "alter table t158 add c int", "drop table e158"):
        t.warm("select sum(v) from t158")
        t.sql(ddl)
        t.read("select sum(v) from t158")
    t.warm("select sum(v) from t158")
    t.log.append(len(t.on("r", wire=True).names))


case("58 an earlier schema shadows", "create schema a58;" + table(58), earlier)
case("58 DDL leaves a prepared statement in the cache", table(158), elsewhere)


# --- 59-63 settings that change how values are printed
def printing(name, setup, read, *settings, reads_fail=False):
    def run(t):
        for _ in range(2):
            for setting in settings:
                t.sql(setting, on="r")
                t.once("extended", setting)
                t.warm(read)
        t.log.append(t.on("b", wire=True).run(read, result_formats=(1,)))
    case(name, setup, run)


printing("59 DateStyle", "create table t59(v timestamptz); insert into t59 values ('2020-02-03 04:05:06+00');", "select v, v::text from t59", "set datestyle = iso", "set datestyle = 'german, dmy'", "set datestyle = sql", "reset datestyle")
printing("60 TimeZone", "create table t60(v timestamptz); insert into t60 values ('2020-02-03 04:05:06+00');", "select v, extract(hour from v), v::text from t60", "set timezone = 'UTC'", "set time zone 'Asia/Tokyo'", "set time zone -3", "reset timezone")
printing("60 TimeZone of what is only printed", "create table t60p(v timestamptz); insert into t60p values ('2020-02-03 04:05:06+00');", "select v from t60p", "set timezone = 'UTC'", "set time zone 'Asia/Tokyo'", "set time zone -3", "reset timezone")
printing("61 float, bytea, interval", "create table t61(f float8, b bytea, i interval); insert into t61 values (1::float8/3, 'ab', '1 day 2 hours');", "select f, b, i from t61", "set extra_float_digits = 0", "set extra_float_digits = -5",
         "set bytea_output = 'escape'", "set bytea_output = 'hex'", "set intervalstyle = 'sql_standard'", "set intervalstyle = 'iso_8601'")


def encodings(t):
    for encoding in ("UTF8", "LATIN1", "UTF8", "EUC_JP"):
        w = t.on("x", wire=True)
        w.simple(f"set client_encoding = '{encoding}'")
        got = t.until_hit(lambda: w.run("select v from t62 order by 1"), f"client_encoding {encoding}") if encoding in ("UTF8", "LATIN1") else w.run("select v from t62 order by 1")
        t.log.append((encoding, got))


case("62 client_encoding", "create table t62(v text); insert into t62 values ('\u00e9\u00e8'), ('x');", encodings)


def old_strings(t):
    read = r"select v from t63 where v <> 'a\'' -- '"
    other = r"select v, 'a\\b' from t63"
    for setting in ("on", "off", "on"):
        for path in t.PATHS:
            t.once(path, f"set standard_conforming_strings = {setting}")
        t.read(read)
        if setting == "on":
            t.warm(other)
        else:
            t.read(other)


case("63 standard_conforming_strings", "create table t63(v text); insert into t63 values ('a'), ('b');", old_strings)

# --- 64-73 who asks
never("64 current_setting", table(64), ("select current_setting('work_mem'), v from t64 order by 2", "stable_function"))
never("65 current_setting in a view", table(65) + "create view v65 as select current_setting('work_mem'), v from t65;", ("select * from v65 order by 2", "stable_function"))


def set_role(t):
    t.sql("create role o66{d}")
    t.sql("grant select on v66, t66 to o66{d}")
    t.warm("select v from t66 order by 1")
    for path in ("simple", "extended"):
        t.once(path, "set role o66{d}")
    t.warm("select v from t66 order by 1", paths=("simple", "extended"))
    t.sql("revoke select on t66 from o66{d}")
    t.read("select v from t66 order by 1", paths=("simple", "extended"))
    for path in ("simple", "extended"):
        t.once(path, "reset role")
    t.warm("select v from t66 order by 1")


case("66 SET ROLE", table(66) + "create view v66 as select 1;", set_role)


def other_user(t):
    t.sql("create role u67{d} login")
    t.sql("create role n67{d} login")
    t.sql("grant select on t67 to u67{d}")
    read = "select v from t67 order by 1"
    t.warm(read)
    t.warm(read, on="u", user=f"u67{t.side.database}")
    t.read(read, on="n", user=f"n67{t.side.database}")
    # A user's own schema comes first in "$user", public: the shape is known from another user's tables.
    t.sql("create schema u67{d} authorization u67{d}")
    t.sql("create table u67{d}.t67(v int)", on="u", user=f"u67{t.side.database}")
    t.read(read, on="u", user=f"u67{t.side.database}")
    for _ in range(2):
        t.warm(read)
        for _ in range(8):
            t.read(read, on="u", paths=("simple",), user=f"u67{t.side.database}")
        t.sql("insert into u67{d}.t67 values (5)", on="u", user=f"u67{t.side.database}")
        t.read(read, on="u", user=f"u67{t.side.database}")


case("67 another user, and a user's own schema", table(67), other_user)


def revoke(n, grant, revoke_):
    def run(t):
        user = f"u{n}{t.side.database}"
        for text in (f"create role g{n}{{d}}", f"create role u{n}{{d}} login", *grant):
            t.sql(text)
        t.warm(f"select v from t{n} order by 1", on="u", user=user)
        t.sql(revoke_)
        t.read(f"select v from t{n} order by 1", on="u", user=user)
        for text in grant:
            t.sql(text)
        t.warm(f"select v from t{n} order by 1", on="u", user=user)
    case(f"{n} {revoke_}", table(n), run)


revoke(68, ("grant select on t68 to u68{d}",), "revoke select on t68 from u68{d}")
revoke(69, ("grant select on t69 to g69{d}", "grant g69{d} to u69{d}"), "revoke g69{d} from u69{d}")
revoke(70, ("grant select on t70 to u70{d}",), "drop owned by u70{d}")
RLS = "alter table t{n} enable row level security; alter table t{n} force row level security; create policy p on t{n} using (v::text = current_setting('my.v', true));"
never("71 row security", table(71) + RLS.format(n=71), ("select v from t71 order by 1", "row_security"))


def security_later(t):
    t.sql("create role u72{d} login")
    t.sql("grant select on t72 to u72{d}")
    user = f"u72{t.side.database}"
    t.warm("select v from t72 order by 1", on="u", user=user)
    for text in RLS.format(n=72).split(";")[:-1]:
        t.sql(text.strip())
    t.read("select v from t72 order by 1", on="u")
    t.sql("set my.v = '10'", on="u")
    t.read("select v from t72 order by 1", on="u", paths=("simple",))
    t.never("select v from t72 order by 1", "row_security", on="u")


case("72 row security switched on later", table(72), security_later)
never("73 row security behind a view", table(73) + RLS.format(n=73) + "create view v73 as select v from t73;", ("select v from v73 order by 1", "row_security"))


def concatenation(t):
    t.warm("select v from tb74", paths=("simple",))
    t.log.append(t.once("simple", "select v from t74b"))
    t.sql("select 1", on="o", dbname=t.side.database + "b", log=True) if False else None
    t.read("select v from  tb74")


case("74 keys do not run together", "create table tb74(v int); create table t74b(v int); insert into tb74 values (1); insert into t74b values (2);", concatenation)
never("75 current_user", table(75), ("select current_user, v from t75 order by 2", "sql_value_function"), ("select session_user, v from t75 order by 2", "sql_value_function"))
never("76 the now family", table(76), ("select now(), count(*) from t76", "stable_function"), ("select count(*) from t76 where clock_timestamp() > '2000-01-01'", "volatile_function"), ("select current_date, count(*) from t76", "sql_value_function"),
      ("select age('2000-01-01'::timestamp), count(*) from t76", "stable_function"), log=False)
never("77 now in a view", table(77) + "create view v77 as select now(), v from t77; create view w77 as select localtime, v from t77;", ("select * from v77", "stable_function"), ("select * from w77", "sql_value_function"), log=False)
never("78 'now' as a literal", table(78), ("select 'now'::timestamp, count(*) from t78", "time_literal"), ("select timestamp 'today', count(*) from t78", "time_literal"), ("select count(*) from t78 where date 'Tomorrow' > '2000-01-01'", "time_literal"),
      ("select ('n' || 'ow')::timestamptz, count(*) from t78", "stable_function"), log=False)
never("79 sequence", "create sequence q79; create table t79(v int default nextval('q79')); insert into t79 default values;", ("select nextval('q79')", "volatile_function"), ("select last_value from q79", "sequence"), log=False)
never("80 stable function", table(80) + "create function f80() returns bigint stable language sql as 'select sum(v) from t80';", ("select f80()", "user_function"))
never("81 function that lies", table(81) + "create function f81() returns bigint immutable language sql as 'select sum(v) from t81';", ("select f81()", "user_function"), ("select k from t81 where f81() > 0 order by 1", "user_function"))
never("82 operator with a function", table(82) + "create function f82(int, int) returns bigint immutable language sql as 'select sum(v) from t82'; create operator ### (leftarg = int, rightarg = int, function = f82);", ("select 1 ### 2", "user_function"),
      ("select k ### v from t82 order by 1", "user_function"))

LIAR = "create table u{0}(v int); insert into u{0} values (5); create function f{0}(int) returns int immutable language sql as 'select max(v) + 0 * $1 from u{0}';"
never("82b an aggregate's function", table("82b") + LIAR.format("82b") + "create function s82b(int, int) returns int immutable language sql as 'select f82b($2)'; create aggregate a82b(int) (sfunc = s82b, stype = int, initcond = '0');",
      ("select a82b(v) from t82b", "user_function"))
never("82c a cast", "create type p82c as (v int); create table t82c(v p82c); insert into t82c values (row(1)); create table u82c(v int); insert into u82c values (5); "
      "create function f82c(p82c) returns int immutable language sql as 'select max(v) from u82c'; create cast (p82c as int) with function f82c(p82c);", ("select v::int from t82c", "user_function"))
never("82d a domain's check", table("82d") + LIAR.format("82d") + "create domain d82d as int check (f82d(value) = 5);", ("select v::d82d from t82d order by 1", "user_function"), ("select cast(v as d82d) from t82d order by 1", "user_function"))
never("82e comparing, by a type's own operators", "create type p82e as (v int); create table t82e(v p82e); insert into t82e values (row(1)), (row(2)); create table u82e(v int); insert into u82e values (0);"
      "create function c82e(p82e, p82e) returns int immutable language plpgsql as 'begin return (select max(v) from u82e) * ($1).v; end';"
      + "".join(f"create function {name}82e(p82e, p82e) returns bool immutable language sql as 'select c82e($1, $2) {sign} 0'; create operator {sign} (leftarg = p82e, rightarg = p82e, function = {name}82e);"
                for name, sign in (("lt", "<"), ("le", "<="), ("eq", "="), ("ge", ">="), ("gt", ">")))
      + "create operator class o82e default for type p82e using btree as operator 1 <, operator 2 <=, operator 3 =, operator 4 >=, operator 5 >, function 1 c82e(p82e, p82e);",
      ("select count(distinct v) from t82e", "user_function"), ("select count(*) from (select v from t82e group by v) x", "user_function"), ("select count(*) from (select distinct v from t82e) x", "user_function"))


def locks(t):
    read = "select v from t83 where k = 1 for update"
    t.warm("select v from t83 where k = 1")
    t.never(read, "locking_clause")
    t.sql("begin", on="r")
    t.sql(read, on="r")
    t.sql("set lock_timeout = '100ms'", on="w")
    t.sql("update t83 set v = 5 where k = 1", on="w")
    t.sql("commit", on="r")
    t.sql("update t83 set v = 5 where k = 1", on="w")


case("83 FOR UPDATE locks", table(83), locks)
never("84 advisory lock", table(84), ("select pg_try_advisory_xact_lock(1), v from t84 order by 2", "volatile_function"))
never("85 catalogs", "", ("select count(*) from pg_class where relname = 'nothing'", "catalog_relation"), ("select count(*) from information_schema.tables where table_name = 'nothing'", "catalog_relation"))
never("86 a view of catalogs", "create view v86 as select count(*) n from pg_class where relname = 'no';", ("select n from v86", "catalog_relation"))
never("87 TABLESAMPLE", table(87), ("select count(*) from t87 tablesample bernoulli (50)", "tablesample"), log=False)
never("121 unlogged table", "create unlogged table t121(v int); insert into t121 values (1);", ("select v from t121", "unlogged_table"))
never("129 function with EXCEPTION", table(129) + "create function f129() returns int stable language plpgsql as 'declare x int; begin begin select sum(v) into x from t129; perform 1/0; exception when division_by_zero then null; end; return x; end';",
      ("select f129()", "user_function"))


def lying(t):
    t.sql("prepare p130(int) as select k from t130 where f130() > $1 order by 1", on="r")
    for _ in range(8):
        t.sql("execute p130(1)", on="r", log=False)
    t.never("select k from t130 where f130() > 1 order by 1", "user_function")
    t.sql("delete from u130")
    t.read("select k from t130 where f130() > 1 order by 1")


case("130 an immutable function that lies, after plan caching", table(130) + "create table u130(v int); insert into u130 values (9); create function f130() returns bigint immutable language sql as 'select coalesce(sum(v), 0) from u130';", lying)
never("131 a query that raises a notice", table(131) + "create function f131(int) returns int immutable language plpgsql as 'begin raise notice ''hello''; return $1; end';", ("select f131(v) from t131 order by 1", "user_function"))
