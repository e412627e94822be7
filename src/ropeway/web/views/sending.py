"""Sending a job by hand: which task, and what it takes."""

from __future__ import annotations

import inspect
from typing import Any

import msgspec

from ropeway.errors import BadArguments, Forbidden
from ropeway.signature import Signature
from ropeway.web.at import At, Shown


async def send(at: At) -> Shown:
    """Ask for the arguments of a call, with those that its task has by default."""
    if not at.may("jobs.send"):
        raise Forbidden("you may not send jobs", hint="ask for the right jobs.send")
    chosen = at.asks("task")
    if chosen and chosen not in at.app.tasks:
        raise BadArguments(f"no task is called {chosen!r} here", hint="choose one of the list")
    task = at.app.tasks[chosen] if chosen else None
    return Shown(
        template="send.html",
        title=at.words("Send a job"),
        live=False,
        values={
            "tasks": sorted(at.app.tasks),
            "chosen": chosen,
            "signature": str(task.definition.signature) if task else "",
            "about": inspect.getdoc(task) or "" if task else "",
            "arguments": skeleton(task.definition.signature) if task else None,
        },
    )


def skeleton(signature: Signature) -> dict[str, Any]:
    """Return what to write: every parameter by name, with its default, or null where it has none."""
    found: dict[str, Any] = {}
    for each in signature.parameters:
        if each.kind in {each.VAR_POSITIONAL, each.VAR_KEYWORD}:
            continue
        try:
            default = None if each.default is each.empty else msgspec.to_builtins(each.default)
        except TypeError:
            continue  # the function's own applies
        found[each.name] = default
    return found
