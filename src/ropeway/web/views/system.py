"""Performance, the audit log, and what this is."""

from __future__ import annotations

import json
import platform
from importlib.resources import files
from typing import Any

import msgspec

from ropeway.config import DURATIONS, origins, shown
from ropeway.errors import Forbidden
from ropeway.operate.audit import entries
from ropeway.operate.performance import SHARES, timings
from ropeway.states import State
from ropeway.store import Filter
from ropeway.web.at import At, Shown
from ropeway.words import interval

_NEWEST = 1_000


async def performance(at: At) -> Shown:
    """Tell how long the newest jobs of each task waited and ran."""
    jobs = []
    for state in (State.SUCCEEDED, State.FAILED):
        jobs += (await at.store.search(Filter(state=state), None, _NEWEST)).jobs
    now = await at.store.now()
    found = timings(jobs, now)
    longest = max([each.ran[-1] for each in found if each.ran], default=0.0)
    return Shown(
        template="performance.html",
        title=at.words("Performance"),
        values={
            "timings": found,
            "shares": [f"p{share * 100:g}" for share in SHARES],
            "longest": longest or 1.0,
            "newest": _NEWEST,
            "slowest": sorted(
                (job for job in jobs if job.started is not None and job.finished is not None),
                key=lambda job: (job.started or 0.0) - (job.finished or 0.0),
            )[:10],
            "now": now,
        },
    )


async def audit(at: At) -> Shown:
    """Show what was done by hand, newest first."""
    if not at.may("audit.view"):
        raise Forbidden("you may not read the audit log", hint="ask for the role operate")
    found = await entries(at.store, at.asks("after"))
    return Shown(
        template="audit.html",
        title=at.words("Audit"),
        live=False,
        values={"audit": found, "now": await at.store.now()},
    )


def _in_words(name: str, value: Any) -> str:
    if name in DURATIONS:
        return interval(value)
    return value if isinstance(value, str) else f"{value:,}"


async def about(at: At) -> Shown:
    """Show versions, what the backend can do, and the settings, without secrets."""
    places = {each.setting: each.place for each in origins(at.app.given)}
    return Shown(
        template="about.html",
        title=at.words("About"),
        live=False,
        values={
            "python": platform.python_version(),
            "where": at.settings.where,
            "capabilities": msgspec.structs.asdict(at.store.capabilities),
            "settings": [
                (name, _in_words(name, value), places.get(name, ""))
                for name, value in shown(at.settings).items()
            ],
            "tasks": sorted(at.app.tasks),
            "vendored": vendored(),
        },
    )


def vendored() -> list[dict[str, Any]]:
    """Return what of others' is in the package."""
    file = files("ropeway.web") / "static" / "vendor" / "manifest.json"
    found: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))
    return found
