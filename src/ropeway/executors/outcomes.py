"""How the end of a call becomes an outcome, whatever was returned or raised."""

from __future__ import annotations

import traceback
from typing import Any

from ropeway.config import seconds
from ropeway.errors import Retry, RopewayError
from ropeway.executor import Call, NotRun, SetApart
from ropeway.executors.where import raised_in
from ropeway.message import Failure, Outcome, fingerprint
from ropeway.retry import retryable

_LONGEST_NAME = 200
_LONGEST_MESSAGE = 4_000
_LONGEST_TRACEBACK = 20_000

INTERRUPTED = Outcome(ending="interrupted")


def returned(call: Call, value: Any) -> Outcome:
    """The outcome of a call that returned; a value that cannot be kept is a failure for good."""
    try:
        return Outcome(ending="returned", value=call.encode(value))
    except RopewayError as error:
        told = type(error)(f"the result of {call.task}: {error.fact}", hint=error.hint)
        return Outcome(ending="raised", error=failure_of(told, call), retryable=False)
    except Exception as error:  # noqa: BLE001  encoding may run user code
        return Outcome(ending="raised", error=failure_of(error, call), retryable=False)


def too_large(call: Call, outcome: Outcome) -> SetApart | None:
    """Return what the outcome has to go through, if its value is too large to be handed on."""
    value = outcome.value
    return call.set_apart if value is not None and len(value) > call.inline else None


def raised(call: Call, error: BaseException) -> Outcome:
    """The outcome of a call that raised."""
    if isinstance(error, NotRun):
        return error.outcome
    try:
        if isinstance(error, Retry):
            after = None if error.after is None else seconds(error.after, "after")
            return Outcome(ending="raised", error=failure_of(error, call), after=after)
        again = retryable(call.policy, error)
    except Exception as wrong:  # noqa: BLE001  a delay that is none, or a class without a name
        return Outcome(ending="raised", error=failure_of(wrong, call))
    return Outcome(ending="raised", error=failure_of(error, call), retryable=again)


def unbound(error: Exception) -> Outcome:
    """The outcome of a call whose arguments do not fit."""
    fact = error.fact if isinstance(error, RopewayError) else failure_of(error).message
    failure = Failure(type="BadArguments", message=_clean(fact, _LONGEST_MESSAGE))
    return Outcome(ending="bad_arguments", error=failure)


def timed_out(call: Call, error: BaseException) -> Outcome:
    """The outcome of a call that was stopped at its time limit."""
    failure = Failure(
        type="TimeLimit",
        message=f"{call.task} ran longer than its timeout of {call.timeout} s",
        traceback=_traceback(error),
        fingerprint=fingerprint(call.task, "TimeLimit", _where(error)),
    )
    return Outcome(ending="timed_out", error=failure)


def failure_of(error: BaseException, call: Call | None = None) -> Failure:
    """Describe an exception in bounded text, also one whose own `str` fails."""
    name = _name(type(error))
    return Failure(
        type=name,
        message=_text(error),
        traceback=_traceback(error),
        fingerprint=fingerprint(call.task, name, _where(error)) if call else "",
    )


def _name(kind: type[BaseException]) -> str:
    try:
        name = kind.__qualname__
        if kind.__module__ not in ("builtins", "__main__"):
            name = f"{kind.__module__}.{name}"
        return _clean(name, _LONGEST_NAME)
    except Exception:  # noqa: BLE001  it is user code
        return "(its class has no name)"


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


def _where(error: BaseException) -> str:
    # The first frame is the executor's own.
    return raised_in(error.__traceback__.tb_next) if error.__traceback__ else ""


def _clean(text: str, limit: int) -> str:
    if len(text) > limit:
        text = f"{text[: limit // 2]}\n… {len(text) - limit} characters left out …\n{text[-limit // 2 :]}"
    # Half a surrogate pair cannot be written as UTF-8.
    return text.encode("utf-8", "replace").decode("utf-8")
