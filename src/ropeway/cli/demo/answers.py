"""The answers of the demo as plain numbers, so that the check needs no type of the tasks."""

from __future__ import annotations

from typing import Any

from ropeway.cli.demo.plan import Pair, Question

Ranked = tuple[int, int, int]
"""A suggested member, the number of mutual friends, the number of chains."""


class Answers:
    """What the worker answered, by member and by pair."""

    def __init__(self) -> None:
        self.suggested: dict[int, list[Ranked]] = {}
        self.mutual: dict[Pair, list[int]] = {}

    def add(self, question: Question, value: Any) -> None:
        """Keep the result of one job."""
        if isinstance(question, int):
            self.suggested[question] = [(one.member, one.mutual, one.chains) for one in value]
        else:
            self.mutual[question] = list(value)

    def sabotage(self) -> str:
        """Change one answer by one mutual friend, and return its name."""
        members = sorted(member for member, ranked in self.suggested.items() if ranked)
        member = members[len(members) // 2]
        (other, mutual, chains), *rest = self.suggested[member]
        self.suggested[member] = [(other, mutual + 1, chains), *rest]
        return f"suggest({member})"
