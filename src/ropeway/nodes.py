"""Results that are not known yet, in the place of arguments: nodes of a workflow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NoReturn

from msgspec import Struct

from ropeway.errors import BadArguments

_DEEPEST = 100


class Node:
    """A node of a workflow that is being built; what stands for its result, until there is one."""

    __slots__ = ("many", "name", "number", "type", "workflow")

    def __init__(self, workflow: object, number: int, name: str, type: Any, *, many: bool) -> None:
        self.workflow = workflow
        self.number, self.name = number, name
        self.type, self.many = type, many

    def __repr__(self) -> str:
        return f"<Node {self.name}>"

    def __bool__(self) -> NoReturn:
        raise self._unknown("tested", "give it to a node: wf.add(..., when=node)")

    def __iter__(self) -> Iterator[Any]:
        raise self._unknown("iterated over", "write wf.map(task, node)")

    def __getitem__(self, index: object) -> NoReturn:
        raise self._unknown("looked into", "pass all of it to a task, which picks")

    def __len__(self) -> NoReturn:
        raise self._unknown("counted", "pass it to a task")

    def _unknown(self, what: str, hint: str) -> BadArguments:
        return BadArguments(
            f"the result of node {self.name!r} cannot be {what}: it is there when the workflow runs",
            hint=hint,
        )


class Hole(Struct, frozen=True):
    """A place in the arguments of a call that a node's result belongs to."""

    path: tuple[str | int, ...]
    node: Node


def planted(value: Any, path: tuple[str | int, ...], holes: list[Hole]) -> Any:
    """Return a value with None for each node in its lists, tuples and dicts; note where they are."""
    if isinstance(value, Node):
        holes.append(Hole(path, value))
        return None
    if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        return [planted(each, (*path, index), holes) for index, each in enumerate(value)]
    if type(value) is dict and all(isinstance(key, str) for key in value):
        return {key: planted(each, (*path, key), holes) for key, each in value.items()}
    return value


def holds_nodes(value: Any, depth: int = 0) -> bool:
    """Whether a node is anywhere in a value's lists, tuples and dicts, unless it is very deep."""
    if isinstance(value, Node):
        return True
    if depth > _DEEPEST:
        return False
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return any(holds_nodes(each, depth + 1) for each in value)
    return False
