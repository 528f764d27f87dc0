"""The message scripts of wire_differential.py: one function each, with what it is about as its name. PROTOCOL numbers are bugs others
had (pgdog, odyssey, pgbouncer, pgpool, supavisor)."""
import struct
import threading
import time

from wire import CANCEL_REQUEST, PROTOCOL_3, SSL_REQUEST, Closed, rows

MODE = "observe"
COUNT = "select c.id from customers c where (select count(*) from orders o where o.customer_id = c.id) > 0 order by c.id"
NOT_IN = "select c.id from customers c where c.id not in (select o.customer_id from orders o where o.amount > 3) order by c.id"
JOIN = "select c.name, count(*), sum(o.amount) from orders o join customers c on c.id = o.customer_id where o.amount < 50 group by c.name order by c.name limit 10"
NOCACHE = "/* pgsteer:{cache=off} */ "
SHRINK = NOCACHE + "select s.id, s.w from shrinking s join orders o on o.id = s.id where o.amount < 50 order by s.id limit 5"
POINT = "select id, name from customers where id = $1"
RANGE = "select id, name, country from customers where id < 5 order by id"
REWRITTEN = [COUNT, NOT_IN, NOCACHE + COUNT, NOCACHE + NOT_IN]
STEERED = [JOIN, NOCACHE + JOIN, SHRINK]
CACHED = [RANGE, "select count(*) from orders", "select max(amount) from orders where customer_id = 7"]
JOIN_PARAMETER = NOCACHE + "select c.name, count(*) from orders o join customers c on c.id = o.customer_id where o.amount < $1::int group by c.name order by c.name limit 10"
PARAMETRISED_STEERED = [(JOIN_PARAMETER, ("50",))]
PARAMETRISED = [(POINT, ("3",)), *PARAMETRISED_STEERED]
PINS = [("join customers c on c.id = o.customer_id where o.amount <", "arm:no_nestloop"), ("from shrinking s join orders", "arm:no_nestloop"),
        ("c.id not in (select o.customer_id", "rewrite:not_in_to_not_exists"), ("where o.customer_id = c.id) >", "rewrite:count_to_exists")]


# --- what is acted on: from the cache, rewritten, steered ------------------------------------------------------------

def cached_simple(t):
    c = t.client()
    for _ in range(3):
        c.Q(RANGE).ready()


def cached_extended_unnamed(t):
    c = t.client()
    for _ in range(3):
        c.x(POINT, ["4"])


def cached_extended_without_describe(t):
    c = t.client()
    for _ in range(3):
        c.P(POINT).B(["4"]).E().S().ready()


def cached_binary(t):
    c = t.client()
    for _ in range(3):
        c.x(POINT, ["4"], binary=True)


def cached_named(t):
    c = t.client()
    c.P(POINT, "s1").B(["5"], "s1").D().E().S().ready()
    for value in ("5", "5", "6", "5", "7"):
        c.B([value], "s1").D().E().S().ready()


def cached_then_a_bind_that_misses(t):
    t.client().x(POINT, ["8"])
    t.client().x(POINT, ["8"])
    c = t.client()
    c.P(POINT, "named").B(["8"], "named").D().E().S().ready()
    c.B(["77"], "named").D().E().S().ready()
    c.D("S", "named").S().ready()
    c.Q("select name, statement, parameter_types, from_sql from pg_prepared_statements where name !~ 'pgsteer' order by 1").ready()


def statements_listed(t):
    """pg_prepared_statements has the client's statements under the client's names, and nobody else's."""
    listing = "select name, statement, parameter_types, from_sql from pg_prepared_statements order by 1"
    a, b = t.client(), t.client()
    b.P("select 'of b'", "theirs").P("select $1::int", "s1").S().ready()
    a.P("select $1::int", "s1").P("select 2", "two").S().ready()
    a.Q("prepare by_sql as select 3").ready()
    for _ in range(3):
        a.Q(listing).ready().x(listing).Q("select 1; " + listing).ready()
        b.Q(listing).ready()
        a.B(["5"], "s1").E().B([], "two").E().S().ready()
    a.Q("begin").ready()
    a.Q(listing).ready().x(listing)
    a.C("S", "two").S().ready()
    a.x(listing)
    a.P("select 'two again'", "two").B([], "two").E().P(listing, "listing").B([], "listing").E().C("S", "s1").B([], "listing").E().S().ready()
    a.B(["5"], "s1").E().C("S", "two").S().ready()
    a.Q("rollback").ready()
    a.x(listing)
    a.B([], "two").E().B([], "listing").E().S().ready()
    a.Q("deallocate two").ready().Q(listing).ready()
    a.Q("begin").ready().Q(listing).ready().Q("deallocate all").ready()
    a.P("select 4", "two").S().ready()
    a.Q("execute two").ready().Q(listing).ready().Q("rollback").ready()
    b.Q("begin").ready().Q(listing).ready().Q("deallocate all").ready().P("select 'new'", "theirs").S().ready()
    b.Q("execute theirs").ready().Q("commit").ready()
    b.x(listing).B([], "theirs").E().S().ready()
    for number in range(9):
        b.P(f"select {number}", f"n{number}").S().ready()
    b.Q("begin").ready().Q("create table listed (i int)").ready().P("select i from listed", "on_new").P("drop table listed", "drop").S().ready()
    b.Q("select name from pg_prepared_statements order by prepare_time").ready().Q("rollback").ready()


