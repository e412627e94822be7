"""The scripts that run inside the server, each a file of its own."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

from msgspec import Struct

_FOLDER = Path(__file__).with_name("lua")


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
    prelude: str = "prelude",
) -> Script:
    """Read the script `lua/<name>.lua`, with the text that all of them share in front of it.

    The server refuses to start one that writes when its memory is full, unless it may run
    `even_full`; so none is stopped half way.
    """
    flags = "allow-oom" if even_full else "" if writes else "no-writes"
    shared, own = ((_FOLDER / f"{each}.lua").read_text("utf-8") for each in (prelude, name))
    source = f"#!lua flags={flags}\n{shared}\n{own}".encode()
    sha = hashlib.sha1(source, usedforsecurity=False).hexdigest().encode()
    return Script(name, source, sha, writes, repeatable)
