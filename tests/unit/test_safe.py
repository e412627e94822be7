"""Text from elsewhere cannot command the terminal."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropeway import safe
from tests.cli.support import ESCAPES

ANY = st.text(st.characters())  # with control characters and halves of surrogate pairs


def commanding(text: str) -> list[str]:
    """Return what a terminal might obey, or could not show."""
    return [c for c in text if unicodedata.category(c) in {"Cc", "Cs", "Zl", "Zp"} or c == "\u202e"]


def test_escapes_become_visible() -> None:
    """What would be obeyed is shown instead."""
    shown = safe.one_line(ESCAPES + "\n\ttail\r")
    assert shown == r"red\x1b[31m bell\x07 csi\x9b2J rtl\u202e end\n\ttail\r"


def test_lines_keep_their_ends() -> None:
    """Newlines and tabs stay where there may be several lines; a carriage return does not."""
    assert safe.lines("a\n\tb\rc\x1b") == "a\n\tb\\rc\\x1b"


def test_other_writing_stays() -> None:
    """Letters of any language are none of its business."""
    text = "Grüße 你好 😀 ✓"
    assert safe.one_line(text) == safe.lines(text) == safe.json_text(text) == text


@given(ANY)
def test_one_line_is_one_harmless_line(text: str) -> None:
    """Whatever comes in."""
    shown = safe.one_line(text)
    assert not commanding(shown)
    shown.encode()


@given(ANY)
def test_lines_are_harmless(text: str) -> None:
    """Whatever comes in."""
    assert set(commanding(safe.lines(text))) <= {"\n", "\t"}


@given(ANY)
def test_json_means_the_same(text: str) -> None:
    """Escaping changes how JSON looks, not what it says."""
    shown = safe.json_text(json.dumps([text], ensure_ascii=False))
    assert json.loads(shown) == [text]
    assert not commanding(shown)
    shown.encode()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://me:pw@host:1/0", "redis://me:***@host:1/0"),
        ("redis://:pw@host", "redis://:***@host"),
        ("redis://:p/w@x@host/0?a=b@c", "redis://:***@host/0?a=b@c"),
        ("redis://:pw@[::1", "redis://:***@[::1"),  # which is no URL
        ("redis://host:6379/0", "redis://host:6379/0"),
        ("redis+sentinel://a,b/m?sentinel_password=pw&x=1", None),
        ("sqlite:////srv/a:b@c/jobs.db", "sqlite:////srv/a:b@c/jobs.db"),
    ],
)
def test_passwords_in_urls_are_masked(url: str, shown: str | None) -> None:
    """Whatever they hold, and whatever is wrong with the rest; nothing else is changed."""
    wanted = shown or "redis+sentinel://a,b/m?sentinel_password=***&x=1"
    assert safe.masked(url) == wanted
