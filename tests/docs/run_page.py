"""Run the steps of one page in this process, in the working directory, as a reader would.

Usage: python run_page.py PAGE STEPS.json, where a step is [verb, text, line, value]. The tests
start it; it imports nothing of theirs, so that the page sees a fresh interpreter.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import traceback
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

FOREGROUND = 30.0  # seconds for a command to end
BACKGROUND = 15.0  # seconds for the output of a background command to appear
FAREWELL = 10.0  # seconds for a background command to end when asked


class Failed(Exception):
    """The page does not do what it says."""


class Command(NamedTuple):
    """A command of a console block, and the lines that must appear in its output."""

    text: str
    expected: list[str]


def commands(text: str) -> Iterator[Command]:
    """Yield the commands of a console block; a backslash at the end continues a line."""
    current: Command | None = None
    for line in text.replace("\\\n", " ").splitlines():
        if line.startswith("$ "):
            if current:
                yield current
            current = Command(line[2:].strip(), [])
        elif current and line.strip() not in {"", "..."}:
            current.expected.append(line.strip())
    if current:
        yield current


def missing(expected: list[str], output: str) -> list[str]:
    """Return the expected lines that no line of the output matches."""
    lines = [line.strip() for line in output.splitlines()]
    patterns = {line: ".*".join(map(re.escape, line.split("..."))) for line in expected}
    return [
        line
        for line, pattern in patterns.items()
        if not any(re.fullmatch(pattern, other) for other in lines)
    ]


class Page:
    """The namespace, the event loop and the background commands of one page."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.module = types.ModuleType("__main__")
        self.module.__file__ = str(Path.cwd() / "page.py")
        self.runner: asyncio.Runner | None = None
        self.background: list[tuple[subprocess.Popen[bytes], IO[bytes]]] = []

    def python(self, text: str, line: int, _value: str) -> None:
        """Run a block; it may await at top level. Tracebacks show the lines of the page."""
        code = compile(
            "\n" * (line - 1) + text,
            self.path,
            "exec",
            flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT,
            dont_inherit=True,
        )
        if code.co_flags & inspect.CO_COROUTINE:
            self.runner = self.runner or asyncio.Runner()
            self.runner.run(eval(code, vars(self.module)))
        else:
            exec(code, vars(self.module))

    def file(self, text: str, _line: int, value: str) -> None:
        """Write a block to the file that its comment names, inside the working directory."""
        path = Path(value)
        if path.is_absolute() or ".." in path.parts:
            raise Failed(f"{value}: name a file below the working directory")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def run(self, text: str, _line: int, value: str) -> None:
        """Run the commands of a console block."""
        status = int(value.removeprefix("exit ")) if value else 0
        for command in commands(text):
            if command.text.endswith(" &"):
                self._start(command)
            else:
                self._call(command, status)

    def still_running(self) -> None:
        """Raise if a command in the background has failed while the page went on."""
        for process, _ in self.background:
            if process.poll():
                raise Failed(f"{process.args!r} ended with {process.returncode}")

    def close(self) -> None:
        """End what runs in the background, and the event loop."""
        for process, _ in self.background:
            process.terminate()
        for process, output in self.background:
            try:
                process.wait(FAREWELL)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                print(f"killed, because it did not end when asked: {process.args!r}")
            print(f"--- output of {process.args!r}, status {process.returncode}")
            print(_text(output), flush=True)
        if self.runner:
            self.runner.close()

    def _call(self, command: Command, status: int) -> None:
        done = subprocess.run(
            ["/bin/sh", "-c", command.text],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=FOREGROUND,
            check=False,
        )
        output = done.stdout.decode(errors="replace")
        print(f"$ {command.text}\n{output}", flush=True)
        if done.returncode != status:
            raise Failed(f"$ {command.text}\nended with {done.returncode}, not {status}")
        _demand(command, lambda: output)

    def _start(self, command: Command) -> None:
        output = tempfile.TemporaryFile()  # noqa: SIM115  read again in close()
        process = subprocess.Popen(
            ["/bin/sh", "-c", f"exec env {command.text.removesuffix('&')}"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        self.background.append((process, output))
        _demand(command, lambda: _text(output), BACKGROUND)


def _demand(command: Command, output: Callable[[], str], timeout: float = 0.0) -> None:
    deadline = time.monotonic() + timeout
    while absent := missing(command.expected, output()):
        if time.monotonic() >= deadline:
            raise Failed(f"$ {command.text}\ndid not print: " + "\n".join(absent))
        time.sleep(0.02)


def _text(output: IO[bytes]) -> str:
    return os.pread(output.fileno(), 1 << 20, 0).decode(errors="replace")


def main(path: str, steps: list[list[Any]]) -> int:
    """Run the steps; return 1, with the reason on standard output, if one of them fails."""
    page = Page(path)
    sys.modules["__main__"] = page.module
    sys.path[0] = str(Path.cwd())
    line = 0
    try:
        for verb, text, line, value in steps:
            getattr(page, verb)(text, line, value)
        page.still_running()
    except BaseException:
        traceback.print_exc(file=sys.stdout)
        print(f"FAILED: the block that starts on line {line} of {path}", flush=True)
        return 1
    finally:
        page.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))))
