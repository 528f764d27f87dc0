"""The benchmark's statements, on the generated shop or the travel data: many-join counts, short reports, templates with parameters.

The random ones come from ../predict/statements.py; which are kept is decided by what they take under PostgreSQL's defaults."""
import os
import random
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "predict"))
from statements import NUMBER, Template, Writer, read_schema, where_text  # noqa: E402


class Statement:
    """One text to run: `group` is many-join, report, template, held-out or unseen; `name` is its template's."""

    def __init__(self, group, name, sql):
        self.group, self.name, self.sql = group, name, sql
        self.key = None


def exact(w, aliases):
    """Aggregates whose answer does not depend on the order of rows."""
    alias, table = w.rng.choice(aliases)
    whole = [c for c, (kind, _, pool) in sorted(w.tables[table].columns.items()) if kind == NUMBER and pool and all(v.lstrip("-").isdigit() for v in pool)]
    return "count(*)" + (f", sum({alias}.{w.rng.choice(whole)})" if whole and w.rng.random() < 0.6 else "")


def many_join(w):
    source, aliases = w.join_path(w.rng.choice([4, 4, 5, 5, 6]))
    return f"SELECT count(*) FROM {source}{where_text(w.where(aliases, 2, 4))}"


def report(w):
    source, aliases = w.join_path(w.rng.choice([2, 3, 3, 4]))
    predicates = w.where(aliases, 1, 3)
    if w.rng.random() < 0.4:
        return f"SELECT {exact(w, aliases)} FROM {source}{where_text(predicates)}"
    alias, table = w.rng.choice(aliases)
    few = w.tables[table].by(lambda kind, distinct: 0 < distinct <= 2000) or sorted(w.tables[table].columns)
    key = f"{alias}.{w.rng.choice(few)}"
    return f"SELECT {key}, {exact(w, aliases)} FROM {source}{where_text(predicates)} GROUP BY {key}"


def parametrised(w):
    source, aliases = w.join_path(w.rng.choice([3, 3, 4, 5]))
    return f"SELECT {exact(w, aliases)} FROM {source}{where_text(w.where(aliases, 2, 4))}"


def shop_reports():
    """Templates that PostgreSQL 15 misjudges with default settings, each in another direction; the last with some parameters only."""
    def one_of(*values):
        return lambda rng: str(rng.choice(values))

    towns = one_of("Oslo", "Valletta", "Graz", "Malmo", "Gdansk", "Reykjavik", "Bergen")
    regional = Template("regional", "SELECT count(*), sum(i.quantity) FROM customers c JOIN orders o ON o.customer_id = c.id JOIN order_items i ON "
                        "i.order_id = o.id JOIN products p ON p.id = i.product_id WHERE c.city = '{}' AND c.segment = '{}' AND p.price > {}",
                        [towns, one_of("consumer", "public", "small business"), lambda rng: str(rng.randint(1, 10) * 5)])

    class Accounts(Template):
        def draw(self, rng):
            coupon = rng.randint(1, 360)
            return self.text.format(rng.choice(["Bern", "Zurich"]), rng.randint(3, 18), coupon, coupon + 20)
    accounts = Accounts("accounts", "SELECT count(*), sum(r.rating) FROM customers c JOIN orders o ON o.customer_id = c.id JOIN reviews r ON r.customer_id "
                        "= c.id JOIN products p ON p.id = r.product_id WHERE c.city = '{}' AND c.country = 'Switzerland' AND c.segment = 'enterprise' AND "
                        "p.category_id = {} AND o.status = 'shipped' AND o.coupon_id BETWEEN {} AND {}", [])
    badges = Template("badges", "SELECT count(*), max(v.created_at) FROM users u JOIN badges b ON b.user_id = u.id JOIN posts p ON p.author_id = u.id JOIN "
                      "votes v ON v.post_id = p.id WHERE b.name = '{}' AND b.created_at < '2022-01-01' AND u.location = '{}' AND v.kind = {} AND "
                      "p.created_at > '2024-{:0>2}-01'", [one_of("Teacher", "Student", "Editor", "Critic", "Legendary"),
                      one_of("Bern", "Oslo", "Graz", "Lyon", "Leeds", "Turin"), one_of(3, 5, 8), one_of(6, 7, 8, 9, 10, 11)])
    brands = Template("brands", "SELECT c.country, g.department, count(*), sum(i.quantity) FROM products p JOIN categories g ON g.id = p.category_id JOIN "
                      "order_items i ON i.product_id = p.id JOIN orders o ON o.id = i.order_id JOIN customers c ON c.id = o.customer_id WHERE p.brand = "
                      "'brand {}' AND o.status = 'shipped' GROUP BY c.country, g.department", [lambda rng: str(rng.randrange(120))])
    return [regional, accounts, badges, brands]


