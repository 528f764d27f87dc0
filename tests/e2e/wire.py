"""A small PostgreSQL wire client for the end-to-end scripts: it can say wrong things on purpose."""
import socket
import struct

PROTOCOL_3 = 196608
SSL_REQUEST = 80877103
CANCEL_REQUEST = 80877102
SYNC = b"S\0\0\0\4"


class Closed(Exception):
    """The other side closed the connection."""


class Wire:
    def __init__(self, port, timeout=10):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.pid = self.key = 0

    def close(self):
        self.socket.close()

    def raw(self, data):
        self.socket.sendall(data)

    def message(self, kind, body=b""):
        self.raw(kind + struct.pack("!I", len(body) + 4) + body)

    def packet(self, body):
        """A startup packet: no type byte."""
        self.raw(struct.pack("!I", len(body) + 4) + body)

    def exactly(self, count):
        data = b""
        while len(data) < count:
            part = self.socket.recv(count - len(data))
            if not part:
                raise Closed(f"closed after {len(data)} of {count} bytes")
            data += part
        return data

    def receive(self):
        kind = self.exactly(1)
        return kind, self.exactly(struct.unpack("!I", self.exactly(4))[0] - 4)

    def startup(self, user="postgres", database="postgres", **more):
        words = {"user": user, "database": database, **more}
        self.packet(struct.pack("!I", PROTOCOL_3) + b"".join(k.encode() + b"\0" + v.encode() + b"\0" for k, v in words.items()) + b"\0")

    def login(self, password=None, **who):
        """Up to the first ReadyForQuery; raises Failed on an error. Clear-text passwords only."""
        self.startup(**who)
        while True:
            kind, body = self.receive()
            if kind == b"E":
                raise Failed(fields(body))
            if kind == b"R" and struct.unpack("!I", body[:4])[0] == 3:
                self.message(b"p", (password or "").encode() + b"\0")
            if kind == b"K":
                self.pid, self.key = struct.unpack("!II", body)
            if kind == b"Z":
                return self

    def until_ready(self):
        """Everything up to ReadyForQuery as (type, body)."""
        got = []
        while True:
            kind, body = self.receive()
            got.append((kind, body))
            if kind == b"Z":
                return got

    def query(self, text):
        self.message(b"Q", text.encode() + b"\0")
        return self.until_ready()

    def ends(self):
        """Reads until the connection is closed: the last error seen, or None."""
        error = None
        try:
            while True:
                kind, body = self.receive()
                if kind == b"E":
                    error = fields(body)
        except (Closed, ConnectionResetError, BrokenPipeError):
            return error


class Failed(Exception):
    pass


def query(text):
    """A simple query as bytes; parse, execution and SYNC likewise, to be sent together in a pipeline."""
    return b"Q" + struct.pack("!I", len(text) + 5) + text.encode() + b"\0"


def parse(text, name=""):
    body = name.encode() + b"\0" + text.encode() + b"\0\0\0"
    return b"P" + struct.pack("!I", len(body) + 4) + body


def execution(values, name="", sync=True):
    """Bind, Describe, Execute and, unless said otherwise, Sync."""
    body = b"\0" + name.encode() + b"\0" + struct.pack("!HH", 0, len(values))
    body += b"".join(struct.pack("!i", len(v)) + v for v in values) + b"\0\0"
    return b"B" + struct.pack("!I", len(body) + 4) + body + b"D\0\0\0\x06P\0" + b"E\0\0\0\x09\0\0\0\0\0" + (SYNC if sync else b"")


def errors(messages):
    return [fields(b) for k, b in messages if k == b"E"]


def fields(body):
    """ErrorResponse as a dictionary of its fields."""
    return {part[:1].decode(): part[1:].decode(errors="replace") for part in body.split(b"\0") if part}


def rows(messages):
    """Text rows of a reply."""
    result = []
    for kind, body in messages:
        if kind != b"D":
            continue
        count, at, row = struct.unpack("!H", body[:2])[0], 2, []
        for _ in range(count):
            length = struct.unpack("!i", body[at : at + 4])[0]
            at += 4
            row.append(None if length < 0 else body[at : at + length].decode())
            at += max(length, 0)
        result.append(row)
    return result
