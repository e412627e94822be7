"""MessagePack: smaller, and bytes stay bytes."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec

from ropeway.codec import Undecodable
from ropeway.codecs.models import from_builtin, to_builtin
from ropeway.errors import NotEncodable

_encoder = msgspec.msgpack.Encoder(
    decimal_format="string", uuid_format="canonical", enc_hook=to_builtin
)


@lru_cache(maxsize=4096)
def _decoder(type: Any) -> msgspec.msgpack.Decoder[Any]:
    return msgspec.msgpack.Decoder(type, dec_hook=from_builtin)


class MsgpackCodec:
    """MessagePack by msgspec."""

    content_type = "application/msgpack"

    def encode(self, value: Any) -> bytes:
        try:
            return _encoder.encode(value)
        except (
            TypeError,
            ValueError,
            OverflowError,
            RecursionError,
            NotImplementedError,
        ) as error:
            raise NotEncodable(
                f"cannot write a value of type {type(value).__name__} as MessagePack: {error}"
            ) from None

    def decode(self, data: bytes, type: Any) -> Any:
        try:
            return _decoder(type).decode(data)
        except Exception as error:  # noqa: BLE001  a user's type may raise anything
            return Undecodable(str(error) or error.__class__.__name__)
