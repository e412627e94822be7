"""What an error is answered with: its HTTP status, and how a program reads it."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from ropeway.errors import RopewayError

_STATUS = {2: 400, 3: 409, 4: 403, 6: 404, 7: 503, 8: 504, 9: 409}


def status_of(error: RopewayError) -> int:
    """Return the HTTP status that says the same as an exit code."""
    return _STATUS.get(error.exit_code, 500)


def problem(error: RopewayError) -> Response:
    """Return an error as a program reads it."""
    status = status_of(error)
    found = {"title": error.fact, "status": status, "code": error.code, "detail": error.hint}
    return JSONResponse(found, status, media_type="application/problem+json")


def nothing_there(error: HTTPException) -> Response:
    """Return for programs that nothing is there, or that it is asked for in another way."""
    codes = {404: ("there is nothing here", "not_found"), 405: ("ask otherwise", "not_allowed")}
    title, code = codes.get(error.status_code, (error.detail, "refused"))
    found = {"title": title, "status": error.status_code, "code": code}
    return JSONResponse(
        found | {"detail": "see /api/v1/openapi.json"},
        error.status_code,
        error.headers,
        media_type="application/problem+json",
    )
