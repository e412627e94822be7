"""Imports an app in this process and tells what it holds; the doctor runs it in another one."""

from __future__ import annotations

import sys

import msgspec
from msgspec import Struct

from ropeway.errors import RopewayError
from ropeway.worker.locate import load_app

MARK = "ropeway-probe "
"""Begins the line of the answer, as the app may print too."""


class Answer(Struct):
    """What was found."""

    url: str
    tasks: list[str]


def main(target: str) -> int:
    """Import the app and print the answer."""
    try:
        app = load_app(target)
    except RopewayError as error:
        print(error.fact, file=sys.stderr)
        return error.exit_code
    answer = Answer(app.settings.url, sorted(app.tasks))
    print(f"\n{MARK}{msgspec.json.encode(answer).decode()}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
