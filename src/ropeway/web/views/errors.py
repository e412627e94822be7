"""What failed and what is in quarantine, by cause."""

from __future__ import annotations

from ropeway.operate.cause import fingerprint
from ropeway.states import State
from ropeway.store import Filter
from ropeway.web.at import At, Shown
from ropeway.words import iso

_MOST = 100
_RANGES = {"1h": 3_600.0, "24h": 86_400.0, "7d": 604_800.0, "": None}


async def errors(at: At) -> Shown:
    """Group what failed."""
    return await _grouped(at, State.FAILED, "Errors")


async def quarantine(at: At) -> Shown:
    """Group what is in quarantine."""
    return await _grouped(at, State.QUARANTINED, "Quarantine")


async def _grouped(at: At, state: State, title: str) -> Shown:
    now = await at.store.now()
    chosen = at.asks("since") if at.asks("since") in _RANGES else ""
    back = _RANGES[chosen]
    which = Filter(state=state, since=None if back is None else now - back)
    causes = await at.store.causes(which, _MOST)
    return Shown(
        template="errors.html",
        title=at.words(title),
        values={
            "state": state.value,
            "causes": [(cause, fingerprint(cause)) for cause in causes.found],
            "whole": causes.whole,
            "total": sum(cause.number for cause in causes.found),
            "now": now,
            "ranges": list(_RANGES),
            "chosen": chosen,
            "since": None if back is None else iso(now - back),
        },
    )
