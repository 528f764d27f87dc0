"""The phases of one run against one baseline, what they measure, and the table of targets."""
import hashlib
import os
import random
import re
import shutil
import statistics
import tempfile
import time

from servers import Pgsteer, Session
from queries import FLIP_CHANGE, FLIP_STATEMENT, Statement

median = statistics.median
NOISE_MS = 1.0


class Times:
    """Of one statement: wall and server CPU of every round, by system."""

    def __init__(self):
        self.wall, self.cpu = {}, {}

    def add(self, system, wall, cpu):
        self.wall.setdefault(system, []).append(wall)
        self.cpu.setdefault(system, []).append(cpu)

    def median(self, system, clock="cpu"):
        return median(getattr(self, clock)[system])

    def ratio(self):
        return self.median("pgsteer") / self.median("direct")

    def regressed(self):
        """Above 1.2 times the default and beyond what both vary by themselves."""
        beyond = min(self.cpu["pgsteer"]) > max(self.cpu["direct"])
        return self.ratio() > 1.2 and beyond and self.median("pgsteer") - self.median("direct") > NOISE_MS


def digest(rows):
    return hashlib.md5("\n".join(rows).encode()).hexdigest()


class Run:
    def __init__(self, o, server, database, seed, chosen):
        self.o, self.server, self.database, self.seed, self.chosen = o, server, database, seed, chosen
        self.rng = random.Random(seed)
        self.directory = tempfile.mkdtemp(prefix="pgsteer-", dir=server.work)
        self.direct, self.armed = Session(server.url(database)), Session(server.url(database))
        self.pgsteer = self.through = None
        self.answers, self.wrong, self.best, self.default_ms, self.turn = {}, [], {}, {}, 0

    def close(self):
        if self.pgsteer and self.o.keep_log:
            self.keep()
        if self.through:
            self.through.connection.close()
        if self.pgsteer:
            self.pgsteer.stop()
        self.direct.connection.close()
        self.armed.connection.close()

    def keep(self):
        os.makedirs(self.o.keep_log, exist_ok=True)
        name = os.path.join(self.o.keep_log, f"{self.database}-{self.seed}")
        with open(name + ".experiments", "w") as f:
            for row in self.pgsteer.console("SHOW EXPERIMENTS"):
                f.write(" ".join(f"{k}={v}" for k, v in row.items()) + "\n")
        with open(name + ".queries", "w") as f:
            for row in self.pgsteer.console("SHOW QUERIES"):
                f.write(" ".join(f"{k}={v}" for k, v in row.items()) + "\n")
        with open(name + ".log", "w") as f:
            f.write(open(os.path.join(self.directory, "log")).read())

    # -- the oracle -----------------------------------------------------------------------------------------------------

    def find_best(self, statement, arms):
        """Every arm that plans otherwise is run, never much longer than the best so far; twice where it may win."""
        sql = statement.sql
        self.direct.run(sql)
        rows, _, first = self.direct.run(sql)
        default = min(first, self.direct.run(sql)[2])
        self.answers[sql] = digest(rows)
        best, best_arm, seen = default, None, {self.direct.plan(sql)}
        for name, settings in arms:
            plan = self.armed.plan(sql, settings)
            executor = any(n in ("work_mem", "jit") for n, _ in settings)
            if plan in seen and not executor:
                continue
            seen.add(plan)
            rows, ms = self.armed.within(sql, 1.3 * best + 2, settings)
            if rows is not None and ms < 1.1 * best:
                rows, again = self.armed.within(sql, 1.3 * best + 2, settings)
                ms = min(ms, again) if rows is not None else ms
                if ms < best:
                    best, best_arm = ms, (name, settings)
        self.default_ms[sql] = default
        self.best[sql] = best_arm if best < 0.9 * default else None

    # -- rounds ---------------------------------------------------------------------------------------------------------

    def check(self, sql, rows, system):
        if self.answers.setdefault(sql, digest(rows)) != digest(rows):
            self.wrong.append(f"{system}: {sql}")

    def once(self, system, statement):
        sql = statement.sql
        session = {"direct": self.direct, "oracle": self.armed, "pgsteer": self.through}[system]
        best = self.best.get(sql)
        settings = best[1] if system == "oracle" and best else ()
        rows, wall, cpu = session.run(sql, settings)
        self.check(sql, rows, system)
        return wall, cpu

    def rounds(self, statements, number, systems=("direct", "oracle", "pgsteer"), times=None):
        """{sql: Times}; every statement through all systems one directly after the other, the order turning."""
        times = times if times is not None else {}
        for _ in range(number):
            order = list(statements)
            self.rng.shuffle(order)
            for statement in order:
                self.turn += 1
                shift = self.turn % len(systems)
                for system in systems[shift:] + systems[:shift]:
                    # Where no arm is better the oracle is the default: another draw of the same would only favour whoever is luckier.
                    if system == "oracle" and not self.best.get(statement.sql):
                        continue
                    times.setdefault(statement.sql, Times()).add(system, *self.once(system, statement))
        for t in times.values():
            if "oracle" not in t.wall and "direct" in t.wall:
                t.wall["oracle"], t.cpu["oracle"] = t.wall["direct"], t.cpu["direct"]
        return times

    def sums(self, times, clock="cpu"):
        return {s: sum(t.median(s, clock) for t in times.values()) for s in ("direct", "oracle", "pgsteer")}

    def gain(self, times, clock="cpu"):
        """Share of the oracle's gain that pgsteer reached."""
        s = self.sums(times, clock)
        return (s["direct"] - s["pgsteer"]) / (s["direct"] - s["oracle"]) if s["direct"] > s["oracle"] else 1.0

    def settle(self):
        return self.pgsteer.settle(self.o.settle_s)

    # -- all ------------------------------------------------------------------------------------------------------------

    def all(self):
        self.program = os.environ.get("PGSTEER", os.path.join(self.o.build, "pgsteer"))
        groups = {}
        for statement in self.chosen:
            groups.setdefault(statement.group, []).append(statement)
        flips = {name: Statement("flip", name, FLIP_STATEMENT.format(name)) for name in ("told", "untold")}
        known = groups["many-join"] + groups["report"] + groups["template"] + list(flips.values())
        self.pgsteer = Pgsteer(self.program, self.server, self.database, self.directory, self.seed)
        self.through = Session(self.pgsteer.url(self.database), self.pgsteer.process.pid)
        arms = [(row["arm"], tuple(tuple(s.split("=", 1)) for s in row["settings"].split())) for row in self.pgsteer.console("SHOW ARMS")]
        for statement in known + groups["held-out"] + groups["unseen"]:
            self.find_best(statement, arms)
        default_ms = sum(self.default_ms[s.sql] for s in known)
        figures = {"default_s": default_ms / 1e3, "arms": len(arms)}
        self.learn(known, default_ms, figures)
        self.learn_again(known, default_ms, figures)
        self.serve(known, groups, default_ms, figures)
        self.change(known, flips, default_ms, figures)
        figures["wrong_answers"] = self.wrong
        return figures

    def learn(self, known, default_ms, figures):
        """Traffic, exploring, traffic: what it cost on the way."""
        self.lost = self.direct_total = self.worst_loss = 0.0

        def traffic():
            order = list(known)
            self.rng.shuffle(order)
            for statement in order:
                cpu = {}
                self.turn += 1
                for system in ("direct", "pgsteer") if self.turn % 2 else ("pgsteer", "direct"):
                    _, cpu[system] = self.once(system, statement)
                self.direct_total += cpu["direct"]
                self.lost += cpu["pgsteer"] - cpu["direct"]
                self.worst_loss = max(self.worst_loss, self.lost)

        self.pgsteer.reload(10 * default_ms, True)
        figures["explored_x"] = []
        for _ in range(4):
            traffic()
            figures["explored_x"].append(self.settle() / default_ms)
        figures["loss_share"] = self.worst_loss / self.direct_total

    def learn_again(self, known, default_ms, figures):
        """The same seed and traffic from nothing, in a second pgsteer: which statements end up under another arm, and how much time hangs on it."""
        self.pgsteer.reload(0, False)
        first = self.choices(self.pgsteer, self.through, known)
        directory = os.path.join(self.directory, "second")
        second = Pgsteer(self.program, self.server, self.database, directory, self.seed)
        rng = random.Random(self.seed)
        try:
            with Session(second.url(self.database), second.process.pid) as session:
                second.reload(10 * default_ms, True)
                for _ in range(4):
                    order = list(known)
                    rng.shuffle(order)  # as learn() did
                    for statement in order:
                        session.cursor.execute(statement.sql)
                    second.settle(self.o.settle_s)
                second.reload(0, False)
                again = self.choices(second, session, known)
                other = [s for s in known if first[s.sql] != again[s.sql]]
                times = {s.sql: Times() for s in other}
                for number in range(5):
                    for s in other:
                        pair = [("first", self.through), ("second", session)]
                        for name, where in pair if number % 2 else pair[::-1]:
                            rows, wall, cpu = where.run(s.sql)
                            self.check(s.sql, rows, name)
                            times[s.sql].add(name, wall, cpu)
        finally:
            second.stop()
        figures["relearned"] = [{"sql": s.sql, "first": first[s.sql], "second": again[s.sql], "first_ms": times[s.sql].median("first"),
                                 "second_ms": times[s.sql].median("second"), "default_ms": self.default_ms[s.sql]} for s in other]
        figures["relearned_time"] = sum(abs(r["first_ms"] - r["second_ms"]) for r in figures["relearned"]) / default_ms

    def choices(self, pgsteer, session, statements, passes=3):
        """{sql: what is done to it as a rule}: chance holds single executions back."""
        for _ in range(passes):
            for s in statements:
                session.cursor.execute(s.sql)
            pgsteer.settle(60)
        rows = [r for r in pgsteer.console(f"SHOW DECISIONS {passes * len(statements)}") if r["database"] == self.database]
        done = [row["action"] for row in sorted(rows, key=lambda row: int(row["id"]))]
        assert len(done) == passes * len(statements), (len(done), passes * len(statements))
        return {s.sql: statistics.mode(sorted(done[i::len(statements)])) for i, s in enumerate(statements)}

    def serve(self, known, groups, default_ms, figures):
        rounds = self.o.size["rounds"]
        first = self.rounds(known, rounds)
        figures["gain_10x"], figures["gain_10x_wall"] = self.gain(first), self.gain(first, "wall")
        self.pgsteer.reload(25 * default_ms, True)
        figures["explored_x"].append(self.settle() / default_ms)
        for _ in range(2):
            self.rounds(known, 1, ("direct", "pgsteer"))
            figures["explored_x"].append(self.settle() / default_ms)
        last = self.rounds(known, rounds + 2)
        self.pgsteer.reload(0, False)
        figures["gain_25x"], figures["gain_25x_wall"] = self.gain(last), self.gain(last, "wall")
        sums = self.sums(last)
        figures["oracle"], figures["pgsteer"] = sums["oracle"] / sums["direct"], sums["pgsteer"] / sums["direct"]
        figures["by_group"] = {}
        for group in ("many-join", "report", "template"):
            some = {s.sql: last[s.sql] for s in known if s.group == group}
            s = self.sums(some)
            figures["by_group"][group] = {"default_ms": s["direct"], "oracle": s["oracle"] / s["direct"], "pgsteer": s["pgsteer"] / s["direct"]}
        figures["regressed"] = self.regressions(last)
        held = self.rounds(groups["held-out"], rounds)
        sums = self.sums(held)
        figures["held_out"] = {"gain": self.gain(held), "gain_wall": self.gain(held, "wall"), "default_ms": sums["direct"],
                               "oracle": sums["oracle"] / sums["direct"], "pgsteer": sums["pgsteer"] / sums["direct"], "regressed": self.regressions(held)}
        unseen = self.rounds(groups["unseen"], rounds)
        sums = self.sums(unseen)
        figures["unseen"] = {"default_ms": sums["direct"], "oracle": sums["oracle"] / sums["direct"], "pgsteer": sums["pgsteer"] / sums["direct"],
                             "regressed": self.regressions(unseen)}
        time.sleep(11)  # steering.json is written every ten seconds
        figures.update(self.same_decisions(known))
        figures["statements"] = [self.line(s, {**last, **held, **unseen}[s.sql]) for s in self.chosen if s.group != "flip"]

    def same_decisions(self, known):
        """Two more pgsteers begin with what this one has learned, with one seed: the same traffic must get the same decisions."""
        steered = [s for s in known if self.best.get(s.sql)][:12] or known[:12]
        heard = []
        for name in ("once", "again"):
            directory = os.path.join(self.directory, name)
            os.makedirs(os.path.join(directory, "state"))
            shutil.copy(os.path.join(self.directory, "state", "steering.json"), os.path.join(directory, "state"))
            pgsteer = Pgsteer(self.program, self.server, self.database, directory, self.seed, explore=False)
            try:
                with Session(pgsteer.url(self.database)) as session:
                    for number in range(12):
                        for statement in steered:
                            session.cursor.execute(statement.sql)
                        if number < 3:
                            pgsteer.settle(60)
                    pgsteer.settle(60)
                heard.append(sorted(pgsteer.console(f"SHOW DECISIONS {9 * len(steered)}"), key=lambda row: int(row["id"])))
            finally:
                pgsteer.stop()
        other = [(a, b) for a, b in zip(*heard) if (a["fingerprint"], a["action"], a["reason"]) != (b["fingerprint"], b["action"], b["reason"])]
        total = sum(float(row["actual_ms"]) for row in heard[0])
        return {"other_decisions": len(other), "decisions": len(heard[0]), "steered_decisions": sum(row["action"].startswith("arm:") for row in heard[0]),
                "other_time": sum(abs(float(a["actual_ms"]) - float(b["actual_ms"])) for a, b in other) / total,
                "others": [{k: [row[k] for row in pair] for k in ("fingerprint", "action", "reason", "actual_ms")} for pair in other]}

    def line(self, s, t):
        return {"group": s.group, "name": s.name, "default_ms": round(t.median("direct"), 2), "oracle_ms": round(t.median("oracle"), 2),
                "pgsteer_ms": round(t.median("pgsteer"), 2), "best": self.best[s.sql][0] if self.best.get(s.sql) else "", "sql": s.sql}

    def regressions(self, times):
        return [{"ratio": t.ratio(), "direct_ms": t.median("direct"), "pgsteer_ms": t.median("pgsteer"), "sql": sql}
                for sql, t in times.items() if t.regressed()]

    def change(self, known, flips, default_ms, figures):
        """Rows go, once with ANALYZE and once without; then the statements that were steered, and those that flip, twenty times each."""
        spent = float(self.pgsteer.feedback()["explored_ms"])
        self.pgsteer.reload(spent + 10 * default_ms, True)
        figures["flip_gain"] = {name: self.default_ms[s.sql] / max(0.01, self.rounds([s], 2, ("direct", "pgsteer"))[s.sql].median("pgsteer"))
                                for name, s in flips.items()}
        self.server.sql(self.database, FLIP_CHANGE.format("told"), "analyze flip_a_told", FLIP_CHANGE.format("untold"))
        self.through.cursor.execute("analyze flip_b_told")
        self.answers = {sql: a for sql, a in self.answers.items() if "flip_" not in sql}
        late = []
        for statement in flips.values():
            self.rounds([statement], 20, ("direct", "pgsteer"))
            after = self.rounds([statement], 8, ("direct", "pgsteer"))
            if after[statement.sql].regressed():
                late.append({"name": statement.name, "ratio": after[statement.sql].ratio()})
        figures["change_late"] = late


