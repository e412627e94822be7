"""Which schedule was meant by a name that none has."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

_NAMED = 3
_SEE = "see: ropeway schedules ls"


def meant(name: str, known: Sequence[str]) -> str:
    """Return the hint for a name that is not known: those with the same last part, or written alike."""
    last = _last(name)
    alike = difflib.get_close_matches(name, known, _NAMED, 0.6)
    found = list(dict.fromkeys([*(each for each in known if _last(each) == last), *alike]))
    if not found:
        return _SEE
    more = f" ({_SEE.removeprefix('see: ')} lists all)" if len(found) > _NAMED else ""
    return f"did you mean {' or '.join(found[:_NAMED])}?{more}"


def _last(name: str) -> str:
    return name.rpartition(".")[2]
