"""A server that means harm to whoever logs in as evil_CASE, and passes everybody else on to the real one.

    evil_server.py serve REAL         prints its port
    evil_server.py check PROXY MODE   a client for each case, and a bystander of the real server between them; MODE: relay or pooled

A case is what the server says from its first word on. `login` cases never come to ReadyForQuery; the others answer the first query.
Whatever is said, the client's connection comes to an end or to an answer in time, an error of pgsteer's own is a FATAL with a SQLSTATE,
and nobody else notices."""
import base64
import os
import socket
import struct
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from cases import equal, finish  # noqa: E402
from wire import Closed, Failed, Wire, fields, rows  # noqa: E402


def message(kind, body=b"", length=None):
    return kind + struct.pack("!I", (len(body) + 4 if length is None else length) & 0xFFFFFFFF) + body


def authentication(what, body=b""):
    return message(b"R", struct.pack("!I", what) + body)


def parameter(name, value):
    return message(b"S", name + b"\0" + value + b"\0")


READY = message(b"Z", b"I")
GREETING = authentication(0) + parameter(b"client_encoding", b"UTF8") + parameter(b"in_hot_standby", b"off") + parameter(b"default_transaction_read_only", b"off") + message(b"K", struct.pack("!II", 77, 88)) + READY
SASL = authentication(10, b"SCRAM-SHA-256\0\0")
ROW_DESCRIPTION = message(b"T", struct.pack("!H", 1) + b"x\0" + struct.pack("!IHIhih", 0, 0, 25, -1, -1, 0))
DATA_ROW = message(b"D", struct.pack("!Hi", 1, 1) + b"1")
COMPLETE = message(b"C", b"SELECT 1\0")
ERROR = b"SERROR\0VERROR\0C42601\0Mno\0\0"


def scram(first, behind=b""):
    """Asks for SCRAM and answers the client's first message with `first`, where NONCE stands for the client's own, and `behind`."""
    def act(connection):
        connection.sendall(SASL)
        said = receive(connection)[1]
        nonce = said[said.index(b"r=") + 2:]
        connection.sendall(authentication(11, first.replace(b"NONCE", nonce)) + behind)
        receive(connection)
        connection.sendall(authentication(12, b"v=" + base64.b64encode(b"x" * 32)) + GREETING)
    return act


def flood(piece):
    def act(connection):
        end = time.time() + 30  # a session that may have written is kept to its server's end
        while time.time() < end:
            connection.sendall(piece)
    return act