def cached_unnamed_then_bind_alone(t):
    t.client().x(POINT, ["9"])
    c = t.client()
    c.x(POINT, ["9"])
    c.x(POINT, ["9"])
    c.B(["78"]).D().E().S().ready()
    c.D("S").S().ready()


def cached_simple_destroys_the_unnamed_statement(t):
    c = t.client()
    c.Q(RANGE).ready()
    c.P("select 1 as one").S().ready()
    c.Q(RANGE).ready()
    c.B().E().S().ready()


def cached_unnamed_closed(t):
    c = t.client()
    c.P("select 'older'").S().ready()
    c.x(POINT, ["9"])
    c.C("S").S().ready()
    c.B(["9"]).E().S().ready()


def cached_named_then_closed_and_used(t):
    c = t.client()
    c.P(POINT, "s").B(["5"], "s").D().E().S().ready()
    c.C("S", "s").S().ready()
    c.B(["5"], "s").D().E().S().ready()


def cached_named_then_parsed_again(t):
    c = t.client()
    c.P(POINT, "s").B(["5"], "s").D().E().S().ready()
    c.P("select 'other'", "s").S().ready()
    c.B(["5"], "s").D().E().S().ready()


def cached_named_then_deallocated_in_sql(t):
    for text in ("deallocate s", "deallocate all", "discard all", "select 1; deallocate s", "do $$ begin execute 'deallocate s'; end $$"):
        c = t.client()
        c.P(POINT, "s").B(["5"], "s").D().E().S().ready()
        c.Q(text).ready()
        c.B(["5"], "s").D().E().S().ready()


def cached_and_a_write_between(t):
    c = t.client()
    for amount in range(3):
        c.Q("select max(amount) from orders where customer_id = 7").ready()
        c.Q(f"update orders set amount = {90 + amount} where id = 6").ready()
        c.x("select max(amount) from orders where customer_id = 7")
    c.Q("update orders set amount = 6 where id = 6").ready()


def cached_and_a_write_by_another(t):
    c, d = t.client(), t.client()
    for amount in range(3):
        c.Q("select max(amount) from orders where customer_id = 7").ready()
        d.P("update orders set amount = $1 where id = 6", types=(23,)).B([str(80 + amount)]).D().E().S().ready()
    d.Q("begin").ready().Q("update orders set amount = 6 where id = 6").ready()
    c.Q("select max(amount) from orders where customer_id = 7").ready()
    d.Q("commit").ready()
    c.Q("select max(amount) from orders where customer_id = 7").ready()


def cached_under_other_settings(t):
    c = t.client()
    for setting in ("datestyle = 'SQL'", "search_path = pg_catalog", "search_path = public", "timezone = 'Asia/Tokyo'", "extra_float_digits = 0"):
        c.Q("set " + setting).ready().Q(RANGE).ready().x(POINT, ["3"])
    c.Q("begin").ready().Q("set local search_path = pg_catalog").ready().Q(RANGE).ready().Q("rollback").ready().Q(RANGE).ready()


def cached_in_a_pipeline(t):
    c = t.client()
    for value in ("3", "3", "3", "4"):
        c.P(POINT).B([value]).D().E().S()
    c.Q(RANGE).Q(RANGE).P(RANGE).B().E().S()
    c.ready(7)


def rewritten_simple(t):
    c = t.client()
    for text in REWRITTEN * 2:
        c.Q(text).ready()


def rewritten_extended(t):
    c = t.client()
    for text in REWRITTEN:
        c.x(text)
        c.P(text).B().E().S().ready()
        c.x(text, binary=True)


def rewritten_named(t):
    c = t.client()
    c.P(NOCACHE + NOT_IN, "r").D("S", "r").S().ready()
    for _ in range(3):
        c.B(name="r").D().E().S().ready()
    c.Q("deallocate all").ready()
    c.B(name="r").D().E().S().ready()


def rewritten_after_its_variant_is_gone(t):
    c = t.client()
    c.P(NOCACHE + NOT_IN, "r").S().ready()
    c.B(name="r").D().E().S().ready()
    c.Q("do $$ begin execute 'deallocate all'; end $$").ready()
    c.B(name="r").D().E().S().ready()
    c.x(NOCACHE + NOT_IN)
    c.x(NOCACHE + NOT_IN)


def steered_simple(t):
    c = t.client()
    for text in STEERED * 2:
        c.Q(text).ready()
    c.Q("show enable_nestloop").ready()


