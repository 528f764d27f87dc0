"""More message scripts for wire_differential.py: statements that repeat without being prepared, and what may happen to them meanwhile."""

import time

POINT = "select id, name, note from orders join customers using (id) where id = $1"
AGAIN = 12  # often enough for some of them to be left as they came and most to be reused


def set_up(t, text):
    """Nothing is reused while the catalog is read again."""
    t.beside(text)
    time.sleep(0.3)


def reused_extended(t):
    c = t.client()
    for number in range(AGAIN):
        c.x(POINT, [str(number)])
    for number in range(AGAIN):
        c.P(POINT).B([str(number)]).E().S().ready()


def reused_extended_binary_and_typed(t):
    c = t.client()
    for number in range(AGAIN):
        c.P(POINT, types=(23,)).B([str(number)], binary=True).D().E().S().ready()
        c.P(POINT, types=(20,)).B([str(number)]).D().E().S().ready()


def reused_simple(t):
    c = t.client()
    for _ in range(AGAIN):
        c.Q("select id, name from customers where id < 4 order by 1;").ready()
        c.Q("select from customers where id < 3").ready()
        c.Q("select id from customers where false").ready()


def reused_writes(t):
    set_up(t, "drop table if exists reused; create table reused (id int primary key, v text)")
    c = t.client()
    for number in range(AGAIN):
        c.x("insert into reused values ($1, 'x') returning id, v", [str(number)])
        c.x("update reused set v = v || 'y' where id = $1", [str(number)])
    for _ in range(AGAIN):
        c.Q("update reused set v = v || 'z'").ready()
        c.Q("update reused set v = v || '1' where id = 3 returning *").ready()
        c.Q("delete from reused where id > 100").ready()
    c.Q("select * from reused order by id").ready()


def reused_then_bind_alone(t):
    c = t.client()
    for number in range(AGAIN):
        c.x(POINT, [str(number)])
        c.B(["7"]).D().E().S().ready()
        c.D("S").S().ready()


def reused_then_closed(t):
    c = t.client()
    c.P("select 'older'").S().ready()
    for number in range(AGAIN):
        c.x(POINT, [str(number)])
        c.C("S").S().ready()
        c.B(["9"]).E().S().ready()


def reused_then_another_parse(t):
    c = t.client()
    for number in range(AGAIN):
        c.x(POINT, [str(number)])
        c.P("select 'another'").S().ready()
        c.B().E().S().ready()
        c.P("select wrong from nowhere").S().ready()
        c.B().E().S().ready()


def reused_simple_destroys_the_unnamed_statement(t):
    c = t.client()
    for _ in range(AGAIN):
        c.P("select 1 as one").S().ready()
        c.Q("select id from customers where id < 3 order by 1").ready()
        c.B().E().S().ready()


def reused_in_a_pipeline(t):
    c = t.client()
    for number in range(AGAIN):
        c.P(POINT).B([str(number)]).D().E().S().P(POINT).B(["no number"]).D().E().S().P(POINT).B(["5"]).D().E().S().Q("select 'last'").ready(4)


def reused_in_blocks(t):
    c = t.client()
    for number in range(AGAIN):
        c.x(POINT, [str(number)])
        c.Q("begin").ready()
        c.x(POINT, [str(number)])
        c.Q("select id from customers where id < 3 order by 1").ready()
        c.Q("commit").ready()
        c.Q("select id from customers where id < 3 order by 1").ready()


def reused_and_wrong(t):
    c = t.client()
    for _ in range(AGAIN):
        c.x(POINT, ["no number"]).x(POINT, ["5"]).x(POINT, []).x(POINT, ["5", "6"])
        c.x("select 10 / (id - $1::int) from customers order by id limit 5", ["3"])
        c.x("select 10 / (id - $1::int) from customers order by id limit 5", ["1"])
        c.Q("select 10 / (id - 3) from customers order by id limit 5").ready()
        c.Q("select nothing from customers").ready().x("select nothing from customers").x("selec")
        c.Q("select $1").ready()


def reused_and_a_column_added_behind_our_back(t):
    set_up(t, "drop table if exists widening; create table widening (id int primary key); insert into widening values (1), (2)")
    c = t.client()
    for turn in range(4):
        for _ in range(5):
            c.Q("select * from widening order by id").ready()
            c.x("select * from widening order by id")
            c.x("update widening set id = id where id = $1 returning *", ["1"])
        t.behind(f"alter table widening add column c{turn} text default 'x'")


def reused_and_a_type_changed_by_another(t):
    set_up(t, "drop table if exists changing; create table changing (id int primary key, v int); insert into changing values (1, 2)")
    c = t.client()
    for kind in ("bigint", "text", "int using v::int"):
        for _ in range(5):
            c.Q("select v from changing").ready()
            c.x("select v from changing where id = $1", ["1"])
        t.beside(f"alter table changing alter column v type {kind}")
    c.Q("select v from changing").ready()


