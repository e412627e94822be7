"""The graph of the demo as the tasks use it: for each member, the set of friends."""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from importlib.resources import files

DATA = "data/debian-web-of-trust.txt"


@cache
def friends() -> dict[int, frozenset[int]]:
    """Return each member's friends; the file is read once in a process.

    Friendship goes both ways, every member has at least one friend, nobody is their own.
    """
    near: defaultdict[int, set[int]] = defaultdict(set)
    for line in (files("ropeway.cli.demo") / DATA).read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            a, b = map(int, line.split())
            near[a].add(b)
            near[b].add(a)
    return {member: frozenset(near[member]) for member in sorted(near)}
