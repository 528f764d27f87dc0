"""That the gate does what it says, between a client and an echo server of its own. gate_test.py"""
import os
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from gate import Control  # noqa: E402

faults = 0


def check(name, good, what=""):
    global faults
    print("ok     " if good else "FAILED ", name, "" if good else what)
    faults += not good


def echo(listener):
    def serve(end):
        try:
            while data := end.recv(65536):
                end.sendall(data)
        except OSError:
            pass
        end.close()
    while True:
        threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()


listener = socket.create_server(("127.0.0.1", 0))
threading.Thread(target=echo, args=(listener,), daemon=True).start()
process = subprocess.Popen([sys.executable, os.path.join(os.path.dirname(os.path.abspath(__file__)), "gate.py"), str(listener.getsockname()[1])], stdout=subprocess.PIPE)
port, control_port = map(int, process.stdout.readline().split())
gate = Control(control_port)


def connect():
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def exchange(end, data=b"x" * 1000):
    """What comes back for it, and the seconds it took."""
    start, got = time.monotonic(), b""
    end.sendall(data)
    while len(got) < len(data):
        part = end.recv(65536)
        if not part:
            break
        got += part
    return got, time.monotonic() - start


def silent(end, seconds=0.5):
    end.settimeout(seconds)
    try:
        return not end.recv(1) and False
    except socket.timeout:
        return True
    finally:
        end.settimeout(10)


def ended(end):
    try:
        return "cut" if end.recv(10) == b"" else "bytes"
    except ConnectionResetError:
        return "reset"


try:
    end = connect()
    check("passes everything at once", exchange(end)[0] == b"x" * 1000)
    gate("up delay 150"), gate("down delay 150")
    took = exchange(end)[1]
    check("delay, both ways", 0.3 <= took < 3, took)
    gate("clear")
    check("clear", exchange(end)[1] < 0.15)
    gate("down throttle 2000")
    got, took = exchange(end)
    check("throttle", got == b"x" * 1000 and 0.4 <= took < 5, took)
    gate("clear"), gate("up drip 2")
    got, took = exchange(end, b"y" * 100)
    check("drip", got == b"y" * 100 and took >= 0.2, took)
    gate("clear"), gate("down stall")
    end.sendall(b"waits")
    check("stall", silent(end))
    gate("clear")
    check("and nothing was lost", end.recv(10) == b"waits")
    gate("up corrupt 100")
    got = exchange(end, b"z" * 10000)[0]
    wrong = sum(byte != ord("z") for byte in got)
    check("corrupt", len(got) == 10000 and 50 <= wrong <= 150, wrong)
    gate("clear"), gate("cut")
    check("cut", ended(end) == "cut")
    end = connect()
    exchange(end)
    gate("reset")
    check("reset", ended(end) == "reset")
    gate("refuse")
    end = connect()
    check("refuse", ended(end) == "reset")
    gate("clear"), gate("down cut_after 10")
    check("cut_after", exchange(connect())[0] == b"x" * 10)
    gate("clear"), gate("down swallow COMMIT")
    end = connect()
    check("what is not named passes", exchange(end, b"INSERT 0 1")[0] == b"INSERT 0 1")
    check("swallow", exchange(end, b"...COMMIT...")[0] == b"" and gate("status")["swallowed"] == 1)
    gate("clear")
    end = connect()
    end.shutdown(socket.SHUT_WR)
    check("the end of one direction is passed on", end.recv(1) == b"")
    for _ in range(100):
        if gate("status")["open"] == 0:
            break
        time.sleep(0.02)
    check("no connection is left", gate("status")["open"] == 0, gate("status"))
    try:
        gate("up explode")
        check("an unknown command is an error", False)
    except ValueError:
        check("an unknown command is an error", True)
finally:
    process.kill()
sys.exit(1 if faults else 0)
