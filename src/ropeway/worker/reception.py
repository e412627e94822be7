"""The supervisor's side of a child's lines: each is taken at the door, and served."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Callable

from ropeway.store import Backend
from ropeway.worker.pipe import Pipe
from ropeway.wrappers.serving import Serving
from ropeway.wrappers.wire import Unreadable

log = logging.getLogger("ropeway.worker")


class Reception:
    """Takes the lines that one child opens at `door`, once there is a backend to serve them."""

    def __init__(self) -> None:
        self._inner, self.door = socket.socketpair()
        self._inner.setblocking(False)
        self._lines: set[_Served] = set()

    def serve(self, backend: Backend) -> None:
        """Have `backend` do what comes over the lines. May be called again."""
        asyncio.get_running_loop().add_reader(self._inner, self._take_line, backend)

    def close(self) -> None:
        """Take no more lines, and hang up all there are."""
        asyncio.get_running_loop().remove_reader(self._inner)
        self._inner.close()
        for line in list(self._lines):
            line.close()

    def _take_line(self, backend: Backend) -> None:
        with contextlib.suppress(BlockingIOError):
            word, descriptors, _, _ = socket.recv_fds(self._inner, 1, 1)
            if not word:
                # The child is dead; what it asked for last may still be on its way.
                asyncio.get_running_loop().remove_reader(self._inner)
            elif not descriptors:
                log.warning("a child's line cannot be taken: too many files are open")
            for descriptor in descriptors:
                os.set_inheritable(descriptor, False)
                connection = socket.socket(fileno=descriptor)
                self._lines.add(_Served(backend, connection, self._lines.discard))


class _Served:
    """One line, until either side hangs up."""

    def __init__(
        self, backend: Backend, connection: socket.socket, on_close: Callable[[_Served], None]
    ) -> None:
        self._on_close = on_close
        self._pipe = Pipe(self._on_frame, self._closed)
        self._serving = Serving(backend, self._pipe.send)
        self._connecting = asyncio.create_task(self._pipe.connect(connection))

    def close(self) -> None:
        self._pipe.abort()

    def _on_frame(self, payload: bytes) -> None:
        try:
            self._serving.take(payload)
        except Unreadable as error:
            log.warning("a child's call cannot be read, its line is cut: %s", error)
            self._pipe.abort()

    def _closed(self) -> None:
        self._serving.close()
        self._on_close(self)
