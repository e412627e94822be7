"""The page of values is true: each of its rows is written and read, as argument and as result."""

from __future__ import annotations

import enum
import re
from typing import Any

import pytest

from ropeway import Ropeway, Task, errors
from ropeway.codecs import JSON
from tests.docs import pages

PAGE = "docs/reference/values.md"
IMPORTS = """
import attrs, msgspec, pydantic
from dataclasses import dataclass
from datetime import *
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import *
from uuid import UUID
"""


class Mixed(enum.Enum):
    """An enumeration of two kinds of values."""

    A = "a"
    B = 1


def names() -> dict[str, Any]:
    """Return what the rows of the page may name."""
    (classes,) = (b.text for b in pages.blocks(pages.page(PAGE)) if b.language == "python")
    found: dict[str, Any] = {"Mixed": Mixed, "__name__": __name__}
    exec(IMPORTS + classes, found)
    return found


NAMES = names()


def rows(columns: int) -> list[list[str]]:
    """Return the rows of those tables that have so many columns and show values as code."""
    lines = pages.page(PAGE).splitlines()
    cells = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines if line.startswith("| ")]
    found = [[cell.strip().replace("\\|", "|") for cell in row] for row in cells]
    return [row for row in found if len(row) == columns and re.fullmatch(r"`.+`", row[1])]


def annotation(said: str, value: Any) -> Any:
    """Return the type that a row names, or that of its value where it describes one."""
    return eval(said.strip("`"), NAMES) if re.fullmatch(r"`[^`]+`", said) else type(value)


def taking(kind: Any, codec: str) -> Task[..., Any]:
    """Return a task with one parameter, of an app that writes arguments so."""

    def keep(x: Any) -> None: ...

    keep.__annotations__["x"] = kind
    return Ropeway("memory://", codec=codec).task(name="keep")(keep)


@pytest.mark.parametrize("codec", ["json", "msgpack"])
@pytest.mark.parametrize(("said", "shown"), rows(2))
def test_what_goes_through(codec: str, said: str, shown: str) -> None:
    """As an argument in both formats, and as a result."""
    value = eval(shown.strip("`"), NAMES)
    kind = Any if said.startswith("`Any`") else annotation(said, value)
    task = taking(kind, codec)
    message = task.call(value).message
    _, kwargs = task.definition.signature.decode(message.body, message.content_type)
    for arrived in (kwargs["x"], JSON.decode(JSON.encode(value), kind)):
        assert arrived == value
        assert type(arrived) is type(value)


@pytest.mark.parametrize("codec", ["json", "msgpack"])
@pytest.mark.parametrize(("said", "shown", "raises"), rows(3))
def test_what_is_refused(codec: str, said: str, shown: str, raises: str) -> None:
    """By the error that the page names."""
    value = eval(shown.strip("`"), NAMES)
    with pytest.raises(getattr(errors, raises.strip("`"))) as caught:
        taking(annotation(said, value), codec).call(value)
    assert "keep" in str(caught.value)


def test_the_page_has_rows() -> None:
    """A table that is not found would prove nothing."""
    assert len(rows(2)) > 30
    assert len(rows(3)) > 11
