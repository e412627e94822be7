"""Starts a command several times and waits: `python -m benchmarks.several COUNT COMMAND ...`.

For libraries whose command line starts one process. The parent ends its children when it is ended.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Sequence


def command(count: int, *each: str) -> tuple[str, ...]:
    """Return the command that starts another so many times."""
    return (sys.executable, "-m", "benchmarks.several", str(count), *each)


def main(arguments: Sequence[str]) -> int:
    """Start them, and end when all have ended."""
    count, *each = arguments
    children = [subprocess.Popen(each) for _ in range(int(count))]

    def end(*_: object) -> None:
        for child in children:
            child.terminate()

    signal.signal(signal.SIGTERM, end)
    codes = [child.wait() for child in children]
    return max(map(abs, codes))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
