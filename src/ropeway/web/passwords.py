"""A file of users: a line for each, with a role and a hashed password."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
from pathlib import Path

from msgspec import Struct

from ropeway.errors import BadRole, ConfigError
from ropeway.operate.roles import rights

_COST = 2**14
_NOBODY = "scrypt$AAAAAAAAAAAAAAAAAAAAAA==$" + base64.b64encode(bytes(32)).decode()


class User(Struct, frozen=True):
    """Somebody, and what they may do."""

    name: str
    role: str
    hashed: str


def hashed(password: str, salt: bytes | None = None) -> str:
    """Return what to keep of a password: it cannot be found from that but by trying."""
    salt = salt or secrets.token_bytes(16)
    found = hashlib.scrypt(password.encode(), salt=salt, n=_COST, r=8, p=1, dklen=32)
    return f"scrypt${base64.b64encode(salt).decode()}${base64.b64encode(found).decode()}"


class UserFile:
    """The users in a file, which is read again when it has changed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: tuple[int, int] | None = None
        self._users: dict[str, User] = {}

    def users(self) -> dict[str, User]:
        """Return everybody, by name; raises `ConfigError` for a file that cannot be used."""
        try:
            state = os.stat(self.path)
            seen = state.st_mtime_ns, state.st_size
            if seen != self._seen:
                lines = self.path.read_text(encoding="utf-8").splitlines()
                self._users = {user.name: user for user in map(self._read, filter(None, lines))}
                self._seen = seen
        except FileNotFoundError:
            return {}
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{self.path} cannot be read: {error}") from None
        return self._users

    def role(self, name: str) -> str | None:
        """Return what somebody may do; None for who is not there."""
        user = self.users().get(name)
        return None if user is None else user.role

    def check(self, name: str, password: str) -> bool:
        """Whether it is the user's password; takes as long for a user who is not there."""
        user = self.users().get(name)
        kept = _NOBODY if user is None else user.hashed
        salt = base64.b64decode(kept.split("$")[1])
        return hmac.compare_digest(hashed(password, salt), kept) and user is not None

    def put(self, name: str, role: str, password: str) -> None:
        """Add somebody, or give them another password and role; raises `BadRole`."""
        if not name or ":" in name or any(not letter.isprintable() for letter in name):
            raise ConfigError(f"{name!r} is no name of a user", hint="write letters, no colon")
        rights(role)
        self._write({**self.users(), name: User(name, role, hashed(password))})

    def remove(self, name: str) -> bool:
        """Remove somebody; tells whether they were there."""
        left = {key: user for key, user in self.users().items() if key != name}
        was = name in self.users()
        self._write(left)
        return was

    def _write(self, users: dict[str, User]) -> None:
        text = "".join(f"{user.name}:{user.role}:{user.hashed}\n" for user in users.values())
        beside = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, self.path)
        self._seen = None

    def _read(self, line: str) -> User:
        name, _, rest = line.partition(":")
        role, _, kept = rest.partition(":")
        if kept.startswith("scrypt$") and kept.count("$") == 2:
            try:
                rights(role)
            except BadRole as error:
                raise BadRole(f"{self.path}: {name} has a wrong role: {error.fact}") from None
            return User(name, role, kept)
        raise ConfigError(
            f"a line of {self.path} is no user: {line[:20]!r}",
            hint="ropeway dashboard users add NAME",
        )
