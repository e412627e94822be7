"""The product as any program sees it, through the contracts that every backend has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import msgspec

from chaos.witness import Row
from ropeway.connect import Connection
from ropeway.message import JobRecord, job_key
from ropeway.stepping import step
from ropeway.store import Filter

_PAGE = 500
_decode = msgspec.msgpack.Decoder(JobRecord).decode


class Public:
    """Asks a backend what a user could ask it; use it in a `with`."""

    def __init__(self, url: str) -> None:
        self._backend = Connection(url).blocking()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        step(self._backend.close())

    def open(self) -> None:
        """Have the backend make what it needs."""
        step(self._backend.open())

    def found(self) -> set[str]:
        """The ids of all jobs that a search lists."""
        ids: set[str] = set()
        older: str | None = None
        while True:
            page = step(self._backend.search(Filter(), older, _PAGE))
            ids.update(job.message.id for job in page.jobs)
            older = page.older
            if older is None:
                return ids

    def has_work(self) -> bool:
        """Whether any queue holds a message, waiting or leased."""
        return bool(step(self._backend.stats()))

    def rows(self, ids: Sequence[str]) -> list[Row]:
        """What is kept of these jobs; nothing is said of those that are not kept."""
        rows: list[Row] = []
        for start in range(0, len(ids), _PAGE):
            keys = [job_key(job_id) for job_id in ids[start : start + _PAGE]]
            records = step(self._backend.get(keys))
            rows += [_row(_decode(record.value)) for record in records if record]
        return rows


def _row(job: JobRecord) -> Row:
    return Row(
        id=job.message.id,
        state=job.state,
        attempt=job.attempt,
        failures=job.failures,
        losses=job.losses,
        releases=job.releases,
        value=None if job.value is None else msgspec.json.decode(job.value, type=str),
    )
