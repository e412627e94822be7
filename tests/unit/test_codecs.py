"""Values to bytes and back: nothing is changed without a word, and bad input is a value."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import re
import subprocess
import sys
import uuid
from typing import Any, TypedDict

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropeway.codec import Codec, Undecodable
from ropeway.codecs import JSON, MSGPACK, codec_for
from ropeway.errors import NotEncodable

NAN, INF = float("nan"), float("inf")

both = pytest.mark.parametrize("codec", [JSON, MSGPACK], ids=["json", "msgpack"])

numbers = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(st.characters(exclude_categories=["Cs"]))
plain = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(texts, inner, max_size=5),
    max_leaves=20,
)


@dataclasses.dataclass
class Point:
    """A user's class with a number."""

    x: float
    label: str | None = None


class Spot(msgspec.Struct, rename="camel"):
    """A user's struct with a number."""

    x_axis: float


class Row(TypedDict):
    """A user's mapping with a number."""

    x: float


class Colour(enum.Enum):
    """A user's enumeration."""

    RED = "red"


class Odd(enum.Enum):
    """An enumeration of what is no number."""

    NAN = NAN


@dataclasses.dataclass
class Picky:
    """A user's class that refuses values in its own way."""

    x: int

    def __post_init__(self) -> None:
        raise KeyError(self.x)


@both
@given(value=plain)
def test_plain_values_come_back(codec: Codec, value: Any) -> None:
    """What both formats can hold is the same after the journey."""
    assert codec.decode(codec.encode(value), Any) == value


@both
@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (Point(1.5, "a"), Point),
        (Spot(2.5), Spot),
        ({"x": 1.0}, Row),
        (Colour.RED, Colour),
        ((1, "a"), tuple[int, str]),
        ({1, 2}, set[int]),
        ({1: "a"}, dict[int, str]),
        (b"\x00\xff", bytes),
        (dt.datetime(2030, 1, 2, 3, tzinfo=dt.UTC), dt.datetime),
        (dt.timedelta(seconds=90), dt.timedelta),
        (decimal.Decimal("1.10"), decimal.Decimal),
        (uuid.UUID(int=7), uuid.UUID),
        ([Point(1.0), Point(2.0, None)], list[Point]),
    ],
)
def test_annotated_values_come_back(codec: Codec, value: Any, kind: Any) -> None:
    """With the type that a signature names, a value has its class again."""
    assert codec.decode(codec.encode(value), kind) == value


# -- what cannot be written ------------------------------------------------------------------------


@both
@pytest.mark.parametrize("bad", [NAN, INF, -INF])
@pytest.mark.parametrize(
    ("wrap", "path"),
    [
        (lambda x: x, "$"),
        (lambda x: [None, x], "$[1]"),
        (lambda x: (1.0, x), "$[1]"),
        (lambda x: {"a": {"b": [x]}}, "$.a.b[0]"),
        (lambda x: {x}, "$[0]"),
        (lambda x: {1: x}, "$.1"),
        (Point, "$.x"),
        (lambda x: [{"a": Point(x, None)}], "$[0].a.x"),
        (Spot, "$.xAxis"),
        (lambda x: Row(x=x), "$.x"),
    ],
)
def test_what_is_not_finite_is_refused(codec: Codec, wrap: Any, path: str, bad: float) -> None:
    """Wherever it hides: JSON has no such number, and one rule is enough for both formats."""
    with pytest.raises(NotEncodable) as caught:
        codec.encode(wrap(bad))
    assert caught.value.fact.startswith(f"{path} is ")


@both
def test_a_class_hides_no_number(codec: Codec) -> None:
    """The value of a member, or the field of a model, is what is written."""
    for value in ([Odd.NAN], Parcel(where="x", weight=NAN)):
        with pytest.raises(NotEncodable):
            codec.encode(value)


# -- models of pydantic ----------------------------------------------------------------------------


class Stop(pydantic.BaseModel):
    """A user's model inside another."""

    when: dt.datetime
    fee: decimal.Decimal = decimal.Decimal("1.10")


class Parcel(pydantic.BaseModel, strict=True, extra="forbid"):
    """A user's model: strict, with another name on the wire, and with what it computes."""

    place: str = pydantic.Field(alias="where")
    sent: dt.date = dt.date(2030, 1, 1)
    weight: float = 1.5
    stops: list[Stop] = []

    @pydantic.computed_field  # type: ignore[prop-decorator]  # as its documentation writes it
    @property
    def heavy(self) -> bool:
        return self.weight > 30


PARCEL = Parcel(where="Bern", stops=[Stop(when=dt.datetime(2030, 1, 2, tzinfo=dt.UTC))])


