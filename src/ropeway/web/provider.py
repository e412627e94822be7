"""A provider of logins by OpenID Connect: what it is asked, and what of its answers is believed."""

from __future__ import annotations

import hmac
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx2
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

from ropeway.errors import LoginRefused, ProviderAway

_SIGNED_BY = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512")
"""Signatures that only the provider can make; `none`, and what our own secret could make, are not."""

_KEPT = 3600.0
_TIMEOUT = 10.0
_LEEWAY = 60
_LARGEST = 1_000_000


class Provider:
    """One provider, and what it knows this dashboard as."""

    def __init__(self, issuer: str, client_id: str, client_secret: str | None, scope: str) -> None:
        self.issuer, self._scope = issuer, scope
        self._id, self._secret = client_id, client_secret
        self._about: tuple[float, dict[str, Any]] | None = None
        self._keys: dict[str, Any] | None = None

    @property
    def name(self) -> str:
        """The name of its machine, for people."""
        return urlsplit(self.issuer).hostname or self.issuer

    async def about(self) -> dict[str, Any]:
        """Return what it says of itself, asked once an hour; raises `ProviderAway`."""
        if self._about is None or time.monotonic() - self._about[0] > _KEPT:
            found = await self._get(self.issuer.rstrip("/") + "/.well-known/openid-configuration")
            if found.get("issuer") != self.issuer:
                raise self._away(f"it is of the issuer {found.get('issuer')!r}")
            for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
                if not is_safe(str(found.get(name, ""))):
                    raise self._away(f"its {name} is no https address: {found.get(name)!r}")
            self._about, self._keys = (time.monotonic(), found), None
        return self._about[1]

    async def login_url(self, redirect: str, state: str, nonce: str, verifier: str) -> str:
        """Return where somebody logs in; they come back to `redirect`."""
        about = await self.about()
        async with self._client(about, redirect) as client:
            url, _ = client.create_authorization_url(
                about["authorization_endpoint"], state=state, nonce=nonce, code_verifier=verifier
            )
        return str(url)

    async def claims(
        self, code: str, redirect: str, nonce: str, verifier: str, wanted: str
    ) -> dict[str, Any]:
        """Return what it says of who came back with a code; raises `LoginRefused`, `ProviderAway`.

        If the claim that is `wanted` is not in the token, it is asked for.
        """
        about = await self.about()
        try:
            async with self._client(about, redirect) as client:
                token = await client.fetch_token(
                    about["token_endpoint"], code=code, code_verifier=verifier
                )
                found = await self._checked(about, token, nonce)
                more = about.get("userinfo_endpoint")
                if wanted in found or not more or not is_safe(more):
                    return found
                answer = await client.get(more)
                answer.raise_for_status()
                told = answer.json()
        except AuthlibBaseError as error:
            raise self._refused(f"it says {error.error}: {error.description}") from None
        except (httpx2.HTTPError, ValueError) as error:
            raise self._away(f"{type(error).__name__} {error}".strip()) from None
        if not isinstance(told, dict) or told.get("sub") != found["sub"]:
            raise self._refused("what it says of somebody is of somebody else")
        return {**told, **found}

    async def logout_url(self, back: str) -> str | None:
        """Return where somebody logs out of it, if it has such a page."""
        end = (await self.about()).get("end_session_endpoint")
        if not isinstance(end, str) or not is_safe(end):
            return None
        query = {"client_id": self._id, "post_logout_redirect_uri": back}
        return str(httpx2.URL(end).copy_merge_params(query))

    async def _checked(
        self, about: Mapping[str, Any], token: Mapping[str, Any], nonce: str
    ) -> dict[str, Any]:
        text = token.get("id_token")
        if not isinstance(text, str):
            raise self._refused("its answer has no id_token")
        offered = about.get("id_token_signing_alg_values_supported") or ["RS256"]
        registry = JWSRegistry(
            algorithms=[each for each in _SIGNED_BY if each in offered], strict_check_header=False
        )
        try:
            try:
                decoded = jwt.decode(text, await self._key_set(about), registry=registry)
            except InvalidKeyIdError:  # it may have a new key
                self._keys = None
                decoded = jwt.decode(text, await self._key_set(about), registry=registry)
            options = {"iss": {"essential": True, "value": self.issuer}}
            more = {
                "nonce": nonce,
                "client_id": self._id,
                "access_token": token.get("access_token"),
            }
            claims = CodeIDToken(decoded.claims, decoded.header, options, more)
            claims.validate(leeway=_LEEWAY)
        except (JoseError, ValueError, TypeError) as error:
            reason = f"{type(error).__name__} {error}".strip()
            raise self._refused(f"its token does not hold: {reason}") from None
        audience = claims["aud"]
        if self._id not in (audience if isinstance(audience, list) else [audience]):
            raise self._refused("its token is for somebody else")
        if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode()):
            raise self._refused("its token is of another login")
        return dict(claims)

    async def _key_set(self, about: Mapping[str, Any]) -> KeySet:
        if self._keys is None:
            self._keys = await self._get(about["jwks_uri"])
        return KeySet.import_key_set(self._keys)  # type: ignore[arg-type]  # it checks what it is given

    async def _get(self, url: str) -> dict[str, Any]:
        try:
            async with httpx2.AsyncClient(timeout=_TIMEOUT) as client:
                answer = await client.get(url)
                answer.raise_for_status()
                found = answer.json() if len(answer.content) < _LARGEST else None
        except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
            raise self._away(f"{type(error).__name__} {error}".strip()) from None
        if not isinstance(found, dict):
            raise self._away("its answer is no JSON object")
        return found

    def _client(self, about: Mapping[str, Any], redirect: str) -> Any:
        known = about.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        if self._secret is None:
            method = "none"
        else:
            basic = "client_secret_basic"
            method = basic if basic in known else "client_secret_post"
        return AsyncOAuth2Client(
            self._id,
            self._secret,
            token_endpoint_auth_method=method,
            scope=self._scope,
            redirect_uri=redirect,
            code_challenge_method="S256",
            timeout=_TIMEOUT,
        )

    def _away(self, reason: str) -> ProviderAway:
        return ProviderAway(
            f"{self.issuer} does not tell how to log in: {reason[:300]}",
            hint=f"open {self.issuer.rstrip('/')}/.well-known/openid-configuration from here",
        )

    def _refused(self, reason: str) -> LoginRefused:
        return LoginRefused(f"{self.name} was not believed: {reason[:300]}", hint="log in again")


def is_safe(url: str) -> bool:
    """Whether an address is of https, or of this machine."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    local = parts.hostname in {"localhost", "127.0.0.1", "::1"}
    return bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and local))
