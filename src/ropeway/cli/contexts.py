"""Contexts: names for the places where jobs are kept, in a file of the person who types."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ropeway.errors import ConfigError, Refused
from ropeway.safe import masked

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_WHOLE = re.compile(r"(env|file):(.+)")
_WITHIN = re.compile(r"\{(env|file):([^{}]+)\}")


class Context(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A place by name. Its URLs may hold `{env:NAME}` and `{file:PATH}`, or be one of the two."""

    name: str
    url: str
    broker: str = ""
    protected: bool = False


class Contexts(Struct, frozen=True, forbid_unknown_fields=True):
    """All contexts of a person, and the name of the one in use."""

    contexts: Sequence[Context] = ()
    used: str | None = None

    def find(self, name: str) -> Context:
        """Return the context of that name; raises `ConfigError` if there is none."""
        for each in self.contexts:
            if each.name == name:
                return each
        names = [each.name for each in self.contexts]
        close = difflib.get_close_matches(name, names, 1, 0.5)
        hint = f"did you mean {close[0]}?" if close else "see: ropeway contexts ls"
        raise ConfigError(f"there is no context {name!r}", hint=hint)

    def with_one(self, context: Context, *, anew: bool, clear: bool) -> Contexts:
        """Return them with one more. Raises `Refused` if it is there, unless it is made `anew`.

        A secret that is written into its URL is a `ConfigError` unless that is meant: `clear`.
        """
        if not _NAME.fullmatch(context.name):
            raise ConfigError(
                f"{context.name!r} is no name for a context", hint="use letters, digits, - _ and ."
            )
        for url in (context.url, context.broker):
            if not clear and shown(url) != url:
                raise ConfigError(
                    f"{masked(url)} has a secret in it, which would be kept in a file",
                    hint="write {env:NAME} or {file:PATH} in its place, or add --store-secret",
                )
        others = [each for each in self.contexts if each.name != context.name]
        if len(others) < len(self.contexts) and not anew:
            raise Refused(f"there is a context {context.name} already", hint="add --replace")
        return replace(self, contexts=sorted([*others, context], key=lambda each: each.name))

    def without(self, name: str) -> Contexts:
        """Return them without one; raises `ConfigError` if there is none."""
        gone = self.find(name)
        rest = [each for each in self.contexts if each is not gone]
        return Contexts(rest, None if self.used == name else self.used)


def shown(url: str) -> str:
    """Return a URL for people: where a secret is found is shown, and not what is one."""
    bare = _WITHIN.sub("", url).replace(":@", "@")
    return url if _WHOLE.fullmatch(url) or masked(bare) == bare else masked(url)


def resolved(context: Context, environment: Mapping[str, str]) -> tuple[str, str]:
    """Return the URLs of the place and of its broker, with their secrets.

    Raises `ConfigError` for a variable or a file that is not there.
    """

    def look_up(kind: str, where: str) -> str:
        value = environment.get(where) if kind == "env" else _first_line(context, where)
        if not value:
            what = "the variable" if kind == "env" else "the file"
            raise ConfigError(f"context {context.name} needs {what} {where}, which holds nothing")
        return value

    def resolve(url: str) -> str:
        if (whole := _WHOLE.fullmatch(url)) is not None:
            return look_up(whole[1], whole[2])
        return _WITHIN.sub(lambda found: quote(look_up(found[1], found[2]), safe=""), url)

    return resolve(context.url), resolve(context.broker) if context.broker else ""


def _first_line(context: Context, where: str) -> str:
    try:
        return Path(where).expanduser().read_text(encoding="utf-8").strip().partition("\n")[0]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"context {context.name} needs the file {where}: {error}") from None


def path() -> Path:
    """Return where contexts are kept."""
    home = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(home) / "ropeway" / "contexts.json"


def read() -> Contexts:
    """Read them; none if there is no file. Raises `ConfigError` for a file that cannot be used."""
    try:
        return msgspec.json.decode(path().read_bytes(), type=Contexts)
    except (FileNotFoundError, NotADirectoryError):
        return Contexts()
    except (OSError, msgspec.DecodeError) as error:
        raise ConfigError(
            f"{path()} cannot be used: {error}", hint="mend it or remove it"
        ) from None


def write(contexts: Contexts) -> None:
    """Write them in one step, for nobody else to read; raises `Refused` if that fails."""
    target = path()
    beside = target.with_name(f"{target.name}.{os.getpid()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(contexts)) + b"\n")
        os.replace(beside, target)
    except OSError as error:
        raise Refused(f"cannot write {target}: {error.strerror}") from None
