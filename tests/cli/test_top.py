"""`ropeway top`: the figures of `status` again and again, on a screen or as text."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ropeway.cli import topview
from ropeway.cli.commands.top import Watch
from ropeway.errors import BackendUnavailable
from ropeway.operate.facts import Facts
from ropeway.operate.flow import Flow
from tests.cli.support import call, database

TOP = (sys.executable, "-m", "ropeway", "top")


def test_one_look(jobs: dict[str, str]) -> None:
    """Each tab has its part of what `status` and the lists say."""
    status = call("status").stdout.splitlines()
    overview = call("top", "--once").stdout.splitlines()
    assert "[1 overview]" in overview[0]
    assert [line for line in overview[2:] if not line.startswith("flow")] == status
    queues = call("top", "--once", "--tab", "queues").stdout
    assert "READY" in queues and "running" in queues
    assert "no worker runs" in call("top", "--once", "--tab", "workers").stdout
    errors = call("top", "--once", "--tab", "errors").stdout
    assert "tasks.quarantined" in errors and "unknown_task" in errors
    record = json.loads(call("top", "--once", "--json").stdout)
    assert json.loads(call("status", "--json").stdout).items() <= record.items()
    assert {"arriving", "settled", "trouble"} <= record.keys()


def test_what_cannot_be(jobs: dict[str, str]) -> None:
    """Looking all the time, and a database that is not there."""
    assert call("top", "--every", "0.01s").exit_code == 2
    assert call("top", "--once", "-u", "sqlite:///none.db").exit_code == 7


@pytest.mark.parametrize("form", ["text", "json"])
def test_text_after_text(jobs: dict[str, str], form: str) -> None:
    """Without a terminal, until it is stopped; each is written as soon as it is known."""
    more = ["--json"] if form == "json" else []
    with subprocess.Popen([*TOP, "--every", "0.1s", *more], stdout=-1, stderr=-1, text=True) as top:
        assert top.stdout is not None
        begun = 0
        for line in top.stdout:
            begun += line.startswith("ropeway top" if form == "text" else '{"healthy"')
            if begun == 3:
                break
        top.send_signal(signal.SIGINT)
        assert top.wait(20) == 130


@contextmanager
def on_terminal() -> Iterator[tuple[int, int]]:
    """Run the command at a terminal; give its process and the other end."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(TERM="xterm", COLUMNS="100", LINES="30")
        os.execv(sys.executable, TOP)
    try:
        yield pid, terminal
    finally:
        os.close(terminal)


def until(terminal: int, wanted: bytes) -> None:
    """Read what is written to a terminal up to something."""
    said = b""
    while wanted not in said:
        part = os.read(terminal, 4096)
        assert part, said
        said += part


def test_keys(jobs: dict[str, str]) -> None:
    """A tab for each, an unknown one does nothing, q ends it and leaves the terminal as it was."""
    with on_terminal() as (pid, terminal):
        until(terminal, b"[1 overview]")
        for key, wanted in ((b"2", b"[2 queues]"), (b"x4", b"[4 errors]"), (b"3", b"no worker")):
            os.write(terminal, key)
            until(terminal, wanted)
        os.write(terminal, b"q")
        until(terminal, b"\x1b[?1049l")
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        lines_and_echo = termios.ICANON | termios.ECHO
        assert termios.tcgetattr(terminal)[3] & lines_and_echo == lines_and_echo


def test_a_place_that_goes_away_and_comes_back(
    jobs: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last figures stay, and it is said; then it is not said any more."""
    with database() as backend:
        watch = Watch(backend)
        watch.look()
        before = watch.facts

        async def gone(*_: object) -> Facts:
            raise BackendUnavailable("the server is away")

        with monkeypatch.context() as away:
            away.setattr("ropeway.cli.commands.top.gather", gone)
            watch.look()
        assert watch.facts is before
        assert "RW-201 the server is away" in watch.frame("queues", 80)[1]
        watch.look()
        assert watch.frame("queues", 80)[1] == ""


def test_flow_in_words() -> None:
    """As the dashboard has it."""
    assert topview.keeping_up(None) == "flow      measuring"
    told = topview.keeping_up(Flow(arriving=0.0, settled=2.0, says="nothing waits that is due"))
    assert told == "flow      none arrive, 2 a second are settled; nothing waits that is due"
