"""The words of the pages in other languages; the English ones are their own keys."""

from __future__ import annotations

import functools
import json
from importlib.resources import files
from typing import Any

LANGUAGES = {"en": "English", "zh-CN": "简体中文"}


class Catalogue:
    """The words of one language; what it lacks is told in English."""

    def __init__(self, language: str, words: dict[str, str]) -> None:
        self.language = language
        self._words = words

    def __call__(self, text: str, /, **values: Any) -> str:
        """Return a text, with values in their places."""
        found = self._words.get(text, text)
        return found.format(**values) if values else found


@functools.cache
def catalogue(language: str) -> Catalogue:
    """Return the words of a language; of one that is not there, the English ones."""
    if language not in LANGUAGES or language == "en":
        return Catalogue("en", {})
    file = files("ropeway.web") / "words" / f"{language}.json"
    return Catalogue(language, json.loads(file.read_text(encoding="utf-8")))


def preferred(header: str) -> str:
    """Return the language that a browser asks for first of those that there are."""
    for part in header.split(","):
        name = part.partition(";")[0].strip().lower()
        if name.startswith("zh"):
            return "zh-CN"
        if name.startswith("en"):
            return "en"
    return "en"
