"""How a worker is, told to whoever asks over HTTP: alive, or also consuming."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from http import HTTPStatus

import msgspec
from msgspec import Struct

from ropeway.control import Doing
from ropeway.errors import ConfigError
from ropeway.worker.condition import Condition

_PATIENCE = 5.0
"""Seconds that a client has to ask, and to take the answer."""

_LONGEST = 8_192
_MOST = 64
"""Bytes of one question, and how many may be asked at once: this is for probes, not for the world."""


class Health(Struct, frozen=True, kw_only=True):
    """What is told of a worker, over HTTP and in the health file."""

    worker: str
    pid: int
    state: Doing
    consuming: bool
    why: str

    @classmethod
    def of(cls, worker: str, condition: Condition) -> Health:
        """Say it of this process."""
        return cls(
            worker=worker,
            pid=os.getpid(),
            state=condition.state,
            consuming=condition.consuming,
            why=condition.why,
        )


class HealthServer:
    """Answers `GET /live` while the worker is alive, `/ready` and `/health` while it consumes.

    It runs on the supervisor's event loop, so one that is stopped or blocked does not answer.
    """

    def __init__(self, look: Callable[[], Health], host: str, port: int) -> None:
        self._look, self._host, self._port = look, host, port
        self._server: asyncio.Server | None = None
        self._clients = 0

    async def open(self) -> None:
        """Listen. Raises `ConfigError` if that cannot be."""
        try:
            self._server = await asyncio.start_server(
                self._serve, self._host, self._port, limit=_LONGEST
            )
        except OSError as error:
            raise ConfigError(
                f"the health port {self._host}:{self._port} cannot be used: {error.strerror}",
                hint="is another worker listening there? give each its own --health-port",
            ) from None

    def close(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()

    @property
    def port(self) -> int:
        """Where it listens: what was asked for, or what the system chose for 0."""
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients += 1
        try:
            if self._clients <= _MOST:
                # Whatever is asked, or not asked, is nothing that the worker could suffer from.
                with contextlib.suppress(OSError, TimeoutError, asyncio.LimitOverrunError):
                    async with asyncio.timeout(_PATIENCE):
                        with contextlib.suppress(asyncio.IncompleteReadError):
                            asked = await reader.readuntil(b"\r\n\r\n")
                            writer.write(self._answer(asked))
                            await writer.drain()
        finally:
            self._clients -= 1
            writer.close()

    def _answer(self, asked: bytes) -> bytes:
        method, _, rest = asked.partition(b"\r\n")[0].partition(b" ")
        path = rest.partition(b" ")[0].partition(b"?")[0]
        if path not in {b"/live", b"/ready", b"/health"}:
            return _response(HTTPStatus.NOT_FOUND, b'{"paths":["/live","/ready","/health"]}')
        if method not in {b"GET", b"HEAD"}:
            return _response(HTTPStatus.METHOD_NOT_ALLOWED, b"{}")
        health = self._look()
        well = path == b"/live" or health.consuming
        status = HTTPStatus.OK if well else HTTPStatus.SERVICE_UNAVAILABLE
        return _response(status, msgspec.json.encode(health), headless=method == b"HEAD")


def _response(status: HTTPStatus, body: bytes, *, headless: bool = False) -> bytes:
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + (b"" if headless else body)
