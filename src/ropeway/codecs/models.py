"""Types that the formats do not know by themselves: paths, and the models of pydantic.

Pydantic is never imported here: where it has not been, no value is of one of its models.
"""

from __future__ import annotations

import os
import sys
from pathlib import PurePath
from typing import Any, cast

import msgspec


def to_builtin(value: Any) -> Any:
    """Return what is written in place of `value`, which the format does not know."""
    if isinstance(value, PurePath):
        return os.fspath(value)
    if _is_model(type(value)):
        # As its own JSON is read again: without what it computes, and bytes as text.
        return value.model_dump(mode="json", by_alias=True, round_trip=True)
    # As msgspec says it, so that one text is enough for whoever searches for it.
    raise TypeError(f"Encoding objects of type {type(value).__qualname__} is unsupported")


def from_builtin(kind: type, value: Any) -> Any:
    """Make a `kind`, which the format does not know, of a plain value; raises `ValueError`."""
    if isinstance(kind, type):
        if issubclass(kind, PurePath) and isinstance(value, str):
            return kind(value)
        if _is_model(kind):
            return _model(kind, value)
        if isinstance(value, kind):
            return value
    raise ValueError(f"Expected `{_name(kind)}`, got `{type(value).__name__}`")


def _is_model(kind: type) -> bool:
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and issubclass(kind, pydantic.BaseModel)


def _model(kind: Any, value: Any) -> Any:
    try:
        # By way of JSON, since a strict model takes a date from text there and nowhere else.
        data = msgspec.json.encode(value)
        return kind.model_validate_json(data, by_alias=True, by_name=True)
    except ValueError as error:
        if not hasattr(error, "errors"):
            raise
        raise ValueError(_told(kind, cast("Any", error).errors())) from None


def _told(kind: type, errors: list[dict[str, Any]]) -> str:
    """Say in one line what a model does not take, and where in it."""
    places = (".".join(str(step) for step in each["loc"]) for each in errors)
    said = (
        f"{place}: {each['msg']}" if place else str(each["msg"])
        for place, each in zip(places, errors, strict=True)
    )
    return f"{_name(kind)}: {'; '.join(said)}"


def _name(kind: Any) -> str:
    return str(getattr(kind, "__name__", kind))
