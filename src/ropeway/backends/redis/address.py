"""The URL of a Redis backend, read: where the server is found, and how it is spoken to."""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from msgspec import Struct

from ropeway.config import seconds
from ropeway.errors import ConfigError
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

_HOST = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.%]+)\]|(?P<name>[^\[\]:]+))(?::(?P<port>\d+))?")
_NAMESPACE = re.compile(r"[\w.:-]{1,64}", re.ASCII)
_FORM = "write redis://user:password@host:6379/0?namespace=jobs"


class Host(Struct, frozen=True):
    """Where to connect to: a host and its port, or the path of a socket."""

    name: str
    port: int = 0

    def __str__(self) -> str:
        if not self.port:
            return self.name
        return f"[{self.name}]:{self.port}" if ":" in self.name else f"{self.name}:{self.port}"


class Login(Struct, frozen=True):
    """A user and the password; without a user it is that of `default`. Never printed."""

    user: str = ""
    password: str = ""

    def __repr__(self) -> str:
        return f"Login({self.user!r}, ***)"


class Tls(Struct, frozen=True):
    """Files in PEM: whom to trust (else whom the system trusts), and who this client is."""

    ca: str = ""
    cert: str = ""
    key: str = ""


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
_TLS = {"ca", "cert", "key"}
_SENTINEL = {"sentinel_user", "sentinel_password"}


def parse(url: str) -> Address:
    """Read a URL; raises `ConfigError`, without the password, for one that cannot be used."""
    try:
        parts = urlsplit(url)
        kind, secure = SCHEMES[parts.scheme]
    except (ValueError, KeyError):
        raise ConfigError(f"{masked(url)!r} is no URL of a Redis server", hint=_FORM) from None
    credentials, _, location = parts.netloc.rpartition("@")
    options = _options(parts, kind, secure=secure)
    hosts, path = _hosts(location, kind), parts.path.strip("/")
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
    tls = Tls(**{name: options.get(name, "") for name in _TLS}) if secure else None
    if tls is not None and bool(tls.cert) != bool(tls.key):
        raise ConfigError("cert= and key= belong together", hint="give both, or neither")
    user, _, password = credentials.partition(":")
    return Address(
        kind=kind,
        hosts=hosts,
        login=Login(unquote(user), unquote(password)),
        sentinel_login=Login(
            options.get("sentinel_user", ""), options.get("sentinel_password", "")
        ),
        master=master,
        database=database,
        tls=tls,
        namespace=_namespace(options.get("namespace", "ropeway")),
        timeout=_timeout(options.get("timeout", "5s")),
        replicas=_number("replicas", options.get("replicas", "0")),
        unsafe=_yes("unsafe", options.get("unsafe", "no")),
    )


def _options(parts: SplitResult, kind: Kind, *, secure: bool) -> dict[str, str]:
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    known = _OPTIONS | (_TLS if secure else set()) | (_SENTINEL if kind == "sentinel" else set())
    for name, _ in pairs:
        if name not in known:
            raise ConfigError(
                f"{parts.scheme}:// has no option {name!r}",
                hint=f"the options are {', '.join(sorted(known))}",
            )
    return dict(pairs)


def _hosts(location: str, kind: Kind) -> tuple[Host, ...]:
    hosts = []
    for each in location.split(",") if location else ["localhost"]:
        found = _HOST.fullmatch(each)
        port = int(found["port"] or (26_379 if kind == "sentinel" else 6379)) if found else 0
        if found is None or not 0 < port < 65_536:
            raise ConfigError(f"{each!r} is no host of a Redis server", hint=_FORM)
        hosts.append(Host(unquote(found["v6"] or found["name"]), port))
    return tuple(hosts)


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


def _timeout(value: str) -> float:
    plain = re.fullmatch(r"\d+(\.\d+)?", value)
    found = seconds(float(value) if plain else value, "timeout")
    if not 0.1 <= found <= 20:
        raise ConfigError(f"timeout={value!r} cannot be used", hint="use 0.1 to 20 seconds")
    return found


def _number(name: str, value: str) -> int:
    if not re.fullmatch(r"\d{1,2}", value):
        raise ConfigError(f"{name}={value!r} is no small number", hint=f"write {name}=1")
    return int(value)


def _yes(name: str, value: str) -> bool:
    if value not in {"yes", "no"}:
        raise ConfigError(f"{name}={value!r} says nothing", hint=f"write {name}=yes or {name}=no")
    return value == "yes"
