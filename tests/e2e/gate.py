#!/usr/bin/env python3
"""A TCP proxy that misbehaves on command, between any two parts: client and pgsteer, pgsteer and PostgreSQL, pgsteer and Redis.

    gate.py TARGET_PORT [LISTEN_PORT [CONTROL_PORT]]     prints both ports on one line once it listens (0: a free one)

Commands, one a line, over the control port; each is answered with one line, "ok ..." or "error ...":

    up|down|both WHAT     up: towards the target; down: towards the client. WHAT is one of
        delay MS          each piece arrives so much later
        throttle BYTES    so many bytes a second
        drip [MS]         one byte at a time, so long apart (default 1)
        stall             nothing passes and nothing is lost: what was sent waits, in the end in the sender's own buffers
        corrupt BYTES     one bit in so many bytes, on average, is turned over
        swallow TEXT      from the first piece with TEXT on nothing passes on that connection, which is cut 100 ms later
        cut_after BYTES   each connection is cut when so many more bytes have passed in that direction
        clear             back to passing everything at once
    clear                 the same for both, and accepts connections
    cut | reset           every connection ends now: in good order (FIN) | with a reset (RST)
    refuse                new connections are reset at once
    target PORT           where new connections go
    status                connections open, connections so far, bytes up, bytes down, swallowed

Commands hold for connections that are open and for new ones. What is stalled at a `clear` goes on in order.
Limits: a stalled peer still acknowledges at the level of TCP until buffers are full, as a stopped process does; a machine without power
would not.
"""
import asyncio
import random
import socket
import struct
import sys

LIMIT = 65536


