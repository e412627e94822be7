"""What was sent, for tests to look at and to compare."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from ropeway.message import Message
from ropeway.results import Job

R_co = TypeVar("R_co", covariant=True)


class Sent(Generic[R_co]):
    """One call that was sent: its `job`, its `arguments` by name, and how it was sent."""

    def __init__(self, job: Job[R_co], message: Message, arguments: dict[str, Any]) -> None:
        self.job, self.message, self.arguments = job, message, arguments

    @property
    def task(self) -> str:
        """The name of the task."""
        return self.message.task

    @property
    def queue(self) -> str:
        """Where it was sent to."""
        return self.message.queue

    @property
    def priority(self) -> int:
        """0 to 9, 9 first."""
        return self.message.band

    @property
    def delay(self) -> float:
        """The seconds it was to wait, 0 without a delay."""
        return self.message.delay

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.arguments.items())
        said = f"{self.task}({arguments})"
        if self.queue != "default":
            said += f" to {self.queue}"
        return said + (f" in {self.delay:g} s" if self.delay else "")


def listed(sent: list[Sent[Any]]) -> str:
    """Put what was sent into the words of a failed assertion."""
    return "".join(f"\n  {each!r}" for each in sent) or " nothing"
