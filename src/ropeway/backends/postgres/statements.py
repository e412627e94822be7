"""The statements of `statements.sql` by name."""

from __future__ import annotations

import re
from importlib import resources
from typing import Final

_FOLDER = resources.files(__package__)


def _load() -> dict[str, str]:
    text = (_FOLDER / "statements.sql").read_text(encoding="utf-8")
    parts = re.split(r"^-- name: (\w+)$", text, flags=re.MULTILINE)[1:]
    return {
        name: re.sub(r"^--.*$", "", body, flags=re.MULTILINE).strip().rstrip(";")
        for name, body in zip(parts[::2], parts[1::2], strict=True)
    }


SQL: Final = _load()
"""Name -> statement."""
