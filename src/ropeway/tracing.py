"""Where a call comes from, in the words of W3C Trace Context: it goes along from task to task."""

from __future__ import annotations

import sys
from typing import Any

from ropeway.context import running

FIELD = "traceparent"


def trace_here() -> str | None:
    """Return the `traceparent` of whoever sends: OpenTelemetry's, where that is in use, or the task's."""
    if "opentelemetry.trace" in sys.modules:
        carrier: dict[str, Any] = {}
        _inject(carrier)
        if FIELD in carrier:
            return str(carrier[FIELD])
    here = running.get(None)
    return None if here is None else here.trace


def _inject(carrier: dict[str, Any]) -> None:
    # Never a dependency: whoever has a trace has imported it.
    from opentelemetry.trace.propagation.tracecontext import (  # type: ignore[import-not-found,unused-ignore]
        TraceContextTextMapPropagator,
    )

    TraceContextTextMapPropagator().inject(carrier)
