"""The remote API of the example: a small server with made-up data, which fails now and then."""

from __future__ import annotations

import contextlib
import itertools
import json
import random
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

FAILS_EVERY = 4
"""Every so many requests are answered with 503: whoever asks has to ask again."""

_TAGS = ("garden", "kitchen", "books", "music", "sport", "travel", "light", "wood", "steel")


def repositories(count: int, turn: int) -> list[dict[str, Any]]:
    """Return the most starred repositories; their stars grow with each turn."""
    rng = random.Random(1)
    found: list[dict[str, Any]] = [
        {"name": f"owner{number}/project{number}", "stars": rng.randrange(10_000, 400_000)}
        for number in range(3 * count)
    ]
    for each in found:
        each["stars"] += turn * rng.randrange(3)
    return sorted(found, key=lambda each: -each["stars"])[:count]


def products() -> list[dict[str, Any]]:
    """Return products with what they are tagged with."""
    rng = random.Random(2)
    return [{"name": f"product {n}", "tags": rng.sample(_TAGS, 3)} for n in range(40)]


class Handler(BaseHTTPRequestHandler):
    """Answers with JSON."""

    turns = itertools.count(1)

    def do_GET(self) -> None:
        """Answer one request."""
        turn, parts = next(self.turns), urlsplit(self.path)
        count = int(parse_qs(parts.query).get("count", ["100"])[0])
        if turn % FAILS_EVERY == 0:
            self._answer(503, {"error": "come again"})
            return
        match parts.path:
            case "/repositories":
                self._answer(200, repositories(count, turn))
            case "/news":
                self._answer(200, [{"title": f"headline {turn}.{n}"} for n in range(5)])
            case "/weather":
                self._answer(200, {"celsius": 10 + turn % 15, "sky": "clear"})
            case "/products":
                self._answer(200, products())
            case _:
                self._answer(404, {"error": "there is no such thing"})

    def _answer(self, status: int, said: Any) -> None:
        body = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing of each request."""


@contextlib.contextmanager
def serving(handler: type[BaseHTTPRequestHandler], port: int = 0) -> Iterator[str]:
    """Serve on this machine alone for the block; returns the URL."""
    server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
