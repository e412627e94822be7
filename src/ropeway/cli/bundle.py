"""What goes into a support bundle: files of text, without secrets and without the data of jobs."""

from __future__ import annotations

import io
import os
import re
import tarfile
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

from msgspec import Struct

from ropeway.cli.output import to_json
from ropeway.errors import Refused
from ropeway.operate.facts import Facts
from ropeway.operate.queue import summary as of_queue
from ropeway.operate.redact import HIDDEN, secret
from ropeway.operate.worker import summary as of_worker
from ropeway.safe import masked
from ropeway.store import Cause

LAST_LINES = 1_000
_LEAST = 4
_LEAST_OF_VARIABLES = 6  # or `TOKEN_CHECK=false` would hide every false
_URL = re.compile(r"""[a-z][a-z0-9+.-]{0,30}://[^\s"'<>]+""", re.IGNORECASE)
_IN_TEXT = re.compile(
    r"""(?<![\w-])(?P<name>[\w-]+)(?P<between>["']?\s*[=:]\s*(?:(?:bearer|basic)\s+)?)"""
    r"""(?P<value>"(?:[^"\\]|\\.)*"|'[^']*'|[^\s,;&}]+)""",
    re.IGNORECASE,
)


class Part(Struct, frozen=True):
    """A file of the bundle, and what it is."""

    name: str
    says: str
    text: str


def part(name: str, says: str, value: Any) -> Part:
    """Make a file of JSON for people to read."""
    return Part(name, says, to_json(value, pretty=True) + "\n")


def of_facts(facts: Facts) -> list[Part]:
    """Summarise queues, workers and errors: no argument, no result, no message of an error.

    What an error says may quote what it was called with, so that only its type and group are told.
    Who paused a queue, and why, are words of a person and are not told either.
    """
    queues = [of_queue(stats, None, facts.cap) for stats in facts.queues]
    for queue in queues:
        queue["paused"] = queue["queue"] in facts.pauses
    return [
        part("queues.json", "how many jobs each queue holds, and since when", queues),
        part("workers.json", "who works, and on what code", [of_worker(w) for w in facts.workers]),
        part(
            "errors.json",
            "what fails: tasks, types of errors and numbers",
            [_of_cause(cause) for cause in (*facts.failed, *facts.quarantined)],
        ),
    ]


def _of_cause(cause: Cause) -> dict[str, Any]:
    newest, error = cause.newest, cause.newest.error
    return {
        "state": str(newest.state),
        "task": newest.message.task,
        "error": error.type if error else None,
        "fingerprint": error.fingerprint if error else None,
        "jobs": cause.number,
        "whole": cause.whole,
        "newest": newest.message.id,
    }


def last_lines(paths: Sequence[Path]) -> Iterable[Part]:
    """Take the ends of log files."""
    for number, path in enumerate(paths, 1):
        with path.open(encoding="utf-8", errors="replace") as file:
            kept = deque(file, LAST_LINES)
        yield Part(f"log-{number}.txt", f"the last {len(kept)} lines of {path.name}", "".join(kept))


def secrets_of(urls: Iterable[str], environment: Mapping[str, str]) -> list[str]:
    """Return the secrets that are known, the longest first: they may stand nowhere in a bundle."""
    found = {
        value
        for name, value in environment.items()
        if secret(name) and len(value) >= _LEAST_OF_VARIABLES
    }
    for url in urls:
        # Not taken apart as a URL, which fails where it is none.
        authority = re.search(r"://[^/?#@]*?:([^/?#]*)@", url)
        words = [authority[1]] if authority else []
        words += [value for name, value in parse_qsl(url.partition("?")[2]) if secret(name)]
        found.update(words, map(unquote, words))
    return sorted((each for each in found if len(each) >= _LEAST), key=len, reverse=True)


def without_secrets(parts: Iterable[Part], secrets: Sequence[str]) -> list[Part]:
    """Hide the known secrets, those in URLs, and what has the name of one, wherever they stand."""
    return [Part(each.name, each.says, _hidden(each.text, secrets)) for each in parts]


def _hidden(text: str, secrets: Sequence[str]) -> str:
    for each in secrets:
        text = text.replace(each, HIDDEN)
    return _IN_TEXT.sub(_value_hidden, _URL.sub(lambda found: masked(found[0]), text))


def _value_hidden(found: re.Match[str]) -> str:
    if not secret(found["name"]):
        return found[0]
    quote = found["value"][0] if found["value"][0] in "\"'" else ""
    return f"{found['name']}{found['between']}{quote}{HIDDEN}{quote}"


def write(path: Path, parts: Sequence[Part], now: float) -> None:
    """Write the archive, which only its owner may read; raises `Refused` if the file is there."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with (
            open(descriptor, "wb") as file,
            tarfile.open(fileobj=file, mode="w:gz") as archive,
        ):
            for each in parts:
                data = each.text.encode("utf-8", "backslashreplace")
                entry = tarfile.TarInfo(f"{path.name.partition('.')[0]}/{each.name}")
                entry.size, entry.mtime, entry.mode = len(data), int(now), 0o600
                archive.addfile(entry, io.BytesIO(data))
    except FileExistsError:
        raise Refused(f"{path} is there already", hint="name another file") from None
    except OSError as error:
        raise Refused(
            f"cannot write {path}: {error.strerror}", hint="name a file in another folder"
        ) from None
