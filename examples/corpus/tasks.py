"""Which words a corpus of texts uses most: extract, one task for each text, and a reduce.

The corpus is the one that comes with Python: its own reference, half a megabyte in about 80 texts.

    ropeway worker tasks:app &
    python tasks.py
"""

from __future__ import annotations

import re
from collections import Counter
from pydoc_data import topics

from ropeway import Ropeway, Run

app = Ropeway()

_WORD = re.compile(r"[a-z]{4,}")


@app.task
def extract(prefix: str = "") -> list[str]:
    """Name the texts; how many there are is known only now."""
    return sorted(name for name in topics.topics if name.startswith(prefix))


@app.task(cpu=True)
def count(name: str) -> dict[str, int]:
    """Count the words of one text."""
    return dict(Counter(_WORD.findall(topics.topics[name].lower())))


@app.task
def merge(counts: list[dict[str, int]]) -> dict[str, int]:
    """Add up what all texts have."""
    whole: Counter[str] = Counter()
    for each in counts:
        whole.update(each)
    return dict(whole)


@app.task
def top(words: dict[str, int], number: int = 10) -> list[tuple[str, int]]:
    """Return the most frequent words."""
    return sorted(words.items(), key=lambda item: (-item[1], item[0]))[:number]


def begin(number: int = 10) -> Run[list[tuple[str, int]]]:
    """Send the whole."""
    with app.workflow("corpus") as wf:
        names = wf.add(extract.call())
        words = wf.add(merge.call(wf.map(count, names)))
        wf.add(top.call(words, number))
    return wf.send()


if __name__ == "__main__":
    for word, times in begin().result(timeout=60):
        print(f"{times:6} {word}")
