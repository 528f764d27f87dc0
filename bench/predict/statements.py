"""Statement templates on any schema: a random query generator over the tables, columns and join edges of a database.

A template is a text with slots; an execution fills the slots with values drawn from the data itself (so that popular values
come as often as they occur). Same seed and same data: same statements."""
import random

NUMBER, TIME, TEXT = "number", "time", "text"

# Join edges that are not declared as foreign keys (the travel data declares none): child table, column, parent table.
EDGES = {
    "travel": [
        ("posts", "owneruserid", "users"), ("posts", "parentid", "posts"), ("posts", "lasteditoruserid", "users"),
        ("comments", "postid", "posts"), ("comments", "userid", "users"), ("votes", "postid", "posts"), ("votes", "userid", "users"),
        ("badges", "userid", "users"), ("postlinks", "postid", "posts"), ("postlinks", "relatedpostid", "posts"),
        ("tags", "excerptpostid", "posts")],
    "shop": [
        ("products", "category_id", "categories"), ("orders", "customer_id", "customers"), ("order_items", "order_id", "orders"),
        ("order_items", "product_id", "products"), ("reviews", "product_id", "products"), ("reviews", "customer_id", "customers"),
        ("users", "customer_id", "customers"), ("posts", "author_id", "users"), ("posts", "parent_id", "posts"),
        ("posts", "product_id", "products"), ("comments", "post_id", "posts"), ("comments", "user_id", "users"),
        ("votes", "post_id", "posts"), ("post_tags", "post_id", "posts"), ("post_tags", "tag_id", "tags"),
        ("badges", "user_id", "users"), ("carts", "customer_id", "customers")],
}


class Table:
    def __init__(self, name, rows):
        self.name, self.rows = name, rows
        self.columns = {}  # name -> (kind, number of distinct values, sampled values in data order of frequency)
        self.key = None

    def by(self, wanted):
        return [c for c, (kind, distinct, pool) in sorted(self.columns.items()) if pool and wanted(kind, distinct)]


def read_schema(cursor, dataset):
    """Tables with sampled values of every column."""
    tables = {}
    cursor.execute("select c.relname, c.reltuples from pg_class c join pg_namespace n on n.oid = c.relnamespace "
                   "where n.nspname = 'public' and c.relkind = 'r' order by 1")
    for name, rows in cursor.fetchall():
        tables[name] = Table(name, rows)
    for table in tables.values():
        cursor.execute("select a.attname, t.typname, coalesce(s.n_distinct, 0) from pg_attribute a join pg_type t on t.oid = a.atttypid "
                       "left join pg_stats s on s.schemaname = 'public' and s.tablename = %s and s.attname = a.attname "
                       "where a.attrelid = %s::regclass and a.attnum > 0 and not a.attisdropped order by a.attnum", (table.name, table.name))
        for column, type_name, distinct in cursor.fetchall():
            kind = TIME if type_name.startswith("timestamp") else TEXT if type_name in ("text", "varchar") else NUMBER
            if type_name == "bool":
                continue
            if distinct < 0:
                distinct = -distinct * table.rows
            cursor.execute(f'select "{column}"::text from {table.name} where "{column}" is not null order by hashtext(ctid::text) limit 800')
            table.columns[column] = (kind, distinct, [r[0] for r in cursor.fetchall()])
        if "id" in table.columns:
            table.key = "id"
    edges = [e for e in EDGES[dataset] if e[0] in tables and e[2] in tables]
    return tables, edges


class Template:
    def __init__(self, kind, text, slots):
        self.kind, self.text, self.slots = kind, text, slots

    def draw(self, rng):
        return self.text.format(*[slot(rng) for slot in self.slots])


def literal(kind, value):
    return value if kind == NUMBER else "'" + value.replace("'", "''") + "'"


