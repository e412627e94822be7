"""`ropeway explain`: from a code to what to do."""

from __future__ import annotations

import json
import re

import pytest

from ropeway.cli.catalogue import catalogue
from ropeway.cli.commands.explain import FIELDS
from tests.cli.support import call


@pytest.mark.parametrize(
    "asked", ["RW-101", "rw-101", "rw101", "101", "UnknownTask", "unknowntask"]
)
def test_a_code_however_it_is_written(asked: str) -> None:
    """Or the name of the class."""
    found = call("explain", asked)
    assert found.exit_code == 0
    assert found.stdout.startswith("RW-101  UnknownTask (exit code 6)\n")
    assert re.findall(r"(?m)^\S.*", found.stdout)[2:] == ["Why", "What to do", "It looks like this"]


def test_no_mark_of_the_page_is_left() -> None:
    """On a terminal there are no links."""
    for code in catalogue():
        text = call("explain", code).stdout
        assert "](" not in text and "**" not in text and "```" not in text
        assert max(map(len, text.splitlines())) <= 120


def test_all_of_them() -> None:
    """Without a code they are listed."""
    rows = [line.split("\t") for line in call("explain").stdout.splitlines()]
    assert [row[0] for row in rows] == list(catalogue())
    records = json.loads(call("explain", "--json").stdout)
    assert tuple(records[0]) == FIELDS
    assert json.loads(call("explain", "1", "--json").stdout) == records[1]


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ("RW-199", "Did you mean RW-201 (BackendUnavailable)?"),
        ("unknowtask", "Did you mean RW-101 (UnknownTask)?"),
        ("?", "See: ropeway explain"),
    ],
)
def test_a_code_that_there_is_not(asked: str, says: str) -> None:
    """The closest is named."""
    found = call("explain", asked)
    assert found.exit_code == 2
    assert says in found.stderr
