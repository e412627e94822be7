"""A wire with a switch: what stands between a client and a server, and can cut or swallow."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Self
from urllib.parse import urlsplit

from tests.servers.process import HOST


class Proxy:
    """Passes bytes on between its own port and a server's, until it is told otherwise."""

    def __init__(self, port: int) -> None:
        self._to = port
        self.port = 0
        self._passing = asyncio.Event()
        self._passing.set()
        self._answering = True
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, HOST, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def url(self, url: str) -> str:
        """Return a URL of the server as one that leads through here."""
        parts = urlsplit(url)
        user = parts.netloc.rpartition("@")[0]
        where = f"{user}@{HOST}:{self.port}" if user else f"{HOST}:{self.port}"
        return parts._replace(netloc=where).geturl()

    def cut(self) -> None:
        """End every connection, on both sides."""
        for writer in self._writers:
            writer.transport.abort()

    def cut_answers(self) -> None:
        """Pass on what clients still say; their connections end with the next answer to them."""
        self._answering = False

    def swallow(self) -> None:
        """Hold everything back, also of new connections: they are half open."""
        self._passing.clear()

    def pass_on(self) -> None:
        """Go on as at first; what was held back goes through as well."""
        self._answering = True
        self._passing.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_reader, to_writer = await asyncio.open_connection(HOST, self._to)
        self._writers |= {writer, to_writer}
        for source, sink, answers in ((reader, to_writer, False), (to_reader, writer, True)):
            task = asyncio.create_task(self._pass(source, sink, answers=answers))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pass(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, answers: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65_536):
                await self._passing.wait()
                if answers and not self._answering:
                    break
                sink.write(data)
                await sink.drain()
        sink.transport.abort()
        self._writers.discard(sink)