class Direction:
    """What is done to the bytes that flow one way."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.changed = asyncio.Event()
        self.clear()

    def clear(self):
        self.delay = self.throttle = self.drip = self.corrupt = self.swallow = self.cut_after = None
        self.stall = False
        self.wake()

    def wake(self):
        self.changed.set()
        self.changed = asyncio.Event()

    def command(self, words):
        what, value = words[0], words[1] if len(words) > 1 else None
        if what == "clear":
            return self.clear()
        if what == "stall":
            self.stall = True
        elif what == "drip":
            self.drip = float(value or 1) / 1000
        elif what == "delay":
            self.delay = float(value) / 1000
        elif what in ("throttle", "corrupt", "cut_after"):
            setattr(self, what, int(value))
        elif what == "swallow":
            self.swallow = " ".join(words[1:]).encode()
        else:
            raise ValueError(f"unknown fault {what}")
        self.wake()

    def spoil(self, data):
        data = bytearray(data)
        for _ in range(len(data) // self.corrupt + (self.random.random() < len(data) % self.corrupt / self.corrupt)):
            data[self.random.randrange(len(data))] ^= 1 << self.random.randrange(8)
        return bytes(data)


class Link:
    """One connection through the gate: two sockets, two pumps."""

    def __init__(self, gate, client):
        self.gate, self.client, self.server, self.tasks, self.swallowing = gate, client, None, [], False

    async def run(self):
        self.server = socket.socket()
        self.server.setblocking(False)
        try:
            await self.gate.loop.sock_connect(self.server, ("127.0.0.1", self.gate.target))
            for end in (self.client, self.server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            pumps = [self.pump(self.client, self.server, self.gate.up, "up"), self.pump(self.server, self.client, self.gate.down, "down")]
            self.tasks = [asyncio.ensure_future(pump) for pump in pumps]
            await asyncio.gather(*self.tasks)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self.end(False)

    async def pump(self, source, sink, how, name):
        loop, left = self.gate.loop, None
        while True:
            while how.stall:
                await how.changed.wait()
            data = await loop.sock_recv(source, LIMIT)
            while how.stall:  # came while it was being waited for
                await how.changed.wait()
            if not data:
                sink.shutdown(socket.SHUT_WR)  # the other direction may have more to say
                return
            if how.swallow is not None and not self.swallowing and how.swallow in data:
                self.swallowing = True
                self.gate.swallowed += 1
                loop.call_later(0.1, self.end, False)
            if self.swallowing:
                continue
            if how.corrupt:
                data = how.spoil(data)
            if how.delay:
                await asyncio.sleep(how.delay)
            left = (how.cut_after if left is None else left) if how.cut_after is not None else None
            if left is not None:
                data, left = data[:left], left - len(data)
            await self.send(sink, data, how)
            self.gate.bytes[name] += len(data)
            if left is not None and left <= 0:
                self.end(False)
                return

    async def send(self, sink, data, how):
        loop, at = self.gate.loop, 0
        while at < len(data):
            if how.drip is not None:
                size = 1
            elif how.throttle:
                size = max(1, how.throttle // 50)
            else:
                size = len(data) - at
            await loop.sock_sendall(sink, data[at : at + size])
            at += size
            if how.drip is not None:
                await asyncio.sleep(how.drip)
            elif how.throttle:
                await asyncio.sleep(size / how.throttle)

    def end(self, reset):
        self.gate.links.discard(self)
        for end in (self.client, self.server):
            if end is None or end.fileno() < 0:
                continue
            if reset:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            for call in (self.gate.loop.remove_reader, self.gate.loop.remove_writer):
                call(end)
            end.close()
        for task in self.tasks:
            task.cancel()


class Gate:
    def __init__(self, target, loop):
        self.target, self.loop = target, loop
        self.up, self.down = Direction(1), Direction(2)
        self.links, self.count, self.bytes, self.swallowed, self.refusing = set(), 0, {"up": 0, "down": 0}, 0, False

    async def accept(self, listener):
        while True:
            try:
                client, _ = await self.loop.sock_accept(listener)
            except OSError:  # out of descriptors
                await asyncio.sleep(0.1)
                continue
            link = Link(self, client)
            client.setblocking(False)
            if self.refusing:
                link.end(True)
                continue
            self.count += 1
            self.links.add(link)
            asyncio.ensure_future(link.run())

    def command(self, line):
        words = line.split()
        if words[0] in ("up", "down", "both") and len(words) > 1:
            for name in ("up", "down"):
                if words[0] in (name, "both"):
                    getattr(self, name).command(words[1:])
        elif words == ["clear"]:
            self.refusing = False
            self.up.clear()
            self.down.clear()
        elif words in (["cut"], ["reset"]):
            for link in list(self.links):
                link.end(words == ["reset"])
        elif words == ["refuse"]:
            self.refusing = True
        elif words[0] == "target" and len(words) == 2:
            self.target = int(words[1])
        elif words != ["status"]:
            raise ValueError("unknown command")
        return f"ok open={len(self.links)} connections={self.count} up={self.bytes['up']} down={self.bytes['down']} swallowed={self.swallowed}"

    async def control(self, reader, writer):
        while line := await reader.readline():
            try:
                answer = self.command(line.decode().strip())
            except (ValueError, TypeError, IndexError) as error:
                answer = f"error {line.decode().strip()}: {error}"
            writer.write(answer.encode() + b"\n")
            await writer.drain()
        writer.close()


class Control:
    """The other end of the control port, for scripts: Control(port)("both stall")."""

    def __init__(self, port):
        self.file = socket.create_connection(("127.0.0.1", port), timeout=10).makefile("rw")

    def __call__(self, command):
        print(command, file=self.file, flush=True)
        answer = self.file.readline().split()
        if answer[:1] != ["ok"]:
            raise ValueError(" ".join(answer) or "the gate is gone")
        return {key: int(value) for key, value in (word.split("=") for word in answer[1:])}


async def main(target, listen_port=0, control_port=0):
    gate = Gate(target, asyncio.get_running_loop())
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", listen_port))
    listener.listen(4096)
    listener.setblocking(False)
    control = await asyncio.start_server(gate.control, "127.0.0.1", control_port)
    print(listener.getsockname()[1], control.sockets[0].getsockname()[1], flush=True)
    await gate.accept(listener)


if __name__ == "__main__":
    try:
        asyncio.run(main(*map(int, sys.argv[1:])))
    except KeyboardInterrupt:
        pass
