"""Who may look and act: every request is granted a name and a role, or nothing at all."""

from __future__ import annotations

import base64
import hmac
import ipaddress
import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha256
from typing import Protocol, runtime_checkable
from urllib.parse import urlsplit

import anyio.to_thread
from msgspec import Struct
from starlette.requests import Request

from ropeway.errors import BadRole
from ropeway.operate.roles import rights
from ropeway.web.passwords import UserFile

SESSION = 12 * 3600
"""Seconds for which somebody who has logged in stays so."""

_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip")
_LOCAL_NAMES = {"localhost", "127.0.0.1", "::1"}


class Grant(Struct, frozen=True):
    """What somebody is let do: a role, or one with more or fewer rights; raises `BadRole`."""

    user: str
    role: str

    def __post_init__(self) -> None:
        rights(self.role)


Ask = Callable[[Request], "Grant | Awaitable[Grant | None] | None"]
"""A function of the host's that knows who somebody is."""


@runtime_checkable
class Access(Protocol):
    """Decides who somebody is."""

    login: bool
    """Whether there is a page to log in."""

    async def grant(self, request: Request) -> Grant | None:
        """Return what the request is let do, or None."""
        ...

    def advice(self, prefix: str) -> str:
        """Say what to do to get in, for whoever was not let in."""
        ...


class Custom:
    """Asks a function of the host's."""

    login = False

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    async def grant(self, request: Request) -> Grant | None:
        """Return what the function says."""
        found = self._ask(request)
        return found if found is None or isinstance(found, Grant) else await found

    def advice(self, prefix: str) -> str:
        """Say what to do."""
        return "Log in to the application first."


class Loopback:
    """Lets in whoever comes from this machine by one of its own names, and nobody else.

    What a proxy has forwarded comes from elsewhere; a foreign name in `Host` is a page of somebody
    else that made its name point here.
    """

    login = False

    async def grant(self, request: Request) -> Grant | None:
        """Grant everything to this machine."""
        return Grant("local", "admin") if is_local(request) else None

    def advice(self, prefix: str) -> str:
        """Say what to do."""
        return "Only this machine is let in: give the dashboard access=..., see its documentation."


class Token:
    """Lets in whoever has the token: once in a link, then in a cookie, or as a bearer."""

    login = False

    def __init__(self, token: str | None = None, role: str = "admin") -> None:
        self.token = token or secrets.token_urlsafe(24)
        self._role = Grant("local", role).role
        self.sessions = Sessions()

    async def grant(self, request: Request) -> Grant | None:
        """Grant the role to the cookie that the link has set, or to the token as a bearer."""
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self.is_token(given):
            return Grant("token", self._role)
        return Grant("local", self._role) if self.sessions.user(request) == "local" else None

    def is_token(self, given: str) -> bool:
        """Whether this is the token, told in a time that does not depend on how much is right."""
        return hmac.compare_digest(given.encode(), self.token.encode())

    def advice(self, prefix: str) -> str:
        """Say what to do."""
        return "Open the link that `ropeway dashboard` has printed."


class Users:
    """Lets in whoever is in a file of users, by a page to log in, or by HTTP Basic for programs."""

    login = True

    def __init__(self, file: UserFile, *, secret: str | None = None) -> None:
        self.file = file
        self.sessions = Sessions(secret)
        self._known: dict[bytes, float] = {}
        self._failed: dict[str, list[float]] = {}

    async def grant(self, request: Request) -> Grant | None:
        """Grant what the file says now: who is removed from it is out at once."""
        name = self.sessions.user(request)
        if name is None:
            name = await self._basic(request)
        role = self.file.role(name) if name is not None else None
        return Grant(name, role) if name is not None and role is not None else None

    async def check(self, name: str, password: str, address: str) -> bool:
        """Whether the password is right; one address may be wrong five times a minute."""
        now = time.monotonic()
        recent = [each for each in self._failed.get(address, []) if now - each < 60.0]
        if len(recent) >= 5:
            return False
        right = await anyio.to_thread.run_sync(self.file.check, name, password)
        self._failed = {key: each for key, each in self._failed.items() if now - each[-1] < 60.0}
        if not right:
            self._failed[address] = [*recent, now]
        return right

    async def _basic(self, request: Request) -> str | None:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            name, _, password = base64.b64decode(given, validate=True).decode().partition(":")
        except ValueError:
            return None
        # A right password is remembered for a minute, for checking one is slow on purpose.
        proof, now = hmac.digest(self.sessions.key, given.encode(), "sha256"), time.monotonic()
        self._known = {key: until for key, until in self._known.items() if until > now}
        if proof not in self._known:
            if not await self.check(name, password, request.client.host if request.client else ""):
                return None
            self._known[proof] = now + 60.0
        return name

    def advice(self, prefix: str) -> str:
        """Say what to do."""
        return "Log in."


