"""Telling what happens to a job while somebody waits for it."""

from __future__ import annotations

from typing import Any

from ropeway.cli.shared import Shared
from ropeway.operate.job import progress_line
from ropeway.results import Job


def followed(job: Job[Any], timeout: float | None, shared: Shared) -> Any:
    """Wait for the result, and say each state and each report of progress on the way."""
    told: tuple[str, str] | None = None
    for each in job.watch(timeout):
        line = progress_line(each.progress) if each.progress is not None else ""
        if told != (each.view, line):
            told = (each.view, line)
            shared.say(f"{each.view:<10} {line}".rstrip())
    return job.result(0)
