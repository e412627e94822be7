"""What a node is given before it runs: the results of those that it needs, or a reason not to run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ropeway.blobs import load
from ropeway.errors import BodyLost
from ropeway.executor import NotRun
from ropeway.graph import HELPER, Need, Place, Standing, Unfit, Use, lost_key, node_id, verdict
from ropeway.message import Failure, Outcome, Terms, job_key
from ropeway.runs.records import OPENED, graph_of, see
from ropeway.states import State
from ropeway.store import Store

PAGE = 500
"""Results that are read at once."""

_MARK = b"\x00run"
"""Before the id of a run that takes the place of a result: no JSON begins so."""

_NOT_RUN: dict[str, Literal["failed", "skipped"]] = {"NotRun": "failed", "Skipped": "skipped"}
_EMPTY = frozenset({b"null", b"false", b"0", b"0.0", b'""', b"[]", b"{}"})


class Ended(Struct, frozen=True):
    """What counts of a job that others wait for; the rest of its record is not read."""

    state: State
    value: bytes | None = None
    error: Failure | None = None
    cancelling: bool = False


class _Message(Struct, frozen=True):
    task: str
    terms: Terms | None = None


class _Told(Struct, frozen=True):
    """The part of a job's record that tells its name as a node."""

    message: _Message


_decode = msgspec.msgpack.Decoder(Ended).decode
_decode_told = msgspec.msgpack.Decoder(_Told).decode
_decode_body = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def in_place_of(run: str) -> bytes:
    """Return the value of a job whose result is that of a run that it began."""
    return _MARK + run.encode()


def run_in_place(value: bytes | None) -> str | None:
    """Return the run whose result a value stands for, if it does."""
    if value is None or not value.startswith(_MARK):
        return None
    return value[len(_MARK) :].decode(errors="replace")


async def fed(store: Store, task: str, place: Place, body: bytes) -> bytes:
    """Return the arguments of a node with results in them; raises `NotRun` if it is not to run."""
    reader = Reader(store, place.run)
    nodes = {need.node: need.item for need in place.needs}
    ended = dict(zip(nodes, await reader.jobs(list(nodes.items())), strict=True))
    standings = [await reader.standing(need, ended[need.node]) for need in place.needs]
    unfit = verdict(place.needs, standings)
    if unfit is not None:
        raise NotRun(not_run(task, place, unfit))
    if not place.uses:
        return body
    ok = {n.node for n, each in zip(place.needs, standings, strict=True) if each.status == "ok"}
    values: dict[Use, bytes] = {}
    for use in place.uses:
        value = await reader.value(use, ended.get(use.node)) if use.node in ok else b"null"
        values[use] = value
    return filled(body, values)


def filled(body: bytes, values: Mapping[Use, bytes]) -> bytes:
    """Return arguments with each result where it belongs."""
    arguments = _decode_body(body)
    for use, value in values.items():
        _put(arguments, use.path, msgspec.Raw(value))
    return msgspec.json.encode(arguments)


def not_run(task: str, place: Place, unfit: Unfit) -> Outcome:
    """Return the outcome of a node that does not run: it ends as cancelled, and says why."""
    after = None
    if task == OPENED:
        # Nobody is waited for any more: it arrives for the signal as well.
        after = (*place.next, *(f"{each}=skip" for each in place.next))
    error = Failure(type=unfit.type, message=unfit.reason)
    return Outcome(ending="skipped", error=error, next=after)


