"""How the end of a call becomes an outcome, whatever was returned or raised."""

from __future__ import annotations

import traceback
from typing import Any

from ropeway.errors import BadArguments, NotEncodable, Retry, RopewayError
from ropeway.executor import Call
from ropeway.message import Failure, Outcome
from ropeway.retry import retryable

_LONGEST_MESSAGE = 4_000
_LONGEST_TRACEBACK = 20_000


def returned(call: Call, value: Any) -> Outcome:
    """The outcome of a call that returned; a value that cannot be kept is a failure for good."""
    try:
        return Outcome(ending="returned", value=call.encode(value))
    except RopewayError as error:
        hint = NotEncodable(f"the result of {call.task}: {error.fact}", hint=error.hint)
        return Outcome(ending="raised", error=failure_of(hint), retryable=False)


def raised(call: Call, error: BaseException) -> Outcome:
    """The outcome of a call that raised."""
    if isinstance(error, Retry):
        return Outcome(ending="raised", error=failure_of(error), after=error.after)
    return Outcome(
        ending="raised", error=failure_of(error), retryable=retryable(call.policy, error)
    )


def unbound(error: BadArguments) -> Outcome:
    """The outcome of a call whose arguments do not fit."""
    failure = Failure(type="BadArguments", message=error.fact)
    return Outcome(ending="bad_arguments", error=failure)


def timed_out(call: Call, error: BaseException) -> Outcome:
    """The outcome of a call that was stopped at its time limit."""
    failure = Failure(
        type="TimeLimit",
        message=f"{call.task} ran longer than its timeout of {call.timeout} s",
        traceback=_traceback(error),
    )
    return Outcome(ending="timed_out", error=failure)


def failure_of(error: BaseException) -> Failure:
    """Describe an exception in bounded text, also one whose own `str` fails."""
    kind = type(error)
    name = kind.__qualname__
    if kind.__module__ not in ("builtins", "__main__"):
        name = f"{kind.__module__}.{name}"
    return Failure(type=name, message=_text(error), traceback=_traceback(error))


def _text(error: BaseException) -> str:
    try:
        return _clean(str(error), _LONGEST_MESSAGE)
    except Exception as nested:  # noqa: BLE001  it is user code
        return f"(its text cannot be made: {type(nested).__name__})"


def _traceback(error: BaseException) -> str:
    try:
        # The first frame is the executor's own.
        frames = error.__traceback__.tb_next if error.__traceback__ else None
        lines = traceback.format_exception(type(error), error, frames)
        return _clean("".join(lines), _LONGEST_TRACEBACK)
    except Exception:  # noqa: BLE001  formatting calls user code too
        return ""


def _clean(text: str, limit: int) -> str:
    if len(text) > limit:
        text = f"{text[: limit // 2]}\n… {len(text) - limit} characters left out …\n{text[-limit // 2 :]}"
    # Half a surrogate pair cannot be written as UTF-8.
    return text.encode("utf-8", "replace").decode("utf-8")
