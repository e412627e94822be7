"""How errors are shown, and with which exit code a command ends."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from ropeway import errors
from ropeway.cli.failures import report
from ropeway.cli.root import Root
from ropeway.cli.shared import options
from tests.cli.support import ESCAPES, Eventually, call

EVERY = [
    value
    for value in vars(errors).values()
    if isinstance(value, type) and issubclass(value, errors.RopewayError)
]


def ending_with(error: BaseException, *words: str) -> Any:
    """Run a command that raises."""

    @click.command()
    @options("json", "verbose", "quiet")
    def fail() -> None:
        raise error

    class One(Root):
        def list_commands(self, ctx: click.Context) -> list[str]:
            return ["fail"]

        def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:
            return fail

    return CliRunner().invoke(One("ropeway", callback=lambda: None), ["fail", *words])


@pytest.mark.parametrize("kind", EVERY)
def test_each_error_has_its_exit_code(kind: type[errors.RopewayError]) -> None:
    """The code, the fact and the hint on standard error, and nothing else."""
    found = ending_with(kind("the fact", hint="the hint"))
    assert found.exit_code == kind.exit_code
    assert found.stderr == f"{kind.code}  the fact\n        → the hint\n"
    assert not found.stdout


@pytest.mark.parametrize("kind", EVERY)
def test_errors_as_json(kind: type[errors.RopewayError]) -> None:
    """One object on one line."""
    found = ending_with(kind("the fact", hint="the hint"), "--json")
    assert found.exit_code == kind.exit_code
    body = {"code": kind.code, "message": "the fact", "hint": "the hint"}
    assert json.loads(found.stderr) == {"error": body}
    assert found.stderr.count("\n") == 1


def test_exit_codes_are_those_of_the_documentation() -> None:
    """What scripts rely on."""
    assert {kind.exit_code for kind in EVERY} == {1, 2, 3, 4, 5, 6, 7, 8, 9, 10}


def test_no_hint() -> None:
    """No empty arrow."""
    assert ending_with(errors.RopewayError("fact")).stderr == "RW-000  fact\n"


def test_several_lines_are_indented() -> None:
    """So that the code stands alone in its column."""
    found = ending_with(errors.ConfigError("one\ntwo", hint="three\nfour"))
    assert found.stderr.splitlines() == [
        "RW-001  one",
        "        two",
        "        → three",
        "          four",
    ]


@pytest.mark.parametrize("words", [(), ("--json",), ("-v",), ("-v", "--json")])
def test_errors_cannot_command_the_terminal(words: tuple[str, ...]) -> None:
    """They quote what tasks said."""
    error = errors.TaskFailed(ESCAPES, hint=ESCAPES, traceback=ESCAPES)
    found = ending_with(error, *words)
    assert found.stderr
    assert "\x1b" not in found.stderr and "\x9b" not in found.stderr


def test_verbose_shows_where() -> None:
    """The traceback of the command, or of the task, is shown on request only."""
    assert "Traceback" in ending_with(errors.ConfigError("fact"), "-v").stderr
    failed = errors.TaskFailed("fact", traceback="Traceback of the task")
    assert "Traceback of the task" in ending_with(failed, "-v").stderr
    found = json.loads(ending_with(failed, "-v", "--json").stderr)
    assert found["error"]["traceback"] == "Traceback of the task"


def test_verbose_shows_the_cause(capsys: pytest.CaptureFixture[str]) -> None:
    """An error of the user's module is chained to ours."""
    error = errors.AppNotFound("fact")
    error.__cause__ = ValueError("the cause")
    assert report(error, json=False, verbose=True) == 2
    assert "ValueError: the cause" in capsys.readouterr().err


def test_ctrl_c() -> None:
    """130, as a shell would have it."""
    found = ending_with(KeyboardInterrupt())
    assert found.exit_code == 130
    assert found.stderr == "Interrupted.\n"
    assert ending_with(KeyboardInterrupt(), "-q").stderr == ""


def test_ctrl_c_while_waiting(tasks: Path, eventually: Eventually) -> None:
    """A wait can be given up; the job stays."""
    command = [sys.executable, "-m", "ropeway", "run", "add", "1", "--wait"]
    with Path("said").open("wb") as said:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=said)
    try:
        eventually(lambda: "not started in" in Path("said").read_text(), 20)
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130
    finally:
        process.kill()
        process.wait()
    assert "\tqueued\t" in call("jobs", "ls").stdout


def test_a_reader_that_leaves(jobs: dict[str, str]) -> None:
    """`ropeway jobs ls | head -1` shows no traceback."""
    program = (
        "import sys; sys.argv = ['ropeway', 'jobs', 'ls']; from ropeway.cli import main; main()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    with process.stderr as said:
        assert said.read() == b""
    assert process.wait(20) == 1
