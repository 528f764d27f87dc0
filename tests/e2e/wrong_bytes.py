"""Malformed, oversized and unknown messages. Each must end or be answered on its own connection within seconds, while a bystander's
session, opened before, goes on after each."""
import os
import struct
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from wire import CANCEL_REQUEST, PROTOCOL_3, SSL_REQUEST, Closed, Wire, rows  # noqa: E402

PORT = int(os.environ["PGPORT"])
int32 = lambda value: struct.pack("!i", value)  # noqa: E731
bystander = Wire(PORT).login()
faults = 0


def expect(name, ok, got=""):
    global faults
    if not ok:
        faults += 1
        print(f"FAILED {name}: {got}")


def ended(name, wire, states=None):
    """The connection is closed within the time-out; an error, when one came, is a FATAL with a SQLSTATE of `states`."""
    start = time.time()
    try:
        error = wire.ends()
    except (TimeoutError, OSError) as failure:
        expect(name, False, f"still open after {time.time() - start:.0f} s ({failure})")
        return
    finally:
        wire.close()
    if states is not None and error is not None:
        expect(name, error.get("S") == "FATAL" and error.get("C") in states, error)
    expect(name + ": bystander", rows(bystander.query("select 41 + 1")) == [["42"]])


before_login = [  # name, bytes, SQLSTATEs the error may have: none where PostgreSQL says nothing
    ("startup: length 0", int32(0), ()),
    ("startup: length 7", int32(7) + b"\0\0\0", ()),
    ("startup: negative length", int32(-5) + b"\0" * 8, ()),
    ("startup: length of 1 GB", int32(1 << 30) + struct.pack("!I", PROTOCOL_3), ()),
    ("a goodbye in place of a startup packet", b"X" + int32(4), ()),
    ("startup: protocol 1.0", int32(8) + struct.pack("!I", 1 << 16), ("0A000", "08P01")),
    ("startup: protocol 4.0", int32(9) + struct.pack("!I", 4 << 16) + b"\0", ("0A000", "08P01")),
    ("startup: no user", int32(9) + struct.pack("!I", PROTOCOL_3) + b"\0", ("28000", "08P01")),
    ("startup: a name without a value", int32(14) + struct.pack("!I", PROTOCOL_3) + b"user\0\0", ("28000", "08P01")),
    ("startup: no last NUL", int32(17) + struct.pack("!I", PROTOCOL_3) + b"user\0post", ("08P01",)),
    ("HTTP", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", ()),
    ("TLS without asking", bytes.fromhex("1603010200010001fc0303") + b"\0" * 100, ()),
    ("cancel: too short", int32(12) + struct.pack("!II", CANCEL_REQUEST, 1), ("08P01",)),
    ("cancel: a key that is nobody's", int32(16) + struct.pack("!III", CANCEL_REQUEST, 99999999, 1), ()),
]
for name, data, states in before_login:
    wire = Wire(PORT, timeout=8)
    try:
        wire.raw(data)
    except OSError:
        pass
    try:
        wire.socket.shutdown(1)  # a short one may be waited for: nothing more comes
    except OSError:
        pass
    ended(name, wire, states)

wire = Wire(PORT)
wire.packet(struct.pack("!I", SSL_REQUEST))
expect("SSLRequest is answered with one byte", wire.exactly(1) in (b"N", b"S"))
wire.close()
wire = Wire(PORT)
wire.packet(struct.pack("!I", SSL_REQUEST))
if wire.exactly(1) == b"N":
    wire.login()
    expect("after N the session goes on", rows(wire.query("select 5")) == [["5"]])
wire.close()

after_login = [
    ("an unknown message", lambda w: w.message(b"!", b"abc")),
    ("message type 0", lambda w: w.message(b"\0", b"")),
    ("Query: length 3", lambda w: w.raw(b"Q" + int32(3))),
    ("Query: negative length", lambda w: w.raw(b"Q" + int32(-1) + b"x" * 10)),
    ("Query: length of 2 GB", lambda w: w.raw(b"Q" + int32(2**31 - 1) + b"select 1\0")),
    ("Sync: 2 GB", lambda w: w.raw(b"S" + int32(2**31 - 1))),
    ("a startup packet again", lambda w: w.startup()),
    ("cut off in a message", lambda w: w.raw(b"Q" + int32(100) + b"select")),
]
for name, act in after_login:
    wire = Wire(PORT, timeout=8).login()
    try:
        act(wire)
        wire.socket.shutdown(1)
    except OSError:
        pass
    ended(name, wire, ("08P01", "54000", "57P01", "53200"))

# These are errors of a message, not of the connection: an ERROR and, after Sync, the session goes on.
recoverable = [
    ("Query without NUL", b"Q", b"select 1"),
    ("Bind that is too short", b"B", b"\0\0\0"),
    ("Bind: more formats than values", b"B", b"\0\0" + struct.pack("!HHHH", 2, 1, 1, 0) + struct.pack("!H", 0)),
    ("Bind: a value longer than the message", b"B", b"\0\0" + struct.pack("!HH", 0, 1) + int32(1 << 20) + b"x" + struct.pack("!H", 0)),
    ("Parse: count of types beyond the message", b"P", b"\0select 1\0" + struct.pack("!H", 60000)),
    ("Describe of nothing", b"D", b"Xname\0"),
    ("Execute of a portal that is not there", b"E", b"nope\0" + int32(0)),
    ("Close of an unknown kind", b"C", b"Zname\0"),
    ("CopyData out of place", b"d", b"abc"),
    ("FunctionCall of nothing", b"F", struct.pack("!IHHH", 0, 0, 0, 0)),
]
for name, kind, body in recoverable:
    wire = Wire(PORT, timeout=8).login()
    wire.message(kind, body)
    if kind != b"Q":
        wire.message(b"S")
    try:
        wire.until_ready()
        if kind in (b"Q", b"F", b"d"):  # what is left of the exchange, if anything
            wire.socket.settimeout(0.3)
            try:
                wire.until_ready()
            except TimeoutError:
                pass
            wire.socket.settimeout(8)
        expect(name + ": goes on", rows(wire.query("select 7")) == [["7"]])
    except (Closed, ConnectionResetError):
        pass  # to end the connection is also an answer
    except TimeoutError:
        expect(name, False, "no answer")
    wire.close()
    expect(name + ": bystander", rows(bystander.query("select 41 + 1")) == [["42"]])

slow = Wire(PORT).login()  # one byte at a time
for byte in b"Q" + int32(4 + len(b"select 'slowly'\0")) + b"select 'slowly'\0":
    slow.raw(bytes([byte]))
expect("a message byte by byte", rows(slow.until_ready()) == [["slowly"]])
slow.message(b"Q", b"select 'a'\0")
slow.message(b"Q", b"select 'b'\0")
slow.message(b"Q", b"select 'c'\0")
expect("three queries without waiting", [rows(slow.until_ready()) for _ in range(3)] == [[["a"]], [["b"]], [["c"]]])
slow.message(b"P", b"\0select $1::int + 1\0" + struct.pack("!H", 0))
slow.message(b"B", b"\0\0" + struct.pack("!HH", 0, 1) + int32(2) + b"41" + struct.pack("!H", 0))
slow.message(b"E", b"\0" + int32(0))
slow.message(b"H")
got = [slow.receive()[0] for _ in range(4)]
expect("Flush brings the answer before Sync", got == [b"1", b"2", b"D", b"C"], got)
slow.message(b"S")
expect("and Sync the end", [k for k, _ in slow.until_ready()] == [b"Z"])
slow.message(b"P", b"\0select broken from nowhere\0" + struct.pack("!H", 0))
slow.message(b"B", b"\0\0" + struct.pack("!HHH", 0, 0, 0))
slow.message(b"E", b"\0" + int32(0))
slow.message(b"S")
expect("after an error everything up to Sync is skipped", [k for k, _ in slow.until_ready()] == [b"E", b"Z"])
print(f"{faults} faults")
sys.exit(1 if faults else 0)
