"""What a worker was told to do, by signals or from afar."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable

log = logging.getLogger("ropeway.worker")


class Orders:
    """`stop` lets running jobs finish, `now` does not; while it is `quiet` nothing is claimed."""

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self.now = asyncio.Event()
        self.quiet = False
        self.on_quiet: Callable[[bool], None] = _nothing
        """Called when the worker becomes quiet, or is not so any more."""
        self.on_describe: Callable[[], None] = _nothing
        """Called when somebody wants to know what the worker is in the middle of."""

    def listen(self) -> None:
        """Hear the signals of the running event loop's process."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.ask_to_stop)
        loop.add_signal_handler(signal.SIGQUIT, self.stop_now)
        loop.add_signal_handler(signal.SIGTSTP, self.be_quiet)
        loop.add_signal_handler(signal.SIGCONT, self.resume)
        loop.add_signal_handler(signal.SIGUSR1, self._asked_to_describe)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as nohup leaves it
            loop.add_signal_handler(signal.SIGHUP, self.ask_to_stop)

    def ask_to_stop(self) -> None:
        """Let running jobs finish; the second time, do not wait for them."""
        if self.stop.is_set():
            self.now.set()
        self.stop.set()

    def stop_now(self) -> None:
        """Give everything back at once."""
        self.now.set()
        self.stop.set()

    def _asked_to_describe(self) -> None:
        self.on_describe()

    def be_quiet(self) -> None:
        """Claim nothing more; what is held is finished."""
        self._set_quiet(quiet=True)

    def resume(self) -> None:
        """Claim again."""
        self._set_quiet(quiet=False)

    def _set_quiet(self, *, quiet: bool) -> None:
        if quiet is self.quiet:
            return  # SIGCONT also ends a pause that was no quiet one
        self.quiet = quiet
        log.info("quiet: nothing more is claimed" if quiet else "claiming again")
        self.on_quiet(quiet)


def _nothing(*_: object) -> None:
    """Stand for whoever has not asked to be called."""
