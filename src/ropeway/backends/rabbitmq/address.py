"""The URL of RabbitMQ servers, read: where they are found, and how they are spoken to."""

from __future__ import annotations

import re
import ssl
from urllib.parse import parse_qsl, unquote, urlsplit

from msgspec import Struct

from ropeway.config import seconds
from ropeway.errors import ConfigError
from ropeway.safe import masked

_PORTS = {"amqp": 5672, "amqps": 5671}
_HOST = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.%]+)\]|(?P<name>[^\[\]:]+))(?::(?P<port>\d+))?")
_FORM = "write amqp://user:password@host:5672/vhost, or several hosts: @h1,h2:5673/"
_OPTIONS = {"timeout", "heartbeat"}
_TLS = {"ca", "cert", "key"}


class Host(Struct, frozen=True):
    """Where to connect to."""

    name: str
    port: int

    def __str__(self) -> str:
        return f"[{self.name}]:{self.port}" if ":" in self.name else f"{self.name}:{self.port}"


class Login(Struct, frozen=True):
    """A user and the password. Never printed."""

    user: str = "guest"
    password: str = "guest"  # noqa: S105  that of every fresh server

    def __repr__(self) -> str:
        return f"Login({self.user!r}, ***)"


class Tls(Struct, frozen=True):
    """Files in PEM: whom to trust (else whom the system trusts), and who this client is."""

    ca: str = ""
    cert: str = ""
    key: str = ""


class Address(Struct, frozen=True, kw_only=True):
    """Where a virtual host is, and how to get there; any of the hosts will do.

    `timeout` is how long an answer may take, `heartbeat` after how many seconds of silence the
    other end counts as gone. With `external` the client's certificate says who it is.
    """

    hosts: tuple[Host, ...]
    login: Login = Login()
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
    known = _OPTIONS | (_TLS if secure else set())
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    for name in options:
        if name not in known:
            raise ConfigError(
                f"{parts.scheme}:// has no option {name!r}",
                hint=f"the options are {', '.join(sorted(known))}",
            )
    tls = Tls(**{name: options.get(name, "") for name in _TLS}) if secure else None
    if tls is not None and bool(tls.cert) != bool(tls.key):
        raise ConfigError("cert= and key= belong together", hint="give both, or neither")
    user, _, password = credentials.partition(":")
    return Address(
        hosts=_hosts(location, port),
        login=Login(unquote(user), unquote(password)) if credentials else Login(),
        vhost=_vhost(parts.path),
        tls=tls,
        external=bool(tls and tls.cert and not credentials),
        timeout=_duration("timeout", options.get("timeout", "10s"), 0.1, 300),
        heartbeat=round(_duration("heartbeat", options.get("heartbeat", "10s"), 1, 600)),
    )


def _hosts(location: str, usual: int) -> tuple[Host, ...]:
    hosts = []
    for each in location.split(",") if location else ["localhost"]:
        found = _HOST.fullmatch(each)
        port = int(found["port"] or usual) if found else 0
        if found is None or not 0 < port < 65_536:
            raise ConfigError(f"{each!r} is no host of a RabbitMQ server", hint=_FORM)
        hosts.append(Host(unquote(found["v6"] or found["name"]), port))
    return tuple(hosts)


def _vhost(path: str) -> str:
    """Return the virtual host: `/` for an empty path, as everybody who copies a URL expects."""
    name = path.removeprefix("/")
    if "/" in name:
        raise ConfigError(
            f"the virtual host {name!r} is not one word", hint="write %2F for a slash in its name"
        )
    return unquote(name) or "/"


def _duration(name: str, value: str, least: float, most: float) -> float:
    plain = re.fullmatch(r"\d+(\.\d+)?", value)
    found = seconds(float(value) if plain else value, name)
    if not least <= found <= most:
        raise ConfigError(
            f"{name}={value!r} cannot be used", hint=f"use {least:g} to {most:g} seconds"
        )
    return found


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
            f"the certificates cannot be used ({files}): {error.strerror or error}",
            hint="ca=, cert= and key= name files in PEM that this user may read",
        ) from None
    return context
