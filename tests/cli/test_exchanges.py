"""Exchanges and bindings in a shell: seen, changed, explained, and taken to a file and back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ropeway import Ropeway
from tests.cli.support import call


@pytest.fixture
def app(here: Path) -> Ropeway:
    """Return an app whose exchanges are in force."""
    app = Ropeway(f"sqlite:///{here / '.ropeway' / 'ropeway.db'}")
    rest = app.exchange("rest", "fanout")
    rest.bind("rest")
    logs = app.exchange("logs", "topic", alternate=rest)
    logs.bind("errors", "*.error.#")
    regions = app.exchange("regions", "headers")
    regions.bind("eu", headers={"region": "eu", "urgent": None}, match="any")
    logs.bind(regions, "by.region")
    app.exchanges.declare()
    return app


def told(*words: str) -> object:
    """Run a command, and return what it prints as JSON."""
    found = call(*words, "-o", "json")
    assert found.exit_code == 0, found.output
    return json.loads(found.stdout)


def test_what_is_declared_is_listed(app: Ropeway) -> None:
    """With its properties, and its bindings in words."""
    listed = {each["exchange"]: each for each in told("exchanges", "ls")}  # type: ignore[attr-defined]
    assert listed["logs"]["type"] == "topic"
    assert (listed["logs"]["alternate"], listed["logs"]["bindings"]) == ("rest", 2)
    lines = call("exchanges", "bindings").stdout.splitlines()
    assert "logs\terrors\t*.error.#" in lines
    assert "logs\texchange regions\tby.region" in lines
    assert "regions\teu\tany: region='eu', urgent" in lines
    assert len(call("exchanges", "bindings", "rest").stdout.splitlines()) == 1


@pytest.mark.parametrize(
    ("words", "queue", "why"),
    [
        (("logs", "eu.error"), "errors", "logs -[*.error.#]-> errors"),
        (("logs", "other"), "rest", "nothing else wants it: rest; rest -[-]-> rest"),
        (
            ("logs", "by.region", "-H", "urgent=1"),
            "eu",
            "logs -[by.region]-> regions; regions -[any: region='eu', urgent]-> eu",
        ),
    ],
)
def test_a_route_is_explained(app: Ropeway, words: tuple[str, ...], queue: str, why: str) -> None:
    """Binding by binding."""
    assert told("route", *words) == [{"queue": queue, "why": why}]


def test_what_goes_nowhere_is_said(app: Ropeway) -> None:
    """By words and by the exit code; an exchange that is not there is an error."""
    nowhere = call("route", "regions", "-H", "region=us")
    assert nowhere.exit_code == 1
    assert "no queue" in nowhere.stderr
    assert call("route", "gone").exit_code == 10


def test_a_shell_declares_and_binds(app: Ropeway) -> None:
    """And takes back: the next send of everybody goes by it."""
    assert call("exchanges", "declare", "new", "--type", "direct").exit_code == 0
    assert call("exchanges", "declare", "new", "--type", "topic").exit_code == 9
    assert call("exchanges", "bind", "new", "q", "k").exit_code == 0
    assert call("exchanges", "bind", "gone", "q", "k").exit_code == 9
    assert [way.queue for way in app.exchanges.route("new", "k")] == ["q"]
    assert call("exchanges", "unbind", "new", "q", "k").exit_code == 0
    assert app.exchanges.route("new", "k") == []
    assert call("exchanges", "rm", "new").exit_code == 3
    assert call("exchanges", "rm", "new", "--yes").exit_code == 0
    assert "new" not in app.exchanges.ls().exchanges


def test_a_topology_goes_to_a_file_and_back(app: Ropeway, here: Path) -> None:
    """What differs is said line by line; with --prune all is as in the file."""
    file = here / "topology.json"
    file.write_text(call("topology", "export").stdout)
    assert call("topology", "diff", str(file)).exit_code == 0
    call("exchanges", "bind", "logs", "all", "#")
    call("exchanges", "unbind", "logs", "errors", "*.error.#")
    found = call("topology", "diff", str(file))
    assert found.exit_code == 1
    assert found.stdout.splitlines() == [
        "+ binding logs -[*.error.#]-> errors",
        "- binding logs -[#]-> all",
    ]
    assert call("topology", "apply", str(file), "--prune").exit_code == 3
    assert call("topology", "apply", str(file), "--prune", "--yes").exit_code == 0
    assert call("topology", "diff", str(file)).exit_code == 0


def test_a_file_that_is_no_topology(app: Ropeway, here: Path) -> None:
    """One clear error, and nothing has changed."""
    file = here / "wrong.json"
    file.write_text('{"exchanges": [{"name": "x", "type": "tropic"}]}')
    found = call("topology", "apply", str(file))
    assert found.exit_code == 10
    assert "tropic" in found.stderr


def test_without_a_database_there_is_nothing(here: Path) -> None:
    """And it is not made."""
    assert call("exchanges", "ls", "-o", "json").stdout.strip() == "[]"
    assert not (here / ".ropeway").exists()
