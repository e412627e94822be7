"""Telling a service manager how a worker is: the protocol of sd_notify(3)."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import MutableMapping

log = logging.getLogger("ropeway.worker")


class Notifier:
    """Sends words to the socket that the service manager named; without one it is silent."""

    def __init__(self, address: str, watchdog: float) -> None:
        self._address, self.watchdog = address, watchdog
        self._socket: socket.socket | None = None

    @classmethod
    def of(cls, environment: MutableMapping[str, str]) -> Notifier:
        """Take what the service manager said out of the environment: it is not for the children."""
        address = environment.pop("NOTIFY_SOCKET", "")
        period = environment.pop("WATCHDOG_USEC", "")
        meant = environment.pop("WATCHDOG_PID", "") in {"", str(os.getpid())}
        return cls(address, int(period) / 1e6 if meant and period.isdigit() else 0.0)

    @property
    def listened_to(self) -> bool:
        """Whether there is anybody to tell."""
        return bool(self._address)

    def tell(self, **fields: str) -> None:
        """Send these words, if they can be sent at once."""
        if not self._address:
            return
        message = "\n".join(f"{name}={' '.join(text.split())}" for name, text in fields.items())
        try:
            if self._socket is None:
                kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
                self._socket = socket.socket(socket.AF_UNIX, kind)
            # A name that begins with @ is in the abstract namespace.
            address = "\0" + self._address[1:] if self._address[0] == "@" else self._address
            self._socket.sendto(message.encode(), address)
        except OSError as error:
            log.debug("the service manager cannot be told %s: %s", list(fields), error)

    def close(self) -> None:
        """Give up the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
