"""Signatures of messages: only who has a key can have a call run.

HMAC with SHA-256 (RFC 2104) over all that says what is run and on which terms. Not covered is what
may change on the way: in which queue and band the message lies, when it is due, the exchange that it
came by, where its answer goes, and headers that begin with `x-`, which brokers add.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable
from functools import lru_cache

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ropeway.broker_half import CORRELATION, PUBLISHED_ID, REPLY_TO
from ropeway.errors import ConfigError
from ropeway.ids import derived_id
from ropeway.message import Message

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SHORTEST = 32
_MAC = 32
_HOW = "write NAME:SECRET, several split by commas; for a secret: openssl rand -hex 32"
_ADDED = "x-"
_ON_THE_WAY = frozenset({"CC", "BCC", REPLY_TO, CORRELATION, PUBLISHED_ID})
_encode = msgspec.json.Encoder().encode


class Key(Struct, frozen=True):
    """A secret, and the name by which those who verify find it."""

    name: str
    secret: bytes

    def __repr__(self) -> str:
        return f"Key({self.name!r})"


class Keys:
    """The first key signs, all of them verify: so they are changed while programs run."""

    def __init__(self, keys: Iterable[Key]) -> None:
        self._keys = {key.name: key for key in keys}
        self._first = next(iter(self._keys.values()))

    def signed(self, message: Message) -> Message:
        """Return the message with a signature; one that has a signature keeps it."""
        if message.signature is not None:
            return message
        key = self._first
        mac = _mac(key, message, message.id)
        return replace(message, signature=mac + f"{key.name}\0{message.id}".encode())

    def fault(self, message: Message) -> str | None:
        """Say why the signature of a message does not hold; None if it does."""
        return self.fault_of(message, message.signature)

    def fault_of(self, message: Message, signature: bytes | None) -> str | None:
        """Say why a signature is none of the message; None if it is.

        The copies that an exchange makes of a message for further queues are signed with it.
        """
        if not signature:
            return "it is not signed"
        mac, told = signature[:_MAC], signature[_MAC:].decode(errors="replace")
        name, _, signed_id = told.partition("\0")
        key = self._keys.get(name)
        if key is None:
            known = ", ".join(self._keys)
            return f"it is signed with the key {name!r}; this worker knows {known}"
        if message.id != signed_id and not _is_copy(message, signed_id):
            return f"its signature is that of the message {signed_id!r}"
        if not hmac.compare_digest(mac, _mac(key, message, signed_id)):
            return f"its signature with the key {name!r} does not fit: it was changed, or forged"
        return None


@lru_cache(maxsize=8)
def keys_of(text: str) -> Keys | None:
    """Read the setting `signing`; None if it is empty. Raises `ConfigError`."""
    if not text:
        return None
    found: dict[str, Key] = {}
    for number, part in enumerate(text.split(","), 1):
        name, colon, secret = part.strip().partition(":")
        # No secret is ever shown, nor what may be one for want of a colon.
        if not colon or not _NAME.fullmatch(name):
            raise ConfigError(f"key {number} of signing has no usable name", hint=_HOW)
        if len(secret) < _SHORTEST:
            raise ConfigError(
                f"the secret of the key {name!r} in signing has {len(secret)} characters, fewer "
                f"than {_SHORTEST}",
                hint=_HOW,
            )
        if name in found:
            raise ConfigError(f"signing names the key {name!r} twice", hint=_HOW)
        found[name] = Key(name, secret.encode())
    return Keys(found.values())


def signed_text(message: Message, signed_id: str) -> bytes:
    """Return what is signed: each part after its length in bytes and a colon.

    The parts are the version of the envelope, id, task, content type, key, expiry, policy, limits
    and terms as one JSON array (empty if none is given), the headers as pairs, in the order of their
    names, and the body.
    """
    rest = [message.expires, message.policy, message.limits, message.terms]
    headers = sorted(
        (name, value)
        for name, value in message.headers.items()
        if value and name not in _ON_THE_WAY and not name.lower().startswith(_ADDED)
    )
    parts = [
        str(message.version).encode(),
        signed_id.encode(),
        message.task.encode(),
        message.content_type.encode(),
        (message.key or "").encode(),
        _encode(rest) if any(rest) else b"",
        *(part.encode("utf-8", "surrogatepass") for pair in headers for part in pair),
        message.body,
    ]
    return b"".join(b"%d:%b" % (len(part), part) for part in parts)


def _mac(key: Key, message: Message, signed_id: str) -> bytes:
    return hmac.digest(key.secret, signed_text(message, signed_id), "sha256")


def _is_copy(message: Message, signed_id: str) -> bool:
    return bool(message.exchange) and message.id == derived_id(signed_id, message.queue)
