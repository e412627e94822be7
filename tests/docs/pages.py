"""Reading Markdown pages: their sections, their links and the blocks of code that are run.

A comment on the line before a block says what becomes of it:

    <!-- file: tasks.py -->     the block is written to that file
    <!-- run -->                each `$ ` line of a console block is run; the lines below it must
                                appear in the output (`...` stands for anything); a line that ends
                                with ` &` runs in the background until the end of the page
    <!-- run: exit 2 -->        the same, where the commands end with that status
    <!-- not run: reason -->    a block that cannot run here; it must still be valid Python

A python block without a comment is run, in one namespace for the whole page.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]

_FENCE = re.compile(r"^(?P<indent> *)(?P<marks>`{3,}|~{3,}) *(?P<info>[^`]*)$")
_COMMENT = re.compile(r"^ *<!-- *(.*?) *-->$")
_DIRECTIVE = re.compile(r"(?P<verb>file|run|not run)(?:: *(?P<value>.+))?")
_NOT_PYTHON = {"py", "python3", "py3", "pycon", "Python"}


class Block(NamedTuple):
    """A fenced block: its language, its text, the line it starts on, and what its comment says."""

    language: str
    text: str
    line: int
    verb: str = ""
    value: str = ""


def page(name: str) -> str:
    """Return the text of a page; a page that is missing is a failure."""
    path = ROOT / name
    if not path.is_file():
        pytest.fail(f"{name} is missing", pytrace=False)
    return path.read_text(encoding="utf-8")


def names(*patterns: str) -> list[str]:
    """Return the pages that the patterns match; a pattern without one stands for itself."""
    found: list[str] = []
    for pattern in patterns:
        matches = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob(pattern))
        found += matches or [pattern]
    return found


def blocks(text: str) -> Iterator[Block]:
    """Yield the fenced blocks of a page in order."""
    lines = text.splitlines()
    number = 0
    while number < len(lines):
        opening = _FENCE.match(lines[number])
        number += 1
        if not opening:
            continue
        start = number
        while number < len(lines) and not _closes(lines[number], opening["marks"]):
            number += 1
        width = len(opening["indent"])
        body = "".join(_dedent(line, width) + "\n" for line in lines[start:number])
        language = (opening["info"].split() or [""])[0]
        yield Block(language, body, start + 1, *_directive(lines, start - 2, language))
        number += 1


def prose(text: str) -> str:
    """Return the page without its fenced blocks."""
    kept, marks = [], ""
    for line in text.splitlines():
        opening = _FENCE.match(line)
        if marks:
            marks = "" if _closes(line, marks) else marks
        elif opening:
            marks = opening["marks"]
        else:
            kept.append(line)
    return "\n".join(kept)


def sections(text: str) -> list[str]:
    """Return the parts of a page from one heading to the next; a row of a table is a part too."""
    parts = re.split(r"^(?=#+ )", prose(text), flags=re.MULTILINE)
    return parts + re.findall(r"^\|.*$", text, flags=re.MULTILINE)


def _closes(line: str, marks: str) -> bool:
    stripped = line.strip()
    return len(stripped) >= len(marks) and set(stripped) == {marks[0]}


def _dedent(line: str, width: int) -> str:
    return line[min(width, len(line) - len(line.lstrip(" "))) :]


def _directive(lines: list[str], number: int, language: str) -> tuple[str, str]:
    """Return the verb and value of the comment above a block; a comment not understood is an error.

    So a slip in a comment cannot silently keep a block from running.
    """
    where = f"the block below line {number + 1}"
    if language in _NOT_PYTHON:
        raise ValueError(f"{where}: write `python` in place of `{language}`, so that it is run")
    while number >= 0 and not lines[number].strip():
        number -= 1
    comment = _COMMENT.match(lines[number]) if number >= 0 else None
    if not comment:
        return "", ""
    found = _DIRECTIVE.fullmatch(comment[1])
    if not found:
        raise ValueError(f"{where}: the comment is none of file, run, not run: {comment[1]}")
    verb, value = found["verb"], found["value"] or ""
    if verb != "run" and not value:
        raise ValueError(f"{where}: `{verb}` needs a value")
    if verb == "run" and language != "console":
        raise ValueError(f"{where}: `run` is for console blocks")
    return verb, value
