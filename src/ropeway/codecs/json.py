"""JSON: the default, so that a message can be read by people and written in any language."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec

from ropeway.codec import Undecodable
from ropeway.codecs.finite import refuse_non_finite
from ropeway.codecs.models import from_builtin, to_builtin
from ropeway.errors import NotEncodable

_encoder = msgspec.json.Encoder(
    enc_hook=to_builtin, decimal_format="string", uuid_format="canonical"
)


@lru_cache(maxsize=4096)
def _decoder(type: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(type, dec_hook=from_builtin)


class JsonCodec:
    """JSON by msgspec. Floats that are not finite are refused rather than turned into null."""

    content_type = "application/json"

    def encode(self, value: Any) -> bytes:
        try:
            data = _encoder.encode(value)
            if b"null" in data:
                # As plain containers, so that no kind of class can hide a number.
                refuse_non_finite(msgspec.to_builtins(value, str_keys=True, enc_hook=to_builtin))
        except NotEncodable:
            raise
        except Exception as error:  # noqa: BLE001  a user's type may raise anything
            raise NotEncodable(f"cannot write {_brief(value)} as JSON: {error}") from None
        return data

    def decode(self, data: bytes, type: Any) -> Any:
        try:
            return _decoder(type).decode(data)
        except Exception as error:  # noqa: BLE001  a user's type may raise anything
            return Undecodable(str(error) or error.__class__.__name__)


def _brief(value: Any) -> str:
    return f"a value of type {type(value).__name__}"
