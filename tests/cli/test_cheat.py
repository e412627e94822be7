"""`ropeway cheat`: every line that it prints is one that the commands understand."""

from __future__ import annotations

import contextlib
import json
import re
import shlex
from pathlib import Path

import click
import pytest

from ropeway.cli import contexts, main
from ropeway.cli.commands.cheat import FIELDS
from ropeway.cli.recipes import TOPICS, Recipe
from tests.cli.support import call


def read(words: list[str]) -> None:
    """Have the commands read a line, and run none; raises a wrong usage."""
    command: click.Command = main
    with contextlib.ExitStack() as stack:
        context = stack.enter_context(command.make_context("ropeway", words))
        while isinstance(command, click.Group):
            rest = [*getattr(context, "_protected_args", ()), *context.args]
            if not rest and command.invoke_without_command:
                return
            name, found, rest = command.resolve_command(context, rest)
            assert found is not None
            command = found
            context = stack.enter_context(found.make_context(name, rest, parent=context))


@pytest.mark.parametrize(
    "recipe", [recipe for topic in TOPICS.values() for recipe in topic.recipes], ids=str
)
def test_every_line_can_be_read(
    here: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the command that it names, with all that it gives it."""
    if any(word in recipe.command for word in ("restore", "topology diff")):
        for name in ("jobs.copy", "topology.toml"):
            (here / name).touch()
    monkeypatch.setenv("PROD_URL", "sqlite:///prod.db")
    contexts.write(contexts.Contexts([contexts.Context(name="prod", url="env:PROD_URL")]))
    words = shlex.split(recipe.command)
    assert words.pop(0) == "ropeway"
    read(words)


@pytest.mark.parametrize("line", ["jobs ls --nope", "explain RW-1 more", "queues", "cheet"])
def test_a_line_that_cannot_be_read_is_found(here: Path, line: str) -> None:
    """Or the test above could not fail."""
    with pytest.raises(click.UsageError):
        read(line.split())


def test_what_is_printed_is_a_script() -> None:
    """What is said is a comment; a topic is a part of the whole."""
    whole = call("cheat").stdout
    for name, topic in TOPICS.items():
        said = call("cheat", name).stdout
        assert said in whole + "\n"
        lines = re.findall(r"(?m)^[^#\n].*$", said)
        assert lines == [recipe.command for recipe in topic.recipes]
    assert all(f" {name}" in call("cheat", "-h").stdout for name in TOPICS)


def test_for_programs() -> None:
    """The same as records."""
    records = json.loads(call("cheat", "failed", "--json").stdout)
    assert tuple(records[0]) == FIELDS
    assert call("cheat", "failed", "--fields", "command").stdout.splitlines() == [
        record["command"] for record in records
    ]


def test_a_topic_that_there_is_not() -> None:
    """The closest is named."""
    found = call("cheat", "fail")
    assert (found.exit_code, "Did you mean 'failed'?" in found.stderr) == (2, True)
