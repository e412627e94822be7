"""The log of a worker."""

from __future__ import annotations

import json
import logging
import sys

from ropeway.context import Running, running
from ropeway.message import Fence
from ropeway.worker.logs import Json, Logfmt, Pretty
from tests.cli.support import ESCAPES


def record(level: int, text: str, *, failing: bool = False) -> logging.LogRecord:
    """Make a record of the log."""
    info = None
    if failing:
        try:
            raise ValueError(text)
        except ValueError:
            info = sys.exc_info()
    return logging.LogRecord("ropeway.worker", level, "file", 1, "%s", (text,), info)


def test_pretty() -> None:
    """A clock, and the level where it matters."""
    line = Pretty(colour=False).format(record(logging.INFO, "started"))
    assert line[2] == line[5] == ":"
    assert line[8:] == " started"
    line = Pretty(colour=False).format(record(logging.ERROR, "lost"))
    assert line[8:] == " error: lost"


def test_pretty_is_harmless() -> None:
    """The messages hold the errors of tasks; what follows the first line is indented."""
    line = Pretty(colour=False).format(record(logging.INFO, ESCAPES + "\nx", failing=True))
    assert "\x1b" not in line and "\x9b" not in line
    assert all(each.startswith("         ") for each in line.splitlines()[1:])
    assert "Traceback" in line


def test_pretty_in_colour() -> None:
    """Only the level is coloured."""
    line = Pretty(colour=True).format(record(logging.WARNING, "x"))
    assert line[9:] == "\x1b[33mwarning: \x1b[0mx"


def test_json() -> None:
    """One object on one line."""
    line = Json().format(record(logging.ERROR, ESCAPES + "\nx", failing=True))
    assert "\n" not in line
    found = json.loads(line)
    assert found["level"] == "error"
    assert found["logger"] == "ropeway.worker"
    assert found["message"] == ESCAPES + "\nx"
    assert found["exception"].startswith("Traceback")
    assert found["time"].endswith("Z")


def test_the_job_is_named() -> None:
    """A record that is written where a job runs has its id; one that is about a job has that one's."""
    token = running.set(Running(fence=Fence("j1", 2, "w"), task="t"))
    try:
        found = json.loads(Json().format(record(logging.INFO, "x")))
        assert (found["job"], found["task"], found["attempt"]) == ("j1", "t", 2)
        assert Pretty(colour=False).format(record(logging.INFO, "x"))[8:] == " [t j1 2] x"
    finally:
        running.reset(token)
    about = record(logging.INFO, "x")
    about.ropeway, about.ropeway_mark = {"job": "j2"}, "✓ "
    assert json.loads(Json().format(about))["job"] == "j2"
    assert Pretty(colour=False).format(about)[8:] == " ✓ x"


def test_logfmt() -> None:
    """One line, whose values can be told apart."""
    line = Logfmt().format(record(logging.ERROR, 'a "b"=\n' + ESCAPES))
    assert "\n" not in line and "\x1b" not in line
    assert ' level=error logger=ropeway.worker message="a \\"b\\"=\\nred' in line
    assert Logfmt().format(record(logging.INFO, "plain")).endswith(" message=plain")
    assert Logfmt().format(record(logging.INFO, "")).endswith(' message=""')
