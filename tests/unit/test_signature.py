"""Arguments: bound as Python does, checked, written and read again."""

from __future__ import annotations

from typing import Any

import pytest

from ropeway import Ropeway
from ropeway.codecs import JSON, MSGPACK
from ropeway.errors import BadArguments, BadTask, NotEncodable
from ropeway.signature import Signature


def kinds(a: int, /, b: bytes, *rest: str, c: float = 0.5, **more: int) -> None:
    """Have one parameter of each kind."""


@pytest.mark.parametrize("codec", [JSON, MSGPACK])
def test_every_kind_of_parameter_comes_back(codec: Any) -> None:
    """What is written can be read, in both formats, and is given to the function in its place."""
    signature = Signature(kinds, "kinds")
    body = signature.encode((1, b"\x00\xff", "x", "y"), {"c": 2.0, "z": 3}, codec)
    args, kwargs = signature.decode(body, codec.content_type)
    assert (args, kwargs) == ([1, b"\x00\xff", "x", "y"], {"c": 2.0, "z": 3})


def test_what_is_left_out_is_not_written() -> None:
    """The function's own default applies where it runs, not where it was sent."""
    signature = Signature(kinds, "kinds")
    assert signature.encode((1, b""), {}, JSON) == b'{"a":1,"b":""}'


@pytest.mark.parametrize(
    ("args", "kwargs", "words"),
    [
        ((), {}, "missing"),
        ((1,), {"c": 1.0}, "'b'"),
        (("one", b""), {}, r"\$\.a"),
        ((1, b""), {"c": "half"}, r"\$\.c"),
        ((1, b"", 5), {}, r"\$\.rest"),
    ],
)
def test_what_does_not_fit_is_named(
    args: tuple[Any, ...], kwargs: dict[str, Any], words: str
) -> None:
    """A wrong argument is refused with the signature and the path."""
    with pytest.raises(BadArguments, match=words) as caught:
        Signature(kinds, "shop.kinds").encode(args, kwargs, JSON)
    assert "shop.kinds(a: int, /, b: bytes" in str(caught.value)


def test_what_cannot_be_written_is_named() -> None:
    """The error says which argument it was."""

    def keep(x: Any, y: Any) -> None: ...

    for value in (object(), float("nan"), "half a pair \ud800"):
        with pytest.raises(NotEncodable, match=r"\$\.y"):
            Signature(keep, "keep").encode((1, value), {}, JSON)


def test_methods_are_refused() -> None:
    """A function whose first parameter is self has no object where it would run."""
    with pytest.raises(BadTask, match="method"):
        Signature(lambda self, x: None, "method")


def test_the_setting_chooses_the_format() -> None:
    """`codec` says how arguments are written, and the message says it too."""
    app = Ropeway("memory://", codec="msgpack")

    @app.task(name="store")
    def store(data: bytes) -> None: ...

    message = store.call(b"\xff").message
    assert message.content_type == "application/msgpack"
    assert store.definition.signature.decode(message.body, message.content_type) == (
        [],
        {"data": b"\xff"},
    )
