"""Keys as they are pressed, from a terminal that is given back as it was."""

from __future__ import annotations

import os
import select
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager

GONE = "\x04"
"""What is read when there is nobody at the terminal any more; also Ctrl-D."""


@contextmanager
def pressed() -> Iterator[Callable[[float], str]]:
    """Give a function that waits for keys, at most so many seconds, and returns them."""
    keyboard = sys.stdin.fileno()
    before = termios.tcgetattr(keyboard)

    def wait(seconds: float) -> str:
        if not select.select([keyboard], [], [], seconds)[0]:
            return ""
        return os.read(keyboard, 64).decode("ascii", "replace") or GONE

    try:
        tty.setcbreak(keyboard)
        yield wait
    finally:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)
