"""Describes the JSON API in the words of OpenAPI 3.1."""

from __future__ import annotations

from typing import Any

import msgspec

from ropeway import __version__
from ropeway.web.acting import HERE, Asked
from ropeway.web.api import ENDPOINTS
from ropeway.web.endpoint import MOST, Endpoint

_REFS = "#/components/schemas/{name}"
_PROBLEM = {
    "type": "object",
    "required": ["title", "status", "code"],
    "properties": {
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "detail": {"type": "string"},
    },
}
_PROBLEM_REPLY = {
    "description": "It could not be done.",
    "content": {"application/problem+json": {"schema": {"$ref": _REFS.format(name="Problem")}}},
}


def described(prefix: str) -> dict[str, Any]:
    """Return the description of the whole API, which is below `prefix`."""
    kinds = [Asked, *(each.gives for each in ENDPOINTS)]
    (asked, *gives), components = msgspec.json.schema_components(kinds, ref_template=_REFS)
    paths = {
        each.path: {"get": _read(each, shape)} for each, shape in zip(ENDPOINTS, gives, strict=True)
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "ropeway", "version": __version__},
        "servers": [{"url": f"{prefix}/api/v1"}],
        "paths": paths | {"/actions/{action}": {"post": _action(asked)}},
        "components": {"schemas": components | {"Problem": _PROBLEM}},
    }


def _read(endpoint: Endpoint, shape: dict[str, Any]) -> dict[str, Any]:
    names = [part[1:-1] for part in endpoint.path.split("/") if part.startswith("{")]
    parameters = [_parameter(name, "path", {"type": "string", "minLength": 1}) for name in names]
    for name, says in endpoint.takes.items():
        kind = _kind(name, endpoint)
        parameters.append(_parameter(name, "query", kind) | {"description": says})
    return {
        "summary": endpoint.says,
        "operationId": endpoint.read.__name__.strip("_"),
        "parameters": parameters,
        "responses": _replies(shape),
    }


def _kind(name: str, endpoint: Endpoint) -> dict[str, Any]:
    if name == "limit":
        return {"type": "integer", "minimum": 1, "maximum": MOST, "default": 50}
    if name in endpoint.choices:
        return {"type": "string", "enum": list(endpoint.choices[name])}
    return {"type": "string"}


def _action(asked: dict[str, Any]) -> dict[str, Any]:
    named = {"type": "string", "enum": sorted(HERE)}
    return {
        "summary": "Do something. Which role it needs is the same as on the pages.",
        "operationId": "act",
        "parameters": [_parameter("action", "path", named)],
        "requestBody": {"required": True, "content": {"application/json": {"schema": asked}}},
        "responses": _replies({"type": "object"}),
    }


def _replies(shape: dict[str, Any]) -> dict[str, Any]:
    found = {
        "description": "What was asked for.",
        "content": {"application/json": {"schema": shape}},
    }
    return {"200": found, "default": _PROBLEM_REPLY}


def _parameter(name: str, place: str, kind: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"name": name, "in": place, "schema": kind}
    return found | ({"required": True} if place == "path" else {})
