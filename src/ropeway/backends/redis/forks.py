"""What a child made by fork does with its parent's connections: nothing."""

from __future__ import annotations

import codecs
import os
import weakref
from typing import Protocol


class Forgetful(Protocol):
    """Something that a child must not use."""

    def forget(self) -> None:
        """In the child: leave alone what is the parent's."""
        ...


# Looking up a host's name imports this, under a lock: a process that is forked just then would wait
# for that lock for ever. So it is imported before anybody connects.
codecs.lookup("idna")

every_link: weakref.WeakSet[Forgetful] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for link in list(every_link):
        link.forget()


os.register_at_fork(after_in_child=_after_fork_in_child)