SALT = base64.b64encode(b"saltsaltsaltsalt")
LOGIN = {
    "nothing": b"",
    "length_0": message(b"R", b"", 0),
    "length_3": message(b"R", b"", 3),
    "length_negative": message(b"R", b"\0" * 8, -1),
    "length_2_gb": message(b"R", b"\0" * 8, 0x7FFFFFFF),
    "junk": bytes(range(256)) * 4,
    "http": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "kind_unknown": authentication(99),
    "kind_missing": message(b"R", b"\0\0"),
    "gss": authentication(7),
    "error_empty": message(b"E"),
    "error_without_sqlstate": message(b"E", b"SFATAL\0Mgo away\0\0"),
    "error_without_end": message(b"E", b"SFATAL\0VFATAL\0C28000\0Mgo away"),
    "error_of_fields_only": message(b"E", b"SVCM"),
    "sasl_nothing_known": authentication(10, b"SCRAM-SHA-9000\0\0"),
    "sasl_without_end": authentication(10, b"SCRAM-SHA-256"),
    "sasl_continue_first": authentication(11, b"r=x,s=" + SALT + b",i=4096"),
    "sasl_final_first": authentication(12, b"v=AAAA"),
    "scram_many_iterations": scram(b"r=NONCEx,s=" + SALT + b",i=2147483647"),
    "scram_no_iterations": scram(b"r=NONCEx,s=" + SALT + b",i=0"),
    "scram_another_nonce": scram(b"r=somebody,s=" + SALT + b",i=4096"),
    "scram_long_nonce": scram(b"r=NONCE" + b"x" * 60000 + b",s=" + SALT + b",i=4096"),
    "scram_long_salt": scram(b"r=NONCEx,s=" + base64.b64encode(b"s" * 45000) + b",i=4096"),
    "scram_bad_base64": scram(b"r=NONCEx,s=!!!!,i=4096"),
    "scram_wrong_signature": scram(b"r=NONCEx,s=" + SALT + b",i=4096"),
    "scram_skipped": scram(b"r=NONCEx,s=" + SALT + b",i=4096", GREETING),
    "scram_refused": scram(b"e=other-error"),
    "negotiation_of_a_billion": message(b"v", struct.pack("!II", 196608, 1 << 30)),
    "key_short": authentication(0) + message(b"K", b"\0\0") + message(b"Z"),
    "parameters_without_end": flood(parameter(b"x" * 30000, b"y" * 30000)),
    "notices_without_end": flood(message(b"N", b"SNOTICE\0VNOTICE\0C00000\0M" + b"n" * 60000 + b"\0\0")),
}
QUERY = {  # the answer to whatever is asked first
    "ready_of_no_status": message(b"Z"),
    "ready_of_odd_status": message(b"Z", b"!"),
    "ready_twice": COMPLETE + READY + READY,
    "complete_twice": ROW_DESCRIPTION + DATA_ROW + COMPLETE + COMPLETE + READY,
    "complete_without_end": ROW_DESCRIPTION + message(b"C", b"SELECT 1") + READY,
    "row_short": ROW_DESCRIPTION + message(b"D", b"\0") + COMPLETE + READY,
    "row_of_many": ROW_DESCRIPTION + message(b"D", struct.pack("!H", 65535)) + COMPLETE + READY,
    "row_beyond_its_end": ROW_DESCRIPTION + message(b"D", struct.pack("!Hi", 1, 0x7FFFFFFF) + b"1") + COMPLETE + READY,
    "row_of_negative_length": ROW_DESCRIPTION + message(b"D", struct.pack("!Hi", 1, -7)) + COMPLETE + READY,
    "row_without_description": DATA_ROW + COMPLETE + READY,
    "description_of_many": message(b"T", struct.pack("!H", 65535)) + COMPLETE + READY,
    "length_0": message(b"D", b"", 0),
    "length_3": message(b"D", b"", 3),
    "length_negative": message(b"D", b"\0" * 100, -5),
    "length_2_gb": message(b"D", b"\0" * 100, 0x7FFFFFFF),
    "length_1_gb_and_gone": ROW_DESCRIPTION + message(b"D", b"\0" * 70000, 0x3FFFFF00),
    "unknown_type": message(b"\x07", b"abc") + READY,
    "bind_complete": message(b"2") + READY,
    "parse_complete_twice": message(b"1") * 2 + message(b"2") * 2 + READY,
    "copy_both": message(b"W", b"\0\0\0") + READY,
    "copy_in_and_ready": message(b"G", b"\0\0\0") + READY,
    "copy_out_for_ever": None,
    "authentication_again": authentication(3) + COMPLETE + READY,
    "key_again": message(b"K", struct.pack("!II", 1, 2)) + COMPLETE + READY,
    "notification_short": message(b"A", b"\0\0") + COMPLETE + READY,
    "parameter_without_end": message(b"S", b"search_path") + COMPLETE + READY,
    "error_empty": message(b"E") + READY,
    "error_without_end": message(b"E", b"C42601\0Mno") + READY,
    "error_twice": message(b"E", ERROR) * 2 + READY,
    "error_after_ready": COMPLETE + READY + message(b"E", ERROR),
    "error_of_100_mb": message(b"E", b"SERROR\0C42601\0M" + b"x" * 1000, 100 << 20),
    "half_a_message": b"D\0\0",
    "nothing_and_gone": b"",
}


def receive(connection):
    head = exactly(connection, 5)
    return head[:1], exactly(connection, struct.unpack("!I", head[1:])[0] - 4)


def exactly(connection, count):
    data = b""
    while len(data) < count:
        part = connection.recv(count - len(data))
        if not part:
            raise Closed
        data += part
    return data


def splice(one, other):
    def pump(a, b):
        try:
            while data := a.recv(65536):
                b.sendall(data)
        except OSError:
            pass
        for end in (a, b):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
    threading.Thread(target=pump, args=(one, other), daemon=True).start()
    pump(other, one)


