"""What is to be done around a fork, so that neither side harms the other."""

from __future__ import annotations

import os
import threading
import weakref
from typing import Protocol


class Restful(Protocol):
    """Something that must not be open while a fork is made."""

    def rest(self) -> bool:
        """Close, and stay closed until `resume`; False if that cannot be."""
        ...

    def resume(self) -> None:
        """In the parent: it may be opened again."""
        ...

    def forget(self) -> None:
        """In the child: leave alone what was open all the same."""
        ...


every_database: weakref.WeakSet[Restful] = weakref.WeakSet()
_resting = threading.local()


def _before_fork() -> None:
    _resting.databases = [each for each in list(every_database) if each.rest()]


def _after_fork_in_parent() -> None:
    for database in _resting.databases:
        database.resume()


def _after_fork_in_child() -> None:
    for database in list(every_database):
        database.forget()


os.register_at_fork(
    before=_before_fork,
    after_in_parent=_after_fork_in_parent,
    after_in_child=_after_fork_in_child,
)