def steered_extended(t):
    c = t.client()
    for text in STEERED:
        c.x(text)
        c.P(text).B().E().S().ready()
    for value in ("50", "10", "1"):
        c.x(JOIN_PARAMETER, [value])
    c.Q("show enable_nestloop").ready().Q("show plan_cache_mode").ready()


def steered_named(t):
    c = t.client()
    c.P(JOIN_PARAMETER, "j").B(["50"], "j").D().E().S().ready()
    for value in ("50", "3", "oops", "50", None):
        c.B([value], "j").D().E().S().ready()
    c.C("S", "j").S().ready()


def steered_in_a_transaction(t):
    c = t.client()
    c.Q("begin").ready().Q(NOCACHE + JOIN).ready().x(JOIN_PARAMETER, ["50"]).Q("show enable_nestloop").ready().Q("commit").ready()


def changed_in_a_transaction(t):
    """Behind a savepoint of ours, of which nothing may show: settings, savepoints and cursors of the client's, comments at the end."""
    c = t.client()
    for level in ("read committed", "repeatable read", "serializable"):
        c.Q(f"begin isolation level {level}").ready().Q("insert into copied values (1, 'own')").ready()
        c.P("select id from orders order by id").B(portal="open").E("open", 3).S().ready()
        for text in REWRITTEN + STEERED:
            c.Q(text).ready().Q(text + " -- the end").ready().Q(text + " /* the end */ ;").ready().x(text)
            c.P(text).B().E().S().ready()
        c.Q("savepoint mine").ready().Q(NOCACHE + COUNT).ready().Q("set local enable_hashjoin = off").ready()
        c.Q(NOCACHE + JOIN).ready().x(JOIN_PARAMETER, ["50"]).x(NOCACHE + NOT_IN).Q("rollback to mine").ready()
        c.Q(NOCACHE + JOIN).ready().E("open", 2).S().ready()
        c.Q("show enable_nestloop").ready().Q("show enable_hashjoin").ready().Q("select * from copied").ready()
        c.Q("release mine").ready().Q("rollback").ready().Q("show enable_nestloop").ready()


def changed_and_then_the_portal_again(t):
    c = t.client()
    c.Q("begin").ready()
    for text in REWRITTEN:
        c.P(text).B().D().E().S().ready().D().E().S().ready()
    c.Q("commit").ready()


def changed_in_a_transaction_and_fails(t):
    c = t.client()
    text = NOCACHE + "select c.name, count(*) from orders o join customers c on c.id = o.customer_id where o.amount < 50 / (o.id - 1) group by c.name order by c.name limit 10"
    for last in ("commit", "rollback"):
        c.Q("begin").ready().Q("savepoint mine").ready().Q(text).ready().Q("select 1").ready().Q("rollback to mine").ready()
        c.Q(NOCACHE + JOIN).ready().x(JOIN_PARAMETER, ["not a number"]).Q(last).ready()


def changed_in_a_transaction_and_a_column_goes_behind_our_back(t):
    c = t.client()
    c.P(SHRINK, "s").S().ready()
    for prepared in (False, True):
        c.Q("begin").ready().Q("select 1").ready()
        t.behind("alter table shrinking rename column w to gone")
        try:
            if prepared:
                c.B(name="s").D().E().S().ready()
            else:
                c.Q(SHRINK).ready()
            c.Q("select 2").ready().Q("rollback").ready()
        finally:
            t.behind("alter table shrinking rename column gone to w")
    c.Q("begin").ready().Q(SHRINK).ready().Q("commit").ready()


def steered_fails_while_running(t):
    c = t.client()
    text = NOCACHE + "select c.name, count(*) from orders o join customers c on c.id = o.customer_id where o.amount < 50 / (o.id - 1) group by c.name order by c.name limit 10"
    c.Q(text).ready().Q(text).ready()
    c.x(text).x(JOIN_PARAMETER, ["not a number"]).x(JOIN_PARAMETER, ["50", "51"]).x(JOIN_PARAMETER)


def steered_and_a_column_goes_behind_our_back(t):
    c = t.client()
    c.Q(SHRINK).ready().x(SHRINK)
    c.P(SHRINK, "s").B(name="s").D().E().S().ready()
    t.behind("alter table shrinking rename column w to gone")
    try:
        c.Q(SHRINK).ready().x(SHRINK)
        c.P(SHRINK, "s2").B(name="s2").D().E().S().ready()
        c.B(name="s2").D().E().S().ready()
        c.B(name="s").D().E().S().ready()
        c.B(name="s").E().S().ready()
        c.Q(SHRINK).ready()
    finally:
        t.behind("alter table shrinking rename column gone to w")
    c.Q(SHRINK).ready().x(SHRINK)
    c.B(name="s").D().E().S().ready()


