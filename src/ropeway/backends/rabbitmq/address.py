"""The URL of RabbitMQ servers, read: where they are found, and how they are spoken to."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from msgspec import Struct

from ropeway.errors import ConfigError
from ropeway.locations import (
    TLS,
    Host,
    Login,
    Tls,
    duration_of,
    hosts_of,
    login_of,
    options_of,
    tls_of,
)
from ropeway.safe import masked

_PORTS = {"amqp": 5672, "amqps": 5671}
_FORM = "write amqp://user:password@host:5672/vhost, or several hosts: @h1,h2:5673/"
_OPTIONS = {"timeout", "heartbeat"}
_FRESH = Login("guest", "guest")
"""Who may enter every server that was just installed, from its own machine."""


class Address(Struct, frozen=True, kw_only=True):
    """Where a virtual host is, and how to get there; any of the hosts will do.

    `timeout` is how long an answer may take, `heartbeat` after how many seconds of silence the
    other end counts as gone. With `external` the client's certificate says who it is.
    """

    hosts: tuple[Host, ...]
    login: Login = _FRESH
    vhost: str = "/"
    tls: Tls | None = None
    external: bool = False
    timeout: float = 10.0
    heartbeat: int = 10


def parse(url: str) -> Address:
    """Read a URL; raises `ConfigError`, without the password, for one that cannot be used."""
    try:
        parts = urlsplit(url)
        port = _PORTS[parts.scheme]
    except (ValueError, KeyError):
        raise ConfigError(f"{masked(url)!r} is no URL of a RabbitMQ server", hint=_FORM) from None
    secure = parts.scheme == "amqps"
    credentials, _, location = parts.netloc.rpartition("@")
    options = options_of(parts, _OPTIONS | TLS if secure else _OPTIONS)
    tls = tls_of(options) if secure else None
    return Address(
        hosts=hosts_of(location, port, "RabbitMQ", _FORM),
        login=login_of(credentials) if credentials else _FRESH,
        vhost=_vhost(parts.path),
        tls=tls,
        external=bool(tls and tls.cert and not credentials),
        timeout=duration_of("timeout", options.get("timeout", "10s"), 0.1, 300),
        heartbeat=round(duration_of("heartbeat", options.get("heartbeat", "10s"), 1, 600)),
    )


def _vhost(path: str) -> str:
    """Return the virtual host: `/` for an empty path, as everybody who copies a URL expects."""
    name = path.removeprefix("/")
    if "/" in name:
        raise ConfigError(
            f"the virtual host {name!r} is not one word", hint="write %2F for a slash in its name"
        )
    return unquote(name) or "/"
