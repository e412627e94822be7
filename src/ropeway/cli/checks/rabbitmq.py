"""A RabbitMQ server: what it promises, what it does not, and the setting that would."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ropeway.cli.checks import server
from ropeway.cli.checks.check import Check, failed
from ropeway.errors import RopewayError

if TYPE_CHECKING:
    from ropeway.backends.rabbitmq.looking import Look


def examine(url: str, *, alone: bool) -> Iterator[Check]:
    """Connect, and make all the checks; `alone` says that no store is beside it."""
    from ropeway.backends.rabbitmq import parse
    from ropeway.backends.rabbitmq.looking import look

    try:
        address = parse(url)
        found = asyncio.run(look(address))
    except RopewayError as error:
        yield failed("rabbitmq", error)
        return
    yield judged_server(found)
    yield server.judged_trip(found.trips)
    yield judged_alarm(found)
    yield judged_queues(found)
    if found.confirms:
        yield server.change(found.confirms)
    yield judged_failover(len(address.hosts))
    yield judged_holding(alone=alone)


def judged_server(found: Look) -> Check:
    """Say what server it is; one that is too old was refused before."""
    name, version = found.told.get("product", "a server"), found.told.get("version", "unknown")
    cluster = found.told.get("cluster_name")
    return Check(
        "rabbitmq", "ok", f"{name} {version}" + (f", cluster {cluster}" if cluster else "")
    )


def judged_alarm(found: Look) -> Check:
    """Judge whether it takes messages."""
    if not found.alarm:
        return Check("alarms", "ok", "none: it takes messages")
    remedy = "give it memory or disk: rabbitmqctl status shows its alarms and watermarks"
    return Check("alarms", "fail", f"it takes no messages: {found.alarm}", remedy)


def judged_queues(found: Look) -> Check:
    """Judge whether queues can be made that a majority of the nodes keeps."""
    if found.alarm:
        return Check("quorum", "warn", "not tried: it takes no messages", "see alarms")
    if found.unkept is not None:
        remedy = found.unkept.hint or "ropeway makes quorum queues: allow them, or declare them"
        return Check("quorum", "fail", found.unkept.fact, remedy)
    fact = "a send returns when most nodes of its queue have it on their disks"
    return Check("quorum", "ok", fact)


def judged_failover(hosts: int) -> Check:
    """Say what the loss of a node means; AMQP does not tell how many there are."""
    if hosts > 1:
        return Check("failover", "ok", f"{hosts} hosts in the URL: a client goes to any of them")
    fact = "one host in the URL: while it is away nothing is sent or run"
    return Check("failover", "ok", fact, "name three nodes of a cluster: amqp://h1,h2,h3/")


def judged_holding(*, alone: bool) -> Check:
    """Say how long a message may be held, which AMQP does not tell."""
    ask = "rabbitmqctl environment | grep consumer_timeout"
    if alone:
        fact = (
            "nothing fences a run: what takes longer than consumer_timeout (30 minutes by default)"
            " runs a second time"
        )
        return Check("holding", "warn", fact, f"name a store; or raise it: {ask}")
    fact = "long tasks are the store's after ten minutes: consumer_timeout must be longer"
    return Check("holding", "ok", fact, ask)