def steered_and_a_type_changes_behind_our_back(t):
    c = t.client()
    c.P(SHRINK, "s").B(name="s").D().E().S().ready()
    c.B(name="s").D().E().S().ready()
    t.behind("alter table shrinking alter column w type bigint")
    try:
        c.B(name="s").D().E().S().ready()
        c.B(name="s").E().S().ready()
        c.Q(SHRINK).ready()
        c.P(SHRINK, "fresh").B(name="fresh").D().E().S().ready()
    finally:
        t.behind("alter table shrinking alter column w type int")


def rewritten_and_a_constraint_goes(t):
    c = t.client()
    c.Q(NOCACHE + NOT_IN).ready().Q(NOCACHE + COUNT).ready()
    t.beside("alter table orders drop constraint orders_customer_id_fkey")
    c.Q(NOCACHE + NOT_IN).ready().Q(NOCACHE + COUNT).ready().x(NOT_IN)
    t.beside("alter table orders add foreign key (customer_id) references customers")
    c.Q(NOCACHE + NOT_IN).ready()


def a_column_is_added_to_what_is_cached(t):
    t.beside("drop table if exists growing; create table growing (id int primary key); insert into growing values (1), (2)")
    c = t.client()
    for _ in range(3):
        c.Q("select * from growing order by id").ready()
    c.P("select * from growing order by id", "g").B(name="g").D().E().S().ready()
    c.B(name="g").D().E().S().ready()
    c.Q("alter table growing add column more text default 'x'").ready()
    c.B(name="g").D().E().S().ready()
    c.Q("select * from growing order by id").ready()
    c.x("select * from growing order by id")


def errors_of_positions(t):
    c = t.client()
    for text in ("select nothing from orders", "select id fro orders", NOCACHE + "select 'é', c.nme from orders o join customers c on c.id = o.customer_id where o.amount < 50"):
        c.Q(text).ready().x(text)


# --- pipelines and errors in them ------------------------------------------------------------------------------------

def pipeline_of_several_syncs(t):
    c = t.client()
    for n in range(10):
        c.P(f"select {n}").B().D().E().S()
    c.ready(10)


def pipeline_with_an_error_in_the_middle(t):
    c = t.client()
    c.P("select 1").B().E().P("select 1/0").B().E().P("select 2").B().E().S()
    c.P("select 3").B().D().E().S().P("select broken from").B().E().S().P(RANGE).B().D().E().S()
    c.ready(4)


def pipeline_error_then_simple_query_then_late_sync(t):  # pgdog 1356
    c = t.client()
    c.P("select 1/0").B().E().H().until(b"E")
    c.Q("select 'ignored'").Q(RANGE).S().ready()
    c.Q("select 'goes on'").ready()
    c.P("select 1/0").B().E().Q("rollback").S().ready()
    c.Q(RANGE).ready()


def close_after_an_error(t):
    c = t.client()
    c.P("select 1", "keep").S().ready()
    c.P("select 1/0").B().E().C("S", "keep").C("P").S().ready()
    c.B(name="keep").D().E().S().ready()


def parse_ignored_after_an_error(t):
    c = t.client()
    c.P(POINT, "p").B(["3"], "p").D().E().S().ready()
    c.P("select 1/0").B().E().H().until(b"E")
    c.C("S", "p").P("select 'wrong', 'text' where $1::text is not null", "p").P("select 5", "never").S().ready()
    c.B(["3"], "p").D().E().S().ready()
    c.B(name="never").E().S().ready()


def parse_fails_and_its_name_is_used_again(t):
    c = t.client()
    c.P("select nonsense from nowhere", "n").S().ready()
    c.P("select 1", "n").B(name="n").E().S().ready()
    c.P("select 2", "n").S().ready()
    c.B(name="n").E().S().ready()


def unknown_statement_and_portal(t):
    c = t.client()
    c.B(name="nobody").E().S().ready()
    c.D("S", "nobody").S().ready().D("P", "nobody").S().ready().E("nobody").S().ready().C("S", "nobody").C("P", "nobody").S().ready()
    c.Q("select 1").ready()


def parse_describe_flush_then_bind_flush_then_sync(t):
    c = t.client()
    c.P(POINT).D("S").H().take(3)
    c.B(["3"]).D().E().H().take(4)
    c.S().ready()


def flush_after_every_message(t):
    c = t.client()
    c.P("select 1").H().take(1).B().H().take(1).D().H().take(1).E().H().take(2).S().ready()


def closed_before_its_parse_completes(t):
    c = t.client()
    c.P(POINT, "x").C("S", "x").S().ready()
    c.B(["3"], "x").D().E().S().ready()
    c.P(POINT).Q("select 1").S().ready(2)
    c.B(["3"]).D().E().S().ready()


def simple_query_inside_of_an_extended_group(t):
    c = t.client()
    c.P("select 1").B().E().Q("select 2").P("select 3").B().E().S().ready(2)


def sync_alone(t):
    t.client().S().S().S().ready(3)


