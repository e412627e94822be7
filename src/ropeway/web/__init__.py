"""The dashboard: pages, a JSON API and probes for whoever runs an app."""

from __future__ import annotations

import importlib.util

from ropeway.errors import ConfigError

if importlib.util.find_spec("starlette") is None or importlib.util.find_spec("jinja2") is None:
    raise ConfigError(
        "the dashboard needs packages that are not installed", hint="pip install 'ropeway[web]'"
    )

from ropeway.web.access import Access, Grant, Loopback, Proxy, Token, Users
from ropeway.web.dashboard import Dashboard
from ropeway.web.oidc import Oidc

__all__ = ["Access", "Dashboard", "Grant", "Loopback", "Oidc", "Proxy", "Token", "Users"]
