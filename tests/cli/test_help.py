"""Help, versions, wrong usage, and how little is imported for them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import ropeway
from ropeway.cli import main
from ropeway.cli.groups import Lazy
from tests.cli.support import call, process

MODULES = """
import sys
from ropeway.cli import main
try:
    main(sys.argv[1:], prog_name="ropeway")
finally:
    print(*sys.modules, file=sys.stderr)
"""


def paths(group: click.Group = main, before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the words of every command."""
    with click.Context(group) as context:
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            yield (*before, name)
            if isinstance(command, click.Group):
                yield from paths(command, (*before, name))


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_imports_little(option: str) -> None:
    """No terminal library, no database, no worker, no command."""
    command = [sys.executable, "-c", MODULES, option]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    assert "ropeway" in done.stdout
    loaded = done.stderr.split()
    unwanted = (
        "rich",
        "apsw",
        "sqlite3",
        "asyncio",
        "ropeway.worker",
        "ropeway.backends",
        "ropeway.cli.c",
    )
    assert [name for name in loaded if name.startswith(unwanted)] == []


def test_version() -> None:
    """One line, to standard output."""
    done = process("--version")
    assert (done.returncode, done.stdout, done.stderr) == (
        0,
        f"ropeway {ropeway.__version__}\n",
        "",
    )


def test_no_command_is_help() -> None:
    """As a wrong usage, since nothing was done."""
    found = call()
    assert found.exit_code == 2
    assert "Commands:" in found.stderr


@pytest.mark.parametrize("words", list(paths()), ids=" ".join)
def test_every_command_has_help(words: tuple[str, ...]) -> None:
    """With a sentence, and a description of each option."""
    found = call(*words, "-h")
    assert found.exit_code == 0
    assert found.stdout.startswith(f"Usage: main {' '.join(words)}")


def test_every_option_says_what_it_does() -> None:
    """None is left to guess."""
    for words in paths():
        command: click.Command | None = main
        for word in words:
            assert isinstance(command, click.Group)
            command = command.get_command(click.Context(command), word)
        assert command is not None and command.help
        options = [option for option in command.params if isinstance(option, click.Option)]
        assert [option.name for option in options if not option.help] == []


def test_the_lines_of_the_help_are_those_of_the_commands() -> None:
    """They are written twice, so that the help needs no import."""
    assert isinstance(main, Lazy)
    for name, (_, line) in main.lazy.items():
        command = main.get_command(click.Context(main), name)
        assert command is not None and command.help
        assert command.help.splitlines()[0] == line


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["wroker"], "Did you mean 'worker'?"),
        (["job", "ls"], "Did you mean 'jobs'?"),
        (["jobs", "shwo"], "Did you mean 'show'?"),
        (["jobs", "ls", "--stat", "x"], "'--state'"),
        (["jobs", "ls", "--limt", "x"], "--limit"),
        (["zzz"], "There are: new, dev, worker, run, "),
    ],
)
def test_did_you_mean(words: list[str], meant: str) -> None:
    """The closest command or option is named."""
    found = call(*words)
    assert found.exit_code == 2
    assert meant in found.stderr
    assert not found.stdout


@pytest.mark.parametrize("words", [["--json", "jobs", "sow"], ["jobs", "ls", "--json", "--nope"]])
def test_wrong_usage_as_json(words: list[str]) -> None:
    """Wherever --json stands, also when the rest cannot be read."""
    found = call(*words)
    assert found.exit_code == 2
    error = json.loads(found.stderr)["error"]
    assert error["code"] == "usage"
    assert error["message"]
    assert set(error) == {"code", "message", "hint"}


def test_python_m(here: Path) -> None:
    """The module is the command."""
    done = process("jobs", "ls")
    assert done.returncode == 0


def test_the_reference_has_every_option() -> None:
    """In the section of its command, or among the common options."""
    page = Path(__file__).parents[2].joinpath("docs/reference/cli.md").read_text(encoding="utf-8")
    common = page.partition("\n## ropeway worker")[0]
    for words in paths():
        command: click.Command | None = main
        for word in words:
            assert isinstance(command, click.Group)
            command = command.get_command(click.Context(command), word)
        assert command is not None
        if isinstance(command, click.Group):
            continue
        _, heading, rest = page.partition(f"\n## ropeway {' '.join(words)}\n")
        assert heading, f"{words} has no section"
        text = rest.partition("\n## ")[0] + common
        options = [option for option in command.params if isinstance(option, click.Option)]
        assert [o.opts for o in options if not all(f"`{n}" in text for n in o.opts)] == []
