"""What the place that is configured can do, and what it cannot."""

from __future__ import annotations

from ropeway.capabilities import Capabilities
from ropeway.cli.checks.check import Check


def abilities(found: Capabilities) -> Check:
    """Say it; what is missing is no fault before something needs it, and is refused then."""
    return Check("abilities", "ok", in_words(found))


def in_words(found: Capabilities) -> str:
    """Name each capability that is there, and then those that are not."""
    names = Capabilities.__struct_fields__
    there = ", ".join(name for name in names if getattr(found, name))
    absent = ", ".join(name for name in names if not getattr(found, name))
    return f"{there}; not {absent}" if absent else there
