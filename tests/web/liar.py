"""A provider of logins that can be told to lie, to see which of its lies are believed."""

from __future__ import annotations

import base64
import functools
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from joserfc import jwt
from joserfc.jwk import KeySet, OctKey, RSAKey

CLIENT, SECRET = "ropeway", "s3cret-of-the-client-that-is-long-enough"


@functools.cache
def a_key(kid: str) -> RSAKey:
    """Make a key, once: that takes long."""
    return RSAKey.generate_key(2048, {"kid": kid})


class Liar:
    """What it says; a test changes that."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.key = a_key("a")
        self.shown = [self.key]
        self.about: dict[str, Any] = {}
        self.claims: dict[str, Any] = {}
        self.header: dict[str, Any] = {"alg": "RS256", "kid": "a"}
        self.userinfo: dict[str, Any] = {}
        self.token: dict[str, Any] = {}
        self.status = 200
        self.asked: list[dict[str, str]] = []
        self.nonce = ""

    def get(self, path: str) -> dict[str, Any]:
        """Answer a look."""
        if path.endswith("openid-configuration"):
            return {
                "issuer": self.address,
                "authorization_endpoint": f"{self.address}/authorize",
                "token_endpoint": f"{self.address}/token",
                "jwks_uri": f"{self.address}/keys",
                "userinfo_endpoint": f"{self.address}/userinfo",
                "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
                **self.about,
            }
        if path == "/keys":
            return dict(KeySet(self.shown).as_dict())  # type: ignore[arg-type]  # a list of one kind
        return {"sub": "1", **self.userinfo}

    def post(self, form: dict[str, str]) -> dict[str, Any]:
        """Answer whoever has a code."""
        self.asked.append(form)
        now = int(time.time())
        claims = {
            "iss": self.address,
            "sub": "1",
            "aud": CLIENT,
            "iat": now,
            "exp": now + 60,
            "nonce": self.nonce,
            "preferred_username": "ann",
            "groups": ["ops"],
        } | self.claims
        claims = {name: value for name, value in claims.items() if value is not None}
        return {"access_token": "t", "token_type": "Bearer", "id_token": self.signed(claims)} | (
            self.token
        )

    def signed(self, claims: dict[str, Any]) -> str:
        """Sign, or pretend to."""
        if self.header["alg"] == "none":
            parts = [json.dumps(each).encode() for each in (self.header, claims)]
            return ".".join(base64.urlsafe_b64encode(p).decode().rstrip("=") for p in parts) + "."
        key = OctKey.import_key(SECRET) if self.header["alg"] == "HS256" else self.key
        return jwt.encode(self.header, claims, key)


@contextmanager
def lying() -> Iterator[Liar]:
    """Serve one."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.say(liar.get(urlsplit(self.path).path))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            self.say(liar.post({name: each[0] for name, each in parse_qs(body).items()}))

        def say(self, told: dict[str, Any]) -> None:
            body = json.dumps(told).encode()
            self.send_response(liar.status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        liar = Liar(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield liar
        finally:
            server.shutdown()
            thread.join()
