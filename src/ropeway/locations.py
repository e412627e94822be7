"""What the URLs of servers have in common: hosts, a login, files for TLS, options and durations.

And why a server that a URL names cannot be reached.
"""

from __future__ import annotations

import os
import re
import socket
import ssl
from collections.abc import Collection, Mapping
from urllib.parse import SplitResult, parse_qsl, unquote

from msgspec import Struct

from ropeway.config import seconds
from ropeway.errors import BackendUnavailable, ConfigError, is_unknown_host

TLS = frozenset({"ca", "cert", "key"})
"""The options that a URL has besides where it asks for TLS."""

_HOST = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.%]+)\]|(?P<name>[^\[\]:]+))(?::(?P<port>\d+))?")


class Host(Struct, frozen=True):
    """Where to connect to: a host and its port, or the path of a socket."""

    name: str
    port: int = 0

    def __str__(self) -> str:
        if not self.port:
            return self.name
        return f"[{self.name}]:{self.port}" if ":" in self.name else f"{self.name}:{self.port}"


class Login(Struct, frozen=True):
    """A user and the password. Never printed."""

    user: str = ""
    password: str = ""

    def __repr__(self) -> str:
        return f"Login({self.user!r}, ***)"


class Tls(Struct, frozen=True):
    """Files in PEM: whom to trust (else whom the system trusts), and who this client is."""

    ca: str = ""
    cert: str = ""
    key: str = ""


def hosts_of(location: str, usual: int, server: str, form: str) -> tuple[Host, ...]:
    """Read `h1,h2:6380`, by default this machine; `usual` is the port of who names none.

    Raises `ConfigError` that says which is no host of a `server`, and what `form` to write.
    """
    hosts = []
    for each in location.split(",") if location else ["localhost"]:
        found = _HOST.fullmatch(each)
        port = int(found["port"] or usual) if found else 0
        if found is None or not 0 < port < 65_536:
            raise ConfigError(f"{each!r} is no host of a {server} server", hint=form)
        hosts.append(Host(unquote(found["v6"] or found["name"]), port))
    return tuple(hosts)


def login_of(credentials: str) -> Login:
    """Read `user:password`."""
    user, _, password = credentials.partition(":")
    return Login(unquote(user), unquote(password))


def options_of(parts: SplitResult, known: Collection[str]) -> dict[str, str]:
    """Read the query of a URL; raises `ConfigError` for an option that is not known."""
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    for name, _ in pairs:
        if name not in known:
            raise ConfigError(
                f"{parts.scheme}:// has no option {name!r}",
                hint=f"the options are {', '.join(sorted(known))}",
            )
    return dict(pairs)


def tls_of(options: Mapping[str, str]) -> Tls:
    """Return the files that options name; raises `ConfigError` for half of a pair."""
    tls = Tls(**{name: options.get(name, "") for name in TLS})
    if bool(tls.cert) != bool(tls.key):
        raise ConfigError("cert= and key= belong together", hint="give both, or neither")
    return tls


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


def unreachable(server: str, host: Host, error: BaseException) -> BackendUnavailable:
    """Return what to raise when no connection to a `server`, say "Redis", at `host` can be made."""
    if isinstance(error, ssl.SSLCertVerificationError):
        hint = "name the authority that signed the server's certificate: ca=/path/ca.pem"
        return BackendUnavailable(
            f"the {server} server {host} has a certificate that cannot be trusted: "
            f"{error.verify_message}",
            hint=hint,
        )
    if isinstance(error, ssl.SSLError):
        return BackendUnavailable(
            f"no TLS with the {server} server {host}: {reason(error)}",
            hint="is it a port for TLS, and are cert= and key= what it asks for?",
        )
    return BackendUnavailable(
        f"the {server} server {host} cannot be reached: {reason(error)}",
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


def duration_of(name: str, value: str, least: float, most: float) -> float:
    """Read an option such as `5s`, or a plain number of seconds, within bounds."""
    plain = re.fullmatch(r"\d+(\.\d+)?", value)
    found = seconds(float(value) if plain else value, name)
    if not least <= found <= most:
        raise ConfigError(
            f"{name}={value!r} cannot be used", hint=f"use {least:g} to {most:g} seconds"
        )
    return found
