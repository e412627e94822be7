"""`ropeway tasks`: what an app has registered."""

from __future__ import annotations

import json
from pathlib import Path

from ropeway.cli.commands.tasks import FIELDS
from tests.cli.support import process


def test_ls(tasks: Path) -> None:
    """A line for each task, by name."""
    found = process("tasks", "ls")
    assert found.returncode == 0
    rows = [line.split("\t") for line in found.stdout.splitlines()]
    assert rows == [
        ["tasks.add", "thread", "default", "5", "3", "-"],
        ["tasks.boom", "event loop", "default", "5", "0", "-"],
        ["tasks.echo", "thread", "default", "5", "3", "-"],
        ["tasks.pid", "thread", "default", "5", "3", "-"],
        ["tasks.sleep", "event loop", "slow", "5", "3", "-"],
    ]


def test_signatures(tasks: Path) -> None:
    """As Python writes them, with the first line of the docstring."""
    tasks.write_text(
        "from ropeway import Ropeway\napp = Ropeway()\n@app.task(timeout='5m')\n"
        "def f(x: 'list[int]', *, y: str = 'a') -> None:\n    'Does f.\\n\\nMore.'\n"
    )
    found = process("tasks", "ls", "--signature")
    assert found.stdout == "tasks.f\t(x: list[int], *, y: str = 'a') -> None\tDoes f.\n"
    (told,) = json.loads(process("tasks", "ls", "tasks.py", "--json").stdout)
    assert tuple(told) == FIELDS
    assert told["timeout_seconds"] == 300.0


def test_json_schema(tasks: Path) -> None:
    """Of the arguments, as one object a task."""
    schemas = json.loads(process("tasks", "ls", "--json-schema").stdout)
    assert set(schemas) == {f"tasks.{name}" for name in ("add", "boom", "echo", "pid", "sleep")}
    add = schemas["tasks.add"]
    add = add["$defs"][add["$ref"].rpartition("/")[2]] if "$ref" in add else add
    assert add["properties"]["x"]["type"] == add["properties"]["y"]["type"] == "integer"
    assert add["required"] == ["x"]


def test_no_tasks(tasks: Path) -> None:
    """Is said, and is no error."""
    tasks.write_text("from ropeway import Ropeway\napp = Ropeway()\n")
    found = process("tasks", "ls")
    assert (found.returncode, found.stdout) == (0, "")
    assert "@app.task" in found.stderr


def test_two_apps(tasks: Path) -> None:
    """Are one too many."""
    found = process("tasks", "ls", "tasks.py", "-A", "other.py")
    assert found.returncode == 2
    assert "two apps are given" in found.stderr