class Writer:
    """Builds one template."""

    def __init__(self, rng, tables, edges):
        self.rng, self.tables, self.edges, self.slots = rng, tables, edges, []

    def slot(self, function):
        self.slots.append(function)
        return "{%d}" % (len(self.slots) - 1)

    def value(self, table, column):
        kind, _, pool = self.tables[table].columns[column]
        return self.slot(lambda rng: literal(kind, rng.choice(pool)))

    def predicate(self, table, alias, only=None):
        t, rng = self.tables[table], self.rng
        column = only or rng.choice(t.by(lambda k, d: True))
        kind, distinct, pool = t.columns[column]
        name = f"{alias}.{column}"
        few = 0 < distinct <= 60
        dice = rng.random()
        if kind == TEXT and not few and dice < 0.5:
            length = rng.choice([1, 2, 3])
            return f"{name} LIKE " + self.slot(lambda r: "'" + r.choice(pool)[:length].replace("'", "''").replace("%", "").replace("_", "") + "%'")
        if kind == TEXT or (few and dice < 0.6):
            if rng.random() < 0.3:
                n = rng.choice([2, 3, 5])
                return f"{name} IN ({', '.join(self.value(table, column) for _ in range(n))})"
            return f"{name} = {self.value(table, column)}"
        if dice < 0.12:
            return f"{name} IS NOT NULL"
        if dice < 0.30 and kind == NUMBER:
            return f"{name} = {self.value(table, column)}"
        if dice < 0.72:
            return f"{name} {rng.choice(['>', '<', '>=', '<='])} {self.value(table, column)}"
        ordered = sorted(pool, key=float if kind == NUMBER else str)
        share = rng.choice([0.02, 0.1, 0.3])

        def both(r):
            at = r.randrange(len(ordered))
            spread = r.random() * 2 * share
            return f"{literal(kind, ordered[at])} AND {literal(kind, ordered[min(len(ordered) - 1, at + int(spread * len(ordered)))])}"
        return f"{name} BETWEEN {self.slot(both)}"

    def where(self, aliases, low, high):
        predicates = []
        for _ in range(self.rng.randint(low, high)):
            alias, table = self.rng.choice(aliases)
            predicates.append(self.predicate(table, alias))
        return predicates

    def join_path(self, n):
        """FROM list of n tables along edges; (from text, [(alias, table)])."""
        rng = self.rng
        first = rng.choice(self.edges)[0]
        aliases, text = [("t0", first)], f"{first} t0"
        while len(aliases) < n:
            choices = []
            for alias, table in aliases:
                for child, column, parent in self.edges:
                    if child == table:
                        choices.append((parent, f"{{new}}.id = {alias}.{column}"))
                    if parent == table:
                        choices.append((child, f"{{new}}.{column} = {alias}.id"))
            table, condition = rng.choice(choices)
            alias = f"t{len(aliases)}"
            kind = "LEFT JOIN" if rng.random() < 0.15 else "JOIN"
            text += f" {kind} {table} {alias} ON {condition.replace('{new}', alias)}"
            aliases.append((alias, table))
        return text, aliases

    def aggregates(self, aliases):
        rng, out = self.rng, ["count(*)"]
        for _ in range(rng.randint(0, 2)):
            alias, table = rng.choice(aliases)
            numbers = self.tables[table].by(lambda k, d: k == NUMBER)
            out.append(rng.choice(["sum({})", "avg({})", "max({})", "min({})", "count(DISTINCT {})"]).format(f"{alias}.{rng.choice(numbers)}"))
        return ", ".join(out)

    def columns(self, aliases, n):
        picked = []
        for _ in range(n):
            alias, table = self.rng.choice(aliases)
            picked.append(f"{alias}.{self.rng.choice(sorted(self.tables[table].columns))}")
        return ", ".join(picked)

    def some_table(self):
        return self.rng.choice([t for t in sorted(self.tables) if self.tables[t].rows >= 500])


def where_text(predicates):
    return (" WHERE " + " AND ".join(predicates)) if predicates else ""


def point(w):
    table = w.rng.choice([t for t in sorted(w.tables) if w.tables[t].key])
    aliases = [("t0", table)]
    if w.rng.random() < 0.4:
        n = w.rng.choice([3, 8, 20])
        return f"SELECT {w.columns(aliases, 4)} FROM {table} t0 WHERE t0.id IN ({', '.join(w.value(table, 'id') for _ in range(n))})"
    return f"SELECT {w.columns(aliases, 4)} FROM {table} t0 WHERE t0.id = {w.value(table, 'id')}"


def children(w):
    child, column, _ = w.rng.choice(w.edges)
    aliases = [("t0", child)]
    predicates = [f"t0.{column} = {w.value(child, column)}"] + w.where(aliases, 0, 2)
    if w.rng.random() < 0.4:
        return f"SELECT {w.aggregates(aliases)} FROM {child} t0{where_text(predicates)}"
    order = w.columns(aliases, 1)
    return f"SELECT {w.columns(aliases, 3)} FROM {child} t0{where_text(predicates)} ORDER BY {order} DESC LIMIT {w.rng.choice([10, 50])}"


