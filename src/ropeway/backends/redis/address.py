"""The URL of a Redis backend, read: where the server is found, and how it is spoken to."""

from __future__ import annotations

import re
from typing import Literal
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

Kind = Literal["server", "sentinel", "cluster"]

SCHEMES: dict[str, tuple[Kind, bool]] = {
    "redis": ("server", False),
    "rediss": ("server", True),
    "redis+unix": ("server", False),
    "redis+sentinel": ("sentinel", False),
    "rediss+sentinel": ("sentinel", True),
    "redis+cluster": ("cluster", False),
    "rediss+cluster": ("cluster", True),
}
"""What the schemes mean: how the server is found, and whether it is spoken to by TLS."""

_NAMESPACE = re.compile(r"[\w.:-]{1,64}", re.ASCII)
_FORM = "write redis://user:password@host:6379/0?namespace=jobs"


class Address(Struct, frozen=True, kw_only=True):
    """Where a namespace is and how to get there.

    `timeout` is how long a reply may take. `replicas` have to have a change before it counts as
    made. `unsafe` opens a server that may throw away what it was given.
    """

    kind: Kind
    hosts: tuple[Host, ...]
    login: Login = Login()
    sentinel_login: Login = Login()
    master: str = ""
    database: int = 0
    tls: Tls | None = None
    namespace: str = "ropeway"
    timeout: float = 5.0
    replicas: int = 0
    unsafe: bool = False


_OPTIONS = {"namespace", "timeout", "replicas", "unsafe"}
_SENTINEL = {"sentinel_user", "sentinel_password"}


def parse(url: str) -> Address:
    """Read a URL; raises `ConfigError`, without the password, for one that cannot be used."""
    try:
        parts = urlsplit(url)
        kind, secure = SCHEMES[parts.scheme]
    except (ValueError, KeyError):
        raise ConfigError(f"{masked(url)!r} is no URL of a Redis server", hint=_FORM) from None
    credentials, _, location = parts.netloc.rpartition("@")
    known = _OPTIONS | (TLS if secure else set()) | (_SENTINEL if kind == "sentinel" else set())
    options, path = options_of(parts, known), parts.path.strip("/")
    hosts = hosts_of(location, 26_379 if kind == "sentinel" else 6379, "Redis", _FORM)
    if parts.scheme == "redis+unix":
        if location or not path:
            raise ConfigError(
                "redis+unix:// names no socket", hint="write redis+unix:///run/r.sock"
            )
        hosts, path = (Host(parts.path),), ""
    elif len(hosts) > 1 and kind == "server":
        raise ConfigError(
            f"{parts.scheme}:// names {len(hosts)} hosts, and one server has one",
            hint="write redis+sentinel://h1,h2/mymaster/0 or redis+cluster://h1,h2",
        )
    master, database = _place(path, kind)
    tls = tls_of(options) if secure else None
    return Address(
        kind=kind,
        hosts=hosts,
        login=login_of(credentials),
        sentinel_login=Login(
            options.get("sentinel_user", ""), options.get("sentinel_password", "")
        ),
        master=master,
        database=database,
        tls=tls,
        namespace=_namespace(options.get("namespace", "ropeway")),
        timeout=duration_of("timeout", options.get("timeout", "5s"), 0.1, 20),
        replicas=_number("replicas", options.get("replicas", "0")),
        unsafe=_yes("unsafe", options.get("unsafe", "no")),
    )


def _place(path: str, kind: Kind) -> tuple[str, int]:
    """Return the master's name, with Sentinel, and the database's number."""
    master, rest = "", path
    if kind == "sentinel":
        master, _, rest = path.partition("/")
        if not master:
            raise ConfigError(
                "redis+sentinel:// does not say which master",
                hint="write redis+sentinel://h1,h2/mymaster/0",
            )
    if not re.fullmatch(r"\d{0,5}", rest):
        raise ConfigError(f"{rest!r} is no number of a database", hint=_FORM)
    database = int(rest or 0)
    if database and kind == "cluster":
        raise ConfigError(
            "a cluster has one database, number 0",
            hint="write another namespace=, not another number",
        )
    return unquote(master), database


def _namespace(value: str) -> str:
    if not _NAMESPACE.fullmatch(value):
        raise ConfigError(
            f"namespace={value!r} cannot be used", hint="use letters, digits, and the signs _ . : -"
        )
    return value


def _number(name: str, value: str) -> int:
    if not re.fullmatch(r"\d{1,2}", value):
        raise ConfigError(f"{name}={value!r} is no small number", hint=f"write {name}=1")
    return int(value)


def _yes(name: str, value: str) -> bool:
    if value not in {"yes", "no"}:
        raise ConfigError(f"{name}={value!r} says nothing", hint=f"write {name}=yes or {name}=no")
    return value == "yes"
