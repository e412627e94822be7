"""What happened, as every process saw it: one file each, to which nothing but whole lines is added.

A line is one write(2) on a descriptor that appends, so a killed process leaves what it wrote. Times
are nanoseconds since the machine was started: one clock, and so one order.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct

FOLDER = "CHAOS_HISTORY"
"""The environment variable that names the folder of the history."""

Type = Literal["invoke", "ok", "fail", "info", "start", "end", "strike", "heal", "phase"]


class Record(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line. `info` answers an `invoke` that may or may not have been obeyed.

    t: when. p: the process that wrote it. op: what was done. n, v: number and digest of the work;
    of an `end`, `v` is the value. sup: the supervisor above, or the process that was struck.
    since: when it was asked for, if that has no line of its own.
    """

    t: int
    p: int
    type: Type
    op: str
    id: str = ""
    attempt: int = 0
    sup: int = 0
    n: int = -1
    v: str | None = None
    note: str = ""
    since: int = 0


_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Record).decode


def now() -> int:
    """Nanoseconds since the machine was started."""
    return time.clock_gettime_ns(_CLOCK)


class History:
    """This process's own file in the folder."""

    def __init__(self, folder: Path, role: str) -> None:
        self._pid = os.getpid()
        path = folder / f"{role}-{self._pid}.jsonl"
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC)

    def log(self, type: Type, op: str, *, at: int | None = None, **fields: Any) -> int:
        """Add a line about this moment, or an earlier one; returns the moment."""
        record = Record(t=at or now(), p=self._pid, type=type, op=op, **fields)
        os.write(self._descriptor, _encode(record) + b"\n")
        return record.t

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


class Tail:
    """Reads a file that grows, each whole line once; what has no end yet is not there yet."""

    def __init__(self, path: Path) -> None:
        self._path, self._offset = path, 0

    def more(self) -> list[Record]:
        """What was added since the last call."""
        with self._path.open("rb") as file:
            file.seek(self._offset)
            *lines, rest = file.read().split(b"\n")
            self._offset = file.tell() - len(rest)
        return [_decode(line) for line in lines]


def read(folder: Path) -> list[Record]:
    """Everything that was written, in the order in which it happened."""
    paths = sorted(folder.glob("*.jsonl"))
    return sorted((each for path in paths for each in Tail(path).more()), key=lambda each: each.t)