def known_text_us(text):
    """Column "known" of bench_analysis: the whole pipeline on a text seen before; the dearest of its statements that are not lists of 500."""
    rows = [line.split() for line in text.splitlines() if re.search(r"^(pgbench|ORM|TPC-H) .*[0-9]$", line)]
    return max(float(row[-2]) for row in rows)


def show(runs, us):
    """One line a target. Returns the process' status."""
    def values(pick, **where):
        return [pick(r) for r in runs if all(r[k] == v for k, v in where.items())]

    lines, missed = [], 0

    def line(what, asked, got, good, form):
        nonlocal missed
        missed += not good
        lines.append(f"  {'reached' if good else 'MISSED '} {what:<66} asked {asked:<10} got {form.format(got)}")

    for dataset in sorted({r["dataset"] for r in runs}):
        for baseline in sorted({r["baseline"] for r in runs}):
            some = [r for r in runs if r["dataset"] == dataset and r["baseline"] == baseline]
            if not some:
                continue
            m = lambda pick: median(pick(r) for r in some)  # noqa: E731
            name = f"{dataset}, {baseline}"
            print(f"\n{name}: {len(some)} seeds, one pass takes {m(lambda r: r['default_s']):.2f} s; oracle {m(lambda r: r['oracle']):.3f} of it, pgsteer "
                  f"{m(lambda r: r['pgsteer']):.3f}; new parameters: oracle {m(lambda r: r['held_out']['oracle']):.3f}, pgsteer "
                  f"{m(lambda r: r['held_out']['pgsteer']):.3f}; explored {m(lambda r: r['explored_x'][3]):.1f}x, then {m(lambda r: r['explored_x'][-1]):.1f}x")
            for group in ("many-join", "report", "template"):
                g = lambda key: m(lambda r: r["by_group"][group][key])  # noqa: E731
                print(f"    {group:<10} default {g('default_ms'):8.1f} ms, oracle {g('oracle'):.3f}, pgsteer {g('pgsteer'):.3f}")
            line(f"{name}: oracle's gain reached, exploring for 10 x", ">= 80 %", 100 * m(lambda r: r["gain_10x"]), m(lambda r: r["gain_10x"]) >= 0.8, "{:.0f} %")
            line(f"{name}: oracle's gain reached, exploring for 25 x", ">= 90 %", 100 * m(lambda r: r["gain_25x"]), m(lambda r: r["gain_25x"]) >= 0.9, "{:.0f} %")
            held = m(lambda r: r["held_out"]["gain"])
            line(f"{name}: oracle's gain reached, new parameters", ">= 75 %", 100 * held, held >= 0.75, "{:.0f} %")
            worst = m(lambda r: len(r["held_out"]["regressed"]))
            line(f"{name}: new parameters above 1.2 x their default", "none", worst, worst == 0, "{:g}")
            unseen = m(lambda r: r["unseen"]["pgsteer"])
            line(f"{name}: total of templates never explored", "<= 1.00 x", unseen, unseen <= 1.02, "{:.3f} x")
            regressed = m(lambda r: len(r["regressed"]))
            line(f"{name}: statements above 1.2 x their default at the end", "none", regressed, regressed == 0, "{:g}")
            loss = m(lambda r: r["loss_share"])
            line(f"{name}: worst cumulative loss while learning", "<= 5 %", 100 * loss, loss <= 0.05, "{:.1f} %")
            other = m(lambda r: r["other_decisions"])
            of, time = m(lambda r: r["decisions"]), m(lambda r: r["other_time"])
            line(f"{name}: decisions that differ, same seed and traffic", "none", (other, of, 100 * time), other == 0, "{0[0]:g} of {0[1]:g}, {0[2]:.2f} % of the time")
            other, time = m(lambda r: len(r["relearned"])), m(lambda r: r["relearned_time"])
            line(f"{name}: statements that end up otherwise when learned again", "< 1 %", (other, 100 * time), time < 0.01, "{0[0]:g}, {0[1]:.2f} % of the time")
            late = m(lambda r: len(r["change_late"]))
            line(f"{name}: above default 20 executions after a change", "none", late, late == 0, "{:g}")
    line("known text, nothing to do", "<= 3 us", us, us <= 3, "{:.2f} us")
    wrong = sum(len(r["wrong_answers"]) for r in runs)
    line("answers that differ", "none", wrong, wrong == 0, "{}")
    print("\n" + "\n".join(lines))
    for r in runs:
        for sql in r["wrong_answers"]:
            print("answer differs, " + sql)
    return 1 if wrong else 0