def serve_one(connection, real):
    try:
        packet = exactly(connection, 4)
        packet += exactly(connection, struct.unpack("!I", packet)[0] - 4)
        words = packet[8:].split(b"\0")
        user = dict(zip(words[::2], words[1::2])).get(b"user", b"").decode()
        if not user.startswith("evil_"):
            upstream = socket.create_connection(("127.0.0.1", real))
            upstream.sendall(packet)
            return splice(connection, upstream)
        where, name = user.removeprefix("evil_").split(".", 1)
        if where == "login":
            act = LOGIN[name]
            if not callable(act):
                connection.sendall(act)
                time.sleep(1)
                return
            act(connection)  # should it be believed, it goes on like a server
        else:
            connection.sendall(GREETING)
        while True:
            kind, body = receive(connection)
            if kind == b"Q" and b"pg_postmaster_start_time" in body:  # who are you: asked of every server of a pool
                connection.sendall(ROW_DESCRIPTION + DATA_ROW + COMPLETE + READY)
            elif kind in (b"Q", b"S"):
                break
            elif kind == b"X":
                return
        if where == "login":
            return
        if name == "copy_out_for_ever":
            connection.sendall(message(b"H", b"\0\0\0"))
            flood(message(b"d", b"x" * 60000))(connection)
        connection.sendall(QUERY[name])
        if not name.endswith("gone"):
            time.sleep(1)
    except (OSError, Closed, ValueError, struct.error):
        pass
    finally:
        connection.close()


def serve(real):
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    print(listener.getsockname()[1], flush=True)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve_one, args=(connection, real), daemon=True).start()


def login_case(port, name, pooled):
    wire = Wire(port, timeout=15 if pooled else 3)
    start = time.time()
    try:
        wire.startup(user=f"evil_login.{name}")
        end = start + 15
        error, count = None, 0
        while time.time() < end and count < 50 << 20:  # who floods is read for a while
            kind, body = wire.receive() if pooled else (b"", wire.socket.recv(1 << 20))
            count += len(body)
            if not pooled and not body:
                break
            if kind == b"E":
                error = fields(body)
            if pooled and kind == b"Z":
                equal(f"login.{name}: nobody is let in", None, "ReadyForQuery")
                break
        if pooled:
            equal(f"login.{name}: a clean end", True, error is not None and error.get("S") == "FATAL" and len(error.get("C", "")) == 5)
    except (Closed, ConnectionResetError, BrokenPipeError):
        if pooled:
            equal(f"login.{name}: a clean end", "FATAL", (error or {}).get("S"))
            equal(f"login.{name}: with a SQLSTATE", 5, len((error or {}).get("C", "")))
    except TimeoutError:  # relayed, the server may go on waiting for the client
        if pooled:
            equal(f"login.{name}: an end within 15 s", None, "none")
    finally:
        wire.close()


def query_case(port, name, extended):
    wire = Wire(port, timeout=10)
    try:
        wire.login(user=f"evil_query.{name}")
        if extended:
            wire.raw(b"P\0\0\0\x10\0select 1\0\0\0" + b"B\0\0\0\x0c\0\0\0\0\0\0\0\0" + b"E\0\0\0\x09\0\0\0\0\0" + b"S\0\0\0\x04")
        else:
            wire.message(b"Q", b"select 1\0")
        got, tail = 0, b""
        while got < 50 << 20 and not tail.endswith((READY, READY[:-1] + b"E", b"Z\0\0\0\4")):
            data = wire.socket.recv(1 << 20)
            if not data:
                break
            got, tail = got + len(data), (tail + data)[-6:]
    except (Closed, ConnectionResetError, BrokenPipeError):
        pass
    except Failed as failed:
        equal(f"query.{name}: let in", None, failed)
    except TimeoutError:
        equal(f"query.{name}: an answer or an end within 10 s", None, "none")
    finally:
        wire.close()


def check(port, mode):
    cases = [("login", name, lambda n: login_case(port, n, mode == "pooled")) for name in LOGIN]
    cases += [("query", name, lambda n: query_case(port, n, False)) for name in QUERY]
    cases += [("extended", name, lambda n: query_case(port, n, True)) for name in QUERY]
    waiting = iter(cases)

    def work():
        bystander = Wire(port, timeout=10).login()
        for where, name, act in waiting:
            start = time.time()
            act(name)
            equal(f"{where}.{name}: the bystander", [["42"]], rows(bystander.query("select 41 + 1")))
            newcomer = Wire(port, timeout=10).login()
            equal(f"{where}.{name}: a newcomer", [["43"]], rows(newcomer.query("select 42 + 1")))
            newcomer.close()
            if time.time() - start > 8:
                print(f"note: {where}.{name} took {time.time() - start:.0f} s")

    with ThreadPoolExecutor(3) as pool:  # most of the time is time-outs
        for worker in [pool.submit(work) for _ in range(3)]:
            worker.result()
    print(f"{len(cases)} cases")
    finish()


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(int(sys.argv[2]))
    check(int(sys.argv[2]), sys.argv[3])
