"""What goes through a message unchanged, and where a call comes from."""

from __future__ import annotations

from typing import Any

import pydantic
import pytest
from opentelemetry import context, trace

from ropeway import Ropeway, TaskFailed, current
from ropeway.errors import BadArguments


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
