"""A finding of the doctor."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from ropeway.errors import RopewayError

Status = Literal["ok", "warn", "fail"]


class Check(Struct, frozen=True):
    """What was looked at, how it is, and what to do about it if it is not well."""

    name: str
    status: Status
    fact: str
    remedy: str = ""


def failed(name: str, error: RopewayError) -> Check:
    """Make a finding of an error."""
    return Check(name, "fail", error.fact, error.hint)
