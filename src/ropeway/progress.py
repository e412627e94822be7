"""How far a running job says it is: a small record beside the job's own."""

from __future__ import annotations

import math

import msgspec
from msgspec import Struct

from ropeway.errors import BadArguments

_PREFIX = "progress/"
_LONGEST_NOTE = 500

KEPT = 604_800.0
"""Seconds for which a report stays if its job never ends. With the job's end it has the same time
as the job's record."""


class Progress(Struct, frozen=True, omit_defaults=True):
    """The latest report of a job: `done`, perhaps `of` so many, a `note`, and by which `attempt`."""

    done: float
    of: float | None = None
    note: str = ""
    attempt: int = 0

    @property
    def fraction(self) -> float | None:
        """The part that is done, from 0 to 1; None if the whole is not known."""
        return None if not self.of else min(1.0, max(0.0, self.done / self.of))


encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Progress).decode


def checked(done: float, of: float | None, note: str, attempt: int) -> Progress:
    """Make a report of what a task says; raises `BadArguments`."""
    for name, value in (("done", done), ("of", of)):
        usable = isinstance(value, int | float) and math.isfinite(value)
        if not usable and not (name == "of" and value is None):
            raise BadArguments(f"progress: {name}={value!r} is not a number")
    text = str(note)
    if len(text) > _LONGEST_NOTE:
        text = text[: _LONGEST_NOTE - 1] + "…"
    return Progress(done, of, text.encode("utf-8", "replace").decode(), attempt)


def progress_key(job_id: str) -> str:
    """Return the key of the record of a job's progress; waiting for it tells of reports."""
    return _PREFIX + job_id
