"""The extended protocol over wire.py: every message by hand, answers as plain values that compare equal direct and through pgsteer."""
import struct

from wire import Wire, fields


def cstring(text):
    return text.encode() + b"\0"


class Extended(Wire):
    """A connection whose messages can be queued one by one (parse, bind, ...) and are answered by sync()."""

    def parse(self, text, name="", types=()):
        self.message(b"P", cstring(name) + cstring(text) + struct.pack("!H", len(types)) + b"".join(struct.pack("!I", t) for t in types))
        return self

    def bind(self, values=(), name="", portal="", formats=(), result_formats=()):
        body = cstring(portal) + cstring(name)
        body += struct.pack("!H", len(formats)) + b"".join(struct.pack("!H", f) for f in formats)
        body += struct.pack("!H", len(values))
        for value in values:
            if value is None:
                body += struct.pack("!i", -1)
            else:
                value = value if isinstance(value, bytes) else str(value).encode()
                body += struct.pack("!i", len(value)) + value
        body += struct.pack("!H", len(result_formats)) + b"".join(struct.pack("!H", f) for f in result_formats)
        self.message(b"B", body)
        return self

    def describe(self, name="", kind="P"):
        self.message(b"D", kind.encode() + cstring(name))
        return self

    def execute(self, portal="", max_rows=0):
        self.message(b"E", cstring(portal) + struct.pack("!I", max_rows))
        return self

    def close_statement(self, name):
        self.message(b"C", b"S" + cstring(name))
        return self

    def sync(self):
        self.message(b"S")
        return [plain(kind, body) for kind, body in self.until_ready()]

    def run(self, text, values=(), types=(), formats=(), result_formats=(), describe=True):
        """Unnamed statement and portal, one Sync group."""
        self.parse(text, types=types).bind(values, formats=formats, result_formats=result_formats)
        if describe:
            self.describe()
        return self.execute().sync()

    def prepared(self, text, values=(), types=()):
        """A named statement, prepared at its first use on this connection."""
        names = self.__dict__.setdefault("names", {})
        key = (text, tuple(types))
        if key not in names:
            self.number = self.__dict__.get("number", -1) + 1
            names[key] = f"s{self.number}"
            failed = [m for m in self.parse(text, names[key], types).sync() if m[0] == "E"]
            if failed:
                del names[key]
                return failed
        got = self.bind(values, names[key]).execute().sync()
        if ("E", "0A000") in got:  # its columns have changed: prepared anew at the next use
            names[key] = f"{names[key]}x"
            self.parse(text, names[key], types).sync()
        return got

    def forget(self):
        """Later uses prepare their statements anew, under other names."""
        self.__dict__["names"] = {}

    def simple(self, text):
        return [plain(kind, body) for kind, body in self.query(text)]


def plain(kind, body):
    """One message as a tuple: errors by SQLSTATE, descriptions without OIDs of tables, everything else byte for byte."""
    kind = kind.decode()
    if kind == "E":
        return ("E", fields(body)["C"])
    if kind == "N":
        return ("N", fields(body)["M"])
    if kind == "T":
        columns, at = [], 2
        for _ in range(struct.unpack("!H", body[:2])[0]):
            end = body.index(b"\0", at)
            columns.append((body[at:end].decode(errors="replace"),) + struct.unpack("!IhIhih", body[end + 1 : end + 19])[1:2] + struct.unpack("!h", body[end + 17 : end + 19]))
            at = end + 19
        return ("T", tuple(columns))
    if kind == "D":
        values, at = [], 2
        for _ in range(struct.unpack("!H", body[:2])[0]):
            length = struct.unpack("!i", body[at : at + 4])[0]
            at += 4
            values.append(None if length < 0 else body[at : at + length])
            at += max(length, 0)
        return ("D", tuple(values))
    return (kind, body)
