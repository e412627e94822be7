"""From an address to a connection that may be used: found, logged in, and looked at."""

from __future__ import annotations

import random
import re
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import hiredis

from ropeway.backends.redis import guards
from ropeway.backends.redis.address import Address
from ropeway.backends.redis.names import slot
from ropeway.backends.redis.refusals import refusal
from ropeway.backends.redis.wire import Lost, Reply, Wire
from ropeway.errors import BackendUnavailable
from ropeway.locations import Host, Login, Tls

W = TypeVar("W", bound=Wire)
Connect = Callable[[Host, float], Awaitable[W]]
"""Connects to a host within so many seconds, which are the connection's timeout as well."""

Word = bytes | str | int | float

PATIENCE = 2.0
"""Seconds for each step on the way to a server; so one that comes back is found soon."""

_OLDEST = {"redis": 7, "valkey": 8}


def pack(*words: Word) -> bytes:
    """Write a command as it goes over the wire."""
    packed: bytes = hiredis.pack_command(words)  # type: ignore[arg-type]  # any number of them
    return packed


async def ask(wire: Wire, *words: Word) -> Reply:
    """Run one command; raises `BackendUnavailable` where it is refused or its reply is lost."""
    reply = await _call(wire, pack(*words))
    if isinstance(reply, Exception):
        raise refusal(reply, str(wire.host), str(words[0]))
    return reply


_SILENT = (
    "is it running, and does the URL name it?",
    "is it running, and does it ask for a client's certificate (cert= and key=)?",
)


async def _call(wire: Wire, packed: bytes, hint: str = _SILENT[0]) -> Reply:
    try:
        return await wire.call(packed)
    except Lost as lost:
        raise BackendUnavailable(
            f"the Redis server {wire.host} cannot be reached: {lost}", hint=hint, away=True
        ) from None


class Dialler:
    """Finds the one server that has the namespace, and connects to it. `connect` does the rest."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._known: Host | None = None
        self._patience = min(PATIENCE, address.timeout)

    async def dial(self, connect: Connect[W]) -> W:
        """Return a connection to whoever is the master now; raises `BackendUnavailable`."""
        if self.address.kind == "server":
            return await self._master(connect, self.address.hosts[0])
        if self._known is not None:
            known, self._known = self._known, None
            try:
                wire = await self._master(connect, known)
            except BackendUnavailable:
                pass  # it was the master; whoever knows is asked who is
            else:
                self._known = known
                return wire
        host = await self._find(connect)
        wire = await self._master(connect, host)
        self._known = host
        return wire

    def moved(self, reply: Exception) -> None:
        """Hear that who was the master is not; a cluster says who is."""
        found = re.fullmatch(r"MOVED \d+ (.*):(\d+)", str(reply))
        # An empty name stands for the one that was asked: then the others are asked anew.
        self._known = Host(found[1], int(found[2])) if found and found[1] else None

    def forget(self) -> None:
        """Ask anew who the master is, next time."""
        self._known = None

    async def _find(self, connect: Connect[W]) -> Host:
        ask_one = self._by_sentinel if self.address.kind == "sentinel" else self._by_cluster
        problems: list[BackendUnavailable] = []
        for host in random.sample(self.address.hosts, len(self.address.hosts)):
            try:
                wire = await connect(host, self._patience)
                try:
                    return await ask_one(wire)
                finally:
                    wire.close()
            except BackendUnavailable as error:
                problems.append(error)
        told = "; ".join(sorted({error.fact for error in problems}))
        away = any(error.away for error in problems)
        raise BackendUnavailable(told, hint=problems[0].hint, away=away)

    async def _by_sentinel(self, wire: Wire) -> Host:
        await hello(wire, self.address.sentinel_login, self.address.tls)
        name = self.address.master
        found = await ask(wire, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", name)
        if not found:
            raise BackendUnavailable(
                f"the Sentinel {wire.host} knows no master {name!r}",
                hint="SENTINEL MASTERS lists those it knows",
            )
        return Host(_text(found[0]), int(found[1]))

    async def _by_cluster(self, wire: Wire) -> Host:
        greeting = await hello(wire, self.address.login, self.address.tls)
        if greeting.get("mode") != "cluster":
            raise BackendUnavailable(
                f"the Redis server {wire.host} is not part of a cluster",
                hint="write redis:// instead of redis+cluster://",
            )
        wanted = slot(self.address.namespace)
        for first, last, master, *_ in await ask(wire, "CLUSTER", "SLOTS"):
            if first <= wanted <= last:
                # A node that does not know its own name leaves it out.
                return Host(_text(master[0] or b"") or wire.host.name, int(master[1]))
        raise BackendUnavailable(
            f"no node of the cluster serves the slot {wanted}, where the namespace "
            f"{self.address.namespace!r} is",
            hint="see CLUSTER INFO",
            away=True,
        )

    async def _master(self, connect: Connect[W], host: Host) -> W:
        wire = await connect(host, self._patience)
        try:
            greeting = await hello(wire, self.address.login, self.address.tls)
            refuse_unusable(self.address, host, greeting)
            if self.address.database:
                await ask(wire, "SELECT", self.address.database)
            await _examine(self.address, wire)
        except BaseException:
            wire.close()
            raise
        wire.timeout = self.address.timeout
        return wire


async def hello(wire: Wire, login: Login, tls: Tls | None) -> dict[str, Any]:
    """Log in, and return what the server says about itself."""
    words: list[Word] = ["HELLO", 3]
    if login.password:
        words += ["AUTH", login.user or "default", login.password]
    reply = await _call(
        wire, pack(*words, "SETNAME", "ropeway"), _SILENT[bool(tls and not tls.cert)]
    )
    if isinstance(reply, Exception):
        raise refusal(reply, str(wire.host), "HELLO")
    return {_text(name): _plain(value) for name, value in reply.items()}


async def _examine(address: Address, wire: Wire) -> None:
    info = await _call(wire, pack(*guards.INFO))
    # A user who may not ask is not refused for it: `ropeway doctor` says what is unknown.
    if isinstance(info, bytes):
        guards.refuse_unsafe(address, wire.host, guards.keeping(guards.told(info)))


def refuse_unusable(address: Address, host: Host, greeting: dict[str, Any]) -> None:
    """Raise `BackendUnavailable` for a server that is too old, no master, or of another kind."""
    server, version = str(greeting.get("server")), str(greeting.get("version"))
    oldest = _OLDEST.get(server, 7)
    if int(re.match(r"\d*", version)[0] or oldest) < oldest:  # type: ignore[index]
        raise BackendUnavailable(
            f"{host} is {server} {version}, which is too old",
            hint="use Redis 7 or later, or Valkey 8 or later",
        )
    if greeting.get("mode") == "sentinel":
        raise BackendUnavailable(
            f"{host} is a Sentinel", hint=f"write redis+sentinel://{host}/<name of the master>/0"
        )
    if greeting.get("mode") == "cluster" and address.kind != "cluster":
        raise BackendUnavailable(
            f"the Redis server {host} is part of a cluster",
            hint=f"write redis+cluster://{host}",
        )
    if greeting.get("role") != "master":
        raise BackendUnavailable(
            f"the Redis server {host} is a replica",
            hint="name the master, or use Sentinel",
            away=address.kind != "server",  # a failover is on its way
        )


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _plain(value: Reply) -> Any:
    return _text(value) if isinstance(value, bytes) else value
