"""One adversarial case against one side (direct or through pgsteer). Everything a client sees goes into `log`; the two logs must be equal.
On the proxied side warm() insists on real hits and never() on their absence for a named reason, so that no case passes because the cache slept."""
import time

import psycopg2
from extended import Extended


class Wrong(Exception):
    """The proxied side did not do what the case needs, whatever the answers were."""


class Side:
    """Where a case runs: a port, a database, and (through pgsteer) the console."""

    def __init__(self, port, database, proxied, direct=None):
        self.port, self.database, self.proxied, self.direct = port, database, proxied, direct or port
        self.console = None
        if proxied:
            self.console = psycopg2.connect(host="127.0.0.1", port=port, user="postgres", dbname="pgsteer")
            self.console.autocommit = True

    def hits(self):
        with self.console.cursor() as cursor:
            cursor.execute("SHOW CACHE")
            return int(dict(cursor.fetchall())["hits"])


class Trial:
    PATHS = ("simple", "extended", "prepared")

    def __init__(self, side):
        self.side, self.log, self.sessions = side, [], {}

    def close(self):
        for session in self.sessions.values():
            session.close()

    def on(self, name="r", wire=False, **options):
        """The session of that name: psycopg2 in autocommit, or a raw one. Options count at its first use."""
        key = (name, wire)
        if key not in self.sessions:
            options = {"user": "postgres", "database": self.side.database, **options}
            if wire:
                self.sessions[key] = Extended(self.side.port, timeout=30).login(**options)
            else:
                options["dbname"] = options.pop("database")
                session = psycopg2.connect(host="127.0.0.1", port=self.side.port, **options)
                session.autocommit = True
                self.sessions[key] = session
        return self.sessions[key]

    def sql(self, text, on="w", log=True, **options):
        """One simple query: its last result, or the SQLSTATE. `{d}` in texts is the database's name (roles are global)."""
        text = text.replace("{d}", self.side.database)
        with self.on(on, **options).cursor() as cursor:
            try:
                cursor.execute(text)
                got = [tuple(bytes(v) if isinstance(v, memoryview) else v for v in row) for row in cursor.fetchall()] if cursor.description else cursor.statusmessage
            except psycopg2.Error as error:
                got = f"ERROR {error.pgcode}"
        if log:
            self.log.append((text, got))
        return got

    def copy(self, text, data, on="w"):
        import io
        with self.on(on).cursor() as cursor:
            cursor.copy_expert(text, io.StringIO(data))
            self.log.append((text, cursor.statusmessage))

    def once(self, path, text, on="r", **options):
        text = text.replace("{d}", self.side.database)
        if path == "simple":
            return self.sql(text, on, log=False, **options)
        session = self.on(on, wire=True, **options)
        return session.run(text) if path == "extended" else session.prepared(text)

    def read(self, text, on="r", paths=PATHS, **options):
        """What the client sees now, by every path."""
        for path in paths:
            self.log.append((path, text, self.once(path, text, on, **options)))

    def until_hit(self, act, what):
        """Repeats `act` until pgsteer's count of hits moves by it; returns its last answer."""
        if not self.side.proxied:
            return act()
        deadline = time.time() + 90
        while time.time() < deadline:
            before = self.side.hits()
            got = act()
            if self.side.hits() > before:
                return got
            time.sleep(0.01)
        raise Wrong(f"never answered from the cache: {what}: {self.why(what)}")

    def why(self, text, on="r"):
        """The line of EXPLAIN (PGSTEER) that speaks of the cache."""
        lines = [line[0] for line in self.sql("explain (pgsteer) " + text.replace("{d}", self.side.database), on, log=False)]
        return next((line.strip() for line in lines if line.strip().startswith("Cache")), "")

    def warm(self, text, on="r", paths=PATHS, anew=False, **options):
        """Repeats the statement by every path until pgsteer answers from its cache; the answers are logged. `anew`: it is prepared again,
        because since its last Parse DDL has passed and other schemas have a relation of the name, which keeps it from the cache."""
        for path in paths:
            if path == "prepared" and anew:
                self.on(on, wire=True, **options).forget()
            got = self.until_hit(lambda: self.once(path, text, on, **options), text)
            self.log.append((path, text, got))

    def never(self, text, reason, on="r", paths=PATHS, log=True, **options):
        """Never from the cache, for a reason that EXPLAIN (PGSTEER) names."""
        deadline = time.time() + 90
        said = ""
        if self.side.proxied:
            while time.time() < deadline:
                self.once(paths[0], text, on, **options)
                said = self.why(text, on)
                if reason in said:
                    break
                time.sleep(0.02)
            else:
                raise Wrong(f"not refused as {reason}: {said}: {text}")
        before = self.side.hits() if self.side.proxied else 0
        for path in paths:
            for _ in range(3):
                got = self.once(path, text, on, **options)
            if log:
                self.log.append((path, text, got))
        if self.side.proxied and self.side.hits() != before:
            raise Wrong(f"answered from the cache: {text}")

    def steps(self, read, steps, on="r"):
        """Before every step the cache is warm; after it every path sees what PostgreSQL would say.

        A step is a statement of session w, "r: statement" of another session, a list of those with a read after each, or a tuple of
        those with a read after the last: a hit takes no lock, so only PostgreSQL would make readers wait for an uncommitted TRUNCATE."""
        for step in steps:
            self.warm(read, on)
            for statement in step if isinstance(step, (list, tuple)) else [step]:
                session, _, text = statement.partition(": ") if statement[1:3] == ": " else ("w", "", statement)
                self.sql(text, session)
                if isinstance(step, list):
                    self.read(read, on)
            self.read(read, on)
        self.warm(read, on)
