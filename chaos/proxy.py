"""A network that can be broken: a TCP proxy on the loopback interface, with a lane for each client."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import threading
from collections.abc import Callable, Iterable
from typing import Literal

HOST = "127.0.0.1"
_CHUNK = 65_536
_RESET = struct.pack("ii", 1, 0)
"""The option with which a socket ends by a reset, at once, whatever was not delivered."""

Flow = Literal["open", "held", "swallowed"]
"""What becomes of bytes: they pass; they wait, as in a network that delivers them late; or they are
gone, and the connection stays deaf for ever: neither side hears that the other has closed."""


class Lane:
    """One port, and how what passes there is treated."""

    def __init__(self) -> None:
        self.port = 0
        self.flow: Flow = "open"
        self.delay = 0.0
        self.lost_answers = 0.0
        self.links: set[_Link] = set()
        self.changed = asyncio.Event()


class Proxy:
    """Forwards to one server, from as many ports as there are lanes; lives in a thread of its own."""

    def __init__(self, upstream: int, lanes: int) -> None:
        self._upstream, self._count = upstream, lanes
        self._servers: list[asyncio.Server] = []
        self._lanes: list[Lane] = []
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Listen. May be called again."""
        if self._thread is not None:
            return
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()

    def stop(self) -> None:
        """Close everything. May be called again."""
        if self._thread is None:
            return
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._thread = None

    def port(self, number: int) -> int:
        """The port of a client; clients take the lanes in turn."""
        return self._lanes[number % self._count].port

    def one(self, draw: float) -> list[int]:
        """One lane, as a list."""
        return [int(draw * self._count)]

    def every(self) -> list[int]:
        """All lanes."""
        return list(range(self._count))

    def cut(self, lanes: Iterable[int]) -> None:
        """Reset every connection; new ones can be made."""
        self._on(lanes, _reset)

    def deafen(self, lanes: Iterable[int]) -> None:
        """Have each connection that there is say nothing ever again; new ones can be made."""
        self._on(lanes, _deafen)

    def close(self, lanes: Iterable[int], flow: Flow) -> None:
        """Let nothing pass, on new connections neither, until `open`."""

        def shut(lane: Lane) -> None:
            lane.flow = flow
            if flow == "swallowed":
                _deafen(lane)

        self._on(lanes, shut)

    def slow(self, lanes: Iterable[int], seconds: float) -> None:
        """Have whatever passes take so long."""
        self._on(lanes, lambda lane: setattr(lane, "delay", seconds))

    def lose_answers(self, lanes: Iterable[int], share: float) -> None:
        """Reset a share of the connections when half of an answer has passed."""
        self._on(lanes, lambda lane: setattr(lane, "lost_answers", share))

    def open(self) -> None:
        """Let everything pass again; what was made deaf stays deaf."""

        def clear(lane: Lane) -> None:
            lane.flow, lane.delay, lane.lost_answers = "open", 0.0, 0.0
            lane.changed.set()
            lane.changed = asyncio.Event()

        self._on(self.every(), clear)

    def _on(self, lanes: Iterable[int], change: Callable[[Lane], object]) -> None:
        async def work() -> None:
            for number in lanes:
                change(self._lanes[number])

        asyncio.run_coroutine_threadsafe(work(), self._loop).result()

    async def _listen(self) -> None:
        for _ in range(self._count):
            lane = Lane()

            async def serve(
                reader: asyncio.StreamReader, writer: asyncio.StreamWriter, lane: Lane = lane
            ) -> None:
                await _Link(lane, writer).serve(reader, self._upstream)

            server = await asyncio.start_server(serve, HOST, 0)
            lane.port = server.sockets[0].getsockname()[1]
            self._lanes.append(lane)
            self._servers.append(server)

    async def _close(self) -> None:
        for server in self._servers:
            server.close()
        self._servers, self._lanes = [], []
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Link:
    """One client's connection, and the one to the server that belongs to it."""

    def __init__(self, lane: Lane, client: asyncio.StreamWriter) -> None:
        self._lane, self._client = lane, client
        self._server: asyncio.StreamWriter | None = None
        self.deaf = lane.flow == "swallowed"
        lane.links.add(self)

    async def serve(self, reader: asyncio.StreamReader, upstream: int) -> None:
        """Pass on what comes, both ways, until one side closes."""
        try:
            while self._lane.flow == "held":
                await self._lane.changed.wait()
            answers, self._server = await asyncio.open_connection(HOST, upstream)
            pumps = (self._pump(reader, self._server), self._pump(answers, self._client))
            await asyncio.gather(*pumps)
        except OSError:
            pass  # one side is gone: so is the other
        finally:
            self._lane.links.discard(self)
            self.reset()

    def reset(self) -> None:
        """End it at once; what was under way is lost."""
        for writer in (self._client, self._server):
            if writer is None:
                continue
            raw = writer.get_extra_info("socket")
            if raw is not None and raw.fileno() >= 0:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            writer.transport.abort()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(_CHUNK):
            await self._passage()
            if self.deaf:
                continue
            if sink is self._client and random.random() < self._lane.lost_answers:
                sink.write(data[: len(data) // 2])
                await sink.drain()
                raise ConnectionResetError
            sink.write(data)
            await sink.drain()
        await self._passage()
        if self.deaf and sink is self._client:
            # That the server has closed does not get through; the client has to find out.
            await asyncio.Event().wait()
        raise ConnectionResetError

    async def _passage(self) -> None:
        while self._lane.flow == "held":
            await self._lane.changed.wait()
        if self._lane.delay:
            await asyncio.sleep(self._lane.delay)


def _reset(lane: Lane) -> None:
    for link in list(lane.links):
        link.reset()


def _deafen(lane: Lane) -> None:
    for link in lane.links:
        link.deaf = True
