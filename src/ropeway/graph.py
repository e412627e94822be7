"""Workflows as values: where a node stands, what it waits for, and whether it is to run.

A node's message tells its place: the run, which joins its end arrives at, and what it needs of the
nodes before it. So a settle knows what follows from it without looking anything up, and no message
tells more than its own edges, however large the graph is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from msgspec import Struct

RUNS, GRAPHS, LOST, SIGNALS = "runs/", "graphs/", "lost/", "signals/"
"""Records: of a run, of its nodes in chunks, of each that failed, and of what it was told."""

END = 0
"""The node that every run ends with: its job has the run's own id."""

MOST_NODES = 0xFFFF
ITEMS = "m"
"""How the name of a join ends at which the items of a map arrive."""

HELPER, TIMER = 0xFFFF_FFFF, 0xFFFF_FFFE
"""Items of a node that are jobs of its own: the one that opens it, and the one that ends its wait."""

MOST_ITEMS = 0xFFFF_0000

Rule = Literal["ok", "failed", "done", "true", "false", "any", "items"]
"""What a node needs of one before it: that it succeeded; that it, or another one with this rule,
failed; that it ended; that its result is true, or false; that it, or another one with this rule,
succeeded; that each of its items succeeded."""


class Need(Struct, frozen=True, gc=False, array_like=True, omit_defaults=True):
    """An edge: what a node needs of an earlier one."""

    node: int
    rule: Rule = "ok"
    item: int = 0


class Use(Struct, frozen=True, gc=False, array_like=True, omit_defaults=True):
    """Where in the arguments the result of an earlier node belongs; `many`: those of its items."""

    node: int
    path: tuple[str | int, ...]
    many: bool = False


class Place(Struct, frozen=True, gc=False, array_like=True, omit_defaults=True):
    """What a message says of the node that it is.

    `next` names the joins that its end arrives at, of its own run or with a whole name, each perhaps
    with `=` and the member that arrives; without that it is the node itself.
    """

    run: str
    path: str
    next: tuple[str, ...] = ()
    needs: tuple[Need, ...] = ()
    uses: tuple[Use, ...] = ()


class Lost(Struct, frozen=True, gc=False, array_like=True):
    """What is kept of a node that failed, for as long as its run: for who asks why."""

    path: str
    type: str
    message: str


MOST_TOLD = 20
"""Failed nodes that the error of a run names."""


def causes(lost: Sequence[Lost]) -> str:
    """Say which nodes failed, and how."""
    told = [f"{each.path}: {each.type}: {each.message[:300]}" for each in lost[:MOST_TOLD]]
    return "; ".join([*told, "and more"] if len(lost) > MOST_TOLD else told)


class Unfit(Struct, frozen=True):
    """Why a node does not run: "NotRun" follows from a failure, "Skipped" from what was decided."""

    type: Literal["NotRun", "Skipped"]
    reason: str


class Standing(Struct, frozen=True):
    """How a node that others need has ended: `how` it did, in words, and what it returned."""

    path: str
    status: Literal["ok", "failed", "skipped"]
    how: str = ""
    truth: bool = False


def node_id(run: str, node: int, item: int = 0) -> str:
    """Return the id of a node's job; all ids of a run begin as its own does."""
    return f"{run_start(run)}{node:04x}{item:08x}"


def run_start(run: str) -> str:
    """Return what the ids of the jobs of a run begin with, and no others."""
    return run[:24]


def family(run: str) -> str:
    """Return what the ids of all jobs of a run begin with, and of runs that its nodes begin."""
    return run[:19]


def place_in(job_id: str) -> tuple[int, int]:
    """Return which node a job is, and which item of it."""
    return int(job_id[24:28], 16), int(job_id[28:], 16)


def run_id(job_id: str) -> str:
    """Return the id of a run that begins as the id of a job does that was just made."""
    return f"{job_id[:24]}{0:012x}"


