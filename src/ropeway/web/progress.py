"""How one job is doing, for a page of the application: a stream that a short-lived token opens."""

from __future__ import annotations

import hmac
import json
import secrets
import time
from collections.abc import AsyncIterator
from hashlib import sha256

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from ropeway.errors import RopewayError
from ropeway.results import Job
from ropeway.snapshot import Snapshot
from ropeway.source import Stores

_LIFE = 600.0


class Tokens:
    """Tokens that let whoever has one see how one job is doing, for a while, and nothing else."""

    def __init__(self, secret: str | None = None) -> None:
        self._key = sha256(secret.encode()).digest() if secret else secrets.token_bytes(32)

    def make(self, job_id: str, ttl: float) -> str:
        """Return a token for a job that holds for so many seconds."""
        until = int(time.time() + ttl)
        return f"{until}.{self._mark(job_id, until)}"

    def holds(self, job_id: str, token: str) -> bool:
        """Whether a token is for this job, and not too old."""
        until, _, mark = token.partition(".")
        if not until.isdecimal() or int(until) < time.time():
            return False
        return hmac.compare_digest(mark.encode(), self._mark(job_id, int(until)).encode())

    def _mark(self, job_id: str, until: int) -> str:
        told = f"progress\0{job_id}\0{until}".encode()
        return hmac.new(self._key, told, "sha256").hexdigest()


class Progress:
    """The door for pages of the application."""

    def __init__(self, app: Stores, tokens: Tokens) -> None:
        self._app, self._tokens = app, tokens

    async def answer(self, request: Request) -> Response:
        """Answer with a stream of how the job is doing, until it has ended."""
        job_id = request.path_params["id"]
        if not self._tokens.holds(job_id, request.query_params.get("token", "")):
            found = {"title": "this token opens nothing", "status": 403, "code": "RW-501"}
            return JSONResponse(found, 403, media_type="application/problem+json")
        return StreamingResponse(
            self._stream(job_id),
            media_type="text/event-stream",
            headers={"x-accel-buffering": "no"},
        )

    async def _stream(self, job_id: str) -> AsyncIterator[str]:
        try:
            async for each in Job(self._app, job_id).awatch(_LIFE):
                yield f"event: progress\ndata: {json.dumps(told(each))}\n\n"
        except TimeoutError:
            pass  # the browser asks again, as long as its token holds
        except RopewayError as error:
            yield f"event: gone\ndata: {json.dumps({'code': error.code})}\n\n"


def told(job: Snapshot) -> dict[str, object]:
    """Return what a stranger may see of a job: not its arguments, nor why it failed."""
    report = job.progress
    return {
        "id": job.id,
        "state": job.state.value,
        "view": job.view,
        "ended": job.state.final,
        "done": None if report is None else report.done,
        "of": None if report is None else report.of,
        "fraction": None if report is None else report.fraction,
        "note": "" if report is None else report.note,
    }