# Correlated columns make the planner expect a dozen rows where there are thousands: a nested loop, and an arm without it wins. Then nearly
# all of those rows go: the nested loop is right now, under the same plan.
FLIP = """
create table flip_a_{0}(id int primary key, k int not null, x int not null, y int not null, z int not null);
insert into flip_a_{0} select g, (g * 7919::bigint) % 20000, g % 20, g % 20, g % 20 from generate_series(1, 40000) g;
create table flip_b_{0}(id int primary key, k int not null, v int not null, pad text not null);
insert into flip_b_{0} select g, (g * 104729::bigint) % 20000, g % 100, repeat('x', 40) from generate_series(1, 200000) g;
create index on flip_b_{0}(k);
vacuum analyze flip_a_{0}; vacuum analyze flip_b_{0};
"""
FLIP_STATEMENT = "SELECT count(*), sum(b.v) FROM flip_a_{0} a JOIN flip_b_{0} b ON b.k = a.k WHERE a.x = 7 AND a.y = 7 AND a.z = 7"
FLIP_CHANGE = "delete from flip_a_{0} where x = 7 and id > 300"


class Chooser:
    """Draws statements until enough fit; `time_of(sql, limit_ms)` is what one takes, None when longer."""

    def __init__(self, seed, cursor, dataset, time_of):
        self.rng, self.dataset, self.time_of = random.Random(seed), dataset, time_of
        self.tables, self.edges = read_schema(cursor, dataset)
        self.tables = {n: t for n, t in self.tables.items() if not n.startswith("flip_")}
        self.seen = set()

    def template(self, make):
        writer = Writer(self.rng, self.tables, self.edges)
        text = make(writer)
        return Template(make.__name__, text, writer.slots)

    def single(self, group, make, wanted, low, high):
        found = []
        while len(found) < wanted:
            sql = self.template(make).draw(self.rng)
            ms = self.time_of(sql, high)
            if ms is not None and ms >= low:
                found.append(Statement(group, f"{group}-{len(found) + 1}", sql))
        return found

    def instances(self, template, number, high):
        """`number` different texts that all stay under `high` ms, with their times; None when there are not so many."""
        texts, times = [], []
        for _ in range(3 * number):
            sql = template.draw(self.rng)
            if sql in self.seen:
                continue
            ms = self.time_of(sql, high)
            if ms is None:
                return None
            self.seen.add(sql)
            texts.append(sql)
            times.append(ms)
            if len(texts) == 3 and max(times) < 2:
                return None  # not worth looking on
            if len(texts) == number:
                return texts, times
        return None

    def templates(self, wanted, number, low, high, given=()):
        """Lists of `number` texts of one template each, whose mean is between the limits."""
        found, given = [], list(given)
        while len(found) < wanted:
            template = given.pop(0) if given else self.template(parametrised)
            made = self.instances(template, number, high * 4)
            if made and low <= sum(made[1]) / number <= high:
                found.append(made[0])
        return found