def deferred_error_at_sync(t):
    c = t.client()
    c.P("insert into deferred values (1), (1)").B().E().S().ready()
    c.Q("insert into deferred values (2), (2)").ready()
    c.Q("begin; insert into deferred values (3), (3); commit").ready()
    c.Q("select count(*) from deferred").ready()


# --- portals ---------------------------------------------------------------------------------------------------------

def portal_suspended(t):
    c = t.client()
    c.P("select generate_series(1, 5)").B().D().E(limit=2).E(limit=2).E(limit=2).E(limit=2).S().ready()
    c.P("select generate_series(1, 5)").B().E(limit=2).H().until(b"s").E(limit=2).H().until(b"s").S().ready()


def portals_across_sync_in_a_transaction(t):
    c = t.client()
    c.Q("begin").ready()
    c.P("select generate_series(1, 6)", "g").B(name="g", portal="p1").B(name="g", portal="p2").E("p1", 2).S().ready()
    c.E("p2", 1).E("p1", 2).S().ready()
    c.Q("select 1").ready()
    c.E("p1", 0).C("P", "p1").S().ready()
    c.E("p1").S().ready()
    c.Q("rollback").ready()
    c.E("p2").S().ready()


def portal_is_gone_after_sync(t):
    c = t.client()
    c.P("select 1").B(portal="p").S().ready().E("p").S().ready()
    c.P(POINT).B(["3"]).S().ready().E().S().ready()


def cursors_in_sql(t):
    c = t.client()
    c.Q("begin").ready().Q("declare k cursor for select generate_series(1, 5)").ready().Q("fetch 2 from k").ready().D("P", "k").E("k", 1).S().ready().Q("move 1 in k; fetch all from k; close k").ready().Q("commit").ready()
    c.Q("declare h cursor with hold for select 1").ready().E("h").S().ready()


# --- COPY ------------------------------------------------------------------------------------------------------------

def copy_out_both_forms(t):
    c = t.client()
    c.Q("copy (select generate_series(1, 5)) to stdout").ready()
    c.P("copy (select 1, 'x') to stdout").B().D().E().S().ready()
    c.Q("copy customers to stdout (format binary)").ready()


def flush_during_copy_out(t):  # pgpool 79
    c = t.client()
    c.P("copy (select generate_series(1, 2000)) to stdout").B().E().H().H().S().ready()
    c.Q("copy (select generate_series(1, 2000)) to stdout").H().S().ready(2)


def copy_in_simple(t):
    t.beside("truncate copied")
    c = t.client()
    c.Q("copy copied from stdin").until(b"G").add(b"d", b"1\tone\n2\ttwo\n").add(b"d", b"3\tthr").add(b"d", b"ee\n").add(b"c").ready()
    c.Q("select * from copied order by a").ready()


def copy_in_sent_ahead(t):
    t.beside("truncate copied")
    c = t.client()
    c.Q("copy copied from stdin").add(b"d", b"1\tone\n").add(b"c").Q("select * from copied").ready(2)
    c.Q("copy copied from stdin; copy copied from stdin; select count(*) from copied")
    c.add(b"d", b"2\ttwo\n").add(b"c").add(b"d", b"3\tthree\n").add(b"c").Q("select 1").ready(2)


def copy_in_extended_with_an_early_sync(t):  # pgbouncer 1025
    t.beside("truncate copied")
    c = t.client()
    c.P("copy copied from stdin").B().E().S().until(b"G").add(b"d", b"4\tfour\n").add(b"c").S().ready()
    c.Q("select * from copied").ready()


def copy_in_extended_all_ahead(t):
    t.beside("truncate copied")
    c = t.client()
    c.P("copy copied from stdin").B().E().S().add(b"d", b"5\tfive\n").add(b"c").S().Q("select * from copied").P("select 1").B().E().S().ready(3)
    c.P("copy copied from stdin").B().E().S().S().H().add(b"d", b"6\tsix\n").S().add(b"f", b"enough\0").S().Q(RANGE).ready(2)
    c.Q("select * from copied").ready()


def copy_in_fails_with_late_data(t):  # pgbouncer 1471
    t.beside("truncate copied")
    c = t.client()
    c.Q("copy copied from stdin").until(b"G").add(b"d", b"not a number\tx\n").add(b"d", b"still sending\n" * 100).add(b"c").ready()
    c.add(b"d", b"late\n").add(b"c").add(b"d", b"later\n").add(b"f", b"x\0").Q("select 1").ready()
    c.P("copy copied from stdin").B().E().until(b"G").add(b"d", b"bad\tx\n").until(b"E")
    c.add(b"d", b"more\n").add(b"c").S().ready().Q("select count(*) from copied").ready()


def copy_in_fails_with_syncs_behind(t):
    """The server has failed before it sees the Syncs that a COPY would swallow: it answers them."""
    c = t.client()
    c.P("copy copied from stdin").B().E().until(b"G").add(b"d", b"bad\tx\n").S().S().add(b"d", b"more\n").add(b"c").S().ready(3).Q("select 1").ready()


