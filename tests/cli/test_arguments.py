"""From words to the arguments of a task, by its signature."""

from __future__ import annotations

import enum
import uuid
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, NewType

import pytest

from ropeway.cli.arguments import parse, read, takes_only_text
from ropeway.errors import BadArguments, BadTask
from ropeway.task import Definition

Name = NewType("Name", str)


class Colour(enum.Enum):
    RED = "red"


class Level(enum.Enum):
    LOW = 1


def task(function: Callable[..., Any]) -> Definition:
    """Make a task of a function."""
    return Definition(function, f"t.{function.__name__}", "threads")


def plain(x: int, name: str, flag: bool = False, extra: Any = None) -> None: ...


def spread(first: str, *rest: float, key: str = "", **named: list[int]) -> None: ...


@pytest.mark.parametrize(
    "kind",
    [
        str,
        str | None,
        Name,
        Annotated[str, "text"],
        datetime,
        uuid.UUID,
        Decimal,
        bytes,
        Literal["1", "2"],
        Colour,
        Colour | None,
    ],
)
def test_what_is_text_is_taken_as_it_is(kind: Any) -> None:
    """Also when it looks like a number or like null."""
    assert takes_only_text(kind)
    assert read("123", kind) == "123"
    assert read("null", kind) == "null"


@pytest.mark.parametrize(
    "kind", [Any, object, int, bool, str | int, list[str], Level, Literal[1, "a"], None, print]
)
def test_anything_else_is_json(kind: Any) -> None:
    """And text if it is not."""
    assert not takes_only_text(kind)
    assert read("123", kind) == 123
    assert read('{"a": [true, null]}', kind) == {"a": [True, None]}
    assert read("no json", kind) == "no json"
    assert read("NaN", kind) == "NaN"
    assert read("[" * 100_000, kind) == "[" * 100_000


def test_positions_and_names() -> None:
    """In any order; a name ends at the first equals sign."""
    args, named = parse(task(plain), ["1", "2", "extra=[3]", "flag=true"])
    assert args == [1, "2"]
    assert named == {"extra": [3], "flag": True}
    assert parse(task(plain), ["1", "name=a=b"]) == ([1], {"name": "a=b"})


def test_what_is_no_name_is_a_value() -> None:
    """An address with a question is one word."""
    assert parse(task(plain), ["1", "http://x/?a=b"]) == ([1, "http://x/?a=b"], {})


def test_spread_parameters() -> None:
    """What is left over goes to *rest and **named, by their annotations."""
    args, named = parse(task(spread), ["1", "2", "3.5", "key=4", "other=[5]"])
    assert args == ["1", 2, 3.5]
    assert named == {"key": "4", "other": [5]}


def test_more_as_json() -> None:
    """For what words cannot say."""
    found = parse(task(plain), ["1"], '{"name": "a", "extra": null}')
    assert found == ([1], {"name": "a", "extra": None})


@pytest.mark.parametrize(
    ("words", "more", "fact"),
    [
        (["nam=x"], None, "there is no parameter 'nam'"),
        (["x=1", "x=2"], None, "x is given twice"),
        (["x=1"], '{"x": 2}', "x is given twice"),
        ([], "[1]", "--json-args is not a JSON object"),
        ([], "{", "--json-args is not a JSON object"),
    ],
)
def test_refusals_name_the_signature(words: list[str], more: str | None, fact: str) -> None:
    """So that one sees how to write it."""
    with pytest.raises(BadArguments) as caught:
        parse(task(plain), words, more)
    assert caught.value.fact.startswith("t.plain(x: 'int', name: 'str'")
    assert fact in caught.value.fact


def test_a_text_with_an_equals_sign_has_a_way_out() -> None:
    """The hint shows it."""
    with pytest.raises(BadArguments) as caught:
        parse(task(plain), ["abc=="])
    assert caught.value.hint.endswith("x=abc==")


def test_too_many_words_are_left_to_the_signature() -> None:
    """It knows best what to say."""
    assert parse(task(plain), ["1", "2", "3", "4", "5"])[0] == [1, "2", 3, 4, 5]
    assert parse(task(lambda: None), ["1"])[0] == [1]


def test_annotations_that_cannot_be_read() -> None:
    """Are a fault of the task."""

    def wrong(x: int) -> None: ...

    wrong.__annotations__["x"] = "NoSuchType"
    with pytest.raises(BadTask):
        parse(task(wrong), ["1"])
