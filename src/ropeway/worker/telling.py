"""Where a worker tells how it is, as its options and its service manager ask for it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from ropeway.worker.health import HealthServer
from ropeway.worker.healthfile import HealthFile
from ropeway.worker.loops import Loops
from ropeway.worker.notify import Notifier
from ropeway.worker.options import WorkerOptions
from ropeway.worker.reporting import Reporter
from ropeway.worker.vitals import Vitals


@asynccontextmanager
async def telling(
    reporter: Reporter, options: WorkerOptions, on_broken: Callable[[], None]
) -> AsyncIterator[None]:
    """Tell from the start, when nothing works yet, to the end.

    Raises `ConfigError` where it cannot be told. Calls `on_broken` if it can be told no more.
    """
    server = None
    if options.health_port is not None:
        server = HealthServer(reporter.health, options.health_host, options.health_port)
        await server.open()
    file = HealthFile(Path(options.health_file)) if options.health_file else None
    vitals = Vitals(reporter.health, reporter.hopeless, file, Notifier.of(os.environ))
    loops = Loops(on_broken)
    try:
        if file is not None:
            file.open(reporter.health())
        loops.start("the loop that reports", vitals.run())
        yield
    finally:
        await loops.close()
        vitals.close()
        if server is not None:
            server.close()
