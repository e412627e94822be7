"""A PostgreSQL server: what it promises, what it does not, and the setting that would."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ropeway.cli.checks import server
from ropeway.cli.checks.check import Check, failed
from ropeway.errors import RopewayError


def examine(url: str) -> Iterator[Check]:
    """Connect, and make all the checks."""
    from ropeway.backends.postgres import admin

    try:
        standing, found = admin.standing(url), admin.measured(url)
    except RopewayError as error:
        yield failed("postgres", error)
        return
    yield judged_tables(standing.server, standing.schema, standing.state)
    yield from server.judged_times(found.times)
    yield server.change(found.changes)
    yield judged_log(found.settings)
    yield judged_failover(found.settings, found.replicas)
    yield judged_sessions(found.settings)


def judged_tables(version: str, schema: str, state: str) -> Check:
    """Judge whether the tables fit this ropeway."""
    fact = f"{version}, schema {schema}: {state}"
    if state == "too new":
        return Check("postgres", "fail", fact, "upgrade ropeway")
    if state == "behind":
        return Check("postgres", "fail", fact, "ropeway db migrate")
    if state == "missing":
        return Check("postgres", "ok", f"{version}, schema {schema}: the first use makes it")
    return Check("postgres", "ok", fact)


def judged_log(settings: Mapping[str, str]) -> Check:
    """Say what an acknowledged change outlives on this machine."""
    for name in ("fsync", "full_page_writes"):
        if settings.get(name) == "off":
            fact = f"{name} off: a power cut can destroy the whole database"
            return Check("log", "fail", fact, f"ALTER SYSTEM SET {name} = on")
    if settings.get("synchronous_commit") == "off":
        # Ropeway sets it to on for itself, unless durability="process".
        fact = "synchronous_commit off: other programs' changes may be lost; ropeway's are flushed"
        return Check("log", "ok", fact)
    return Check("log", "ok", "every commit is flushed: what was sent outlives a power cut")


def judged_failover(settings: Mapping[str, str], replicas: int) -> Check:
    """Say what the loss of the machine means."""
    name, waits = "failover", settings.get("synchronous_standby_names", "") != ""
    if waits and settings.get("synchronous_commit") == "local":
        fact = "synchronous_commit local: no standby is waited for"
        return Check(name, "warn", fact, "ALTER SYSTEM SET synchronous_commit = on")
    if waits and not replicas:
        fact = "a standby is waited for, and none is connected: nothing is acknowledged"
        return Check(name, "fail", fact, "bring it back, or see synchronous_standby_names")
    if waits:
        return Check(name, "ok", "what was sent is on a standby as well, which may take over")
    if replicas:
        fact = "standbys follow a moment later: a failover loses what was sent last"
        return Check(name, "warn", fact, "name one in synchronous_standby_names")
    fact = "no standby is seen: while this server is away nothing is sent or run"
    return Check(name, "ok", fact)


def judged_sessions(settings: Mapping[str, str]) -> Check:
    """Judge whether a transaction that is left open can hold up others for ever."""
    limit = int(settings.get("idle_in_transaction_session_timeout", 0) or 0)
    if not limit:
        fact = "a transaction that a program leaves open slows down every claim"
        remedy = "ALTER SYSTEM SET idle_in_transaction_session_timeout = '5min'"
        return Check("sessions", "warn", fact, remedy)
    return Check("sessions", "ok", f"a transaction left open ends after {limit / 1000:,.0f} s")
