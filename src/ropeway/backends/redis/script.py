"""The scripts that run inside the server, each a file of its own."""

from __future__ import annotations

import functools
import hashlib
import re
from pathlib import Path

from msgspec import Struct

_FOLDER = Path(__file__).with_name("lua")
_USES = re.compile(r"^-- uses: (.*)$", re.MULTILINE)


class Script(Struct, frozen=True):
    """One script: its name, its text, and the digest by which the server knows it.

    `repeatable` says that running it again unchanged does no harm: then a reply that was lost is
    asked for again. `writes` says that it may change something.
    """

    name: str
    source: bytes
    sha: bytes
    writes: bool = True
    repeatable: bool = True


@functools.lru_cache
def load(
    name: str,
    *,
    writes: bool = True,
    repeatable: bool = True,
    even_full: bool = False,
    prelude: bool = True,
) -> Script:
    """Read the script `lua/<name>.lua`, with the `prelude` that others share in front of it.

    Between the two comes what a line "-- uses:" of it names; of what is in parentheses the names end with
    it, for a script may have 200 of them at a time. The server refuses to start one that
    writes when its memory is full, unless it may run `even_full`; so none is stopped half way.
    """
    flags = "allow-oom" if even_full else "" if writes else "no-writes"
    own = _read(name)
    used = _USES.search(own)
    shared = ("prelude",) if prelude else ()
    parts = [_read(each) for each in (*shared, *(used[1].split() if used else ()))]
    source = "\n".join((f"#!lua flags={flags}", *parts, own)).encode()
    sha = hashlib.sha1(source, usedforsecurity=False).hexdigest().encode()
    return Script(name, source, sha, writes, repeatable)


def _read(name: str) -> str:
    text = (_FOLDER / f"{name.strip('()')}.lua").read_text("utf-8")
    return f"do\n{text}end\n" if name.startswith("(") else text
