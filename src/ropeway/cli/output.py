"""What goes to standard output: JSON, and text that may hold the data of tasks."""

from __future__ import annotations

import json
import sys
from typing import Any

from ropeway import safe


def on_terminal() -> bool:
    """Whether standard output is a terminal."""
    return sys.stdout.isatty()


def to_json(value: Any, *, pretty: bool) -> str:
    """Write a value as JSON, on one line unless `pretty`."""
    indent = 2 if pretty else None
    return safe.json_text(json.dumps(value, indent=indent, ensure_ascii=False))


def print_json(value: Any) -> None:
    """Print a value as JSON: one line, on a terminal many."""
    print(to_json(value, pretty=on_terminal()))


def print_lines(text: str) -> None:
    """Print text of several lines that may hold the data of tasks."""
    print(safe.lines(text))
