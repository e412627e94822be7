"""The log of a worker, on standard error: for people, or one JSON object on each line."""

from __future__ import annotations

import logging
import os
import sys
import time
from typing import Literal

from ropeway.cli import safe
from ropeway.cli.output import to_json
from ropeway.cli.words import iso

Format = Literal["pretty", "json"]

_COLOURS = {logging.WARNING: "\x1b[33m", logging.ERROR: "\x1b[31m", logging.CRITICAL: "\x1b[31m"}


class Pretty(logging.Formatter):
    """A clock, the level if it is more than information, and the message."""

    def __init__(self, *, colour: bool) -> None:
        super().__init__()
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        """Write one record; what follows its first line is indented."""
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        level = "" if record.levelno == logging.INFO else f"{record.levelname.lower()}: "
        if self._colour and (colour := _COLOURS.get(record.levelno)):
            level = f"{colour}{level}\x1b[0m"
        text = record.getMessage()
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        return f"{clock} {level}" + safe.lines(text).replace("\n", "\n         ")


class Json(logging.Formatter):
    """One object on one line: time, level, logger, message, and the exception if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one record."""
        body = {
            "time": iso(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            body["exception"] = self.formatException(record.exc_info)
        return to_json(body, pretty=False)


def set_up(level: str, format: Format | None) -> None:
    """Send the log of this process to standard error; without `format`, as it is looked at."""
    terminal = sys.stderr.isatty()
    handler = logging.StreamHandler(sys.stderr)
    if format == "pretty" or (format is None and terminal):
        handler.setFormatter(Pretty(colour=terminal and not os.environ.get("NO_COLOR")))
    else:
        handler.setFormatter(Json())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.getLogger("asyncio").setLevel(logging.WARNING)
