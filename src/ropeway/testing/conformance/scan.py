"""Finding records by the beginning of their keys."""

from __future__ import annotations

from ropeway.store import Backend
from ropeway.testing.conformance.harness import Harness
from ropeway.testing.conformance.steps import apply, put, sent
from ropeway.transition import Drop, Put

_ALL = 1_000


async def _written(backend: Backend, *keys: str) -> None:
    await apply(backend, put=tuple(Put(key, key.encode()) for key in keys))


async def _keys(backend: Backend, prefix: str, after: str = "", limit: int = _ALL) -> list[str]:
    return [each.key for each in await backend.scan(prefix, after, limit)]


class ScanCases:
    """The verb `scan`."""

    async def test_a_prefix_is_taken_literally(self, harness: Harness) -> None:
        """Every key that begins with the prefix is found, and no other, whatever is in it.

        Broken: a prefix is a pattern, its case is ignored, or keys at the end of the range are out.
        """
        inside = ["a%b/", "a%b/1", "a%b/\0", "a%b/\U0010ffff", "a%b/\U0010ffff2"]
        outside = ["a%b", "a%b0", "a%b.", "A%B/1", "axb/1", "a%/1", "b/a%b/"]
        await _written(harness.backend, *inside, *outside)
        assert set(await _keys(harness.backend, "a%b/")) == set(inside)
        assert set(await _keys(harness.backend, "a%b/\U0010ffff")) == set(inside[3:])
        assert set(await _keys(harness.backend, "")) == {*inside, *outside}
        assert await _keys(harness.backend, "a_b") == []

    async def test_keys_are_in_the_order_of_their_bytes(self, harness: Harness) -> None:
        """Keys come in the order of their UTF-8 bytes, with value, version and owner.

        Broken: the order depends on a language, or on another encoding, and pages skip keys.
        """
        keys = ["k", "k\0", "k ", "k/10", "k/9", "kA", "ka", "kz", "ké", "k\uffee", "k\U0001f600"]
        await _written(harness.backend, *reversed(keys))
        await put(harness.backend, "kz", b"2", owner="me")
        for backend in (harness.backend, await harness.second()):
            assert await _keys(backend, "k") == keys
            (record,) = await backend.scan("kz")
            assert (record.version, record.value, record.owner) == (2, b"2", "me")

    async def test_pages_meet(self, harness: Harness) -> None:
        """Pages that begin after the last key of the one before hold each key once.

        Broken: the key at the seam is told twice or never, or a page is longer than asked.
        """
        keys = [f"p/{number:03}" for number in range(25)]
        await _written(harness.backend, "o", *keys, "q")
        after = ""
        for page in (keys[:10], keys[10:20], keys[20:], []):
            assert await _keys(harness.backend, "p/", after, 10) == page
            after = page[-1] if page else ""
        assert await _keys(harness.backend, "p/", "p/0115") == keys[12:]
        assert await _keys(harness.backend, "p/", "a") == keys
        assert await _keys(harness.backend, "p/", "q") == []

    async def test_only_what_get_finds_is_listed(self, harness: Harness) -> None:
        """Jobs are not among the records, nor is what was dropped or is over; none takes a place.

        Broken: a page of records that are over is empty, and who reads it stops there.
        """
        await sent(harness.backend, 3)
        for number in range(5):
            await put(harness.backend, f"a{number}", ttl=harness.unit)
        await _written(harness.backend, "b", "c", "d", "e")
        await apply(harness.backend, drop=(Drop("c"),))
        await harness.advance(2 * harness.unit)
        assert await _keys(harness.backend, "", "", 3) == ["b", "d", "e"]
        assert await _keys(harness.backend, "job/") == []
