"""Facts that a backend declares, and the refusal when something needs one it lacks."""

from __future__ import annotations

from msgspec import Struct

from ropeway.errors import Unsupported


class Capabilities(Struct, frozen=True, kw_only=True):
    """What a backend can do; the conformance suite asserts each of them.

    `broker`: holds messages. `store`: holds records. `atomic`: a settle, its record and what it
    publishes are one step. `durable`: what was acknowledged survives the death of its processes.
    `search`: jobs can be listed by state, task, queue and so on. `shared`: other processes see it.
    `recorded`: a job is on record, and its id known, from the moment it is sent; where that is
    missing, from the moment it is first handed over. `joint`: a send can be part of a transaction that
    the caller has open in the same database.
    """

    broker: bool = True
    store: bool = True
    atomic: bool = True
    durable: bool = True
    search: bool = True
    shared: bool = True
    recorded: bool = True
    joint: bool = False


_REMEDIES = {
    "durable": "use sqlite:// instead",
    "shared": "use sqlite:// instead, so that other processes can see the jobs",
    "recorded": "use sqlite:// instead, or send with a `delay`, so that the store has it at once",
    "joint": "use postgresql://, or send after the commit",
    "search": "look the job up by its id",
    "store": "name one beside the broker: Ropeway(broker='amqp://...', store='sqlite:///jobs.db')",
}


def require(capabilities: Capabilities, name: str, feature: str) -> None:
    """Raise `Unsupported`, with the feature, the reason and the remedy, if `name` is missing."""
    if not getattr(capabilities, name):
        raise Unsupported(
            f"{feature} needs a backend with the capability {name!r}, which this one lacks",
            hint=_REMEDIES.get(name, "use sqlite:// instead"),
        )
