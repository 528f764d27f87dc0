"""What a suite's runner wrote, as lines of outcome, tab, name.

    drivers_outcomes.py xml FILE...          JUnit's form, which pytest and mocha write, too
    drivers_outcomes.py pg NAME CODE OUTPUT  node-postgres: one file's output and exit code
    drivers_outcomes.py compare EXPECTED RESULTS SUITE MODE
                                             what differs from the direct run and is not expected; the exit code says whether any does
    drivers_outcomes.py table RESULTS SUITE...
"""
import fnmatch
import glob
import re
import sys
import xml.etree.ElementTree as ET

seen = {}


def out(outcome, name):
    name = " ".join(name.split())
    seen[name] = seen.get(name, 0) + 1
    print(outcome, name if seen[name] == 1 else f"{name} #{seen[name]}", sep="\t")


def xml(path):
    for case in ET.parse(path).iter("testcase"):
        kinds = {child.tag for child in case}
        outcome = "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"
        out(outcome, f"{case.get('classname', '')}::{case.get('name')}")


def pg(name, code, path):
    text = open(path, encoding="utf-8", errors="replace").read()
    for test, mark in re.findall(r"^  (\S.*?) (✔|\? - SKIPPED)$", text, re.M):
        out("passed" if mark == "✔" else "skipped", f"{name}::{test}")
    out("passed" if code == "0" else "failed", name)


def read(results, suite, mode):
    """Of several runs the best outcome of each test."""
    best = {}
    for path in glob.glob(f"{glob.escape(results)}/{glob.escape(suite)}.{mode}") + glob.glob(f"{glob.escape(results)}/{glob.escape(suite)}.{mode}.[23]"):
        for line in open(path, encoding="utf-8"):
            outcome, name = line.rstrip("\n").split("\t", 1)
            if best.get(name) != "passed":
                best[name] = outcome
    return best


def expectations(path, suite, mode):
    """Patterns of names that may fail in this mode."""
    patterns = []
    for line in open(path, encoding="utf-8"):
        if line.strip() and not line.startswith("#"):
            suites, modes, pattern, reason = line.rstrip("\n").split("\t")
            if suite in suites.split(",") and mode in modes.split(","):
                patterns.append(pattern)
    return patterns


def compare(expected, results, suite, mode):
    direct, through = read(results, suite, "direct"), read(results, suite, mode)
    patterns = expectations(expected, suite, mode)
    faults = 0
    for name, outcome in sorted(direct.items()):
        now = through.get(name, "missing")
        if now == outcome or now == "passed" or outcome == "failed" or any(fnmatch.fnmatchcase(name, p) for p in patterns):
            continue
        faults += 1
        print(f"{name}: direct {outcome}, {mode} {now}")
    if not direct or not through:
        print("no outcomes")
        faults += 1
    return faults


def table(results, suites):
    print(f"{'suite':<16}{'mode':<14}{'passed':>8}{'failed':>8}{'skipped':>8}")
    for suite in suites:
        for mode in ("direct", "relay", "session", "transaction", "everything"):
            outcomes = list(read(results, suite, mode).values())
            if outcomes:
                print(f"{suite:<16}{mode:<14}" + "".join(f"{outcomes.count(kind):>8}" for kind in ("passed", "failed", "skipped")))


command, *arguments = sys.argv[1:]
if command == "xml":
    for path in sorted(arguments):
        xml(path)
elif command == "pg":
    pg(*arguments)
elif command == "compare":
    sys.exit(compare(*arguments) > 0)
elif command == "table":
    table(arguments[0], arguments[1:])
