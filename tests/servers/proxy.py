"""A wire with a switch: what stands between a client and a server, and can cut or swallow."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import Self
from urllib.parse import urlsplit

from tests.servers.process import HOST


class Proxy:
    """Passes bytes on between its own port and a server's, until it is told otherwise.

    With `tls` clients speak TLS to it; the server does not. Its own port is any that is free.
    """

    def __init__(self, port: int, tls: ssl.SSLContext | None = None, *, own: int = 0) -> None:
        self._to, self._tls = port, tls
        self.port = own
        self._passing = asyncio.Event()
        self._passing.set()
        self._answering = True
        self._said = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, HOST, self.port, ssl=self._tls)
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

    async def passed(self) -> None:
        """Return when a client has said something more, and it has been passed on."""
        self._said.clear()
        await self._said.wait()

    def forget(self) -> None:
        """Let new connections through, and none of those that are there: they stay half open."""
        self._passing = asyncio.Event()
        self._passing.set()

    def pass_on(self) -> None:
        """Go on as at first; what was held back goes through as well."""
        self._answering = True
        self._passing.set()

    def changed(self, data: bytes) -> bytes:
        """Return what an answer is passed on as."""
        return data

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_reader, to_writer = await asyncio.open_connection(HOST, self._to)
        self._writers |= {writer, to_writer}
        passing = self._passing
        for source, sink, answers in ((reader, to_writer, False), (to_reader, writer, True)):
            task = asyncio.create_task(self._pass(source, sink, passing, answers=answers))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pass(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        passing: asyncio.Event,
        *,
        answers: bool,
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65_536):
                await passing.wait()
                if answers and not self._answering:
                    break
                sink.write(self.changed(data) if answers else data)
                await sink.drain()
                if not answers:
                    self._said.set()
        sink.transport.abort()
        self._writers.discard(sink)
