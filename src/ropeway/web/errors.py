"""The HTTP status that an error is answered with."""

from __future__ import annotations

from ropeway.errors import RopewayError

_STATUS = {2: 400, 3: 409, 4: 403, 6: 404, 7: 503, 8: 504, 9: 409}


def status_of(error: RopewayError) -> int:
    """Return the HTTP status that says the same as an exit code."""
    return _STATUS.get(error.exit_code, 500)
