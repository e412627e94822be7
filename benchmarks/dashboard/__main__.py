"""The command line: take pictures, or measure memory, tabs and pages."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.dashboard import first_view, load, pictures


def main() -> None:
    """Do what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dashboard", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    shots = verbs.add_parser("pictures", help="take the pictures of the documentation")
    shots.add_argument("--to", type=Path, default=pictures.FOLDER, help="the folder")
    shots.add_argument("--only", default="", help="some pages, as overview,jobs")
    shots.add_argument("--all", action="store_true", help="every page, width and theme")
    flat = verbs.add_parser("memory", help="heavy traffic with every page open, then a restart")
    flat.add_argument("--minutes", type=float, default=10.0)
    flat.add_argument("--rate", type=float, default=150.0, help="calls a second")
    many = verbs.add_parser("tabs", help="what open tabs cost")
    many.add_argument("--number", type=int, default=50)
    many.add_argument("--seconds", type=float, default=60.0)
    verbs.add_parser("pages", help="what is fetched for a first view")
    asked = parser.parse_args()
    match asked.verb:
        case "pictures":
            pictures.take(asked.to, asked.only, everything=asked.all)
        case "memory":
            load.memory(asked.minutes, asked.rate)
        case "tabs":
            load.tabs(asked.number, asked.seconds)
        case "pages":
            first_view.pages()


if __name__ == "__main__":
    main()
