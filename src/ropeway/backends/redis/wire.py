"""One connection to one server: commands go out, and replies come back in their order."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from ropeway.backends.redis.address import Host, Tls
from ropeway.errors import BackendUnavailable, ConfigError, is_unknown_host

Reply = Any
"""What a server said: bytes, int, float, list, dict, None; or a `hiredis.ReplyError`, not raised."""

Pushed = Callable[[list[Reply]], None]
"""Hears what the server says unasked."""


class Lost(Exception):
    """The connection ended, or its time was over, before the reply came.

    `sent` is False where nothing of the command can have reached the server.
    """

    def __init__(self, why: str, *, sent: bool = True) -> None:
        super().__init__(why)
        self.sent = sent


class Wire(Protocol):
    """A connection to `host`; `closed` once it has ended, as far as is known here.

    A reply that takes longer than `timeout` seconds ends it: who knows what comes after that.
    """

    host: Host
    closed: bool
    timeout: float

    async def call(self, packed: bytes) -> Reply:
        """Send a command and return its reply. Raises `Lost`."""
        ...

    async def call_all(self, packed: Iterable[bytes]) -> list[Reply]:
        """Send commands without waiting between them, and return the reply of each. Raises `Lost`.

        Each is sent as soon as it is there, so that the server works while the next is made.
        """
        ...

    def close(self) -> None:
        """Give it up. May be called again."""
        ...


def tls_context(tls: Tls | None) -> ssl.SSLContext | None:
    """Return what TLS needs, or None where there is none; raises `ConfigError` for bad files."""
    if tls is None:
        return None
    try:
        context = ssl.create_default_context(cafile=tls.ca or None)
        if tls.cert:
            context.load_cert_chain(tls.cert, tls.key)
    except (OSError, ssl.SSLError) as error:
        files = ", ".join(filter(None, (tls.ca, tls.cert, tls.key)))
        raise ConfigError(
            f"the certificates cannot be used ({files}): {reason(error)}",
            hint="ca=, cert= and key= name files in PEM that this user may read",
        ) from None
    return context


def unreachable(host: Host, error: BaseException) -> BackendUnavailable:
    """Return what to raise when no connection to `host` can be made."""
    if isinstance(error, ssl.SSLCertVerificationError):
        hint = "name the authority that signed the server's certificate: ca=/path/ca.pem"
        return BackendUnavailable(
            f"the Redis server {host} has a certificate that cannot be trusted: "
            f"{error.verify_message}",
            hint=hint,
        )
    if isinstance(error, ssl.SSLError):
        return BackendUnavailable(
            f"no TLS with the Redis server {host}: {reason(error)}",
            hint="is it a port for TLS, and are cert= and key= what it asks for?",
        )
    return BackendUnavailable(
        f"the Redis server {host} cannot be reached: {reason(error)}",
        hint="is it running, and does the URL name it?",
        away=not is_unknown_host(error),
    )


def reason(error: BaseException) -> str:
    """Say in a few words what an error of the system is about."""
    if isinstance(error, ssl.SSLEOFError):
        return "the server closed the connection"
    if isinstance(error, ssl.SSLError):
        return str(error.reason or error).lower().replace("_", " ")
    if isinstance(error, TimeoutError):
        return "it does not answer"
    if isinstance(error, socket.gaierror):
        return "its name is not known"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno).lower()
    return str(error) or type(error).__name__
