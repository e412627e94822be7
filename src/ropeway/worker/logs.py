"""The log of a worker and of what runs in it: for people, as JSON, or as logfmt, with the job's id."""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal, get_args

from ropeway import safe
from ropeway.context import running

Format = Literal["pretty", "json", "logfmt"]
FORMATS: tuple[Format, ...] = get_args(Format)

LEVEL, FORMAT = "ROPEWAY_LOG_LEVEL", "ROPEWAY_LOG_FORMAT"
"""Where a worker's children find how it logs."""

_COLOURS = {logging.WARNING: "\x1b[33m", logging.ERROR: "\x1b[31m", logging.CRITICAL: "\x1b[31m"}
_EDGE = "\n         "


class Pretty(logging.Formatter):
    """A clock, the level if it is more than information, the job that runs, and the message.

    A line about the end of a job has a mark: ✓ succeeded, ✕ failed, ↻ goes back.
    """

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
        job = _running()
        who = f"[{job['task']} {job['job']} {job['attempt']}] " if job else ""
        mark = getattr(record, "ropeway_mark", "")
        return f"{clock} {mark}{level}" + safe.lines(who + text).replace("\n", _EDGE)


class Json(logging.Formatter):
    """One object on one line: time, level, logger, message, the job, and the exception if any."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one record."""
        return safe.json_text(json.dumps(self._fields(record), ensure_ascii=False, default=str))

    def _fields(self, record: logging.LogRecord) -> dict[str, object]:
        date = datetime.fromtimestamp(record.created, UTC)
        fields: dict[str, object] = {
            "time": date.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **(getattr(record, "ropeway", None) or _running()),
        }
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return fields


class Logfmt(Json):
    """The same as `key=value` pairs; a value that is not one plain word is quoted as in JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one record."""
        return " ".join(
            f"{name}={_word(str(value))}" for name, value in self._fields(record).items()
        )


def _word(text: str) -> str:
    plain = text.isascii() and text.isprintable() and not set(text) & set(' "=\\')
    return text if text and plain else safe.json_text(json.dumps(text, ensure_ascii=False))


def _running() -> Mapping[str, object]:
    found = running.get(None)
    if found is None:
        return {}
    return {"job": found.fence.id, "task": found.task, "attempt": found.fence.attempt}


def formatter(format: Format, *, colour: bool = False) -> logging.Formatter:
    """Return what writes records in a format."""
    match format:
        case "pretty":
            return Pretty(colour=colour)
        case "json":
            return Json()
        case "logfmt":
            return Logfmt()


def set_up(level: str, format: Format | None) -> None:
    """Send the log of this process to standard error; without `format`, as it is looked at.

    The processes that it starts find the choice in their environment.
    """
    terminal = sys.stderr.isatty()
    chosen: Format = format or ("pretty" if terminal else "json")
    os.environ[LEVEL], os.environ[FORMAT] = level, chosen
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter(chosen, colour=terminal and not os.environ.get("NO_COLOR")))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.getLogger("asyncio").setLevel(logging.WARNING)


def chosen_format(environment: Mapping[str, str]) -> Format:
    """Return how the worker logs that started this process."""
    name = environment.get(FORMAT)
    return next((format for format in FORMATS if format == name), "json")
