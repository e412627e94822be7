"""System calls, counted by strace; what is traced is slow, so it is measured apart."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

_LINE = re.compile(r"^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s.*?(\w+)$", re.MULTILINE)


def available() -> bool:
    """Whether there is strace; says so if there is not."""
    if shutil.which("strace") is None:
        print("  strace is not installed: system calls are not counted")
        return False
    return True


def prefix(report: Path, calls: str, *, apart: bool = False) -> list[str]:
    """What to put before a command to have its `calls` counted in a file.

    With `apart` the process that is started is the command itself, so that it can be signalled.
    """
    beside = ["-D"] if apart else []
    return ["strace", *beside, "-f", "-c", "-e", f"trace={calls}", "-o", str(report)]


def counts(report: Path) -> dict[str, int]:
    """How often each call was made, by a report of `strace -c`."""
    text = report.read_text() if report.exists() else ""
    return {name: int(count) for count, name in _LINE.findall(text)}


def total(report: Path) -> int:
    """How many calls there were in all."""
    return counts(report).get("total", 0)


def watch(pids: Sequence[int], seconds: float, report: Path) -> int | None:
    """How many calls running processes make; None if they may not be traced."""
    report.unlink(missing_ok=True)
    targets = [argument for pid in pids for argument in ("-p", str(pid))]
    tracer = subprocess.Popen(
        ["strace", "-f", "-c", "-o", str(report), *targets],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        time.sleep(seconds)
    finally:
        tracer.send_signal(signal.SIGINT)
        _, words = tracer.communicate(timeout=10)
    if not report.exists():
        said = words.decode(errors="replace").strip().splitlines()
        print(f"  system calls are not counted: {said[-1] if said else 'strace said nothing'}")
        return None
    return total(report)
