"""Check that modules and functions of src/ropeway stay small; print a short table.

A smell test, not a sport: when it fails, split what has two jobs rather than golf what has one.
Usage: python tools/check_sizes.py [root]
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from statistics import median
from typing import NamedTuple

MODULE_CEILING = 500
MODULE_AIM = 250
MODULE_MEDIAN = 150
FUNCTION_CEILING = 60
FUNCTION_MEDIAN = 8


class Size(NamedTuple):
    """How many lines a module or a function has, and where it is."""

    lines: int
    where: str


def modules(root: Path) -> list[Size]:
    """Measure each module below `root`."""
    return [
        Size(len(path.read_text(encoding="utf-8").splitlines()), str(path))
        for path in sorted(root.rglob("*.py"))
    ]


def functions(root: Path) -> list[Size]:
    """Measure each function below `root`, without decorators; an inner one counts in its outer."""
    return [
        Size(
            (node.end_lineno or node.lineno) - node.lineno + 1, f"{path}:{node.lineno} {node.name}"
        )
        for path in sorted(root.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path)))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def summary(kind: str, sizes: list[Size], median_limit: int, ceiling: int) -> str:
    """Return one line of the table."""
    lines = [size.lines for size in sizes]
    return (
        f"{kind:<10} {len(lines):>6} {median(lines):>8g} {median_limit:>5}"
        f" {max(lines):>8} {ceiling:>8}"
    )


def violations(kind: str, sizes: list[Size], median_limit: int, ceiling: int) -> list[str]:
    """Return a sentence for everything that is too large."""
    found = [
        f"{size.where}: {size.lines} lines, the ceiling for a {kind} is {ceiling}"
        for size in sizes
        if size.lines > ceiling
    ]
    middle = median(size.lines for size in sizes)
    if middle > median_limit:
        found.append(f"the median {kind} has {middle:g} lines, the limit is {median_limit}")
    return found


def main(argv: list[str]) -> int:
    """Measure, print, and return 1 if something is too large."""
    root = Path(argv[1] if len(argv) > 1 else "src/ropeway")
    files, defs = modules(root), functions(root)
    if not files or not defs:
        print(f"{root}: nothing to measure", file=sys.stderr)
        return 1
    print(f"{'':<10} {'count':>6} {'median':>8} {'limit':>5} {'largest':>8} {'ceiling':>8}")
    print(summary("modules", files, MODULE_MEDIAN, MODULE_CEILING))
    print(summary("functions", defs, FUNCTION_MEDIAN, FUNCTION_CEILING))
    for size in sorted(files, reverse=True):
        if MODULE_AIM < size.lines <= MODULE_CEILING:
            print(f"  over the aim of {MODULE_AIM}: {size.where} ({size.lines})")
    found = violations("module", files, MODULE_MEDIAN, MODULE_CEILING)
    found += violations("function", defs, FUNCTION_MEDIAN, FUNCTION_CEILING)
    for sentence in found:
        print(f"too large: {sentence}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
