"""The dashboard alone: which address it may have, who is let in, and its server."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import uvicorn

from ropeway.errors import ConfigError, Unsafe
from ropeway.web.access import Access, Token, is_loopback
from ropeway.web.dashboard import Dashboard


def refuse_open(host: str, access: Access) -> None:
    """Raise `Unsafe` for an address that others can reach, if a link is all that guards it."""
    if isinstance(access, Token) and not is_loopback(host):
        raise Unsafe(
            f"the dashboard would be reachable at {host} by whoever gets hold of a link",
            hint="add --auth users, --auth proxy or --auth oidc, or leave --host out",
        )


def serve(dashboard: Dashboard, host: str, port: int, ready: Callable[[str], None]) -> None:
    """Serve until told to stop; `ready` is told the link when the port is open."""
    refuse_open(host, dashboard.site.access)
    config = uvicorn.Config(
        dashboard, host=host, port=port, log_level="error", access_log=False, proxy_headers=False
    )
    config.timeout_graceful_shutdown = 2
    server = uvicorn.Server(config)
    try:
        socket = config.bind_socket()
    except SystemExit:
        raise ConfigError(
            f"the address {host}:{port} cannot be had", hint="take another --port; 0 is any"
        ) from None
    with contextlib.closing(socket):
        socket.listen(config.backlog)  # who opens the link at once waits, and is not refused
        bound = socket.getsockname()[1]
        ready(link(dashboard, host, bound))
        server.run(sockets=[socket])


def link(dashboard: Dashboard, host: str, port: int) -> str:
    """Return what to open, with the token if there is one."""
    name = f"[{host}]" if ":" in host else host
    access = dashboard.site.access
    token = f"?token={access.token}" if isinstance(access, Token) else ""
    return f"http://{name}:{port}/{token}"
