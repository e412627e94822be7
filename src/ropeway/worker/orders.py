"""What a worker was told to do, by signals or from afar."""

from __future__ import annotations

import asyncio
import signal


class Orders:
    """`stop` lets running jobs finish, `now` does not; while `quiet` is set nothing is claimed."""

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self.now = asyncio.Event()

    def listen(self) -> None:
        """Hear the signals of the running event loop's process."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.ask_to_stop)
        loop.add_signal_handler(signal.SIGQUIT, self.stop_now)

    def ask_to_stop(self) -> None:
        """Let running jobs finish; the second time, do not wait for them."""
        if self.stop.is_set():
            self.now.set()
        self.stop.set()

    def stop_now(self) -> None:
        """Give everything back at once."""
        self.now.set()
        self.stop.set()
