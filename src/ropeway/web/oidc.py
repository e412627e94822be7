"""Letting people in by a provider of logins: who they are to it decides what they may do here."""

from __future__ import annotations

import base64
import hmac
import importlib.util
import json
import secrets
import time
from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from starlette.requests import Request

from ropeway.errors import BadRole, ConfigError, LoginRefused
from ropeway.operate.roles import rights
from ropeway.web.access import SESSION, Grant, Sessions

_PENDING = 600.0
"""Seconds within which somebody has to come back from the provider."""


class Begun(Struct, frozen=True):
    """A login that has begun: where to go, and the cookie by which its end is known."""

    url: str
    cookie: str
    value: str


class Ended(Struct, frozen=True):
    """A login that has ended well: who it is, where they wanted to go, and the cookie of its begin."""

    grant: Grant
    back: str
    cookie: str


class Oidc:
    """Lets in whom an OpenID Connect provider knows, if one of their groups has a role.

    `roles` says which, and the first that somebody is in counts; `claim` is where the provider tells the
    groups, `realm_access.roles` say; a name with a slash is taken whole. `url` is where people reach the dashboard, if that is through a
    proxy. Without a `secret` all have to log in again when it starts anew.
    """

    login = True

    def __init__(
        self,
        issuer: str,
        client_id: str,
        client_secret: str | None = None,
        *,
        roles: Mapping[str, str],
        claim: str = "groups",
        name_claim: str = "preferred_username",
        scope: str = "openid profile email",
        url: str | None = None,
        secret: str | None = None,
        lasts: float = SESSION,
    ) -> None:
        if any(importlib.util.find_spec(each) is None for each in ("authlib", "httpx2")):
            raise ConfigError(
                "OpenID Connect needs packages that are not installed",
                hint="pip install 'ropeway[oidc]'",
            )
        from ropeway.web.provider import Provider, is_safe

        if not is_safe(issuer):
            raise ConfigError(f"the issuer {issuer!r} is no https address")
        if not roles:
            raise ConfigError("no group has a role, so nobody would be let in", hint="give roles")
        for role in roles.values():
            rights(role)
        self.provider = Provider(issuer, client_id, client_secret, scope)
        self.url = url and url.rstrip("/")
        self._roles, self._claim, self._name = dict(roles), claim, name_claim
        self._path = [claim] if "/" in claim else claim.split(".")
        self.lasts = lasts
        self.sessions = Sessions(secret and f"oidc {issuer} {secret}")
        self._pending = Sessions(secret and f"oidc login {issuer} {secret}")
        self._used: dict[str, float] = {}

    async def grant(self, request: Request) -> Grant | None:
        """Grant what the provider said when they logged in."""
        told = self.sessions.user(request)
        if told is None:
            return None
        user, role = json.loads(told)
        try:
            return Grant(user, role)
        except BadRole:  # of an older release, with other actions
            return None

    def advice(self, prefix: str) -> str:
        """Say what to do."""
        return "Log in."

    def cookie(self, grant: Grant) -> str:
        """Return the cookie by which somebody stays logged in."""
        return self.sessions.cookie(json.dumps([grant.user, grant.role]), self.lasts)

    async def begin(self, redirect: str, back: str) -> Begun:
        """Begin a login; who comes back to `redirect` goes on to `back`."""
        state = secrets.token_urlsafe(24)
        nonce, verifier = self._made(state, "nonce"), self._made(state, "verifier")
        url = await self.provider.login_url(redirect, state, nonce, verifier)
        value = self._pending.cookie(f"{state} {back}", _PENDING)
        return Begun(url, self._cookie_of(state), value)

    async def end(self, request: Request, redirect: str) -> Ended:
        """End a login; raises `LoginRefused` unless it was begun in this browser, a moment ago."""
        query = request.query_params
        state, cookie = query.get("state", ""), self._cookie_of(query.get("state", ""))
        begun, _, back = (self._pending.told(request.cookies.get(cookie, "")) or "").partition(" ")
        if not state or not hmac.compare_digest(state.encode(), begun.encode()):
            raise LoginRefused(
                "this login was not begun in this browser within ten minutes", hint="log in again"
            )
        self._use(state)
        await self._refuse_answer(query)
        found = await self.provider.claims(
            query.get("code", ""),
            redirect,
            self._made(state, "nonce"),
            self._made(state, "verifier"),
            self._path[0],
        )
        return Ended(self.granted(found), back, cookie)

    def granted(self, claims: Mapping[str, Any]) -> Grant:
        """Return what the provider's words make of somebody; raises `LoginRefused`."""
        user = str(claims.get(self._name) or claims.get("email") or claims["sub"])
        found: Any = claims
        for part in self._path:
            found = found.get(part) if isinstance(found, Mapping) else None
        groups = found if isinstance(found, list) else [] if found is None else [found]
        if self._claim == "email" and claims.get("email_verified") is not True:
            groups = []  # anybody can say that an address is theirs
        for group, role in self._roles.items():
            if group in groups:
                return Grant(user, role)
        told = ", ".join(map(str, groups)) or f"no claim {self._claim!r}"
        raise LoginRefused(
            f"{user} is in none of the groups that are let in: {told[:200]}",
            hint=f"ask for one of: {', '.join(self._roles)}",
        )

    async def _refuse_answer(self, query: Mapping[str, str]) -> None:
        if "error" in query:
            said = f"{query['error']} {query.get('error_description', '')}".strip()
            raise LoginRefused(f"{self.provider.name} says: {said[:200]}", hint="log in again")
        about = await self.provider.about()
        named = query.get("iss")
        must = about.get("authorization_response_iss_parameter_supported") is True
        if named != self.provider.issuer and (must or named is not None):
            raise LoginRefused("the answer is of another provider", hint="log in again")

    def _use(self, state: str) -> None:
        now = time.monotonic()
        self._used = {each: until for each, until in self._used.items() if until > now}
        if state in self._used:
            raise LoginRefused("this answer was used before", hint="log in again")
        self._used[state] = now + _PENDING

    def _cookie_of(self, state: str) -> str:
        safe = "".join(letter for letter in state[:8] if letter.isalnum())
        return f"{self._pending.name}_{safe}"

    def _made(self, state: str, what: str) -> str:
        """Return a secret of one login, which need not be kept: only this key makes it."""
        made = hmac.digest(self._pending.key, f"{what} {state}".encode(), "sha256")
        return base64.urlsafe_b64encode(made).decode().rstrip("=")
