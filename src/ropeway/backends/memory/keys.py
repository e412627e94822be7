"""Keys: of the messages of one key in a queue only the first that is open can be handed out."""

from __future__ import annotations

import bisect
from collections import defaultdict

from ropeway.backends.memory.job import MemoryJob


class Keys:
    """The open jobs of each key, by publishing; the first one of each is free, the others wait."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, str], list[tuple[int, str]]] = defaultdict(list)

    def enter(self, job: MemoryJob) -> None:
        """Put a job in line; one that comes from another queue passes nobody who is free."""
        if job.message.key is not None:
            line = self._open[job.message.queue, job.message.key]
            bisect.insort(line, (job.serial, job.message.id), lo=min(1, len(line)))

    def is_free(self, job: MemoryJob) -> bool:
        """Whether a job may be handed out as far as its key is concerned."""
        if job.message.key is None:
            return True
        return self._open[job.message.queue, job.message.key][0][1] == job.message.id

    def leave(self, job: MemoryJob) -> str | None:
        """Take a job out of the line; return the id of the one that is free by that, if any."""
        if job.message.key is None:
            return None
        place = job.message.queue, job.message.key
        was_free, line = self.is_free(job), self._open[place]
        line.remove((job.serial, job.message.id))
        if not line:
            del self._open[place]
        return line[0][1] if line and was_free else None
