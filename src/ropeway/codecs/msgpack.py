"""MessagePack: smaller, and bytes stay bytes."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec

from ropeway.codec import Undecodable
from ropeway.codecs.finite import refuse_non_finite
from ropeway.codecs.models import from_builtin, to_builtin
from ropeway.errors import NotEncodable

_encoder = msgspec.msgpack.Encoder(
    enc_hook=to_builtin, decimal_format="string", uuid_format="canonical"
)
# How a number that is not finite begins; so do very large ones, and some bytes that are no number.
_POSITIVE, _NEGATIVE = b"\xcb\x7f", b"\xcb\xff"


@lru_cache(maxsize=4096)
def _decoder(type: Any) -> msgspec.msgpack.Decoder[Any]:
    return msgspec.msgpack.Decoder(type, dec_hook=from_builtin)


class MsgpackCodec:
    """MessagePack by msgspec. Floats that are not finite are refused, as in JSON."""

    content_type = "application/msgpack"

    def encode(self, value: Any) -> bytes:
        try:
            data = _encoder.encode(value)
            if _POSITIVE in data or _NEGATIVE in data:
                # As it will be read without a type, so that no kind of class can hide a number.
                refuse_non_finite(_decoder(Any).decode(data))
        except NotEncodable:
            raise
        except Exception as error:  # noqa: BLE001  a user's type may raise anything
            raise NotEncodable(
                f"cannot write a value of type {type(value).__name__} as MessagePack: {error}"
            ) from None
        return data

    def decode(self, data: bytes, type: Any) -> Any:
        try:
            return _decoder(type).decode(data)
        except Exception as error:  # noqa: BLE001  a user's type may raise anything
            return Undecodable(str(error) or error.__class__.__name__)
