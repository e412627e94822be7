"""What the code in a child prints and logs, line by line, with the id of the job that runs."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import select
import sys
import threading
from collections import OrderedDict
from collections.abc import Iterable
from typing import BinaryIO, cast

from ropeway.context import running
from ropeway.worker.logs import LEVEL, Format, chosen_format, formatter

_MOST_UNENDED = 256
_LONGEST_UNENDED = 8_192
"""Lines that wait for their end, and characters of each: what is more is written as it is."""


class Lines(io.TextIOBase):
    """Takes the place of `sys.stdout` or `sys.stderr`: each line is written at once, and whole.

    So the last line before a death is not lost, and those of several jobs are not mixed. A line that
    has no end yet waits for it, or for a flush. Bytes for `buffer`, and what is written to the
    descriptor itself, by other languages say, go through as they are.
    """

    encoding = "utf-8"
    errors = "replace"

    def __init__(self, descriptor: int, name: str, level: int, format: Format) -> None:
        super().__init__()
        self._descriptor, self._name, self._level, self._format = descriptor, name, level, format
        self._formatter = formatter(format)
        self._unended: OrderedDict[object, str] = OrderedDict()
        self._lock = threading.Lock()
        self.buffer = cast("BinaryIO", io.FileIO(descriptor, "wb", closefd=False))
        os.register_at_fork(after_in_child=self._after_fork)

    def write(self, text: str) -> int:
        found = running.get(None)
        key = found.fence if found else threading.get_ident()
        with self._lock:
            *lines, rest = (self._unended.pop(key, "") + text).split("\n")
            if len(rest) > _LONGEST_UNENDED:
                lines, rest = [*lines, rest], ""
            if rest:
                self._unended[key] = rest
            if len(self._unended) > _MOST_UNENDED:
                lines.insert(0, self._unended.popitem(last=False)[1])
        self._emit(lines)
        return len(text)

    def flush(self) -> None:
        found = running.get(None)
        key = found.fence if found else threading.get_ident()
        with self._lock:
            rest = self._unended.pop(key, "")
        if rest:
            self._emit([rest])

    def finish(self) -> None:
        """Write what has no end yet, of whomever it is."""
        with self._lock:
            rest = list(self._unended.values())
            self._unended.clear()
        self._emit(rest)

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def reconfigure(self, **_: object) -> None:
        """Take no notice: apps ask for what is so already, lines that are written at once."""

    def writable(self) -> bool:
        return True

    def _emit(self, lines: Iterable[str]) -> None:
        text = "".join(self._formatted(line) + "\n" for line in lines)
        _put(self._descriptor, text)

    def _formatted(self, line: str) -> str:
        if self._format == "pretty" and running.get(None) is None:
            return line  # it is nobody's, and a person looks at it
        return self._formatter.format(
            logging.LogRecord(self._name, self._level, "", 0, line, None, None)
        )

    def _after_fork(self) -> None:
        self._lock = threading.Lock()
        self._unended.clear()  # its parent writes that


def _put(descriptor: int, text: str) -> None:
    """Write a text whole. Where nobody reads any more it is gone: no task fails for that."""
    data = memoryview(text.encode("utf-8", "replace"))
    while data:
        try:
            data = data[os.write(descriptor, data) :]
        except BlockingIOError:
            select.select([], [descriptor], [])
        except OSError:
            return


def capture() -> None:
    """Have what this process prints be written as lines, as its worker logs."""
    format = chosen_format(os.environ)
    sys.stdout = Lines(1, "stdout", logging.INFO, format)
    sys.stderr = Lines(2, "stderr", logging.ERROR, format)


def log_by_default() -> None:
    """Have `logging` write to standard error as the worker does, unless the app has set it up."""
    root = logging.getLogger()
    if root.handlers:
        return
    handler = _ToDescriptor(formatter(chosen_format(os.environ)))
    root.addHandler(handler)
    with contextlib.suppress(ValueError):
        root.setLevel(os.environ.get(LEVEL, "info").upper())
    logging.getLogger("asyncio").setLevel(logging.WARNING)


def release() -> None:
    """Write what has no end yet: the process ends."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, Lines):
            stream.finish()
        else:
            stream.flush()


class _ToDescriptor(logging.Handler):
    """Writes each record whole to the descriptor of standard error, whatever `sys.stderr` is."""

    def __init__(self, formatter: logging.Formatter) -> None:
        super().__init__()
        self.setFormatter(formatter)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            _put(2, self.format(record) + "\n")
        except Exception:  # noqa: BLE001  logging's own way with what cannot be written
            self.handleError(record)
