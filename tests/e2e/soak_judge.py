"""Whether a run of soak.sh was flat. soak_judge.py CSV [WARM_UP_SHARE] | self

One line a sample: seconds, then the columns of LIMITS and others that are only kept. After the warm-up (the first 40 %) each judged column
gets a line through its samples by Theil and Sen (the median of all slopes: single peaks do not move it). It drifts when the growth over the judged
time is more than both its allowance, relative and absolute, and the noise of the samples around the line.
"""
import csv
import itertools
import statistics
import sys

# column: (relative growth, absolute growth) allowed over the judged time; what grows by less than either is no drift.
LIMITS = {
    "rss_mb": (0.10, 12), "descriptors": (0.05, 6), "threads": (0.0, 2), "sessions": (0.10, 5),
    "sockets": (0.10, 8),
    # Of a statement through pgsteer and the same one sent directly, in turn: what else the machine does is in both.
    "p50_ratio": (0.25, 0.3), "p99_ratio": (0.6, 2.0),
}


def line(points):
    """Slope and the noise around it (median absolute deviation, as a standard deviation)."""
    step = max(1, len(points) // 150)  # pairs grow with the square
    points = points[::step]
    slope = statistics.median((b[1] - a[1]) / (b[0] - a[0]) for a, b in itertools.combinations(points, 2) if b[0] > a[0])
    centre = statistics.median(y - slope * x for x, y in points)
    noise = 1.4826 * statistics.median(abs(y - slope * x - centre) for x, y in points)
    return slope, noise


def judge(samples, warm_up=0.4):
    """(column, first level, growth, allowed, drifts) for each judged column, from rows as dictionaries of numbers."""
    start, end = samples[0]["seconds"], samples[-1]["seconds"]
    kept = [s for s in samples if s["seconds"] >= start + (end - start) * warm_up]
    if len(kept) < 8:
        raise SystemExit(f"only {len(kept)} samples to judge")
    span, verdicts = kept[-1]["seconds"] - kept[0]["seconds"], []
    for column, (relative, absolute) in LIMITS.items():
        if column not in kept[0]:
            continue
        points = [(s["seconds"], s[column]) for s in kept]
        slope, noise = line(points)
        level = statistics.median(y for _, y in points[: max(3, len(points) // 5)])
        growth, allowed = slope * span, max(relative * level, absolute, 2 * noise)
        verdicts.append((column, level, growth, allowed, growth > allowed))
    if "store_rows" in kept[0]:  # a store may grow to what it is allowed to keep, and not beyond
        rows, most = kept[-1]["store_rows"], kept[-1]["store_max_rows"]
        allowed = 21000  # it is compacted after every 20000 rows
        verdicts.append(("store_rows", most, rows - most, allowed, rows > most + allowed))
    if "store_mb" in kept[0] and kept[-1]["store_rows"] >= kept[0]["store_rows"] >= kept[0]["store_max_rows"] * 0.95:  # full: its file must not grow
        points = [(s["seconds"], s["store_mb"]) for s in kept]
        growth = line(points)[0] * span
        verdicts.append(("store_mb", points[0][1], growth, max(0.15 * points[0][1], 8), growth > max(0.15 * points[0][1], 8)))
    return verdicts


def report(verdicts, span):
    for column, level, growth, allowed, drifts in verdicts:
        print(f"{'DRIFTS' if drifts else 'flat  '}  {column:12} from {level:.2f}, {growth:+.2f} in {span:.0f} s (allowed {allowed:.2f})")
    return 1 if any(v[4] for v in verdicts) else 0


def self_test():
    """The judge on runs made up: noise alone, a step in the warm-up, and a leak of each kind."""
    import random

    def made_up(seed, changes=None, seconds=1200):
        dice = random.Random(seed)
        rows = []
        for at in range(0, seconds, 5):
            row = {"seconds": at, "rss_mb": 60 + min(at, 300) / 20 + dice.gauss(0, 0.7), "descriptors": 40 + dice.randrange(8), "threads": 9,
                   "sessions": 20 + dice.randrange(6), "sockets": 30 + dice.randrange(6), "p50_ratio": 1.8 + dice.random() / 4,
                   "p99_ratio": 1.5 + dice.expovariate(0.8), "store_rows": min(20000, at * 100), "store_max_rows": 20000, "store_mb": min(24, at / 8)}
            for column, slope in (changes or {}).items():
                row[column] += slope * at
            rows.append(row)
        return rows
    wrong = 0
    for seed in range(40):
        found = [v[0] for v in judge(made_up(seed)) if v[4]]
        wrong += bool(found)
        if found:
            print("FAILED  a flat run was said to drift:", seed, found)
    leaks = {"rss_mb": 25 / 720, "descriptors": 10 / 720, "threads": 4 / 720, "sessions": 8 / 720, "p50_ratio": 1.5 / 720, "p99_ratio": 15 / 720, "sockets": 15 / 720,
             "store_rows": 40, "store_mb": 15 / 720}
    for column, slope in leaks.items():
        found = [v[0] for v in judge(made_up(7, {column: slope})) if v[4]]
        print("ok     " if found == [column] else "FAILED ", f"finds a leak of {column}", found)
        wrong += found != [column]
    print("ok     " if not wrong else "FAILED ", "40 flat runs are flat")
    return 1 if wrong else 0


def main():
    if sys.argv[1] == "self":
        sys.exit(self_test())
    with open(sys.argv[1]) as file:
        samples = [{k: float(v) for k, v in row.items() if v not in ("", None)} for row in csv.DictReader(file)]
    warm_up = float(sys.argv[2]) if len(sys.argv) > 2 else 0.4
    sys.exit(report(judge(samples, warm_up), (samples[-1]["seconds"] - samples[0]["seconds"]) * (1 - warm_up)))


if __name__ == "__main__":
    main()