def join_name(run: str, name: str) -> str:
    """Return the whole name of a join, which a place says without its run."""
    return f"run/{run}/{name}"


def arrivals(place: Place, job_id: str) -> list[tuple[str, str]]:
    """Return at which joins the end of a node arrives, and as which member."""
    found = []
    for each in place.next:
        name, _, member = each.partition("=")
        join = name if "/" in name else join_name(place.run, name)
        found.append((join, member or job_id[24:]))
    return found


def lost_key(run: str, member: str = "") -> str:
    """Return the key of what is kept of a failed node; without it what all of a run begin with."""
    return f"{LOST}{run}/{member}"


def cursor_key(job_id: str) -> str:
    """Return the key of how far the expansion of a map is, and of how many items there are."""
    return f"cursor/{job_id}"


def signal_key(run: str, name: str) -> str:
    """Return the key of what a run was told."""
    return f"{SIGNALS}{run}/{name}"


def verdict(needs: Sequence[Need], standings: Sequence[Standing]) -> Unfit | None:
    """Say whether a node may run, after how the nodes that it needs have ended."""
    pairs = list(zip(needs, standings, strict=True))
    unfit = [found for need, each in pairs if (found := _unmet(need, each)) is not None]
    unfit += _none_of(pairs)
    for found in unfit:
        if found.type == "NotRun":
            return found
    return unfit[0] if unfit else None


def _unmet(need: Need, of: Standing) -> Unfit | None:
    if need.rule in {"done", "failed", "any"}:
        return None
    if of.status == "failed":
        return Unfit("NotRun", f"{of.path} {of.how}".strip())
    if of.status == "skipped":
        return Unfit("Skipped", f"{of.path} {of.how}".strip())
    if need.rule in {"true", "false"} and of.truth is not (need.rule == "true"):
        return Unfit("Skipped", f"{of.path} was {'true' if of.truth else 'false'}")
    return None


def _none_of(pairs: Iterable[tuple[Need, Standing]]) -> list[Unfit]:
    """Look at the two rules that one of several nodes can meet for all."""
    failed = [of for need, of in pairs if need.rule == "failed"]
    anyone = [of for need, of in pairs if need.rule == "any"]
    found: list[Unfit] = []
    if failed and all(of.status != "failed" for of in failed):
        found.append(Unfit("Skipped", "nothing failed"))
    if anyone and all(of.status != "ok" for of in anyone):
        bad = next((of for of in anyone if of.status == "failed"), None)
        told = ", ".join(of.path for of in anyone)
        found.append(
            Unfit("Skipped", f"none of {told} has run")
            if bad is None
            else Unfit("NotRun", f"{bad.path} {bad.how}")
        )
    return found


def cycle(befores: Sequence[Sequence[int]]) -> list[int]:
    """Return nodes that wait for each other in a circle, or nothing; `befores` are by node."""
    state = [0] * len(befores)
    for start in range(len(befores)):
        path, stack = list[int](), [(start, iter(befores[start]))] if not state[start] else []
        while stack:
            node, rest = stack[-1]
            if not state[node]:
                state[node] = 1
                path.append(node)
            follow = next((each for each in rest if state[each] != 2), None)
            if follow is None:
                state[node] = 2
                path.pop()
                stack.pop()
            elif state[follow] == 1:
                return [*path[path.index(follow) :], follow]
            else:
                stack.append((follow, iter(befores[follow])))
    return []


def followers(befores: Sequence[Sequence[int]]) -> list[list[int]]:
    """Return the nodes that follow each one."""
    found: list[list[int]] = [[] for _ in befores]
    for node, before in enumerate(befores):
        for each in dict.fromkeys(before):
            found[each].append(node)
    return found


def descendants(starts: Iterable[int], after: Sequence[Sequence[int]]) -> set[int]:
    """Return these nodes and all that follow from them."""
    found, left = set[int](), list(starts)
    while left:
        node = left.pop()
        if node not in found:
            found.add(node)
            left += after[node]
    return found