def reused_and_shadowed(t):
    set_up(t, "drop schema if exists front cascade; create schema front")
    c = t.client(options="-c search_path=front,public")
    for _ in range(6):
        c.Q("select count(*) from customers").ready()
        c.x("select count(*) from customers where id > $1", ["0"])
    t.beside("create table front.customers (id int)")
    for _ in range(3):
        c.Q("select count(*) from customers").ready()
        c.x("select count(*) from customers where id > $1", ["0"])
    t.beside("drop schema front cascade")
    for _ in range(3):
        c.Q("select count(*) from customers").ready()
        c.x("select count(*) from customers where id > $1", ["0"])


def reused_and_hidden_by_a_temporary_table(t):
    c = t.client()
    for _ in range(6):
        c.Q("select count(*) from customers").ready()
        c.x("select count(*) from customers where id > $1", ["0"])
    c.Q("create temp table customers as select 1 as id").ready()
    for _ in range(3):
        c.Q("select count(*) from customers").ready()
        c.x("select count(*) from customers where id > $1", ["0"])


def reused_under_other_settings(t):
    c, d = t.client(), t.client(options="-c array_nulls=off")
    for style in ("ISO, MDY", "SQL, DMY", "German", "ISO, YMD", "ISO, MDY"):
        c.Q(f"set datestyle = '{style}'").ready()
        for _ in range(5):
            c.Q("select '01/02/2003'::date + 0, current_setting('datestyle') from customers limit 1").ready()
            c.x("select '01/02/2003'::date + $1::int from customers limit 1", ["1"])
            c.Q("select '{NULL}'::text[] from customers limit 1").ready()
            d.Q("select '{NULL}'::text[] from customers limit 1").ready()
    for zone in ("UTC", "Asia/Tokyo"):
        c.Q(f"select set_config('timezone', '{zone}', false)").ready()
        for _ in range(5):
            c.Q("select '2020-01-01 00:00'::timestamptz > '2020-01-01 00:00+00' from customers limit 1").ready()


def reused_under_a_setting_nobody_sees(t):
    set_up(t, "create or replace function sets_style(text) returns void language plpgsql as $$ begin perform set_config('datestyle', $1, false); end $$")
    c = t.client()
    for style in ("ISO, MDY", "SQL, DMY", "ISO, MDY"):
        c.Q(f"select sets_style('{style}')").ready()
        for _ in range(5):
            c.Q("select '01/02/2003'::date + 0 from customers limit 1").ready()
            c.x("select '01/02/2003'::date + $1::int from customers limit 1", ["1"])


def reused_and_deallocated_unseen(t):
    set_up(t, "create or replace function forgets() returns void language plpgsql as $$ begin execute 'deallocate all'; end $$")
    c = t.client()
    for _ in range(4):
        for _ in range(4):
            c.Q("select id from customers where id < 3 order by 1").ready()
            c.x(POINT, ["3"])
        c.Q("select forgets()").ready()


def reused_with_notices(t):
    c = t.client()
    name = "n" * 70
    for _ in range(AGAIN):
        c.Q(f"select 1 as {name} from customers limit 1").ready()
        c.x(f"select 1 as {name} from customers limit $1", ["1"])


def reused_by_two_roles(t):
    t.beside("drop table if exists secret; create table secret (id int); insert into secret values (1)")
    set_up(t, "drop role if exists looker; create role looker login")
    c, d = t.client(), t.client(user="looker")
    for _ in range(6):
        c.Q("select * from secret").ready().x("select * from secret where id = $1", ["1"])
        d.Q("select * from secret").ready().x("select * from secret where id = $1", ["1"])
    t.beside("grant select on secret to looker")
    for _ in range(6):
        d.Q("select * from secret").ready().x("select * from secret where id = $1", ["1"])
    t.beside("revoke select on secret from looker")
    for _ in range(3):
        d.Q("select * from secret").ready().x("select * from secret where id = $1", ["1"])
    c.Q("set role looker").ready()
    for _ in range(3):
        c.Q("select * from secret").ready().x("select * from secret where id = $1", ["1"])


def reused_and_listed(t):  # pg_prepared_statements shows the client's own
    c = t.client()
    c.Q("prepare own as select 1").ready()
    for number in range(AGAIN):
        c.Q("select id from customers where id < 4 order by 1").ready()
        c.x(POINT, [str(number)])
    for _ in range(AGAIN):
        c.Q("select name from pg_prepared_statements").ready()
        c.x("select count(*) from pg_prepared_statement()")
        c.Q("select 1; select name from pg_prepared_statements").ready()
    for forgetting in ("discard temp", "execute unknown", "select 1; discard plans", "discard sequences"):
        for _ in range(AGAIN):
            c.Q("select id from customers where id < 4 order by 1").ready()
        c.Q(forgetting).ready().Q("select name from pg_prepared_statements").ready()
