"""What a `postgresql://` URL says: the server, which asyncpg reads, and what is ropeway's own."""

from __future__ import annotations

import re
from typing import Self
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from msgspec import Struct

from ropeway.config import Durability
from ropeway.errors import ConfigError

DEFAULT_SCHEMA = "ropeway"
_SCHEMA = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_ATTRIBUTES = ("read-write", "primary")


class Address(Struct, frozen=True, kw_only=True):
    """Where the tables are, and how sessions are to be opened.

    `dsn` is for asyncpg. `schema` holds the tables. `pooler` says that connections lead to a
    pooler that gives each transaction another session; None leaves that to be found out.
    """

    dsn: str
    schema: str = DEFAULT_SCHEMA
    pooler: bool | None = None
    application_name: str = "ropeway"
    target: str = "read-write"
    durability: Durability = "disk"

    @classmethod
    def of(cls, url: str, durability: Durability = "disk") -> Self:
        """Read a URL; raises `ConfigError` for what it cannot mean."""
        try:
            parts = urlsplit(url)
            query = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=True))
        except ValueError as error:
            if not url.endswith("?") and "?" in url:
                raise ConfigError(f"the url cannot be read: {error}", hint=_EXAMPLE) from None
            query = {}
        return cls(
            schema=_schema(query.pop("schema", DEFAULT_SCHEMA)),
            pooler=_pooler(query.pop("pooler", "")),
            application_name=query.pop("application_name", "ropeway"),
            target=_target(query.pop("target_session_attrs", "read-write")),
            durability=durability,
            # Evaluated last: what is left is for asyncpg.
            dsn=urlunsplit(parts._replace(scheme="postgresql", query=urlencode(query))),
        )

    def __str__(self) -> str:
        """The same without what is secret, for people."""
        parts = urlsplit(self.dsn)
        user, _, hosts = parts.netloc.rpartition("@")
        user = user.partition(":")[0]
        return (
            f"postgresql://{user}@{hosts}{parts.path}"
            if user
            else f"postgresql://{hosts}{parts.path}"
        )


_EXAMPLE = "write postgresql://user@host:5432/database?schema=ropeway"


def _schema(name: str) -> str:
    if not _SCHEMA.fullmatch(name) or name.startswith("pg_"):
        raise ConfigError(
            f"schema={name!r} cannot be the name of a schema",
            hint="use small letters, digits and _, at most 63, and not pg_ in front",
        )
    return name


def _pooler(word: str) -> bool | None:
    known = {"": None, "transaction": True, "none": False}
    if word not in known:
        raise ConfigError(
            f"pooler={word!r} is not known",
            hint="write pooler=transaction behind a pooler in that mode, or leave it out",
        )
    return known[word]


def _target(word: str) -> str:
    if word not in _ATTRIBUTES:
        raise ConfigError(
            f"target_session_attrs={word!r} could lead to a server that only reads",
            hint="leave it out: of several hosts the one that can write is taken",
        )
    return word
