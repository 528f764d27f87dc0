"""The judge of ledger.py on books with one fault each, and on good ones. ledger_test.py"""
import copy
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from ledger import ACCOUNTS, BALANCE, Books, Operation, verify  # noqa: E402


def good():
    """Two transfers, one that failed, one of unknown fate that was done and one that was not; a list of three, read on its way."""
    books = Books()
    for number, fate in ((1, "acknowledged"), (2, "acknowledged"), (3, "failed"), (4, "unknown"), (5, "unknown")):
        books.transfers[number] = Operation(number, 1, (1, 2, 10), number, number + 0.5, fate)
    for number, fate in ((11, "acknowledged"), (12, "unknown"), (13, "acknowledged"), (14, "failed")):
        books.appends[number] = Operation(number, 2, 0, number, number + 0.5, fate)
    books.reads = [(0, [], 10.0, 10.2, 3), (0, [11], 11.6, 11.7, 3), (0, [11, 12], 11.8, 12.0, 3), (0, [11, 12, 13], 14.0, 14.1, 2)]
    balances = dict.fromkeys(range(1, ACCOUNTS + 1), BALANCE)
    balances[1], balances[2] = BALANCE - 30, BALANCE + 30
    return [books, balances, [(1, 1, 2, 10), (2, 1, 2, 10), (4, 1, 2, 10)], {0: [11, 12, 13]}]


def with_money(change):
    """Changes the transfers, and the balances with them: the books of the server agree with themselves."""
    def apply(case):
        before = list(case[2])
        change(case)
        for sign, transfers in ((1, before), (-1, case[2])):
            for _, source, target, amount in transfers:
                case[1][source] += sign * amount
                case[1][target] -= sign * amount
    return apply


def set_balance(case):
    case[1][7] += 1


def move_balance(case):
    case[1][7] += 1
    case[1][8] -= 1


BAD = {
    "all balances together": set_balance,
    "balances of [7, 8] are not": move_balance,
    "transfer 2 was acknowledged and is not there": with_money(lambda case: case[2].pop(1)),
    "transfer 1 was done 2 times": with_money(lambda case: case[2].append(case[2][0])),
    "transfer 4 was done 2 times": with_money(lambda case: case[2].append(case[2][2])),
    "transfer 3 is there, and its client was told": with_money(lambda case: case[2].append((3, 1, 2, 10))),
    "transfer 99 is there, and nobody asked": with_money(lambda case: case[2].append((99, 1, 2, 10))),
    "append 13 was acknowledged and is not there": lambda case: (case[3][0].pop(), case[0].reads.pop()),
    "append 11 was done 2 times": lambda case: case[3][0].append(11),
    "append 14 is there, and its client was told": lambda case: case[3][0].append(14),
    "stands before one that was acknowledged earlier": lambda case: (case[3][0].reverse(), case[0].reads.clear()),
    "which it never was": lambda case: case[0].reads.append((0, [12], 12.6, 12.7, 3)),
    "when 3 had been acknowledged": lambda case: case[0].reads.append((0, [11, 12], 14.2, 14.3, 3)),
    "after somebody had read 2": lambda case: case[0].reads.append((0, [11], 12.1, 12.2, 3)),
    "read a sum of": lambda case: case[0].faults.append("money: client 1 read a sum of [['3']]"),
}


def self_test():
    wrong = 0
    found = verify(*good())
    print("FAILED " if found else "ok     ", "good books pass", found or "")
    wrong += bool(found)
    for name, change in BAD.items():
        case = good()
        change(case)
        found = verify(*copy.copy(case))
        seen = any(name in fault for fault in found)
        print("ok     " if seen else "FAILED ", f"finds: {name}", "" if seen else found)
        wrong += not seen
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(self_test())
