"""Calls that were sent for another version of their task."""

from __future__ import annotations

from typing import Any

from ropeway.codec import Undecodable
from ropeway.codecs import codec_for
from ropeway.errors import BadArguments
from ropeway.executor import Bind
from ropeway.message import Failure, Outcome
from ropeway.signature import Arguments
from ropeway.task import Definition


def too_new(definition: Definition, version: int) -> Outcome | None:
    """Return the outcome of a call for a later version than this code has: another may run it."""
    if version <= definition.version:
        return None
    error = Failure(
        type="UnknownVersion",
        message=f"it was sent for version {version} of {definition.name}; this worker has version "
        f"{definition.version}",
    )
    return Outcome(ending="unknown_task", error=error)


def binder(definition: Definition, version: int) -> Bind:
    """Return how the arguments of a call for that version are read: older ones are upgraded first.

    Without an upgrade it raises `BadArguments`, so that the call goes into quarantine as it is.
    """
    if version == definition.version:
        return definition.signature.decode

    def bind(body: bytes, content_type: str) -> Arguments:
        codec, upgrade = codec_for(content_type), definition.upgrade
        what = f"{definition.name}: sent for version {version}, this code has {definition.version}"
        if upgrade is None:
            raise BadArguments(f"{what}, and no upgrade")
        old: Any = codec.decode(body, dict[str, Any]) if codec is not None else None
        if codec is None or isinstance(old, Undecodable):
            raise BadArguments(f"{what}; its arguments cannot be read")
        new = upgrade(old, version)
        if not isinstance(new, dict):
            raise BadArguments(f"{what}; the upgrade returned {type(new).__name__}, not a dict")
        return definition.signature.decode(codec.encode(new), content_type)

    return bind