def copy_in_failed_by_the_client(t):
    t.beside("truncate copied")
    c = t.client()
    c.Q("copy copied from stdin").until(b"G").add(b"d", b"1\tx\n").add(b"f", b"changed my mind\0").ready()
    c.P("copy copied from stdin").B().E().until(b"G").add(b"f", b"again\0").S().ready()


def copy_in_meets_another_message(t):
    c = t.client()
    c.Q("copy copied from stdin").until(b"G").Q("select 1").ended()


def copy_of_a_table_that_is_not_there(t):
    c = t.client()
    c.Q("copy nowhere from stdin").add(b"d", b"1\n").add(b"c").Q("select 1").ready(2)
    c.P("copy nowhere from stdin").B().E().S().add(b"d", b"1\n").add(b"c").S().ready(2)


# --- simple protocol, large things -----------------------------------------------------------------------------------

def multi_statement(t):
    c = t.client()
    c.Q("select 1; select 2; select 3").ready().Q("select 1; select 1/0; select 3").ready().Q("begin; select 1; commit; select 2").ready()
    c.Q("create temp table multi (a int); insert into multi values (1); select * from multi").ready().Q("; ;").ready()


def empty_query(t):
    c = t.client()
    c.Q("").ready().Q("  -- nothing").ready().x("").P("").D("S").S().ready()


def byte_by_byte(t):
    c = t.client()
    c.P(POINT, "slow").B(["3"], "slow").D().E().S().Q(RANGE).Q("select 1").send(drip=True)
    c.ready(3)


def query_of_20_mb(t):
    c = t.client()
    c.Q("select length('" + "x" * (20 << 20) + "')").ready()
    c.P("select length($1)", types=(25,)).B(["y" * (20 << 20)]).D().E().S().ready()
    c.P("select length('" + "z" * (1 << 20) + "')", "big").B(name="big").E().S().ready().B(name="big").E().S().ready()
    c.Q("select 1").ready()


def row_of_20_mb(t):
    c = t.client()
    c.Q("select 1, repeat('x', 20 << 20), 2").ready().x("select repeat('y', 20 << 20)").Q("select 'after'").ready()


def error_of_100_kb(t):
    c = t.client()
    c.Q("select '" + "x" * 100000 + "'::int").ready().x("select '" + "y" * 100000 + "'::int").Q("select 1").ready()


def wide_row_description(t):
    c = t.client()
    text = "select " + ", ".join(f"{n} as column_with_a_name_as_long_as_names_may_be_{n:018d}" for n in range(1500)) + " from customers where id = 1"
    for _ in range(3):
        c.Q(text).ready().x(text)


def many_rows(t):
    c = t.client()
    c.Q("select g, repeat('r', 50) from generate_series(1, 20000) g").ready()
    c.x("select o.id, o.note from orders o order by o.id").x("select o.id, o.note from orders o order by o.id")


def deep_pipeline_without_reading(t):  # odyssey 1475: both sides blocked in write
    c = t.client()
    count = 3000
    for n in range(count):
        c.Q(f"select {n}, repeat('x', 3000), '{'y' * 1500}'")
    data, c.out = c.out, b""
    writer = threading.Thread(target=lambda: c.raw(data))
    writer.start()
    time.sleep(1)
    for _ in range(count):
        c.until_ready()
    writer.join()


def output_behind_unread_input(t):  # the client is not read any more when, for the first time, it cannot be written to
    c = t.client()
    c.Q("select pg_sleep(1)").Q("select g, repeat('x', 1000) from generate_series(1, 10000) g")
    data = c.out + b"".join(b"Q" + struct.pack("!I", 4 + len(text)) + text for text in (b"select %d, '%s'\0" % (n, b"y" * 4000) for n in range(2000)))
    c.out = b""
    writer = threading.Thread(target=lambda: c.raw(data))
    writer.start()
    time.sleep(1.7)
    for _ in range(2002):
        c.until_ready()
    writer.join()


def fastpath(t):
    c = t.client()
    call = lambda oid, *args: struct.pack("!IH", oid, 0) + struct.pack("!H", len(args)) + b"".join(struct.pack("!i", len(a)) + a for a in args) + struct.pack("!H", 0)  # noqa: E731
    c.add(b"F", call(1317, b"four")).ready()      # length(text)
    c.add(b"F", call(99999999)).ready()
    c.add(b"F", call(1317, b"x")).Q("select 1").add(b"F", call(1317, b"xx")).ready(3)
    c.P("select 1/0").B().E().add(b"F", call(1317, b"x")).S().ready()


def notices_and_parameters(t):
    c = t.client()
    c.Q("do $$ begin raise notice 'one'; raise warning 'two'; end $$").ready()
    c.Q("set client_min_messages = debug1").ready().Q(RANGE).ready().Q("reset client_min_messages").ready()
    c.Q("set application_name = 'other'; set timezone = 'Asia/Tokyo'; select 1").ready().Q("reset all").ready().Q("set client_encoding = latin1").ready().Q("select 'é'").ready()


