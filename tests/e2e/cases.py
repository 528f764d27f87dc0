"""What the scripts of cases share: equality that is counted, and running cases by name."""
import sys
import time

faults = 0


def equal(name, want, got):
    global faults
    if want != got:
        faults += 1
        print(f"FAILED {name}: want {want!r} got {got!r}")


def finish():
    sys.exit(1 if faults else 0)


def run_cases(cases, names):
    """All of them, or those that are named; ends the program."""
    global faults
    for case in cases:
        if names and case.__name__ not in names:
            continue
        start, before = time.time(), faults
        try:
            case()
        except Exception as error:  # noqa: BLE001
            faults += 1
            print(f"FAILED {case.__name__}: {type(error).__name__} {error}")
        print(f"{case.__name__}: {faults - before} faults, {time.time() - start:.1f} s")
    finish()
