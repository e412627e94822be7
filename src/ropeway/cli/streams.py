"""The standard streams: there in any case, and no text that cannot be written to them."""

from __future__ import annotations

import io
import os
import sys

_STREAMS = {"stdout": 1, "stderr": 2}


def prepare() -> None:
    """Have all three streams open, and write characters that an encoding lacks as their numbers.

    A descriptor that was closed would be given to the next file that is opened, and what is printed
    would go into that; so it leads nowhere instead.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free: this one
    for name, number in _STREAMS.items():
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(number, "w", closefd=False))
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def cannot_be_written() -> bool:
    """Tell if standard output takes nothing more: its disk is full, say. Then it leads nowhere."""
    try:
        print(flush=True)
    except OSError:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  until the process ends
        return True
    return False
