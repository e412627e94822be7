"""Refusal of numbers that a format would change without a word."""

from __future__ import annotations

import math
from typing import Any

from ropeway.errors import NotEncodable


def refuse_non_finite(value: Any, path: str = "$") -> None:
    """Raise `NotEncodable` for a NaN or an infinity in `value`, made of dicts, lists and tuples."""
    if isinstance(value, float):
        if not math.isfinite(value):
            raise NotEncodable(
                f"{path} is {value}, which cannot be sent", hint="send None or a string instead"
            )
    elif isinstance(value, dict):
        for name, item in value.items():
            refuse_non_finite(item, f"{path}.{name}")
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            refuse_non_finite(item, f"{path}[{index}]")
