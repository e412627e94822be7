"""Hides what people should not read in arguments and results: passwords, tokens, keys."""

from __future__ import annotations

import re
from typing import Any

HIDDEN = "•••"

_SECRET = re.compile(
    r"pass(word|wd|phrase)|secret|token|authorization|api_?key|private_?key|credential|cookie",
    re.IGNORECASE,
)


def secret(name: str) -> bool:
    """Tell if what has this name is not for people to read."""
    return bool(_SECRET.search(name))


def redacted(value: Any) -> Any:
    """Return a copy for display: what has the name of a secret, however deep, is hidden."""
    if isinstance(value, dict):
        return {
            key: HIDDEN if secret(str(key)) and each is not None else redacted(each)
            for key, each in value.items()
        }
    if isinstance(value, list | tuple):
        return [redacted(each) for each in value]
    return value


def shape(value: Any) -> Any:
    """Return what a value is made of, and nothing of what is in it."""
    if isinstance(value, dict):
        return {key: shape(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [shape(each) for each in value[:1]] + ([f"{len(value)} items"] if value[1:] else [])
    return "null" if value is None else type(value).__name__
