"""From a URL to the witness of its backend."""

from __future__ import annotations

from urllib.parse import urlsplit

from chaos.errors import HarnessError
from chaos.witness import Witness


def witness_of(url: str) -> Witness:
    """Return the witness for the backend that speaks this URL."""
    from chaos.witnesses.sqlite import SqliteWitness

    makers = {"sqlite": SqliteWitness}
    scheme = urlsplit(url).scheme
    if scheme not in makers:
        raise HarnessError(f"there is no witness for {url}, only for {', '.join(makers)}")
    return makers[scheme](url)
