"""Tabs that are open: connections over which the dashboard sends what is new."""

from __future__ import annotations

import asyncio
from urllib.parse import quote, urlsplit

from benchmarks.dashboard.running import Served

PAGES = (
    "/",
    "/jobs",
    "/jobs?q=state:failed",
    "/errors",
    "/quarantine",
    "/queues",
    "/routing",
    "/workers",
    "/schedules",
    "/workflows",
    "/topics",
    "/topics/photos.uploaded",
    "/limits",
    "/performance",
    "/audit",
    "/about",
)
"""What people have open."""


class Tabs:
    """Opens them, reads what comes, and opens again what has ended, as a browser does."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._tasks: list[asyncio.Task[None]] = []
        self.told = 0
        self.lost = 0

    def open(self, path: str) -> None:
        """Open one more."""
        self._tasks.append(asyncio.create_task(self._look(path)))

    async def close(self) -> None:
        """Close all."""
        for each in self._tasks:
            each.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def get(self, path: str) -> tuple[int, int]:
        """Open a page once; return its status and how many bytes came."""
        reader, writer = await self._ask(path, once=True)
        try:
            status = int((await reader.readline()).split()[1])
            size = 0
            while data := await reader.read(1 << 16):
                size += len(data)
            return status, size
        finally:
            writer.close()

    async def _look(self, path: str) -> None:
        while True:
            try:
                reader, writer = await self._ask(f"/live?view={quote(path)}", once=False)
                while data := await reader.read(1 << 16):
                    self.told += data.count(b"event: page")
                writer.close()
            except OSError:
                self.lost += 1
            await asyncio.sleep(1)

    async def _ask(
        self, path: str, *, once: bool
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        address = urlsplit(self._served.base)
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        lines = [f"GET {path} HTTP/1.1", f"host: {address.netloc}"]
        lines += [f"{name}: {value}" for name, value in self._served.headers.items()]
        lines += ["connection: close"] if once else []
        writer.write("\r\n".join([*lines, "", ""]).encode())
        await writer.drain()
        return reader, writer
