"""What sessions leave behind: session_heap.py PROXY_PORT HTTP_PORT SESSIONS. Rounds of so many sessions of every kind, one after the other; after each
the bytes that the process has allocated and not freed. Prints the growth in bytes per session, the median of the rounds after the first two."""
import random
import statistics
import sys
import time
import urllib.request

from wire import Wire, execution, parse

port, http, count = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
dice = random.Random(1)


def heap():
    text = urllib.request.urlopen(f"http://127.0.0.1:{http}/metrics", timeout=20).read().decode()
    return next(float(line.split()[1]) for line in text.splitlines() if line.startswith("pgsteer_heap_bytes "))


def settled():
    """The background writes and frees for a moment: the least that is seen."""
    return min(heap() for _ in range(8) if time.sleep(0.15) is None)


def session(kind):
    wire = Wire(port, timeout=20).login()
    if kind == 1:
        wire.query("select 1")
    elif kind == 2:
        wire.raw(parse("select $1::int") + execution([b"7"]))
        wire.until_ready()
    elif kind == 3:
        wire.query("select nothing from nowhere")
    elif kind == 4:
        wire.query("begin")  # and gone
    if kind != 4 and dice.random() < 0.7:
        wire.message(b"X")
    wire.close()


before, growth = None, []
for round_ in range(6):
    for n in range(count):
        session(n % 5)
    now = settled()
    if before is not None:
        growth.append((now - before) / count)
    before = now
print("bytes per session, round by round:", *(f"{g:.1f}" for g in growth), file=sys.stderr)
print(f"{statistics.median(growth[1:]):.1f}")
