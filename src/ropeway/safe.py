"""Text that came from elsewhere, made fit for a terminal.

A task's name, an argument or an error may hold escape sequences that move the cursor, change the
title or hide what was printed before; here they become visible text.
"""

from __future__ import annotations

import re

# Control characters of both sets, marks that turn the direction of writing, line separators that
# are no newline, and halves of surrogate pairs, which cannot be written at all.
_ALWAYS = "\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff"
_IN_LINES = re.compile(rf"[\x00-\x08\x0b-\x1f{_ALWAYS}]")
_IN_ONE_LINE = re.compile(rf"[\x00-\x1f{_ALWAYS}]")
_IN_JSON = re.compile(rf"[{_ALWAYS}]")
_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}


def one_line(text: str) -> str:
    """Return `text` as one harmless line."""
    return _IN_ONE_LINE.sub(_visible, text)


def lines(text: str) -> str:
    """Return `text` harmless, with its newlines and tabs."""
    return _IN_LINES.sub(_visible, text)


def json_text(text: str) -> str:
    """Return JSON that means the same and is harmless; JSON itself escapes the first 32."""
    return _IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


_PASSWORD = re.compile(r"(?<=://)([^:/?#@]*):[^?#]*@")
_SECRET = re.compile(r"(?<=[?&])(\w*(?:password|secret|token|key)\w*=)[^&#]+", re.IGNORECASE)


def masked(url: str) -> str:
    """Return a URL without its password and what its query holds of secrets."""
    # Not taken apart as a URL: what is shown may be shown because it is none.
    url = _PASSWORD.sub(r"\1:***@", url)
    return _SECRET.sub(r"\1***", url)


def _visible(found: re.Match[str]) -> str:
    character = found[0]
    number = ord(character)
    return _SHORT.get(character) or (f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}")
