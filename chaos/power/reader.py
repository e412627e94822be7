"""A program that asks for results, and writes down what it was given: `... reader RUN`."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

from chaos import tasks
from chaos.history import History, Tail
from ropeway.errors import ResultTimeout, RopewayError


class Reader:
    """Knows which jobs were acknowledged, and whose results it has not seen."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "history"
        self._tails: dict[Path, Tail] = {}
        self._history = History(self._folder, "reader")
        self._waiting: list[str] = []

    def look(self) -> None:
        """Ask once for every result that is missing."""
        self._waiting += self._acknowledged()
        self._waiting = [job_id for job_id in self._waiting if not self._has_result(job_id)]

    def _acknowledged(self) -> Iterator[str]:
        for path in self._folder.glob("producer-*.jsonl"):
            tail = self._tails.setdefault(path, Tail(path))
            yield from (record.id for record in tail.more() if record.type == "ok")

    def _has_result(self, job_id: str) -> bool:
        try:
            value = tasks.app.job(job_id).result(timeout=0)
        except ResultTimeout:
            return False
        except RopewayError as error:
            self._history.log("fail", "result", id=job_id, note=str(error))
        else:
            self._history.log("ok", "result", id=job_id, v=str(value))
        return True


def main(run: str) -> None:
    """Look again and again, until killed."""
    reader = Reader(Path(run))
    while True:
        reader.look()
        time.sleep(0.02)


if __name__ == "__main__":
    main(*sys.argv[1:])
