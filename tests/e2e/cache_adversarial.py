"""Runs the adversarial cases of the result cache: the same steps direct and through pgsteer, answers compared.

    cache_adversarial.py setup [re]            writes the tables of the cases as SQL to standard output
    cache_adversarial.py run DIRECT PROXY [re] both sides; DIRECT == PROXY (no proxy): the cases themselves must be repeatable

`re`: a regular expression that the names of the cases must match; all of them without it.
"""
import os
import re
import sys
import time
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import cache_cases_keys
import cache_cases_names
import cache_cases_protocol
import cache_cases_writes
from cache_trial import Side, Trial, Wrong

CASES = cache_cases_writes.CASES + cache_cases_keys.CASES + cache_cases_names.CASES + cache_cases_protocol.CASES


def trial(side, run):
    t = Trial(side)
    try:
        run(t)
    finally:
        t.close()
    return t.log


def first_difference(direct, proxied):
    for n, (want, got) in enumerate(zip(direct, proxied)):
        if want != got:
            before = direct[n - 1] if n else ""
            return f"entry {n}: direct {str(want)[:300]}\n        pgsteer {str(got)[:300]}\n        after   {str(before)[:200]}"
    return f"{len(direct)} entries direct, {len(proxied)} through pgsteer"


def without_database(log, database):
    return [repr(entry).replace(database, "DATABASE") for entry in log]


def main():
    if sys.argv[1] == "setup":
        for name, setup, _ in CASES:
            if len(sys.argv) < 3 or re.search(sys.argv[2], name):
                print(setup)
        return 0
    direct = Side(int(sys.argv[2]), "suite_direct", False)
    proxied = Side(int(sys.argv[3]), "suite_cached", sys.argv[2] != sys.argv[3], int(sys.argv[2]))
    wanted = re.compile(sys.argv[4]) if len(sys.argv) > 4 else None
    failed = ran = 0
    for name, _, run in CASES:
        if wanted and not wanted.search(name):
            continue
        ran += 1
        fault, start = None, time.monotonic()
        try:
            want = without_database(trial(direct, run), direct.database)
            got = without_database(trial(proxied, run), proxied.database)
            if want != got:
                fault = first_difference(want, got)
        except Wrong as wrong:
            fault = str(wrong)
        except Exception:
            fault = traceback.format_exc(limit=-3)
        took = f" ({time.monotonic() - start:.1f} s)"
        print(("FAILED  " + name + took + "\n        " + fault) if fault else "ok      " + name + took, flush=True)
        failed += fault is not None
    print(f"{ran} cases, {failed} failed")
    return 1 if failed or ran < (165 if not wanted or wanted.pattern == "." else 1) else 0


sys.exit(main())
