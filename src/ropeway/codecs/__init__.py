"""Codecs by content type; the set is closed, so a message cannot name its own decoder."""

from __future__ import annotations

from ropeway.codec import Codec
from ropeway.codecs.json import JsonCodec
from ropeway.codecs.msgpack import MsgpackCodec

JSON: Codec = JsonCodec()
MSGPACK: Codec = MsgpackCodec()

_CODECS: dict[str, Codec] = {codec.content_type: codec for codec in (JSON, MSGPACK)}


def codec_for(content_type: str) -> Codec | None:
    """Return the codec of a content type, or None if there is none."""
    return _CODECS.get(content_type)
