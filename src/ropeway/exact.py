"""What would arrive as something else, because nothing says what it is: found before it is sent.

The formats know fewer types than Python has. Where an annotation says which one is meant, it is made
again. Where none does, a value has to be of a type that the format has itself.
"""

from __future__ import annotations

import dataclasses
import functools
import types
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from enum import Enum
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from ropeway.codec import Codec
from ropeway.codecs import MSGPACK
from ropeway.errors import NotEncodable

Check = Callable[[Any, str, Codec], None]
"""Raises `NotEncodable` for a value, at a place, that a codec would change."""

_PLAIN = frozenset({type(None), bool, int, float, str})
_PLAIN_KEYS = _PLAIN | {bytes}
_OPEN = frozenset({Any, object})
_ITEMS = (list, tuple, set, frozenset, Sequence, AbstractSet)
_KEYED = (dict, Mapping)


def check_of(kind: Any) -> Check | None:
    """Return what checks values of an annotation; None where the annotation says it all."""
    try:
        return _check_of(kind)
    except TypeError:  # it cannot be told from others, so it is looked at each time
        return _made(kind)


@functools.lru_cache(maxsize=4096)
def _check_of(kind: Any) -> Check | None:
    return _made(kind)


def _made(kind: Any) -> Check | None:
    if hasattr(kind, "__metadata__"):  # Annotated
        return check_of(kind.__origin__)
    if kind in _OPEN or isinstance(kind, TypeVar):
        return _check_open
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is None:
        if kind in _ITEMS:
            return _check_items((_check_open,))
        return _check_keyed(_check_open, _check_open) if kind in _KEYED else _check_fields(kind)
    if origin in {Union, types.UnionType}:
        return _check_union(arguments)
    if origin in _ITEMS and arguments:
        return _check_items(tuple(map(check_of, (a for a in arguments if a is not ...))))
    if origin in _KEYED and len(arguments) == 2:
        return _check_keyed(*map(check_of, arguments))
    return None


def _check_open(value: Any, place: str, codec: Codec) -> None:
    kind = type(value)
    if kind in _PLAIN:
        return
    if isinstance(value, list):
        for index, item in enumerate(value):
            if type(item) not in _PLAIN:
                _check_open(item, f"{place}[{index}]", codec)
    elif isinstance(value, dict):
        for key, item in value.items():
            if type(key) is not str and not (codec is MSGPACK and type(key) in _PLAIN_KEYS):
                raise _changed(f"a key of {place}", key, "text", "annotate the keys")
            if type(item) not in _PLAIN:
                _check_open(item, f"{place}.{key}", codec)
    elif not (codec is MSGPACK and _has_msgpack(value)):
        raise _changed(place, value, _becomes(value))


def _has_msgpack(value: Any) -> bool:
    return type(value) is bytes or (type(value) is datetime and value.tzinfo is not None)


def _check_items(checks: Sequence[Check | None]) -> Check | None:
    if not any(checks):
        return None

    def check(value: Any, place: str, codec: Codec) -> None:
        if not isinstance(value, list | tuple | AbstractSet):
            return
        for index, item in enumerate(value):
            inner = checks[index if index < len(checks) else -1]
            if inner is not None:
                inner(item, f"{place}[{index}]", codec)

    return check


def _check_keyed(keys: Check | None, values: Check | None) -> Check | None:
    if keys is None and values is None:
        return None

    def check(value: Any, place: str, codec: Codec) -> None:
        if not isinstance(value, Mapping):
            return
        for key, item in value.items():
            if keys is not None and type(key) is not str:
                _check_open({key: None}, place, codec)
            if values is not None:
                values(item, f"{place}.{key}", codec)

    return check


def _check_union(kinds: Sequence[Any]) -> Check | None:
    if not _OPEN.isdisjoint(kinds):
        return _check_open
    # A value is looked at by each of those that could have written it: they skip what is not theirs.
    checks = [each for each in map(check_of, kinds) if each is not None]
    if not checks:
        return None

    def check(value: Any, place: str, codec: Codec) -> None:
        for each in checks:
            each(value, place, codec)

    return check


def _check_fields(kind: Any) -> Check | None:
    """Look into the fields of a class, by their own annotations."""
    if not (
        dataclasses.is_dataclass(kind)
        or hasattr(kind, "__attrs_attrs__")
        or hasattr(kind, "__struct_fields__")
        or (isinstance(kind, type) and hasattr(kind, "__total__"))
        or (isinstance(kind, type) and issubclass(kind, tuple) and hasattr(kind, "_fields"))
    ):
        return None
    # Made when the first value comes: a class may have fields of its own type.
    found: dict[str, Check] | None = None

    def check(value: Any, place: str, codec: Codec) -> None:
        nonlocal found
        if found is None:
            found = {}
            for name, hint in _hints(kind).items():
                if (inner := check_of(hint)) is not None:
                    found[name] = inner
        for name, inner in found.items():
            if isinstance(value, Mapping):
                if name in value:
                    inner(value[name], f"{place}.{name}", codec)
            elif isinstance(value, kind) and hasattr(value, name):
                inner(getattr(value, name), f"{place}.{name}", codec)

    return check


def _hints(kind: Any) -> dict[str, Any]:
    try:
        return get_type_hints(kind)
    except Exception:  # noqa: BLE001  annotations may run anything
        return {}


_WORDS = {list: "a list", dict: "a dict", str: "text", int: "a number", float: "a number"}


def _becomes(value: Any) -> str:
    if isinstance(value, Enum):
        value = value.value
    elif isinstance(value, tuple | AbstractSet):
        return _WORDS[list]
    elif hasattr(value, "__dict__") or hasattr(value, "__struct_fields__"):
        return _WORDS[dict] if not hasattr(value, "__fspath__") else _WORDS[str]
    return _WORDS.get(type(value), _WORDS[str])


def _changed(place: str, value: Any, becomes: str, remedy: str = "annotate it") -> NotEncodable:
    name = type(value).__name__
    return NotEncodable(
        f"{place} is of type {name}, and would arrive as {becomes}, for no annotation says what it is",
        hint=f"{remedy} as {name}, or make it {becomes} yourself",
    )
