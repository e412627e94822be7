"""What goes through a message unchanged, and where a call comes from."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pydantic
import pytest
from opentelemetry import context, trace

from ropeway import Ropeway, TaskFailed, current
from ropeway.errors import BadArguments, NotEncodable


class Item(pydantic.BaseModel):
    """A model of pydantic."""

    name: str
    price: float = 1.0


CODECS = pytest.mark.parametrize("codec", ["json", "msgpack"])


@CODECS
def test_models_of_pydantic(codec: str) -> None:
    """As arguments, in containers, and as results, each of its own type."""
    app = Ropeway("memory://", codec=codec)

    @app.task
    def most(items: list[Item], also: Item | None = None) -> Item:
        return max([*items, *([also] if also else [])], key=lambda item: item.price)

    with app.testing():
        dear = Item(name="b", price=9.5)
        assert most.send([Item(name="a")], dear).result(timeout=1) == dear
        wrong: Any = [{"name": "a", "price": "much"}]
        with pytest.raises(BadArguments, match=r"price[\s\S]*\$\.items\[0\]"):
            most.send(wrong)


@CODECS
def test_integers_of_any_size(codec: str) -> None:
    """They stay exact, whatever the codec of the app can hold."""
    app = Ropeway("memory://", codec=codec)

    @app.task
    def double(x: int) -> int:
        return 2 * x

    with app.testing():
        for x in (2**63, 2**64, -(10**50)):
            assert double.send(x).result(timeout=1) == 2 * x


def test_a_result_that_is_no_number_is_a_failure() -> None:
    """And not null."""
    app = Ropeway("memory://")

    @app.task(retries=0)
    def broken() -> float:
        return float("nan")

    with app.testing(), pytest.raises(TaskFailed, match="nan"):
        broken.send().result(timeout=1)


@dataclass
class Box:
    """Something with a field that may hold anything, and one that may hold boxes."""

    content: Any
    boxes: list[Box] = field(default_factory=list)


class Odd:
    """A class of a user's own, of which no two are equal."""

    def __eq__(self, other: object) -> bool:
        return False

    __hash__ = None  # type: ignore[assignment]  # nor can it be a key


def test_arguments_that_would_be_changed_are_not_sent() -> None:
    """It is said which one, where in it, and what to do; what an annotation names is as it was."""
    app = Ropeway("memory://")

    @app.task
    def bare(x, *more, **named) -> None:  # type: ignore[no-untyped-def]  # that is the point
        ...

    @app.task
    def boxed(box: Box) -> list[Box]:
        return [box]

    @app.task
    def told(pairs: dict[str, list[tuple[int, Decimal]]], day: date | None = None) -> str:
        return repr((pairs, day))

    with app.testing() as sandbox:
        for send, place in (
            (lambda: bare.send((1, 2)), "$.x is of type tuple"),
            (lambda: bare.send([1, {"a": {2}}]), "$.x[1].a is of type set"),
            (lambda: bare.send(1, 2, Decimal(1)), "$.more[1] is of type Decimal"),
            (lambda: bare.send(1, n=date(2030, 1, 2)), "$.named.n is of type date"),
            (lambda: bare.send({1: 2}), "a key of $.x is of type int"),
            (lambda: bare.send(b"x"), "$.x is of type bytes"),
            (lambda: bare.send(Box(1)), "$.x is of type Box, and would arrive as a dict"),
            (lambda: boxed.send(Box((1,))), "$.box.content is of type tuple"),
            (lambda: boxed.send(Box(1, [Box(2, [Box({3})])])), "$.box.boxes[0].boxes[0].content"),
        ):
            with pytest.raises(NotEncodable) as caught:
                send()
            assert place in str(caught.value)
            assert "annotate" in str(caught.value)
        with pytest.raises(NotEncodable, match="cannot write"):
            bare.send(Odd())
        assert sandbox.sent() == []
        box = Box({"a": [1, None, "b"]}, [Box(1)])
        assert boxed.send(box).result(timeout=1) == [box]
        said = {"a": [(1, Decimal("1.10"))]}
        day = date(2030, 1, 2)
        assert told.send(said, day).result(timeout=1) == repr((said, day))


@pytest.mark.parametrize(
    "value", [b"x", {1: {2: "a"}}, {b"k": None}, datetime(2030, 1, 2, tzinfo=UTC)]
)
def test_messagepack_has_more(value: Any) -> None:
    """What it has a form for needs no annotation; what it has none for is refused there too."""
    app = Ropeway("memory://", codec="msgpack")

    @app.task
    def bare(x: Any) -> None: ...

    message = bare.call(value).message
    _, kwargs = bare.definition.signature.decode(message.body, message.content_type)
    assert kwargs["x"] == value
    with pytest.raises(NotEncodable, match=r"\$\.x is of type tuple"):
        bare.call((value,))


def test_results_that_would_be_changed() -> None:
    """The job fails, and says what to annotate; a result that nobody keeps may be anything."""
    app = Ropeway("memory://")

    @app.task(retries=3)
    def bare():  # type: ignore[no-untyped-def]  # that is the point
        return {"a": (1, 2)}

    @app.task
    async def told() -> dict[str, tuple[int, int]]:
        return {"a": (1, 2)}

    @app.task(store=False)
    def thrown_away():  # type: ignore[no-untyped-def]
        return {1, 2}

    with app.testing() as sandbox:
        with pytest.raises(TaskFailed, match=r"\$\.a is of type tuple.*\n.*annotate it"):
            bare.send().result(timeout=1)
        job = told.send()
        assert job.result(timeout=1) == {"a": (1, 2)}
        assert app.job(job.id).result(timeout=1) == {"a": (1, 2)}
        thrown_away.send()
        sandbox.run_all()
        assert len(sandbox.failures()) == 1


def test_a_trace_goes_along() -> None:
    """From OpenTelemetry to the call, and from there to what it sends."""
    app = Ropeway("memory://")

    @app.task
    def inner() -> str | None:
        return current.trace

    @app.task
    def outer() -> str:
        return inner.send().id

    span = trace.NonRecordingSpan(
        trace.SpanContext(0xABC, 0xDEF, is_remote=False, trace_flags=trace.TraceFlags(1))
    )
    with app.testing():
        token = context.attach(trace.set_span_in_context(span))
        try:
            job = outer.send()
        finally:
            context.detach(token)
        expected = f"00-{0xABC:032x}-{0xDEF:016x}-01"
        assert app.job(job.result(timeout=1)).result(timeout=1) == expected
        assert inner.send().result(timeout=1) is None