def a_notice_of_parse_is_told_once(t):
    """A truncated identifier: told by Parse, not by the server that is taught the statement later."""
    c, others = t.client(), [t.client() for _ in range(4)]
    text = "select 1 as " + "x" * 70
    c.P(text, "s").S().ready().P(text).S().ready()
    for other in others:  # one of them on the server that has it
        other.Q("begin").ready()
        c.B([], "s").D().E().S().ready()
    c.B().E().S().ready().x(text).x(text).Q(text).ready()
    for other in others:
        other.Q("commit").ready()


def notify_while_idle_and_busy(t):
    c, other = t.client(), t.client()
    c.Q("listen channel").ready()
    other.Q("notify channel, 'idle'").ready()
    c.until(b"A")
    c.Q("select pg_sleep(0.6)").send()
    time.sleep(0.2)
    other.Q("notify channel, 'busy'").ready()
    c.ready()
    c.until(b"A") if c.log[-1][0] != b"A" and (b"A", b"<pid>channel\0busy\0") not in c.log else None
    c.Q("notify channel, 'own'").ready()
    c.Q("unlisten *").ready().Q(RANGE).ready()


def transactions(t):
    c = t.client()
    c.Q("begin").ready().Q(RANGE).ready().Q("select 1/0").ready().Q(RANGE).ready().x(POINT, ["3"]).Q("rollback").ready().Q(RANGE).ready()
    c.Q("begin").ready().Q("savepoint a").ready().Q("oops").ready().Q("rollback to a").ready().Q(RANGE).ready().Q("commit").ready()
    c.Q("commit").ready().Q("begin isolation level serializable read only").ready().Q(RANGE).ready().Q("end").ready()


def two_clients_with_the_same_name(t):
    a, b = t.client(), t.client()
    a.P("select 'a' || $1", "s").S().ready()
    b.P("select 'b' || $1", "s").S().ready()
    for c in (a, b, a, b):
        c.B(["!"], "s").D().E().S().ready()


def sql_prepare_and_execute(t):
    c = t.client()
    c.Q("prepare sp(int) as select id, name from customers where id = $1").ready().Q("execute sp(3)").ready().B(["4"], "sp").D().E().S().ready()
    c.Q("execute sp(5)").ready().Q("deallocate sp").ready().B(["4"], "sp").D().E().S().ready()


def cached_plan_after_ddl(t):
    t.beside("drop table if exists changing; create table changing (id int); insert into changing values (1)")
    c = t.client()
    c.P("select * from changing", "ch").B(name="ch").D().E().S().ready()
    t.beside("alter table changing add column b int default 2")
    c.B(name="ch").D().E().S().ready()
    c.C("S", "ch").P("select * from changing", "ch").B(name="ch").D().E().S().ready()


# --- startup ---------------------------------------------------------------------------------------------------------

def startup_options(t):
    c = t.client(options="-c search_path=pg_catalog -c work_mem=5MB --enable-seqscan=off", application_name="with options", DateStyle="German")
    for name in ("search_path", "work_mem", "enable_seqscan", "datestyle", "application_name"):
        c.Q("show " + name).ready()
    c.Q(RANGE.replace("customers", "public.customers")).ready().Q(RANGE).ready()


def startup_wrong(t):
    for who in ({"database": "nowhere"}, {"user": "nobody_here"}, {"options": "-c nonsense=1"}, {"options": "-z"}, {"client_encoding": "klingon"}, {"TimeZone": "Mars"}):
        c = t.bare()
        c.startup(**who)
        c.ended()


def startup_newer_protocol_and_unknown_option(t):
    for version, more in ((PROTOCOL_3 + 2, b""), (PROTOCOL_3, b"_pq_.unknown\0on\0"), (PROTOCOL_3 + 2, b"_pq_.a\0b\0_pq_.c\0d\0")):
        c = t.bare()
        c.packet(struct.pack("!I", version) + b"user\0postgres\0database\0postgres\0" + more + b"\0")
        c.ready().Q("select 1").ready()


def startup_and_query_at_once(t):
    c = t.bare()
    words = b"user\0postgres\0database\0postgres\0\0"
    c.out = struct.pack("!II", len(words) + 8, PROTOCOL_3) + words
    c.Q("select 'early'").P(POINT).B(["3"]).E().S().ready(3)
    c.Q("select 'later'").ready()


def startup_after_ssl_refused(t):
    c = t.bare()
    c.packet(struct.pack("!I", SSL_REQUEST))
    t.note(c.exactly(1))
    c.begin().Q("select 1").ready()


def startup_byte_by_byte(t):
    c = t.bare()
    words = b"user\0postgres\0database\0postgres\0\0"
    for byte in struct.pack("!II", len(words) + 8, PROTOCOL_3) + words:
        c.raw(bytes([byte]))
    c.ready().Q("select 1").ready()


