"""The same figures as tables of a page, put where the page wants them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from benchmarks.figures import Measure, Sample, by_contender, compared, number, spread, values_of


def markdown(
    samples: Sequence[Sample], measures: Sequence[Measure], ours: Sequence[str]
) -> list[str]:
    """Medians, a column for each contender; ratios with the least and the most of the rounds.

    Where there is one contender, its least and most have columns.
    """
    by_name = by_contender(samples)
    if len(by_name) == 1:
        return _of_one(samples, measures)
    rounds = max(len(found) for found in by_name.values())
    lines = _heading(rounds, "median of", list(by_name))
    for measure in measures:
        cells = [_median(found, measure.key) for found in by_name.values()]
        if any(cells):
            lines += [_row(measure.words, cells), *_ratios(by_name, measure, ours)]
    return lines


def listed(
    samples: Sequence[Sample], measures: Sequence[Measure], ours: Sequence[str]
) -> list[str]:
    """The same with a row for each contender, for there are many; ratios have columns."""
    by_name = by_contender(samples)
    mine = next((name for name in ours if name in by_name), None)
    rounds = max(len(found) for found in by_name.values())
    columns = [words for each in measures for words in _columns(each, mine)]
    lines = _heading(rounds, "median of", columns)
    for name, found in by_name.items():
        cells: list[str] = []
        for measure in measures:
            cells.append(_median(found, measure.key))
            if measure.compared and mine is not None:
                cells.append("" if name in ours else _ratio(by_name[mine], found, measure.key))
        lines.append(_row(name, cells))
    return lines


def insert(page: str, name: str, lines: Sequence[str]) -> str:
    """Put lines into a page, between a comment `figures: NAME` and the next `end of figures`."""
    block = re.compile(rf"(<!-- figures: {name} -->\n).*?(<!-- end of figures -->)", re.DOTALL)
    return block.sub(lambda found: "\n".join((found[1], *lines, "", found[2])), page)


def _columns(measure: Measure, mine: str | None) -> list[str]:
    return [measure.words, "ratio"] if measure.compared and mine is not None else [measure.words]


def _of_one(samples: Sequence[Sample], measures: Sequence[Measure]) -> list[str]:
    found = ((each.words, values_of(samples, each.key)) for each in measures)
    rows = [_row(words, [*map(number, spread(values))]) for words, values in found if values]
    return [*_heading(len(samples), "of", ["least", "median", "most"]), *rows]


def _heading(rounds: int, words: str, columns: Sequence[str]) -> list[str]:
    first = "One round" if rounds == 1 else f"{words.capitalize()} {rounds} rounds"
    return [_row(first, columns), "|---" * (len(columns) + 1) + "|"]


def _ratios(
    by_name: Mapping[str, Sequence[Sample]], measure: Measure, ours: Sequence[str]
) -> Iterator[str]:
    mine = next((name for name in ours if name in by_name), None)
    if measure.compared and mine is not None:
        cells = [
            "" if name in ours else _ratio(by_name[mine], found, measure.key)
            for name, found in by_name.items()
        ]
        yield _row(f"{mine} / this", cells)


def _ratio(ours: Sequence[Sample], theirs: Sequence[Sample], key: str) -> str:
    found = compared(ours, theirs, key)
    if found is None:
        return ""
    return f"{number(found.middle)} ({number(found.least)} to {number(found.most)})"


def _median(samples: Sequence[Sample], key: str) -> str:
    values = values_of(samples, key)
    return number(spread(values).middle) if values else ""


def _row(first: str, cells: Sequence[str]) -> str:
    return f"| {first} | {' | '.join(cells)} |"
