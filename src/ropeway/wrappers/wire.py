"""What the two ends of a remote backend say to each other: calls, and what became of them.

Which values travel is read off the contract itself, so a verb that is added there travels too.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from types import GenericAlias
from typing import Any, NamedTuple, get_type_hints

import msgspec
from msgspec import Raw, Struct
from msgspec.msgpack import Decoder, Encoder

from ropeway.errors import RopewayError
from ropeway.store import Backend, Told


class Call(Struct, frozen=True, gc=False, tag=1, array_like=True):
    """Caller: do this, and answer under the same number."""

    number: int
    verb: str
    arguments: Raw


class Forget(Struct, frozen=True, gc=False, tag=2, array_like=True):
    """Caller: nobody waits for that answer any more."""

    number: int


class Done(Struct, frozen=True, gc=False, tag=3, array_like=True):
    """Server: the verb returned this."""

    number: int
    value: Raw


class Failed(Struct, frozen=True, gc=False, tag=4, array_like=True):
    """Server: the verb raised this."""

    number: int
    code: str
    fact: str
    hint: str = ""


Reply = Done | Failed


class Verb(NamedTuple):
    """How to read the arguments and the result of one verb."""

    arguments: Decoder[Any]
    result: Decoder[Any]


def _read_off(function: Any) -> Verb:
    types = get_type_hints(function)
    result = types.pop("return")
    return Verb(Decoder(GenericAlias(tuple, tuple(types.values()))), Decoder(result))


VERBS = {
    name: _read_off(function)
    for name, function in inspect.getmembers(Backend, inspect.iscoroutinefunction)
    if name not in {"open", "close"}
}
"""Every verb that travels: each end is opened and closed for itself."""

Unreadable = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What decoding raises for bytes that are none of ours."""


def _plain(value: Any) -> str:
    """What a name tells of stays here: whoever gets the plain name looks."""
    if isinstance(value, Told):
        return str(value)
    raise TypeError(f"{type(value).__name__} does not travel")


encode = Encoder(enc_hook=_plain).encode
decode_call: Callable[[bytes], Call | Forget] = Decoder(Call | Forget).decode
decode_reply: Callable[[bytes], Reply] = Decoder(Done | Failed).decode


def failed(number: int, error: Exception) -> Failed:
    """Describe an exception, for the other end to raise."""
    if isinstance(error, RopewayError):
        return Failed(number, error.code, error.fact, error.hint)
    return Failed(number, RopewayError.code, f"{type(error).__name__}: {error}")


def raised(failure: Failed) -> RopewayError:
    """Make the exception that was described, of the class that has its code."""
    kinds = {kind.code: kind for kind in _family(RopewayError)}
    return kinds.get(failure.code, RopewayError)(failure.fact, hint=failure.hint)


def _family(kind: type[RopewayError]) -> Iterator[type[RopewayError]]:
    for each in kind.__subclasses__():
        yield from _family(each)
    yield kind