# --- ends ------------------------------------------------------------------------------------------------------------

def terminate(t):
    t.client().add(b"X").ended()
    t.client().Q("select 1").add(b"X").ended()
    t.client().Q("begin").ready().Q("select 1").add(b"X").ended()
    t.client().P("select 1").B().E().add(b"X").ended()


def half_closed_clients_get_their_answers(t):
    for act in (lambda c: c.Q("select pg_sleep(0.3), 'late'"), lambda c: c.Q(RANGE), lambda c: c.P(POINT).B(["3"]).D().E().S(), lambda c: c.P("select 1").B().E(), lambda c: c):
        c = t.client()
        act(c).send()
        c.socket.shutdown(1)
        c.ended()


def backend_killed_while_idle(t):
    c = t.client()
    c.Q(RANGE).ready()
    t.behind(f"select pg_terminate_backend({c.pid})")
    time.sleep(0.2)
    c.ended()


def backend_killed_in_a_query(t):
    for text in ("select pg_sleep(10)", "begin; select pg_sleep(10)"):
        c = t.client()
        c.Q(text).send()
        time.sleep(0.3)
        t.behind(f"select pg_terminate_backend({c.pid})")
        c.ended()
    c = t.client()
    c.P("select pg_sleep(10)").B().D().E().S().send()
    time.sleep(0.3)
    t.behind(f"select pg_terminate_backend({c.pid})")
    c.ended()


def lengths_that_are_wrong(t):
    for data in (b"Q\0\0\0\x03", b"Q\0\0\0\0", b"Q\xff\xff\xff\xffxxxxx", b"Q\x7f\xff\xff\xffselect", b"S\0\0\xff\xff", b"E\0\1\0\0" + b"x" * 50, b"H\x40\0\0\0"):
        c = t.client()
        c.Q("select 1").ready()
        c.raw(data)
        c.ended()


def types_that_are_unknown(t):
    for kind in (b"!", b"\0", b"z", b"R", b"p", b"G"):
        c = t.client()
        c.Q("select 1").ready()
        c.raw(kind + b"\0\0\0\x64" + b"abc")  # not even whole
        if kind == b"p":
            c.socket.shutdown(1)
        c.ended()


def malformed_bodies(t):
    for kind, body in ((b"B", b"\0\0" + struct.pack("!HHHH", 2, 1, 1, 0) + b"\0\0"), (b"B", b"\0\0\0"), (b"P", b"\0select 1\0" + struct.pack("!H", 3)), (b"D", b"Xname\0"), (b"C", b"Zname\0"),
                       (b"E", b"nope\0\0"), (b"P", b"no end"), (b"B", b"\0\0" + struct.pack("!HHi", 0, 1, 1 << 20) + b"x"), (b"S", b"more"), (b"H", b"more")):
        c = t.client()
        c.add(kind, body).S().send()
        c.socket.shutdown(1)
        c.ended()


def dropped_at_every_byte(t):
    whole = b"Q\0\0\0\x10select 'a'\0\0"[:17]
    for cut in range(0, len(whole), 2):
        c = t.client(application_name="dropped")
        c.log.clear()
        c.raw(whole[:cut])
        c.close()
    c = t.client()
    for _ in range(50):
        left = rows(t.admin.query("select count(*) from pg_stat_activity where application_name = 'dropped'"))
        if left == [["0"]]:
            break
        time.sleep(0.1)
    t.note(str(left))


def _cancel(t, pid, key):
    c = t.bare()
    c.packet(struct.pack("!III", CANCEL_REQUEST, pid & 0xFFFFFFFF, key & 0xFFFFFFFF))
    c.ended()


def cancel_own(t):
    for begin in (lambda c: c.Q("select pg_sleep(10)"), lambda c: c.P("select pg_sleep(10)").B().D().E().S()):
        c = t.client()
        begin(c).send()
        time.sleep(0.3)
        _cancel(t, c.pid, c.key)
        c.ready().Q(RANGE).ready()


def cancel_stale(t):
    c = t.client()
    c.Q("select 1").ready()
    _cancel(t, c.pid, c.key)
    _cancel(t, c.pid, c.key ^ 1)
    _cancel(t, c.pid + 100000, c.key)
    time.sleep(0.1)
    c.Q("select 'not cancelled'").ready().Q("select pg_sleep(0.2), 'nor this'").send()
    _cancel(t, c.pid, c.key ^ 1)
    c.ready()


def cancel_storm(t):
    victim, others = t.client(), [t.client() for _ in range(6)]
    for c in others:
        c.Q("select pg_sleep(1), 'untouched'").send()
    victim.Q("select pg_sleep(10)").send()
    time.sleep(0.3)
    for _ in range(20):
        _cancel(t, victim.pid, victim.key ^ 7)
    _cancel(t, victim.pid, victim.key)
    victim.ready()
    for c in others:
        c.ready().Q(RANGE).ready()
