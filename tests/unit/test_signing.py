"""What a signature covers, whose keys verify, and what is said of keys that cannot be used."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from ropeway.errors import ConfigError
from ropeway.graph import Place
from ropeway.ids import derived_id
from ropeway.message import Message, Terms
from ropeway.retry import RetryPolicy
from ropeway.signing import Keys, keys_of, signed_text

NEW, OLD, OTHER = (f"{name}:{name * 20}" for name in ("new", "old", "others"))
MESSAGE = Message(
    id="01a21d8c-83c2-772c-87e4-05f194659a5c",
    task="pay",
    body=b'{"amount": 1}',
    key="k",
    expires=1e9 + 0.1,
    policy=RetryPolicy(),
    headers={"a": "b", "x-death": "[]"},
    limits=("api",),
    terms=Terms(timeout=3.0, tags=("t",)),
)


def keys(text: str) -> Keys:
    """Return keys that are there."""
    found = keys_of(text)
    assert found is not None
    return found


@pytest.mark.parametrize(
    "change",
    [
        {"id": "01a21d8c-83c2-772c-87e4-05f194659a5d"},
        {"task": "pays"},
        {"body": b'{"amount": 2}'},
        {"body": b""},
        {"key": None},
        {"expires": 2e9},
        {"expires": None},
        {"policy": RetryPolicy(retries=99)},
        {"headers": {"a": "c"}},
        {"headers": {"ab": ""}},
        {"headers": {}},
        {"limits": ()},
        {"terms": Terms(timeout=4.0, tags=("t",))},
        {"terms": Terms(timeout=3.0, tags=("t",), node=Place("run", "n"))},
        {"content_type": "application/msgpack"},
        {"version": 2},
    ],
)
def test_what_says_what_is_run_is_covered(change: dict[str, Any]) -> None:
    """A change of it is told; so is one of any bit of the signature."""
    signed = keys(NEW).signed(MESSAGE)
    assert keys(NEW).fault(signed) is None
    assert keys(NEW).fault(replace(signed, **change)) is not None


def test_every_bit_of_a_signature_counts() -> None:
    """And what is none at all is told as well."""
    signed = keys(NEW).signed(MESSAGE)
    whole = signed.signature
    assert whole is not None
    for place in range(len(whole) * 8):
        bits = bytearray(whole)
        bits[place // 8] ^= 1 << place % 8
        assert keys(NEW).fault(replace(signed, signature=bytes(bits))) is not None
    for other in (None, b"", b"\0", whole[:-1], whole[1:], whole + b"\0"):
        assert keys(NEW).fault(replace(signed, signature=other)) is not None


def test_what_changes_on_the_way_is_not_covered() -> None:
    """A message that was moved, postponed, or died elsewhere before is still itself."""
    signed = keys(NEW).signed(MESSAGE)
    moved = replace(
        signed,
        queue="other",
        band=9,
        due=5.0,
        delay=1.0,
        exchange="e",
        routing_key="r",
        headers={**MESSAGE.headers, "x-death": "[1]", "BCC": "me"},
    )
    assert keys(NEW).fault(moved) is None
    copy = replace(moved, id=derived_id(signed.id, "other"))
    assert keys(NEW).fault(copy) is None
    assert keys(NEW).fault(replace(copy, queue="another")) is not None
    assert keys(NEW).fault(replace(copy, exchange="")) is not None


def test_parts_cannot_run_into_each_other() -> None:
    """What one part loses another cannot gain."""
    one = Message(id="a", task="bc", body=b"d", headers={"e": "f"})
    for other in (
        replace(one, task="b", content_type="c" + one.content_type),
        replace(one, body=b"", headers={"e": "f", "d": ""}),
        replace(one, headers={"ef": ""}),
        replace(one, headers={}, body=b"1:e1:fd"),
    ):
        assert signed_text(one, "a") != signed_text(other, "a")


def test_keys_are_changed_while_programs_run() -> None:
    """The first signs, all verify; what a key signed that is gone is refused, with its name."""
    before, both, after = keys(OLD), keys(f"{NEW}, {OLD}"), keys(NEW)
    signed = before.signed(MESSAGE)
    assert both.fault(signed) is None
    assert both.signed(signed) is signed
    assert "'old'" in str(after.fault(signed))
    assert after.fault(both.signed(MESSAGE)) is None
    assert "others" not in str(after.fault(keys(OTHER).signed(MESSAGE))).replace("'others'", "")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("x" * 40, "key 1 of signing has no usable name"),
        (f"{NEW},:{'x' * 40}", "key 2 of signing has no usable name"),
        (f"a b:{'x' * 40}", "no usable name"),
        ("k:short", "has 5 characters, fewer than 32"),
        (f"{NEW},{NEW}", "twice"),
        (f"{NEW},", "key 2"),
    ],
)
def test_keys_that_cannot_be_used(text: str, told: str) -> None:
    """One error says which, and how one is written; no secret is in it."""
    with pytest.raises(ConfigError, match=told) as caught:
        keys_of(text)
    assert "x" * 32 not in f"{caught.value}{caught.value.hint}"
    assert "newnew" not in f"{caught.value}{caught.value.hint}"
    assert keys_of("") is None
    assert "new" * 5 not in repr(keys_of(NEW))
