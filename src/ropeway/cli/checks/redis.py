"""A Redis or Valkey server: what it promises, what it does not, and the setting that would."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from ropeway.cli.checks import server
from ropeway.cli.checks.check import Check, failed
from ropeway.errors import RopewayError
from ropeway.stepping import step

if TYPE_CHECKING:
    from ropeway.backends.redis import BlockingLink
    from ropeway.backends.redis.address import Address

_SECTIONS = ("server", "clients", "memory", "persistence", "replication", "stats")
_FULL = 0.8
_SETTINGS = ("appendfsync", "min-replicas-to-write")


def examine(url: str) -> Iterator[Check]:
    """Connect, and make all the checks."""
    from ropeway.backends.redis import BlockingLink, RedisBackend, parse
    from ropeway.backends.redis.script import load

    link = BlockingLink(parse(url))
    backend = RedisBackend(link)
    try:
        step(link.open())
        facts, settings = _facts(link), _settings(link)
        yield judged_server(facts)
        yield from server.judged_times(server.clocked(lambda: step(backend.now())))
        touch, keys = load("touch"), [f"{{{link.address.namespace}}}"]
        yield server.change(server.timed(lambda: step(link.run(touch, keys, ()))))
        yield judged_memory(facts, link.address)
        yield judged_log(facts, settings)
        yield judged_failover(facts, settings, link.address)
    except RopewayError as error:
        yield failed("redis", error)
    finally:
        step(link.close())


def _facts(link: BlockingLink) -> dict[str, str] | None:
    from ropeway.backends.redis.guards import told

    try:
        info = step(link.command("INFO", *_SECTIONS))
    except RopewayError:
        return None  # providers forbid it, or parts of it
    return told(info)


def _settings(link: BlockingLink) -> dict[str, str] | None:
    try:
        found = step(link.command("CONFIG", "GET", *_SETTINGS))
    except Exception:  # noqa: BLE001  forbidden, or not there at all: both mean unknown
        return None
    return {name.decode(): value.decode() for name, value in found.items()}


def judged_server(facts: Mapping[str, str] | None) -> Check:
    """Say what server it is."""
    if facts is None:
        return Check("redis", "warn", "connected; INFO is not allowed, so much is unknown", _GIVE)
    name = facts.get("server_name", "redis")
    version = facts.get(f"{name}_version", facts.get("redis_version", "unknown"))
    clients = facts.get("connected_clients", "?")
    return Check("redis", "ok", f"{name} {version}, {clients} connections")


_GIVE = "ACL SETUSER <user> +info +config|get, or look at what your provider says"


def judged_memory(facts: Mapping[str, str] | None, address: Address) -> Check:
    """Judge whether there is room, and what becomes of jobs when there is none."""
    from ropeway.backends.redis.guards import keeping

    if facts is None or "maxmemory_policy" not in facts:
        return Check("memory", "warn", "unknown: jobs may be evicted", "see maxmemory-policy")
    used, limit = int(facts.get("used_memory", 0)), int(facts.get("maxmemory", 0))
    policy = facts["maxmemory_policy"]
    fact = f"{used / 2**20:,.0f} MiB used of {limit / 2**20:,.0f}, {policy}"
    if not limit:
        remedy = "set maxmemory below the machine's memory: a send is refused then, and no job lost"
        return Check("memory", "warn", f"{used / 2**20:,.0f} MiB used, without a limit", remedy)
    if keeping(facts).evicts:  # this far only with ?unsafe=yes
        remedy = "CONFIG SET maxmemory-policy noeviction"
        return Check("memory", "warn", f"{fact}: jobs are thrown away when it is full", remedy)
    if used > _FULL * limit:
        remedy = "when it is full sends raise Backpressure: raise maxmemory, or keep less (keep=)"
        return Check("memory", "warn", fact, remedy)
    return Check("memory", "ok", fact)


def judged_log(facts: Mapping[str, str] | None, settings: Mapping[str, str] | None) -> Check:
    """Say what an acknowledged change outlives on this machine."""
    appends = None if facts is None else facts.get("aof_enabled")
    if appends == "0":
        fact = "appendonly no: a restart loses every job"
        return Check("log", "warn", fact, "CONFIG SET appendonly yes")
    if facts is not None and facts.get("aof_last_write_status", "ok") != "ok":
        return Check("log", "fail", "the log cannot be written", "free space on the server's disk")
    flush = None if settings is None else settings.get("appendfsync")
    if appends is None or flush is None:
        fact = "unknown: CONFIG GET is not allowed here"
        return Check("log", "warn", fact, "make sure of appendonly yes; appendfsync always is best")
    if flush == "always":
        return Check("log", "ok", "appendfsync always: what was sent outlives a power cut")
    lost = "the last second or two" if flush == "everysec" else "half a minute"
    fact = (
        f"appendfsync {flush}: a power cut loses what was sent in {lost}; a killed server nothing"
    )
    return Check("log", "warn", fact, "CONFIG SET appendfsync always; or a replica and ?replicas=1")


def judged_failover(
    facts: Mapping[str, str] | None, settings: Mapping[str, str] | None, address: Address
) -> Check:
    """Say what the loss of the machine means."""
    name, replicas = "failover", int((facts or {}).get("connected_slaves", 0))
    if address.replicas > replicas:
        fact = (
            f"?replicas={address.replicas}, and {replicas} are connected: nothing is acknowledged"
        )
        return Check(name, "fail", fact, "bring the replicas back")
    if address.replicas:
        fact = f"what was sent is on {address.replicas} of {replicas} replicas as well"
        if (settings or {}).get("min-replicas-to-write", "0") != "0":
            return Check(name, "ok", fact)
        remedy = "min-replicas-to-write 1 has a master that was cut off stop by itself"
        return Check(name, "ok", f"{fact}; the one chosen may be another", remedy)
    if address.kind == "server" and not replicas:
        fact = "none: while this server is away nothing is sent or run"
        return Check(name, "ok", fact, "redis+sentinel:// or redis+cluster:// for more")
    fact = (
        "replicas follow a moment later: a failover may lose what was sent last, and run it twice"
    )
    return Check(name, "warn", fact, "?replicas=1, and min-replicas-to-write 1 on the server")
