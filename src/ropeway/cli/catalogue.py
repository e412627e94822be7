"""The long explanations of errors: the sections of the reference page, which comes with the package.

`errors.md` beside this module is that page: the documentation and `ropeway explain` have one source.
"""

from __future__ import annotations

import difflib
import re
from importlib import resources

from msgspec import Struct

_SECTION = re.compile(r"(?m)^## ")
_HEAD = re.compile(r"Code (RW-\d{3})(?:, exit code (\d+))?\. ")
_CODE = re.compile(r"(?:RW)?[-_ ]?(\d{1,3})", re.IGNORECASE)
_LINK = re.compile(r"\[([^]]+)\]\([^)]+\)")


class Explanation(Struct, frozen=True, kw_only=True):
    """What is said of one error: what it is, why it happens, what to do, and how it looks."""

    code: str
    name: str
    exit_code: int
    fact: str
    cause: str
    remedy: str
    example: str


def catalogue() -> dict[str, Explanation]:
    """Return the explanation of every error, by code."""
    page = (resources.files("ropeway.cli") / "errors.md").read_text(encoding="utf-8")
    found = [_read(section) for section in _SECTION.split(page)[1:] if _HEAD.search(section)]
    return {each.code: each for each in found}


def _read(section: str) -> Explanation:
    name, _, rest = section.partition("\n")
    head = _HEAD.search(rest)
    assert head is not None
    body, _, example = rest.partition("- **Example:**")
    fact, _, told = body[head.end() :].partition("- **Cause:**")
    cause, _, remedy = told.partition("- **Remedy:**")
    lines = [line[2:] for line in example.splitlines() if line.startswith("  ")]
    return Explanation(
        code=head[1],
        name=name.strip(),
        exit_code=int(head[2] or 1),
        fact=_plain(fact),
        cause=_plain(cause),
        remedy=_plain(remedy),
        example="\n".join(line for line in lines if not line.startswith("```")),
    )


def _plain(text: str) -> str:
    """Take off the marks that a terminal does not show, and the line breaks."""
    return _LINK.sub(r"\1", " ".join(text.split()))


def look_up(catalogue: dict[str, Explanation], asked: str) -> Explanation | None:
    """Return the explanation of a code, or of a name, however it is written: rw101, 101."""
    if number := _number(asked):
        return catalogue.get(f"RW-{number}")
    wanted = asked.strip().lower()
    return next((each for each in catalogue.values() if each.name.lower() == wanted), None)


def closest(catalogue: dict[str, Explanation], asked: str) -> str:
    """Return the code that was most likely meant, or nothing."""
    if number := _number(asked):
        return min(catalogue, key=lambda code: abs(int(code[3:]) - int(number)))
    names = {each.name.lower(): each.code for each in catalogue.values()}
    close = difflib.get_close_matches(asked.strip().lower(), names, 1, 0.5)
    return names[close[0]] if close else ""


def _number(asked: str) -> str | None:
    found = _CODE.fullmatch(asked.strip())
    return found[1].zfill(3) if found else None
