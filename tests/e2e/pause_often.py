"""pause_often.py PORT TURNS: PAUSE and RESUME at once, again and again, while more clients than servers wait for their turn. Every PAUSE ends
soon: whoever was lent a server just when it came has its turn first."""
import os
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from wire import Wire, errors, rows

port, turns = int(sys.argv[1]), int(sys.argv[2])
over, wrong = threading.Event(), []


def client(number):
    wire = Wire(port, timeout=20).login()
    wire.query(f"set application_name = 'app{number % 5}'")
    while not over.is_set():
        if rows(wire.query(f"select {number}")) != [[str(number)]]:
            wrong.append(number)


clients = [threading.Thread(target=client, args=(number,)) for number in range(24)]
for one in clients:
    one.start()
time.sleep(0.5)
console, late = Wire(port, timeout=5).login(database="pgsteer"), 0
for _ in range(turns):
    try:
        wrong += errors(console.query("PAUSE"))
    except TimeoutError:
        late += 1
        console = Wire(port, timeout=5).login(database="pgsteer")
    wrong += errors(console.query("RESUME"))
    time.sleep(0.005)
over.set()
for one in clients:
    one.join()
print(f"{late} of {turns} PAUSEs did not end within 5 s")
for fault in wrong[:5]:
    print(fault)
sys.exit(1 if late or wrong else 0)