def scan(w):
    table = w.some_table()
    aliases = [("t0", table)]
    predicates = w.where(aliases, 1, 3)
    if w.rng.random() < 0.6:
        return f"SELECT {w.aggregates(aliases)} FROM {table} t0{where_text(predicates)}"
    return f"SELECT {w.columns(aliases, 4)} FROM {table} t0{where_text(predicates)} LIMIT {w.rng.choice([20, 200, 1000])}"


def top(w):
    table = w.some_table()
    aliases = [("t0", table)]
    order = w.rng.choice(w.tables[table].by(lambda k, d: k != TEXT))
    return (f"SELECT {w.columns(aliases, 3)} FROM {table} t0{where_text(w.where(aliases, 1, 2))} ORDER BY t0.{order}"
            f"{w.rng.choice(['', ' DESC'])}, t0.{w.rng.choice(sorted(w.tables[table].columns))} LIMIT {w.rng.choice([5, 20, 100])}")


def group(w):
    source, aliases = w.join_path(w.rng.choice([1, 1, 2, 3]))
    alias, table = w.rng.choice(aliases)
    few = w.tables[table].by(lambda k, d: 0 < d <= 2000) or sorted(w.tables[table].columns)
    key = f"{alias}.{w.rng.choice(few)}"
    having = f" HAVING count(*) > {w.rng.choice([1, 10, 100])}" if w.rng.random() < 0.2 else ""
    order = w.rng.choice(["", f" ORDER BY 2 DESC, 1 LIMIT {w.rng.choice([10, 50])}", " ORDER BY 1"])
    return f"SELECT {key}, {w.aggregates(aliases)} FROM {source}{where_text(w.where(aliases, 1, 3))} GROUP BY {key}{having}{order}"


def join(w):
    source, aliases = w.join_path(w.rng.choice([2, 2, 3, 3, 4, 5]))
    predicates = w.where(aliases, 1, 4)
    if w.rng.random() < 0.6:
        return f"SELECT {w.aggregates(aliases)} FROM {source}{where_text(predicates)}"
    order = f" ORDER BY {w.columns(aliases, 1)} DESC" if w.rng.random() < 0.6 else ""
    return f"SELECT {w.columns(aliases, 5)} FROM {source}{where_text(predicates)}{order} LIMIT {w.rng.choice([20, 100])}"


def detail(w):
    """A page about one thing: an equality on a key, then what hangs on it."""
    source, aliases = w.join_path(w.rng.choice([2, 3, 4]))
    keyed = [(a, t) for a, t in aliases if w.tables[t].key]
    alias, table = w.rng.choice(keyed or aliases)
    column = "id" if w.tables[table].key else w.rng.choice(sorted(w.tables[table].columns))
    predicates = [f"{alias}.{column} = {w.value(table, column)}"] + w.where(aliases, 0, 1)
    return f"SELECT {w.columns(aliases, 5)} FROM {source}{where_text(predicates)} ORDER BY {w.columns(aliases, 1)} LIMIT {w.rng.choice([10, 50])}"


def sub(w):
    child, column, parent = w.rng.choice(w.edges)
    outer, inner = [("t0", parent)], [("s", child)]
    predicates = w.where(outer, 1, 2)
    inside = w.where(inner, 0, 2)
    if w.rng.random() < 0.6:
        negation = w.rng.choice(["", "", "NOT "])
        predicates.append(f"{negation}EXISTS (SELECT 1 FROM {child} s WHERE {' AND '.join([f's.{column} = t0.id'] + inside)})")
    else:
        predicates.append(f"t0.id IN (SELECT s.{column} FROM {child} s{where_text(inside)})")
    what = w.aggregates(outer) if w.rng.random() < 0.6 else w.columns(outer, 3)
    return f"SELECT {what} FROM {parent} t0{where_text(predicates)}" + (" LIMIT 100" if "count(*)" not in what else "")


SHAPES = [(point, 8), (children, 14), (scan, 16), (top, 8), (group, 16), (join, 22), (detail, 8), (sub, 12)]


def templates(seed, tables, edges):
    """Endless: (name, Template)."""
    number = 0
    while True:
        rng = random.Random(seed * 1_000_003 + number)
        shape = rng.choices([s for s, _ in SHAPES], [n for _, n in SHAPES])[0]
        writer = Writer(rng, tables, edges)
        number += 1
        yield Template(shape.__name__, shape(writer), writer.slots)
