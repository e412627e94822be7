"""From one seed to as many independent streams of chance as there are names."""

from __future__ import annotations

import hashlib
import random


def stream(seed: int, name: str) -> random.Random:
    """The chance that belongs to `name`: drawing more from one stream changes no other."""
    digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
    return random.Random(int.from_bytes(digest))
