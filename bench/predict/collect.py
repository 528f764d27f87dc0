#!/usr/bin/python3
"""Runs random statements once against a database and writes what each took: the input of `bench_predict --data`.

Output, JSON lines: first the catalog, then per execution {"t": template, "k": its shape, "sql", "plan": EXPLAIN (FORMAT JSON),
"cpu": [ms, ...], "passes": [[ms, ...], ...] of later passes, "wall": [ms, ...], "rows", "bytes", "late": true when it was cut off at the time limit}.

Time is the server process's own CPU time (its CPU clock, read while it waits for us), and the wall time beside it. On a machine
that nothing else uses both agree for cached data; on a shared one only the first means anything. Each statement runs three
times (twice from 5 ms on; once in twenty six times, which gives the noise floor) after its EXPLAIN has warmed the caches; a second pass (--again) runs them all anew."""
import argparse
import hashlib
import json
import os
import random
import sys
import time

import psycopg2

import statements

CATALOG = """
select json_agg(json_build_object('oid', c.oid::int8, 'name', c.relname, 'rows', c.reltuples, 'pages', c.relpages,
  'columns', (select json_agg(json_build_object('name', a.attname, 'number', a.attnum, 'type', a.atttypid::int8, 'not_null', a.attnotnull,
      'n_distinct', coalesce(s.n_distinct, 0), 'nulls', coalesce(s.null_frac, 0), 'correlation', coalesce(s.correlation, 0),
      'width', coalesce(s.avg_width, 0)) order by a.attnum)
    from pg_attribute a left join pg_stats s on s.schemaname = 'public' and s.tablename = c.relname and s.attname = a.attname
    where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped),
  'indexes', coalesce((select json_agg(json_build_object('oid', i.indexrelid::int8, 'columns', string_to_array(i.indkey::text, ' ')::int[],
      'unique', i.indisunique, 'primary', i.indisprimary)) from pg_index i where i.indrelid = c.oid), '[]'::json)))
from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = 'public' and c.relkind = 'r'"""


class Runner:
    def __init__(self, url, limit_ms):
        self.connection = psycopg2.connect(url)
        self.connection.autocommit = True
        self.cursor = self.connection.cursor()
        self.cursor.execute(f"set statement_timeout = {limit_ms}; set max_parallel_workers_per_gather = 0; set jit = off")
        self.clock = (~self.connection.get_backend_pid() << 3) | 2  # clock_getcpuclockid(3) of the server process

    def plan(self, sql):
        self.cursor.execute("EXPLAIN (FORMAT JSON) " + sql)
        return self.cursor.fetchone()[0][0]["Plan"]

    def once(self, sql):
        """(cpu ms, wall ms, rows, bytes, cut off)"""
        wall, cpu = time.perf_counter_ns(), time.clock_gettime_ns(self.clock)
        try:
            self.cursor.execute(sql)
        except psycopg2.errors.QueryCanceled:
            return (time.clock_gettime_ns(self.clock) - cpu) / 1e6, (time.perf_counter_ns() - wall) / 1e6, 0, 0, True
        wall = (time.perf_counter_ns() - wall) / 1e6
        time.sleep(0)  # the server still has a little to tidy up
        cpu = (time.clock_gettime_ns(self.clock) - cpu) / 1e6
        rows = self.cursor.fetchall()
        return cpu, wall, len(rows), sum(len(str(v)) for row in rows for v in row), False


def admitted(runner, template, seen, rng, heavy_ms):
    """A template is kept when its text is new and its first executions stay under the limit: (weight class or None)."""
    shape = hashlib.md5(template.text.encode()).hexdigest()
    if shape in seen:
        return None
    seen.add(shape)
    worst = 0
    for _ in range(2):
        cpu, _, _, _, late = runner.once(template.draw(rng))
        worst = max(worst, cpu)
        if late or cpu > heavy_ms:
            return None
    return worst


def again(runner, path, seed):
    """One more pass over a recording, in another order: what disturbed a statement the first time seldom does so again."""
    with open(path) as file:
        lines = [json.loads(line) for line in file]
    order = list(range(1, len(lines)))
    random.Random(seed).shuffle(order)
    begin = time.time()
    for done, at in enumerate(order):
        item = lines[at]
        if item["late"]:
            continue
        runs = [runner.once(item["sql"]) for _ in range(5 if min(item["cpu"]) < 3 else 2)]
        item.setdefault("passes", []).append([r[0] for r in runs])
        item["wall"] += [r[1] for r in runs]
        if done % 1000 == 999:
            print(f"again: {done + 1} of {len(order)} after {time.time() - begin:.0f} s", file=sys.stderr, flush=True)
    with open(path + ".part", "w") as out:
        for item in lines:
            out.write(json.dumps(item) + "\n")
    os.rename(path + ".part", path)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--dataset", choices=sorted(statements.EDGES), required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--templates", type=int, default=290)
    parser.add_argument("--each", type=int, default=38, help="executions of a template (a third of it for those above 20 ms)")
    parser.add_argument("--heavy-ms", type=float, default=50, help="templates whose trial takes longer are left out")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--again", action="store_true", help="run the statements of --out once more and add their times")
    options = parser.parse_args()
    runner = Runner(options.url, 2000)
    if options.again:
        return again(runner, options.out, options.seed + int(time.time()))
    tables, edges = statements.read_schema(runner.cursor, options.dataset)
    rng = random.Random(options.seed)
    seen, work, number = set(), [], 0
    for template in statements.templates(options.seed, tables, edges):
        worst = admitted(runner, template, seen, rng, options.heavy_ms)
        if worst is None:
            continue
        work += [(number, template)] * (options.each if worst < 20 else options.each // 3)
        number += 1
        if number == options.templates:
            break
    rng.shuffle(work)
    print(f"{options.dataset}: {number} templates, {len(work)} executions", file=sys.stderr, flush=True)
    begin = time.time()
    with open(options.out + ".part", "w") as out:
        runner.cursor.execute(CATALOG)
        out.write(json.dumps({"dataset": options.dataset, "seed": options.seed, "catalog": runner.cursor.fetchone()[0]}) + "\n")
        for done, (name, template) in enumerate(work):
            sql = template.draw(rng)
            plan = runner.plan(sql)
            floor = rng.random() < 0.05
            runs = [runner.once(sql)]
            wanted = 6 if floor else 3 if runs[0][0] < 5 else 2
            runs += [runner.once(sql) for _ in range(wanted - 1)]
            out.write(json.dumps({"t": name, "k": template.kind, "sql": sql, "plan": plan, "cpu": [r[0] for r in runs],
                                  "wall": [r[1] for r in runs], "rows": runs[0][2], "bytes": runs[0][3], "late": runs[0][4]}) + "\n")
            if done % 1000 == 999:
                print(f"{options.dataset}: {done + 1} of {len(work)} after {time.time() - begin:.0f} s", file=sys.stderr, flush=True)
    os.rename(options.out + ".part", options.out)


if __name__ == "__main__":
    main()
