"""Where an error was raised, in words that stay the same from run to run."""

from __future__ import annotations

import sysconfig
from collections.abc import Iterator
from types import FrameType, TracebackType

_INSTALLED = tuple(
    {path for name in ("stdlib", "purelib", "platlib") if (path := sysconfig.get_paths()[name])}
)


def raised_in(trace: TracebackType | None) -> str:
    """Return the function of the user's own code in which an error was raised, or passed last.

    That is the innermost one that is not of an installed package, unless the task is of the same
    package. No line numbers: they change with every edit above.
    """
    frames = list(_frames(trace))
    if not frames:
        return ""
    package = _module(frames[0]).partition(".")[0]
    own = [frame for frame in frames if _is_own(frame, package)]
    frame = (own or frames)[-1]
    return f"{_module(frame)}:{_function(frame)}"


def _frames(trace: TracebackType | None) -> Iterator[FrameType]:
    while trace is not None:
        yield trace.tb_frame
        trace = trace.tb_next


def _is_own(frame: FrameType, package: str) -> bool:
    installed = frame.f_code.co_filename.startswith((*_INSTALLED, "<frozen "))
    return not installed or _module(frame).partition(".")[0] == package


def _module(frame: FrameType) -> str:
    name = frame.f_globals.get("__name__")
    return name if isinstance(name, str) else "?"


def _function(frame: FrameType) -> str:
    return frame.f_code.co_qualname