@both
@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (PARCEL, Parcel),
        ([PARCEL], list[Parcel]),
        ({"a": (PARCEL, 1)}, dict[str, tuple[Parcel, int]]),
        (PARCEL, Parcel | None),
        (None, Parcel | None),
    ],
)
def test_models_come_back(codec: Codec, value: Any, kind: Any) -> None:
    """Also strict ones, nested, and with aliases."""
    assert codec.decode(codec.encode(value), kind) == value


def test_a_model_is_written_as_others_know_it() -> None:
    """By the names that it has outside of Python, and without what it computes."""
    written = JSON.decode(JSON.encode(PARCEL), Any)
    assert written.keys() == {"where", "sent", "weight", "stops"}


@both
def test_a_model_says_what_it_does_not_take(codec: Codec) -> None:
    """In one line, with the place in the value and the place in the model."""
    found = codec.decode(codec.encode([{"where": 5, "stops": [{}]}]), list[Parcel])
    assert isinstance(found, Undecodable)
    assert re.search(r"where: .*string; stops\.0\.when: .*required.* `\$\[0\]`", found.reason)


def test_pydantic_is_not_imported_for_others() -> None:
    """Who does not use it does not pay for it."""
    code = "import sys, ropeway.task, ropeway.codecs as c; c.JSON.encode({1}); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "msgspec" in done.stdout.split()
    assert "pydantic" not in done.stdout.split()


def test_null_and_the_word_null_are_fine() -> None:
    """Only numbers that are not finite are refused."""
    for value in (None, [None, 1.5], "null", {"null": None}, Point(1.0, None), b"null"):
        JSON.encode(value)


def test_large_numbers_are_finite() -> None:
    """Their bytes begin as those of an infinity do; so may bytes that are no number."""
    for value in (1.7e308, -1.7e308, b"\xcb\x7f\xf0", {1.7e308: [b"\xcb\xff\xf0"]}):
        assert MSGPACK.decode(MSGPACK.encode(value), Any) == value


def test_large_integers() -> None:
    """JSON has them, MessagePack ends at 64 bits."""
    assert JSON.decode(JSON.encode(2**70), int) == 2**70
    with pytest.raises(NotEncodable):
        MSGPACK.encode(2**70)


def _deep(depth: int = 100_000) -> list[Any]:
    value: list[Any] = [None]
    for _ in range(depth):
        value = [value]
    return value


def _loop() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


@both
@pytest.mark.parametrize(
    "value",
    [object(), print, iter(()), "half a pair \ud800", _deep(), _loop()],
    ids=["object", "function", "iterator", "surrogate", "deep", "loop"],
)
def test_what_cannot_be_written_is_refused(codec: Codec, value: Any) -> None:
    """With the project's own error, so that nothing is sent."""
    with pytest.raises(NotEncodable):
        codec.encode(value)


# -- what cannot be read ---------------------------------------------------------------------------


@both
@given(data=st.binary())
def test_any_bytes_are_a_value_or_undecodable(codec: Codec, data: bytes) -> None:
    """Bad input never raises."""
    for kind in (Any, int, list[Point], Row, dt.datetime):
        codec.decode(data, kind)


@both
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"\xc1",
        b'"\xff"',
        b"[" * 100_000,
        b"\x91" * 100_000,
        b"1 2",
        b"\xdd\xff\xff\xff\xff",
    ],
)
def test_bytes_that_are_no_value(codec: Codec, data: bytes) -> None:
    """The reason is told, in words."""
    found = codec.decode(data, list[int])
    assert isinstance(found, Undecodable)
    assert found.reason


@both
def test_values_of_another_type(codec: Codec) -> None:
    """The reason names the place."""
    found = codec.decode(codec.encode({"x": "a"}), Point)
    assert isinstance(found, Undecodable)
    assert "$.x" in found.reason


@both
@pytest.mark.parametrize("kind", [Picky, list[int] | set[int], "unresolved"])
def test_types_that_cannot_be_read(codec: Codec, kind: Any) -> None:
    """A type that no value can be read as, or that raises by itself, is no escape either."""
    found = codec.decode(codec.encode({"x": 1}), kind)
    assert isinstance(found, Undecodable)
    assert found.reason


def test_the_set_of_codecs_is_closed() -> None:
    """A message names its format, and cannot name what else would read it."""
    assert codec_for("application/json") is JSON
    assert codec_for("application/msgpack") is MSGPACK
    for name in ("", "application/x-python-pickle", "APPLICATION/JSON", "json"):
        assert codec_for(name) is None
