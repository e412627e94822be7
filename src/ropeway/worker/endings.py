"""The line that the log gets when a job has ended, or goes back."""

from __future__ import annotations

import logging

from ropeway.message import Failure, Fence
from ropeway.states import State
from ropeway.transition import Finish, Reject, Release, Settle

log = logging.getLogger("ropeway.worker")

_LONGEST = 200


def log_ending(fence: Fence, settle: Settle) -> None:
    """Tell what became of a job. What went well is told to those alone who look closely."""
    match settle:
        case Finish(state=State.FAILED, error=Failure() as error):
            log.error("job %s failed: %s", fence.id, _brief(error), extra=_about(fence, "✕"))
        case Finish():
            if log.isEnabledFor(logging.DEBUG):
                mark = "✓" if settle.state is State.SUCCEEDED else "⊘"
                log.debug("job %s %s", fence.id, settle.state, extra=_about(fence, mark))
        case Reject():
            what = f"{settle.reason} {settle.detail}"
            log.error("job %s quarantined: %s", fence.id, what, extra=_about(fence, "✕"))
        case Release(error=Failure() as error):
            log.warning("job %s goes back: %s", fence.id, _brief(error), extra=_about(fence, "↻"))
        case _:
            pass


def _about(fence: Fence, mark: str) -> dict[str, object]:
    return {"ropeway": {"job": fence.id, "attempt": fence.attempt}, "ropeway_mark": mark + " "}


def _brief(error: Failure) -> str:
    first = error.message.splitlines()[0][:_LONGEST] if error.message else ""
    return f"{error.type}: {first}"