class Proxy:
    """Believes a header of a proxy that has asked who somebody is, if the proxy is trusted."""

    login = False

    def __init__(
        self,
        trusted: Sequence[str],
        *,
        user_header: str = "x-forwarded-user",
        role_header: str = "x-forwarded-role",
        role: str = "view",
    ) -> None:
        rights(role)  # raises for a misspelt one
        self._trusted = [ipaddress.ip_network(each, strict=False) for each in trusted]
        self._user, self._role_header, self._role = user_header, role_header, role

    async def grant(self, request: Request) -> Grant | None:
        """Grant what the proxy says; its header counts from its own address alone."""
        user = request.headers.get(self._user)
        if not user or request.client is None or not self._trusts(request.client.host):
            return None
        try:
            return Grant(user, request.headers.get(self._role_header) or self._role)
        except BadRole:
            return None  # what was meant may have been less than the role of everybody

    def _trusts(self, host: str) -> bool:
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return False
        return any(address in network for network in self._trusted)

    def advice(self, prefix: str) -> str:
        """Say what to do."""
        return "Come through the proxy that knows who you are."


class Sessions:
    """Cookies that say who somebody is, which only this key can have made; nothing is kept."""

    def __init__(self, secret: str | None = None) -> None:
        self.key = sha256(secret.encode()).digest() if secret else secrets.token_bytes(32)
        self.name = f"ropeway_{sha256(self.key).hexdigest()[:8]}"

    def cookie(self, user: str, lasts: float = SESSION) -> str:
        """Make a cookie for somebody, for so many seconds."""
        told = base64.urlsafe_b64encode(user.encode()).decode()
        body = f"{told}.{int(time.time() + lasts)}"
        return f"{body}.{self._mark(body)}"

    def user(self, request: Request) -> str | None:
        """Return who the cookie of a request names, if it was made here and is not too old."""
        return self.told(request.cookies.get(self.name, ""))

    def told(self, cookie: str) -> str | None:
        """Return what a cookie says, if it was made here and is not too old."""
        body, _, mark = cookie.rpartition(".")
        if not body or not hmac.compare_digest(mark.encode(), self._mark(body).encode()):
            return None
        told, _, until = body.partition(".")
        if int(until) < time.time():
            return None
        return base64.urlsafe_b64decode(told).decode()

    def _mark(self, body: str) -> str:
        return hmac.new(self.key, body.encode(), "sha256").hexdigest()


def access_of(given: Access | Ask | None) -> Access:
    """Return what decides: what was given, a function made into it, or this machine alone."""
    if given is None:
        return Loopback()
    if isinstance(given, Access):
        return given
    return Custom(given)


def is_local(request: Request) -> bool:
    """Whether a request comes from this machine, to one of its own names, and from no proxy."""
    if request.client is None or any(name in request.headers for name in _FORWARDED):
        return False
    if not is_loopback(request.client.host):
        return False
    return (urlsplit(f"//{request.headers.get('host', '')}").hostname or "") in _LOCAL_NAMES


def is_loopback(host: str) -> bool:
    """Whether an address, or a name, is that of this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_same_site(request: Request) -> bool:
    """Whether a request that changes something was made by a page of this dashboard, or a program.

    Browsers say where a request comes from; what says nothing is no browser's.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = request.headers.get("origin")
    if origin is None:
        return "cookie" not in request.headers
    return urlsplit(origin).netloc == request.headers.get("host")
