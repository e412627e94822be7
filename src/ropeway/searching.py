"""The language in which people ask for jobs: `state:failed queue:mail since:1h "push gateway"`.

One grammar for every place where somebody searches. A search is a `Filter`, which a backend
answers, and tests for the rest, which whoever asks makes on each job that the backend found.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from typing import Any

from msgspec import Struct, field

from ropeway.errors import BadSearch
from ropeway.graph import family
from ropeway.matching import MAKERS, STATES, VIEWS, Test, Wrong, instant
from ropeway.message import JobRecord
from ropeway.states import State
from ropeway.store import Filter

_TERM = re.compile(r"""(?P<minus>-?)(?:(?P<name>[A-Za-z_]+):)?(?P<value>(?:"[^"]*"|[^\s"])*)""")
_FINGERPRINT = re.compile(r"[0-9a-f]{12}")
FIELDS: Sequence[str] = tuple(name for name in MAKERS if name)
"""The fields that a search can name."""


class Query(Struct, frozen=True):
    """What was asked for: the part for the backend, and tests that all must hold."""

    filter: Filter = field(default_factory=Filter)
    tests: tuple[Test, ...] = ()

    def meant(self, job: JobRecord, now: float) -> bool:
        """Whether a job that the filter lets through is one that was asked for."""
        return all(test(job, now) for test in self.tests)


class _Term(Struct, frozen=True):
    name: str
    values: tuple[str, ...]
    negated: bool
    start: int
    end: int


def parse(text: str, now: float) -> Query:
    """Read a search; ages in it count from `now`. Raises `BadSearch`, with the place.

    Terms are parted by spaces, and all must hold. A term is `field:value`, or words to be found.
    A comma between values means "or", a minus before a term "not", `*` stands for any characters,
    and quotes keep spaces and commas together.
    """
    exact: dict[str, Any] = {}
    tests: list[Test] = []
    for term in _terms(text):
        if term.name not in MAKERS:
            raise _unknown(text, term)
        try:
            pushed = _pushed(term, now)
            if pushed.keys().isdisjoint(exact):
                exact |= pushed
            else:
                pushed = {}
            if not pushed or term.name == "run" or term.values[0] in VIEWS:
                tests.append(_test(term, now))
        except Wrong as error:
            raise _at(text, term.start, term.end, error.fact, error.hint) from None
    return Query(Filter(**exact), tuple(tests))


def _terms(text: str) -> list[_Term]:
    found: list[_Term] = []
    position = 0
    while rest := text[position:].lstrip():
        position = len(text) - len(rest)
        match = _TERM.match(text, position)
        assert match is not None  # it matches nothing as well
        if match.end() < len(text) and not text[match.end()].isspace():
            at = match.end()
            raise _at(text, at, len(text), "a quote is not closed", 'write "two words"')
        values = _split(match["value"])
        name = (match["name"] or "").lower()
        term = _Term(name, values, bool(match["minus"]), position, match.end())
        if not values or "" in values:
            raise _at(text, term.start, term.end, "a value is missing", "write field:value")
        found.append(term)
        position = match.end()
    return found


def _split(value: str) -> tuple[str, ...]:
    """Part values at commas outside of quotes, and take the quotes away."""
    parts = re.findall(r'(?:"[^"]*"|[^,"])+|(?<=,)(?=,|$)|^(?=,)', value)
    return tuple(part.replace('"', "") for part in parts)


# --- what a backend looks for itself --------------------------------------------------------------


def _pushed(term: _Term, now: float) -> dict[str, Any]:
    """Return the fields of `Filter` that let through no less than the term; none if there are none."""
    (value, *others) = term.values
    if others or term.negated:
        return {}
    match term.name:
        case "state" if value in VIEWS:
            return {"state": State.QUEUED}
        case "state" if value in STATES:
            return {"state": State(value)}
        case "task" | "queue" if "*" not in value:
            return {term.name: value}
        case "id":
            return {"id_prefix": value.lower()}
        case "run":
            return {"id_prefix": family(value.lower())}
        case "since" | "until":
            return {term.name: instant(value, now)}
        case "error" if _FINGERPRINT.fullmatch(value):
            return {"error": value}
    return {}


def _test(term: _Term, now: float) -> Test:
    tests = [MAKERS[term.name](value, now) for value in term.values]
    return lambda job, now: any(test(job, now) for test in tests) is not term.negated


# --- errors ---------------------------------------------------------------------------------------


def _unknown(text: str, term: _Term) -> BadSearch:
    close = difflib.get_close_matches(term.name, FIELDS, 1, 0.6)
    hint = f"did you mean {close[0]}?" if close else f"there are: {', '.join(FIELDS)}"
    start = term.start + term.negated
    fact = f"there is no field {term.name!r}"
    return _at(text, start, start + len(term.name), fact, f'{hint} (for text, quote it: "a:b")')


def _at(text: str, start: int, end: int, fact: str, hint: str) -> BadSearch:
    return BadSearch(f"{fact}\n{text}\n{' ' * start}{'^' * max(1, end - start)}", hint=hint)