class Reader:
    """Reads how the nodes of one run have ended, and what they returned."""

    def __init__(self, store: Store, run: str) -> None:
        self._store, self._run = store, run

    async def jobs(self, places: Sequence[tuple[int, int]]) -> list[Ended | None]:
        """Return the jobs at these places, by node and item; None for one that is not there.

        One that began a run stands as that does.
        """
        found = await self._read([node_id(self._run, *each) for each in places])
        for index, each in enumerate(found):
            inner = run_in_place(each.value) if each is not None else None
            if inner is not None:
                (end,) = await self._read([inner])
                found[index] = end and replace(end, value=each and each.value)
        return found

    async def _read(self, job_ids: Sequence[str]) -> list[Ended | None]:
        found: list[Ended | None] = []
        for first in range(0, len(job_ids), PAGE):
            keys = [job_key(each) for each in job_ids[first : first + PAGE]]
            records = await self._store.get(keys)
            found += [None if each is None else _decode(each.value) for each in records]
        return found

    async def standing(self, need: Need, job: Ended | None) -> Standing:
        """Say how a node stands for those that need it."""
        if need.rule == "items":
            return await self._of_items(need)
        if job is not None and job.state is State.SUCCEEDED:
            truth = job.value is not None and job.value not in _EMPTY
            named = need.rule in {"true", "false"}
            return Standing(await self._path(need) if named else "", "ok", truth=truth)
        path = await self._path(need)
        if job is None:
            return Standing(path, "failed", "is gone: its `keep` was over before it was needed")
        error = job.error
        if job.state is State.CANCELLED and error is not None and error.type in _NOT_RUN:
            if need.item:  # a part of this very node, which has said it all
                return Standing("", _NOT_RUN[error.type], error.message)
            own = error.message.removeprefix(f"{path} ")  # a map tells of its own items
            how = own if own != error.message else f"was not run: {own}"
            return Standing(path, _NOT_RUN[error.type], how)
        told = f": {error.type}: {error.message.partition(chr(10))[0][:200]}" if error else ""
        return Standing(path, "failed", f"{job.state if job.state.final else 'cancelled'}{told}")

    async def _path(self, need: Need) -> str:
        """Return the name of a node, which its own message tells."""
        (record,) = await self._store.get([job_key(node_id(self._run, need.node, need.item))])
        terms = None if record is None else _decode_told(record.value).message.terms
        return f"node {need.node}" if terms is None or terms.node is None else terms.node.path

    async def _of_items(self, need: Need) -> Standing:
        """Say how the items of a map stand: those that failed have left a mark."""
        (expanded,) = await self.jobs([(need.node, HELPER)])
        whole = await self.standing(Need(need.node, item=HELPER), expanded)
        if whole.status != "ok":
            return whole
        marks = await self._store.scan(lost_key(self._run, f"{need.node:04x}"), limit=1)
        if not marks:
            return whole
        return Standing(
            await self._path(Need(need.node, item=HELPER)), "failed", "has failed items"
        )

    async def value(self, use: Use, job: Ended | None) -> bytes:
        """Return what a node returned, as JSON; of a map, the list of what its items did."""
        if use.many:
            return await self.items(use.node)
        assert job is not None
        return await self.of_job(node_id(self._run, use.node), job)

    async def of_job(self, job_id: str, job: Ended) -> bytes:
        """Return what a job returned, as JSON, wherever that is kept."""
        inner = run_in_place(job.value)
        if inner is not None:
            return await result_of(self._store, inner)
        return b"null" if job.value is None else await load(self._store, job_id, job.value)

    async def items(self, node: int) -> bytes:
        """Return the list of what the items of a map returned, read page by page."""
        (gathered,) = await self.jobs([(node, 0)])
        count = int(gathered.value or b"0") if gathered is not None else 0
        parts: list[bytes] = []
        for first in range(0, count, PAGE):
            places = [(node, item + 1) for item in range(first, min(first + PAGE, count))]
            for (_, item), job in zip(places, await self.jobs(places), strict=True):
                if job is None or job.state is not State.SUCCEEDED:
                    raise BodyLost(
                        f"the result of item {item - 1} of node {node} is gone",
                        hint="its `keep` was over before it was needed",
                    )
                parts.append(await self.of_job(node_id(self._run, node, item), job))
        return b"[" + b",".join(parts) + b"]"


async def result_of(store: Store, run_id: str) -> bytes:
    """Return the result of a run, as JSON: that of its last node, or the list of several."""
    run, _ = await see(store, run_id)
    reader, found = Reader(store, run.id), list[bytes]()
    specs = await graph_of(store, run)
    for number in run.results:
        (job,) = await reader.jobs([(number, 0)])
        if job is None or job.state is not State.SUCCEEDED:
            found.append(b"null")
        elif specs[number - 1].shape == "map":
            found.append(await reader.items(number))
        else:
            found.append(await reader.of_job(node_id(run.id, number), job))
    return b"[" + b",".join(found) + b"]" if run.listed else found[0]


def _put(arguments: dict[str, Any], path: Sequence[str | int], value: msgspec.Raw) -> None:
    """Put a result where it belongs in arguments of which only the first level is read yet."""
    name = path[0]
    if len(path) == 1:
        arguments[str(name)] = value
        return
    whole: Any = arguments[str(name)]
    if isinstance(whole, msgspec.Raw):
        whole = arguments[str(name)] = msgspec.json.decode(whole)
    *steps, last = path[1:]
    for step in steps:
        whole = whole[step]
    whole[last] = value
